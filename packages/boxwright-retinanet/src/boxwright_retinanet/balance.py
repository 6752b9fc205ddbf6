"""Sampling that shows images with rare classes more often."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray


def image_weights(present: Sequence[NDArray[Any]], num_classes: int, power: float) -> NDArray[np.float64]:
    """Returns how often each image is shown, relative to one of the most frequent class.

    An image counts as much as its rarest class: ``(f_max / f) ** power``, where ``f`` is the fraction of the images
    that contain the class. With a power of 0.5, it is the repeat factor of Gupta et al. 2019 ("LVIS", section 3.3).

    Args:
        present: The classes in each image, from 0.
        num_classes: The number of classes.
        power: 0 for equal weights, 1 for weights in inverse proportion to the frequency.

    Returns:
        ``(images,)``, at least 1; exactly 1 for images without objects.
    """
    counts = np.zeros(num_classes)
    for classes in present:
        counts[np.unique(classes).astype(int)] += 1
    factors = (max(counts.max(initial=1), 1) / np.maximum(counts, 1)) ** power
    return np.array([factors[np.unique(classes).astype(int)].max(initial=1.0) for classes in present])
