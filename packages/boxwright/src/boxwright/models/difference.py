"""The difference between two models that were measured on the same images."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from boxwright.errors import UsageError
from boxwright.models.protocols import MetricResult
from boxwright.models.resampling import QUANTILE, interval_of

_SURE = QUANTILE + 0.84
"""Standard errors by which a difference must exceed 0 to be found in 80 % of all sets of images, at 95 %."""
_FEWEST = 20
_DECIDE = 6
"""Fewer images decide nothing: one model is better on all of five in 2 of 2**5 cases by chance (the sign test)."""


@dataclass(frozen=True)
class Difference:
    """The difference between two models on the same images, the second minus the first.

    Attributes:
        name: The name of the number.
        value: The difference.
        interval: Its 95 % interval.
        images: The number of images.
        enough: About how many images would tell the models apart in 80 % of all cases, if the true difference is this
            one; ``None`` if the models are equal on these images.
    """

    name: str
    value: float
    interval: tuple[float, float]
    images: int
    enough: int | None

    @classmethod
    def of(cls, name: str, value: float, interval: tuple[float, float], error: float, images: int) -> Difference:
        """Returns a difference with the number of images that would be enough.

        Args:
            name: The name of the number.
            value: The difference.
            interval: Its 95 % interval.
            error: Its standard error.
            images: The number of images.
        """
        enough = math.ceil(images * (_SURE * error / value) ** 2) if value and math.isfinite(error) else None
        return cls(name, value, interval, images, None if enough is None else max(enough, _FEWEST))

    @classmethod
    def between(cls, first: MetricResult, second: MetricResult, images: int, name: str = "") -> Difference:
        """Compares two models that the same metric measured on the same images, in the same order.

        Args:
            first: The result of the first model.
            second: The result of the second.
            images: The number of images.
            name: The name of the number; the main one by default.

        Raises:
            UsageError: The metric has no draws of this number.
        """
        name = name or first.main
        if name not in first.drawn or name not in second.drawn:
            raise UsageError(f"the metric has no intervals of {name!r}", "compare by coco, voc, f1 or count")
        value = second.values[name] - first.values[name]
        draws = second.drawn[name] - first.drawn[name]
        return cls.of(name, value, interval_of(draws, value), float(np.nanstd(draws)), images)

    @property
    def is_clear(self) -> bool:
        """Whether the images are enough to tell the two models apart: at least six, and 0 is outside the interval."""
        low, high = self.interval
        return self.images >= _DECIDE and (low > 0 or high < 0)

    @property
    def sentence(self) -> str:
        """The result in one sentence."""
        low, high = self.interval
        numbers = f"{self.name} {self.value:+.3f} (95 % interval {low:+.3f} to {high:+.3f})"
        if self.is_clear:
            return f"the {'second' if self.value > 0 else 'first'} model is better: {numbers}"
        if self.enough is None:
            return f"the models are equal on these {self.images:,} images: {numbers}"
        return (
            f"{self.images:,} images are too few to tell the models apart: {numbers}; if the difference is real, about"
            f" {self.enough:,} images would show it"
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "name": self.name,
            "difference": self.value,
            "interval": list(self.interval),
            "clear": self.is_clear,
            "images": self.images,
            "enough": self.enough,
            "sentence": self.sentence,
        }
