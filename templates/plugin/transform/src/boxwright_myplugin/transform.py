"""Leaves out small boxes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from boxwright import Sample, UsageError


class MyPluginTransform:
    """Keeps the boxes that are wide and high enough.

    Args:
        least: Pixels.

    Raises:
        UsageError: ``least`` is not positive.
    """

    per_sample = True  # each picture is handled on its own, so that threads may share the work

    def __init__(self, least: float = 4.0) -> None:
        if least <= 0:
            raise UsageError(f"least is {least:g}", "give a number of pixels greater than 0")
        self._least = least

    def __call__(self, samples: Iterable[Sample]) -> Iterator[Sample]:
        """Yields every picture with the boxes that are left; samples are never changed, but copied."""
        for sample in samples:
            keep = [
                xmax - xmin >= self._least and ymax - ymin >= self._least
                for xmin, ymin, xmax, ymax in sample.boxes.edges
            ]
            yield sample if all(keep) else sample.replace(boxes=sample.boxes.select(keep))
