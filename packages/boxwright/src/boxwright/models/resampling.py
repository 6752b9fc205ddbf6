"""Intervals by resampling images: how much a number depends on which images were measured (Efron 1979).

In each draw, as many images are drawn as there are, with replacement. A number is then calculated with the number of
times that each image was drawn as its weight.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

DRAWS = 1000
"""The usual number of draws."""

QUANTILE = 1.96
"""Standard errors on both sides of a 95 % interval."""

Numbers = NDArray[np.float64]


def draw_images(images: int, draws: int = DRAWS, seed: int = 0) -> Numbers:
    """Returns how often each image is drawn, ``(draws, images)``; the same in every call."""
    if not images:
        return np.zeros((draws, 0))
    return np.random.default_rng(seed).multinomial(images, np.full(images, 1 / images), size=draws).astype(np.float64)


def interval_of(draws: Numbers, value: float) -> tuple[float, float]:
    """Returns the 95 % interval of a number; ``nan`` without one.

    Average precision of few images is too high on average, and that of resampled ones again by as much. The interval is
    therefore normal with the bias removed (Davison and Hinkley 1997, section 5.2).

    Args:
        draws: Its values in the draws.
        value: Its value on all images.
    """
    measured = draws[np.isfinite(draws)]
    if not len(measured) or not math.isfinite(value):
        return math.nan, math.nan
    center, error = 2 * value - float(measured.mean()), QUANTILE * float(measured.std())
    low, high = center - error, center + error
    if measured.min() >= 0 and 0 <= value <= 1 and measured.max() <= 1:  # a share
        return max(low, 0.0), min(high, 1.0)
    return low, high
