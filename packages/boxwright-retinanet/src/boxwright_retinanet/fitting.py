"""The size of the network's input and the finest pyramid level, by the objects of the training data.

Only numpy is imported.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from boxwright_retinanet.anchors import FIRST_LEVEL, coverage, fit_anchors

SUFFICIENT_COVERAGE = 0.95
"""The fraction of boxes with an anchor that needs no larger input."""

GROWTH = (1.0, 2.0, 4.0)
"""How much larger than the preset's the number of pixels may become, for small objects."""

# A larger input, or a finer level, costs several times the time: it must cover at least this many more of the boxes.
_WORTH = 0.05


@dataclass(frozen=True)
class Fitted:
    """A choice.

    Attributes:
        image_size: Width and height of the network's input in pixels.
        first_level: The finest pyramid level.
        coverage: The fraction of boxes with an anchor that has an IoU of at least 0.5.
    """

    image_size: tuple[int, int]
    first_level: int
    coverage: float


def fit_input(
    boxes: NDArray[np.float64], image_sizes: Sequence[tuple[int, int]], levels: Sequence[int] = (FIRST_LEVEL, 2)
) -> Fitted:
    """Returns the first size and level, in the given order, whose anchors cover nearly all boxes, or else the best.

    A larger input shows more of an object; a finer level only has more anchors. So all sizes are tried at the first
    level before the next one.

    Args:
        boxes: ``(N, 4)``, ``xyxy`` relative to their images, from 0 to 1.
        image_sizes: Width and height of the inputs to choose from.
        levels: The finest pyramid levels to choose from.
    """
    best: Fitted | None = None
    for level in levels:
        for width, height in image_sizes:
            scaled = boxes * np.array([width, height, width, height], dtype=np.float64)
            anchors = fit_anchors(scaled, (height, width), level)
            found = Fitted((width, height), level, coverage(scaled, anchors, (height, width)))
            if best is None or found.coverage >= best.coverage + _WORTH:
                best = found
            if best.coverage >= SUFFICIENT_COVERAGE:
                return best
    assert best is not None
    return best
