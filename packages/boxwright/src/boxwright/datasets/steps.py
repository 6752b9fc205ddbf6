"""Steps of a conversion: ``NAME[:OPTIONS]``, as ``resize:800x600`` or ``split:train=0.8,test=0.2,seed=3``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from boxwright.datasets.protocols import Transform
from boxwright.errors import UsageError
from boxwright.plugins.options import convert_options
from boxwright.plugins.registry import Registry, default_registry
from boxwright.plugins.specs import TransformSpec


def make_transform(step: str | Transform, plugins: Registry | None = None) -> Transform:
    """Builds the transform that a step names.

    Options are separated by commas, except inside brackets or quotes; a bare value is the transform's
    positional option.

    Raises:
        PluginNotFoundError: No transform has that name.
        UsageError: A wrong option.
    """
    if not isinstance(step, str):
        return step
    plugins = plugins or default_registry()
    name, _, text = step.partition(":")
    spec: TransformSpec = plugins.get("transform", name).spec
    settings = _take_apart(step, text, spec)
    extra: dict[str, object] = {spec.positional: settings.collected} if settings.collected else {}
    options = convert_options(settings.given, spec.options, f"the step {step!r}", extra=extra)
    transform: Transform = plugins.resolve("transform", name)(**options)
    return transform


def reading_options(steps: Iterable[str | Transform], plugins: Registry) -> dict[str, str]:
    """The options with which the steps want a dataset to be read, where its format has them."""
    options: dict[str, str] = {}
    for step in steps:
        if isinstance(step, str):
            options |= plugins.get("transform", step.partition(":")[0]).spec.reading
    return options


class _Settings(NamedTuple):
    """What a step sets: its options, and the ``key=value`` pairs that a keyed step collects."""

    given: dict[str, object]
    collected: dict[str, str]


def _take_apart(step: str, text: str, spec: TransformSpec) -> _Settings:
    given: dict[str, object] = {}
    collected: dict[str, str] = {}
    known = {option.name for option in spec.options}
    for part in filter(None, (part.strip() for part in _split_at_commas(text))):
        key, equals, value = (piece.strip() for piece in part.partition("="))
        if not equals:
            if not spec.positional or spec.positional in given:
                raise UsageError(f"the step {step!r}: {part!r} has no name", f"write {spec.name}:name=value,...")
            key, value = spec.positional, part
        if key in given or key in collected:
            raise UsageError(f"the step {step!r}: duplicate option {key!r}", "remove one of them")
        if spec.keyed and key not in known:
            collected[key] = value
        else:
            given[key] = value
    return _Settings(given, collected)


def _split_at_commas(text: str) -> list[str]:
    r"""The options of a step; a comma inside brackets or quotes belongs to its option, as in ``group=^(cam\d{1,3})_``.

    Brackets that are never closed hold nothing together, so that a stray one spoils no more than its own option.
    """
    parts, start, closing = [], 0, ""
    for place, letter in enumerate(text):
        if closing:
            if letter == closing[-1]:
                closing = closing[:-1]
            elif letter in _BRACKETS and closing[-1] not in _QUOTES:
                closing += _BRACKETS[letter] if _BRACKETS[letter] in text[place + 1 :] else ""
        elif letter in _BRACKETS and _BRACKETS[letter] in text[place + 1 :]:
            closing = _BRACKETS[letter]
        elif letter == ",":
            parts.append(text[start:place])
            start = place + 1
    return [*parts, text[start:]]


_QUOTES = "\"'"
_BRACKETS = {"(": ")", "[": "]", "{": "}", '"': '"', "'": "'"}
