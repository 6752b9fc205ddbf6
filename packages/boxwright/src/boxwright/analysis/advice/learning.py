"""Learning curves: how average precision grows with the training images, and what more of them would bring.

The curve is an inverse power law, ``limit - factor * images ** -exponent`` (Cortes et al. 1993, "Learning curves:
asymptotic values and rate of convergence"; Hestness et al. 2017).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]

_EXPONENTS = np.geomspace(0.1, 2.0, 40)
_DRAWS = 200
_LEAST_ERROR = 0.01
"""The standard error of an average precision between two trainings that differ in nothing but the seed."""


class Forecast(NamedTuple):
    """What a number of images would bring.

    Attributes:
        value: The expected average precision.
        error: Its 95 % interval is this much to both sides.
    """

    value: float
    error: float


@dataclass(frozen=True)
class Point:
    """One training on a part of the images.

    Attributes:
        images: The number of training images.
        values: Average precision by class; ``""`` for that over all classes.
        errors: Their standard errors, from resampled test images.
        class_images: The number of training images with each class.
    """

    images: int
    values: dict[str, float]
    errors: dict[str, float]
    class_images: dict[str, int]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        names = {name or "all": value for name, value in self.values.items()}
        return {
            "images": self.images,
            "AP": {name: round(value, 4) if math.isfinite(value) else None for name, value in names.items()},
            "class_images": self.class_images,
        }


@dataclass(frozen=True)
class Learning:
    """A learning curve.

    Attributes:
        points: The trainings, from few images to many.
    """

    points: tuple[Point, ...]

    def forecast(self, images: int, name: str = "") -> Forecast | None:
        """Returns average precision with a number of images; ``None`` if the points are too few.

        Args:
            images: The number of training images; of those with the class, for a class.
            name: The class; empty for all classes.
        """
        rows = [
            (point.class_images[name] if name else point.images, point.values[name], point.errors.get(name, 0.0))
            for point in self.points
            if math.isfinite(point.values.get(name, math.nan))
        ]
        rows = [row for row in rows if row[0] > 0]
        if len({row[0] for row in rows}) < 3:
            return None
        counts, values, errors = (np.array(column, np.float64) for column in zip(*rows, strict=True))
        return extrapolate(counts, values, errors, images)


def extrapolate(counts: Numbers, values: Numbers, errors: Numbers, count: int) -> Forecast:
    """Fits an inverse power law, and returns its value elsewhere.

    Args:
        counts: The numbers of images, ``(P,)``, at least three different ones.
        values: Average precision of each, ``(P,)``.
        errors: Standard errors, ``(P,)``.
        count: The number of images of the forecast.
    """
    errors = np.hypot(errors, _LEAST_ERROR)
    random = np.random.default_rng(0)
    drawn = np.clip(values + random.normal(size=(_DRAWS, len(values))) * errors, 0, 1)
    wanted = np.append(counts, count)
    fitted = _fitted(counts, np.vstack([values, drawn]), errors, wanted)
    # The law itself is not exact: what it misses at the points counts as well.
    residual = math.sqrt(float(np.mean((fitted[0, :-1] - values) ** 2)))
    return Forecast(float(fitted[0, -1]), 1.96 * math.hypot(float(np.std(fitted[1:, -1])), residual))


def _fitted(counts: Numbers, values: Numbers, errors: Numbers, wanted: Numbers) -> Numbers:
    """Returns the values of the laws with the least squares, with limits of at most 1.

    Args:
        counts: ``(P,)``.
        values: ``(D, P)``.
        errors: ``(P,)``.
        wanted: The numbers of images at which the laws are evaluated, ``(W,)``.

    Returns:
        ``(D, W)``.
    """
    weights = errors**-2 / (errors**-2).sum()
    columns = counts ** -_EXPONENTS[:, None]  # (E, P)
    means = (columns * weights).sum(axis=1)
    centered = columns - means[:, None]
    average = (values * weights).sum(axis=1)[:, None]
    factor = -(values * weights) @ centered.T / (centered**2 * weights).sum(axis=1)  # (D, E)
    limit = average + factor * means
    steep = ((1 - values) * weights) @ columns.T / (columns**2 * weights).sum(axis=1)
    factor, limit = np.where(limit > 1, steep, factor), np.minimum(limit, 1.0)
    limit = np.where(factor < 0, average, limit)  # more images do not make a model worse
    factor = np.maximum(factor, 0.0)
    missed = limit[:, :, None] - factor[:, :, None] * columns - values[:, None]
    best = (missed**2 * weights).sum(axis=2).argmin(axis=1)
    rows = np.arange(len(values))
    found = limit[rows, best, None] - factor[rows, best, None] * wanted ** -_EXPONENTS[best, None]
    clipped: Numbers = np.clip(found, 0.0, 1.0)
    return clipped


def sizes_below(images: int, points: int) -> Sequence[int]:
    """Returns the numbers of images of the trainings of a curve, evenly spread below all of them."""
    return sorted({max(1, round(images * number / (points + 1))) for number in range(1, points + 1)})
