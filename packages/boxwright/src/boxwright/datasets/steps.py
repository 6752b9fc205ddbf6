"""Steps of a conversion: ``NAME[:OPTIONS]``, as ``resize:800x600`` or ``split:train=0.8,test=0.2,seed=3``."""

from __future__ import annotations

from collections.abc import Collection, Iterable
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
    known = {option.name for option in spec.options} if spec.keyed else None
    settings = parse_options(step, name, text, spec.positional, known)
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


class StepSettings(NamedTuple):
    """What a step sets: its options, and the ``key=value`` pairs that are not options."""

    given: dict[str, object]
    collected: dict[str, str]


def parse_options(
    step: str, name: str, text: str, positional: str, known: Collection[str] | None = None
) -> StepSettings:
    """Returns the options of a step by name, and the ``key=value`` pairs with unknown names.

    Args:
        step: The whole step, for messages.
        name: The name of the plugin.
        text: The options, separated by commas.
        positional: The option that a value without a name sets; empty for none.
        known: The names of the options; ``None`` if all pairs are options.

    Raises:
        UsageError: A value without a name, or a duplicate option.
    """
    given: dict[str, object] = {}
    collected: dict[str, str] = {}
    for part in filter(None, (part.strip() for part in split_outside_brackets(text, ","))):
        key = split_outside_brackets(part, "=")[0]
        key, value = key.strip(), part[len(key) + 1 :].strip()
        if key == part:
            if not positional or positional in given:
                raise UsageError(f"the step {step!r}: {part!r} has no name", f"write {name}:name=value,...")
            key, value = positional, part
        if key in given or key in collected:
            raise UsageError(f"the step {step!r}: duplicate option {key!r}", "remove one of them")
        if known is not None and key not in known:
            collected[key] = value
        else:
            given[key] = value
    return StepSettings(given, collected)


def split_outside_brackets(text: str, separator: str) -> list[str]:
    r"""Returns the parts of a text; a separator inside brackets or quotes does not split: ``group=^(cam\d{1,3})_``.

    An opening bracket without a closing one is an ordinary character, so that it affects only its own part.
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
        elif letter == separator:
            parts.append(text[start:place])
            start = place + 1
    return [*parts, text[start:]]


_QUOTES = "\"'"
_BRACKETS = {"(": ")", "[": "]", "{": "}", '"': '"', "'": "'"}
