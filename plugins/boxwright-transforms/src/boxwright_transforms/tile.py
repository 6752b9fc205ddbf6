"""The step ``tile``: large pictures cut into smaller ones that overlap."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath
from typing import Any, Final, NamedTuple

from boxwright import Boxes, DataError, Edges, ImageRef, Sample, UsageError
from boxwright.images import decode_sample
from boxwright_transforms.encoding import check_quality, encode_picture, name_for, parse_size, written_format
from boxwright_transforms.notes import Ledger, amount
from boxwright_transforms.outlines import cut, move, shift, turn_points
from boxwright_transforms.values import check_choice

_MOST_TILES: Final = 10_000
"""Tiles of one picture beyond which the size is taken for a mistake: all of them are in memory at the same time."""


class Window(NamedTuple):
    """A tile's place in its picture, in pixels; right and bottom are exclusive."""

    left: int
    top: int
    right: int
    bottom: int


class Tile:
    """The step ``tile:640x640``.

    Tiles are laid out row by row, each over the one before by ``overlap``; the last of a row and of a column ends at
    the picture's border, so that all tiles have their size, but for pictures that are narrower or lower. Each is named
    after its upper left corner: ``photo_x640_y0.jpg``. A picture that is within the size is handed on byte for byte.

    A picture is decoded once, upright. PNG stays PNG, all else becomes JPEG; both in 8-bit RGB, without EXIF.

    A box is cut at the tile's edges and moved; it stands in every tile that shows enough of it. Its polygons are cut
    with it, masks are left out; its ``id`` and the picture's ``source_id`` are left out, as they named the whole.

    Args:
        size: ``"WIDTHxHEIGHT"`` in pixels, or one number for squares.
        overlap: In pixels, or below 1 as a share of the size, in each direction.
        visible: Which share of a box's area a tile must show to have it, 0 to 1; 0 for any part that has an area.
        empty: ``"keep"`` or ``"drop"`` tiles without boxes, of pictures that are cut.
        quality: Of JPEG, 1 to 95, as Pillow counts it.

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
                "give pixels, fewer than the tiles have, or a share such as 0.2",
            )
        if not 0 <= visible <= 1:
            raise UsageError(f"tile: visible={visible:g}", "give a share of a box's area, 0 to 1")
        self.visible = visible
        self.drop_empty = check_choice(empty, ("keep", "drop"), "tile: empty") == "drop"
        self.quality = check_quality(quality, "tile")
        self._done: Ledger[Counter[str]] = Ledger()

    def __call__(self, samples: Iterable[Sample]) -> Iterator[Sample]:
        """Yields the tiles of each picture, row by row, each in memory.

        Raises:
            DataError: A picture is missing, damaged, not of the size that its annotation says, or would give more than
                ten thousand tiles.
        """
        for sample in samples:
            yield from self._tiles(sample)

    def notes(self) -> list[str]:
        """How many tiles there are, and what became of the boxes."""
        counts: Counter[str] = Counter()
        for done in self._done.entries():
            counts.update(done)
        said = []
        if counts["cut"]:
            size = f"{self.size[0]}x{self.size[1]}"
            said.append(f"{amount(counts['cut'], 'picture')} cut into {amount(counts['tiles'], 'tile')} of {size}")
        for what, word, text in (
            ("kept", "picture", "left as they were, within the size"),
            ("turned", "picture", "turned upright, pixels and boxes, as their EXIF orientation says"),
            ("empty", "tile", "without boxes left out"),
            ("several", "box", "in more than one tile"),
            ("partial", "box", "cut at an edge of a tile, counted in each"),
            ("lost", "box", f"in no tile, as none shows enough (visible={self.visible:g})"),
            ("segmentation", "box", "left without the mask (segmentation), as only polygons can be cut"),
            ("area", "box", "left without the area, which nobody can tell after the cut"),
        ):
            if counts[what]:
                said.append(f"{amount(counts[what], word)} {text}")
        return said

    def _tiles(self, sample: Sample) -> Iterator[Sample]:
        width, height = self.size
        if sample.image.width <= width and sample.image.height <= height:
            self._done.enter(sample.image.name, Counter(kept=1))
            yield sample
            return
        picture = decode_sample(sample)
        header, image, boxes = picture.header, picture.image, picture.boxes
        done = Counter(cut=1, turned=int(header.orientation != 1))
        if picture.turned_boxes:
            stored = (header.width, header.height)
            boxes, masks = move(boxes, boxes.xyxy, lambda points: turn_points(points, header.orientation, stored), 1.0)
            done["segmentation"] += masks
        form = written_format(header)
        path = PurePosixPath(name_for(sample.image.name, form))
        attributes = {name: value for name, value in sample.attributes.items() if name != "source_id"}
        tiles_of: Counter[int] = Counter()
        for window in self._windows(sample, image.size):
            shown = self._shown(boxes, image.size, window, tiles_of, done)
            done["tiles"] += 1
            if self.drop_empty and not shown:
                done["empty"] += 1
                continue
            reference = ImageRef(
                name=str(path.with_name(f"{path.stem}_x{window.left}_y{window.top}{path.suffix}")),
                width=window.right - window.left,
                height=window.bottom - window.top,
                data=encode_picture(image.crop(window), form, self.quality),
                format=form,
            )
            yield sample.replace(image=reference, boxes=shown, attributes=attributes)
        done["lost"] += len(boxes) - len(tiles_of)
        done["several"] += sum(count > 1 for count in tiles_of.values())
        self._done.enter(sample.image.name, done)

    def _windows(self, sample: Sample, size: tuple[int, int]) -> list[Window]:
        across, down = (_starts(*each) for each in zip(size, self.size, self.overlap, strict=True))
        if len(across) * len(down) > _MOST_TILES:
            raise DataError(
                sample.source or sample.image.name,
                f"the picture of {size[0]}x{size[1]} would give {len(across) * len(down):,} tiles",
                f"choose larger tiles or less overlap; {_MOST_TILES:,} of one picture are the most",
            )
        width, height = (min(each) for each in zip(size, self.size, strict=True))
        return [Window(left, top, left + width, top + height) for top in down for left in across]

    def _shown(
        self, boxes: Boxes, size: tuple[int, int], window: Window, tiles_of: Counter[int], done: Counter[str]
    ) -> Boxes:
        """The boxes that a tile shows, in its own pixels."""
        labels: list[str] = []
        edges: list[Edges] = []
        rows: list[dict[str, Any]] = []
        for position, (box, attributes) in enumerate(zip(boxes.edges, boxes.attributes, strict=True)):
            part = _common(box, window)
            if part is None or not self._shows_enough(box, part, window, size):
                continue
            tiles_of[position] += 1
            if part == box:
                row, lost = shift(attributes, window.left, window.top)
            else:
                row, lost = cut(attributes, window, _area(box), _area(part))
                done["partial"] += 1
            done.update(lost)
            row.pop("id", None)
            labels.append(boxes.labels[position])
            xmin, ymin, xmax, ymax = part
            edges.append((xmin - window.left, ymin - window.top, xmax - window.left, ymax - window.top))
            rows.append(row)
        return Boxes(labels, edges, rows)

    def _shows_enough(self, box: Edges, part: Edges, window: Window, size: tuple[int, int]) -> bool:
        if not _area(box):  # a line or a point is where its middle is
            x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
            return (window.left <= x < window.right or x == window.right == size[0]) and (
                window.top <= y < window.bottom or y == window.bottom == size[1]
            )
        inside = _common(box, Window(0, 0, *size))
        return inside is not None and 0 < _area(part) >= self.visible * _area(inside)


def _starts(length: int, size: int, overlap: int) -> list[int]:
    """Where tiles of a size begin along a side of a picture; the last one ends at its end."""
    last = max(length - size, 0)
    return [*range(0, last, size - overlap), last]


def _common(box: Edges, window: Window) -> Edges | None:
    """What lies in both; ``None`` where they do not touch."""
    xmin, ymin = max(box[0], float(window.left)), max(box[1], float(window.top))
    xmax, ymax = min(box[2], float(window.right)), min(box[3], float(window.bottom))
    return (xmin, ymin, xmax, ymax) if xmin <= xmax and ymin <= ymax else None


def _area(box: Edges) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])
