"""Drops small boxes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from boxwright import Sample, UsageError


class MyPluginTransform:
    """Keeps the boxes that are large enough.

    Args:
        least: Minimum width and height in pixels.

    Raises:
        UsageError: ``least`` is not positive.
    """

    per_sample = True  # each image is processed on its own, so several threads can be used

    def __init__(self, least: float = 4.0) -> None:
        if least <= 0:
            raise UsageError(f"least is {least:g}", "set a number of pixels greater than 0")
        self._least = least

    def __call__(self, samples: Iterable[Sample]) -> Iterator[Sample]:
        """Yields every image with the remaining boxes, as a copy if any were dropped."""
        for sample in samples:
            keep = [
                xmax - xmin >= self._least and ymax - ymin >= self._least
                for xmin, ymin, xmax, ymax in sample.boxes.coordinates
            ]
            yield sample if all(keep) else sample.replace(boxes=sample.boxes.select(keep))
