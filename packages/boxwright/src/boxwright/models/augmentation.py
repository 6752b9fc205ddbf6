"""Augmenters by name, choices between them, and their application to NumPy arrays.

A step is ``NAME``, ``NAME:OPTION=VALUE,...`` or ``NAME(OPTION=VALUE,...)``. ``choice(flip|2*color:hue=0.1|none)``
applies one of several steps, here ``color`` twice as often as ``flip``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from boxwright.datasets.steps import parse_options, split_outside_brackets
from boxwright.errors import UsageError
from boxwright.models.protocols import ArrayAugmenter, Augmenter, JoiningAugmenter, MixingAugmenter
from boxwright.plugins.options import convert_options
from boxwright.plugins.registry import Registry, default_registry
from boxwright.plugins.specs import AugmenterSpec

Example: TypeAlias = dict[str, Any]

_CHOICE = re.compile(r"choice\s*\((.*)\)", re.DOTALL)
_WEIGHTED = re.compile(r"\s*(\d+(?:\.\d+)?|\.\d+)\s*\*\s*(.*)", re.DOTALL)
_PARENTHESES = re.compile(r"([^(:]+)\((.*)\)", re.DOTALL)


@dataclass(frozen=True)
class AugmenterChoice:
    """One of several augmenters, chosen at random for each image.

    Attributes:
        alternatives: The augmenters; ``None`` for no change.
        probabilities: The probability of each; they add up to 1.
    """

    alternatives: tuple[AnyAugmenter | None, ...]
    probabilities: tuple[float, ...]


AnyAugmenter: TypeAlias = Augmenter | ArrayAugmenter | MixingAugmenter | AugmenterChoice


@dataclass(frozen=True)
class _Step:
    """A step with its options, before its augmenter is imported."""

    text: str
    name: str
    options: Mapping[str, Any]


@dataclass(frozen=True)
class _Choice:
    alternatives: tuple[_Step | _Choice | None, ...]
    probabilities: tuple[float, ...]


def make_augmenters(steps: Sequence[str], *, backend: str = "", plugins: Registry | None = None) -> list[AnyAugmenter]:
    """Builds the augmenters that steps name.

    Args:
        steps: ``"flip"``, ``"crop:smallest=0.4,probability=1"``, ``"crop(smallest=0.4)"`` or
            ``"choice(flip|2*color|none)"``, whose numbers are weights.
        backend: The backend that uses them, for augmenters that work with some backends only; empty for none.
        plugins: Where they are looked up.

    Raises:
        PluginNotFoundError: No augmenter has that name.
        MissingLibraryError: A library that it requires is not installed.
        UsageError: An option is invalid, or the augmenter does not work with the backend.
    """
    plugins = plugins or default_registry()
    return [_made(_parsed(step.strip(), backend, plugins), plugins) for step in steps]


def check_augmenters(steps: Sequence[str], *, backend: str = "", plugins: Registry | None = None) -> None:
    """Checks steps as far as possible without importing their augmenters.

    Args and errors are those of :func:`make_augmenters`.
    """
    plugins = plugins or default_registry()
    for step in steps:
        _parsed(step.strip(), backend, plugins)


def _made(step: _Step | _Choice, plugins: Registry) -> AnyAugmenter:
    if isinstance(step, _Choice):
        alternatives = tuple(each if each is None else _made(each, plugins) for each in step.alternatives)
        return AugmenterChoice(alternatives, step.probabilities)
    make = plugins.resolve("augmenter", step.name)
    try:
        augmenter: AnyAugmenter = make(**step.options)
    except ValueError as error:
        remedy = f"see: boxwright plugins show augmenter {step.name}"
        raise UsageError(f"the augmenter {step.text!r}: {error}", remedy) from None
    return augmenter


def _parsed(step: str, backend: str, plugins: Registry) -> _Step | _Choice:
    if match := _CHOICE.fullmatch(step):
        return _parsed_choice(step, match[1], backend, plugins)
    in_parentheses = _PARENTHESES.fullmatch(step)
    name, _, text = step.partition(":")
    if in_parentheses:
        name, text = in_parentheses[1].strip(), in_parentheses[2]
    spec: AugmenterSpec = plugins.get("augmenter", name).spec
    if backend and spec.backends and backend not in spec.backends:
        raise UsageError(f"the augmenter {name!r} does not work with {backend}", "remove it")
    known = {option.name for option in spec.options} if spec.arguments else None
    settings = parse_options(step, name, text, spec.positional, known)
    extra: dict[str, object] = {spec.arguments: settings.collected} if settings.collected else {}
    return _Step(step, name, convert_options(settings.given, spec.options, f"the augmenter {step!r}", extra=extra))


def _parsed_choice(step: str, text: str, backend: str, plugins: Registry) -> _Choice:
    alternatives: list[_Step | _Choice | None] = []
    weights: list[float] = []
    for part in split_outside_brackets(text, "|"):
        weighted = _WEIGHTED.fullmatch(part)
        weight, name = (float(weighted[1]), weighted[2].strip()) if weighted else (1.0, part.strip())
        if not name:
            raise UsageError(f"the augmenter {step!r} has an empty alternative", "write choice(flip|color|none)")
        alternatives.append(None if name == "none" else _parsed(name, backend, plugins))
        weights.append(weight)
    total = sum(weights)
    if not total:
        raise UsageError(f"the augmenter {step!r} has only weights of 0", "write a weight greater than 0")
    return _Choice(tuple(alternatives), tuple(weight / total for weight in weights))


class ArrayAugmentation:
    """Augmenters as one function from an example to a changed one, on NumPy arrays.

    The random numbers of an augmenter do not depend on the settings of the others.

    Example:
        augmentation = ArrayAugmentation(make_augmenters(["crop", "choice(flip|color)"]))
        example = augmentation({"images": image, "boxes": boxes, "classes": classes}, seed=(7, 0))

    Args:
        augmenters: :class:`ArrayAugmenter`, :class:`MixingAugmenter` and choices of them.
    """

    def __init__(self, augmenters: Sequence[AnyAugmenter]) -> None:
        self._augmenters = tuple(augmenters)
        self._mixing = [each for each in _flat(self._augmenters) if isinstance(each, MixingAugmenter)]
        self._load: Callable[[int], Example] | None = None
        self._count = 0
        self._cumulative: dict[int, NDArray[np.float64]] = {}

    @property
    def mixes(self) -> bool:
        """Whether any augmenter needs other images: then :meth:`draw_from` must be called first."""
        return bool(self._mixing)

    def draw_from(self, load: Callable[[int], Example], classes: Sequence[NDArray[Any]]) -> None:
        """Sets the images that mixing augmenters draw from.

        Args:
            load: Returns the example at an index; called from several threads.
            classes: The classes of the boxes of each, shape (N,); at least one image.
        """
        self._load, self._count = load, len(classes)
        for augmenter in self._mixing:
            weights = augmenter.weights(classes)
            if weights is not None:
                cumulative = np.cumsum(np.asarray(weights, np.float64))
                if len(cumulative) == self._count and cumulative[-1] > 0:
                    self._cumulative[id(augmenter)] = cumulative / cumulative[-1]

    def __call__(self, example: Example, seed: Sequence[int]) -> Example:
        """Returns a changed example.

        Args:
            example: As for :meth:`ArrayAugmenter.augment`.
            seed: Integers; the same ones return the same example.
        """
        pending: Any = None
        pending_random: np.random.Generator | None = None
        for position, augmenter in enumerate(self._augmenters):
            random = _generator(seed, position)
            chosen: Any = _chosen(augmenter, random)
            if chosen is None:
                continue
            if _follows(type(chosen), MixingAugmenter):  # type: ignore[arg-type]
                if pending is not None and pending_random is not None:
                    example, pending = pending.augment(example, pending_random), None
                example = chosen.mix(example, random, self._draw(chosen, random))
                continue
            if pending is not None and pending_random is not None:
                joins = _follows(type(pending), JoiningAugmenter)  # type: ignore[arg-type]
                joined = pending.join(chosen) if joins else None
                if joined is not None:
                    pending = joined
                    continue
                example = pending.augment(example, pending_random)
            pending, pending_random = chosen, random
        if pending is not None and pending_random is not None:
            example = pending.augment(example, pending_random)
        return example

    def _draw(self, augmenter: MixingAugmenter, random: np.random.Generator) -> Callable[[], Example]:
        load, cumulative = self._load, self._cumulative.get(id(augmenter))
        assert load is not None, "draw_from was not called"

        def draw() -> Example:
            if cumulative is None:
                return load(int(random.integers(self._count)))
            return load(min(int(np.searchsorted(cumulative, random.random(), side="right")), self._count - 1))

        return draw


@cache
def _follows(kind: type, protocol: type) -> bool:
    """Returns whether a class follows a protocol; `isinstance` takes longer than some augmenters."""
    return issubclass(kind, protocol)


def _generator(seed: Sequence[int], position: int) -> np.random.Generator:
    return np.random.default_rng([*(int(number) % 2**64 for number in seed), position])


def _chosen(augmenter: AnyAugmenter | None, random: np.random.Generator) -> AnyAugmenter | None:
    while isinstance(augmenter, AugmenterChoice):
        # Not Generator.choice, which takes ten times as long.
        place = int(np.searchsorted(np.cumsum(augmenter.probabilities), random.random(), side="right"))
        augmenter = augmenter.alternatives[min(place, len(augmenter.alternatives) - 1)]
    return augmenter


def _flat(augmenters: Sequence[AnyAugmenter | None]) -> Iterator[AnyAugmenter]:
    for augmenter in augmenters:
        if isinstance(augmenter, AugmenterChoice):
            yield from _flat(augmenter.alternatives)
        elif augmenter is not None:
            yield augmenter
