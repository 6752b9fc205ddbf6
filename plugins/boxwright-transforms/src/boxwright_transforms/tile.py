"""The step ``tile``: large images cut into smaller ones that overlap."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath
from typing import Any, Final, NamedTuple

from boxwright import Boxes, Coordinates, DataError, ImageRef, Sample, UsageError
from boxwright.images import decode_sample
from boxwright_transforms.encoding import check_quality, encode_image, name_for, parse_size, target_format
from boxwright_transforms.notes import Ledger, Merging, amount
from boxwright_transforms.outlines import clip_attributes, rotate_points, shift_attributes, transform_boxes

_MAX_TILES: Final = 10_000
"""Maximum number of tiles per image, because all of them are in memory at the same time."""


class Window(NamedTuple):
    """The position of a tile in its image, in pixels; right and bottom are exclusive."""

    left: int
    top: int
    right: int
    bottom: int


class Tile(Merging[Counter[str]]):
    """The step ``tile:640x640``.

    Tiles follow each other row by row, each with the previous one overlapping by ``overlap``. The last tile of a row
    and of a column ends at the edge of the image, so all tiles have the same size, except those of images that are
    narrower or lower. Each is named after its top left corner: ``photo_x640_y0.jpg``. An image that is not larger than
    a tile is copied byte for byte.

    Each image is decoded once, after EXIF orientation. PNG remains PNG, and all other images become JPEG; both in 8-bit
    RGB, without EXIF.

    A box is clipped to the tile and moved; it is in every tile that contains enough of it. Its polygons are clipped
    with it and masks are dropped. Its ``id`` and the image's ``source_id`` are dropped, because they identified the
    original.

    Args:
        size: ``"WIDTHxHEIGHT"`` in pixels, or one number for squares.
        overlap: Overlap in pixels in each direction; below 1, a fraction of the size.
        visible: Minimum fraction of a box's area in a tile for the tile to contain the box, 0 to 1; 0 for any.
        empty: ``"keep"`` or ``"drop"`` tiles without boxes, of images that are cut.
        quality: JPEG quality, 1 to 95, as in Pillow.

    Raises:
        UsageError: An option is out of range.
    """

    per_sample = True
    keeps_labels = True

    def __init__(
        self, size: str, overlap: float = 0.2, visible: float = 0.3, empty: str = "keep", quality: int = 90
    ) -> None:
        self.size = parse_size(size, "tile", square=True)
        width, height = self.size
        self.overlap = (round(width * overlap), round(height * overlap)) if overlap < 1 else (round(overlap),) * 2
        if not (overlap >= 0 and self.overlap[0] < width and self.overlap[1] < height):
            raise UsageError(
                f"tile: overlap={overlap:g}, with tiles of {width}x{height}",
                "use fewer pixels than a tile has, or a fraction such as 0.2",
            )
        if not 0 <= visible <= 1:
            raise UsageError(f"tile: visible={visible:g}", "use a fraction of a box's area, 0 to 1")
        self.visible = visible
        self.drop_empty = empty == "drop"
        self.quality = check_quality(quality, "tile")
        self._ledger = Ledger()

    def __call__(self, samples: Iterable[Sample]) -> Iterator[Sample]:
        """Yields the tiles of each image, row by row, each in memory.

        Raises:
            DataError: An image is missing, damaged, its size differs from the annotation, or it would become more than
                ten thousand tiles.
        """
        for sample in samples:
            yield from self._tiles(sample)

    def notes(self) -> list[str]:
        """Returns the number of tiles, and the changes of the boxes."""
        counts: Counter[str] = Counter()
        for entry in self._ledger.entries():
            counts.update(entry)
        notes = []
        if counts["cut"]:
            size = f"{self.size[0]}x{self.size[1]}"
            notes.append(f"{amount(counts['cut'], 'image')} cut into {amount(counts['tiles'], 'tile')} of {size}")
        for key, word, text in (
            ("kept", "image", "unchanged, not larger than a tile"),
            ("rotated", "image", "rotated by their EXIF orientation, pixels and boxes"),
            ("empty", "tile", "without boxes dropped"),
            ("several", "box", "in more than one tile"),
            ("partial", "box", "clipped to a tile, counted once per tile"),
            ("outside", "box", f"in no tile, because none contains enough (visible={self.visible:g})"),
            ("segmentation", "box", "without the mask (segmentation), because only polygons can be clipped"),
            ("area", "box", "without the area, which is unknown after clipping"),
        ):
            if counts[key]:
                notes.append(f"{amount(counts[key], word)} {text}")
        return notes

    def _tiles(self, sample: Sample) -> Iterator[Sample]:
        width, height = self.size
        if sample.image.width <= width and sample.image.height <= height:
            self._ledger.enter(sample.image.name, Counter(kept=1))
            yield sample
            return
        opened = decode_sample(sample)
        header, image, boxes = opened.header, opened.image, opened.boxes
        counts = Counter(cut=1, rotated=int(header.orientation != 1))
        if opened.rotated_boxes:
            stored = (header.width, header.height)
            boxes, masks = transform_boxes(
                boxes, boxes.xyxy, lambda points: rotate_points(points, header.orientation, stored), 1.0
            )
            counts["segmentation"] += masks
        form = target_format(header)
        path = PurePosixPath(name_for(sample.image.name, form))
        attributes = {name: value for name, value in sample.attributes.items() if name != "source_id"}
        tiles_of: Counter[int] = Counter()
        for window in self._windows(sample, image.size):
            inside = self._clipped(boxes, image.size, window, tiles_of, counts)
            counts["tiles"] += 1
            if self.drop_empty and not inside:
                counts["empty"] += 1
                continue
            reference = ImageRef(
                name=str(path.with_name(f"{path.stem}_x{window.left}_y{window.top}{path.suffix}")),
                width=window.right - window.left,
                height=window.bottom - window.top,
                data=encode_image(image.crop(window), form, self.quality),
                format=form,
            )
            yield sample.replace(image=reference, boxes=inside, attributes=attributes)
        counts["outside"] += len(boxes) - len(tiles_of)
        counts["several"] += sum(count > 1 for count in tiles_of.values())
        self._ledger.enter(sample.image.name, counts)

    def _windows(self, sample: Sample, size: tuple[int, int]) -> list[Window]:
        lefts, tops = (_starts(*each) for each in zip(size, self.size, self.overlap, strict=True))
        if len(lefts) * len(tops) > _MAX_TILES:
            raise DataError(
                sample.source or sample.image.name,
                f"the image of {size[0]}x{size[1]} would become {len(lefts) * len(tops):,} tiles",
                f"use larger tiles or less overlap; the maximum is {_MAX_TILES:,} tiles per image",
            )
        width, height = (min(each) for each in zip(size, self.size, strict=True))
        return [Window(left, top, left + width, top + height) for top in tops for left in lefts]

    def _clipped(
        self, boxes: Boxes, size: tuple[int, int], window: Window, tiles_of: Counter[int], counts: Counter[str]
    ) -> Boxes:
        """Returns the boxes of a tile, in its pixels."""
        labels: list[str] = []
        coordinates: list[Coordinates] = []
        rows: list[dict[str, Any]] = []
        for position, (box, attributes) in enumerate(zip(boxes.coordinates, boxes.attributes, strict=True)):
            part = _intersection(box, window)
            if part is None or not self._contains_enough(box, part, window, size):
                continue
            tiles_of[position] += 1
            if part == box:
                row, dropped = shift_attributes(attributes, window.left, window.top)
            else:
                row, dropped = clip_attributes(attributes, window, _area(box), _area(part))
                counts["partial"] += 1
            counts.update(dropped)
            row.pop("id", None)
            labels.append(boxes.labels[position])
            xmin, ymin, xmax, ymax = part
            coordinates.append((xmin - window.left, ymin - window.top, xmax - window.left, ymax - window.top))
            rows.append(row)
        return Boxes(labels, coordinates, rows)

    def _contains_enough(self, box: Coordinates, part: Coordinates, window: Window, size: tuple[int, int]) -> bool:
        if not _area(box):  # a line or a point is in the tile that contains its center
            x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
            return (window.left <= x < window.right or x == window.right == size[0]) and (
                window.top <= y < window.bottom or y == window.bottom == size[1]
            )
        inside = _intersection(box, Window(0, 0, *size))
        return inside is not None and 0 < _area(part) >= self.visible * _area(inside)


def _starts(length: int, size: int, overlap: int) -> list[int]:
    """Returns where tiles start along a side of an image; the last one ends at its end."""
    last = max(length - size, 0)
    return [*range(0, last, size - overlap), last]


def _intersection(box: Coordinates, window: Window) -> Coordinates | None:
    """Returns the part of a box inside a window; ``None`` if they do not touch."""
    xmin, ymin = max(box[0], float(window.left)), max(box[1], float(window.top))
    xmax, ymax = min(box[2], float(window.right)), min(box[3], float(window.bottom))
    return (xmin, ymin, xmax, ymax) if xmin <= xmax and ymin <= ymax else None


def _area(box: Coordinates) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])
