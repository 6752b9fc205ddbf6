"""The annotations of many images as columns: what counting needs, without an object for each image."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, chain, compress, pairwise
from typing import TYPE_CHECKING, Final

from boxwright.regions import UNANNOTATED, are_crowds
from boxwright.schemas import Sample

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_IMAGES: Final = 1 << 12
_BOXES: Final = 1 << 14


@dataclass(frozen=True)
class Columns:
    """The annotations of consecutive images.

    Attributes:
        names: The name of each image.
        sizes: The width and height of each image, in pixels.
        counts: The number of boxes of each image.
        labels: The label of each box, of one image after another.
        xyxy: Shape (N, 4), float64: the coordinates of each box, in pixels.
        crowds: Whether each box has the attribute ``iscrowd``.
        locations: The location of each image.
        splits: The split of each image.
        databases: The image attribute ``database`` of the images that have one.
    """

    names: Sequence[str]
    sizes: Sequence[tuple[int, int]]
    counts: Sequence[int]
    labels: Sequence[str]
    xyxy: NDArray[np.float64]
    crowds: Sequence[bool]
    locations: Sequence[str | None]
    splits: Sequence[str | None] = ()
    databases: Sequence[object] = ()

    def __len__(self) -> int:
        return len(self.names)

    def spans(self) -> Iterator[tuple[int, int]]:
        """Yields the numbers of the first box of each image, and of the first one after it."""
        ends = [*accumulate(self.counts, initial=0)]
        return pairwise(ends)

    def regions(self) -> Sequence[bool]:
        """Returns whether each box is a region and not a single object; see :mod:`boxwright.regions`."""
        unannotated = {label for label in set(self.labels) if label.lower() == UNANNOTATED}
        if not unannotated:
            return self.crowds
        return [crowd or label in unannotated for crowd, label in zip(self.crowds, self.labels, strict=True)]

    def image_sizes(self) -> NDArray[np.float64]:
        """Returns the width and height of the image of each box, shape (N, 2)."""
        import numpy as np

        return np.repeat(np.array(self.sizes, np.float64).reshape(-1, 2), self.counts, axis=0)

    def select(self, keep: Sequence[bool]) -> Columns:
        """Returns some of the images; ``databases`` is unchanged.

        Args:
            keep: Whether each image is kept.
        """
        boxes = [kept for kept, count in zip(keep, self.counts, strict=True) for _ in range(count)]
        return Columns(
            names=[*compress(self.names, keep)],
            sizes=[*compress(self.sizes, keep)],
            counts=[*compress(self.counts, keep)],
            labels=[*compress(self.labels, boxes)],
            xyxy=self.xyxy[boxes],
            crowds=[*compress(self.crowds, boxes)],
            locations=[*compress(self.locations, keep)],
            splits=[*compress(self.splits, keep)],
            databases=self.databases,
        )


class ColumnsBuilder:
    """Collects the annotations of samples, but not their images."""

    def __init__(self) -> None:
        self._clear()

    def _clear(self) -> None:
        self._names: list[str] = []
        self._sizes: list[tuple[int, int]] = []
        self._counts: list[int] = []
        self._labels: list[str] = []
        self._coordinates = array("d")
        self._crowds: list[bool] = []
        self._locations: list[str | None] = []
        self._splits: list[str | None] = []
        self._databases: list[object] = []

    @property
    def full(self) -> bool:
        """Whether the columns should be taken, so that memory does not grow."""
        return len(self._names) >= _IMAGES or len(self._labels) >= _BOXES

    def add(self, sample: Sample) -> None:
        """Adds the annotations of an image."""
        image, boxes = sample.image, sample.boxes
        self._names.append(image.name)
        self._sizes.append((image.width, image.height))
        self._counts.append(len(boxes.labels))
        self._labels += boxes.labels
        self._coordinates.extend(chain.from_iterable(boxes.coordinates))
        self._crowds += are_crowds(boxes)
        self._locations.append(image.location)
        self._splits.append(sample.split)
        if "database" in sample.attributes:
            self._databases.append(sample.attributes["database"])

    def take(self) -> Columns:
        """Returns the columns, and begins new ones."""
        import numpy as np

        columns = Columns(
            self._names,
            self._sizes,
            self._counts,
            self._labels,
            np.array(self._coordinates).reshape(-1, 4),
            self._crowds,
            self._locations,
            self._splits,
            self._databases,
        )
        self._clear()
        return columns


def columns_of(samples: Iterable[Sample]) -> Iterator[Columns]:
    """Yields the annotations of some thousand images or boxes at a time."""
    builder = ColumnsBuilder()
    for sample in samples:
        builder.add(sample)
        if builder.full:
            yield builder.take()
    yield builder.take()
