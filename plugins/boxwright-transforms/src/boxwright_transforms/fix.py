"""The step ``fix``: obvious mistakes in boxes and sizes, corrected and counted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from boxwright import Boxes, Coordinates, Sample, UsageError
from boxwright_transforms.notes import Ledger, Merging, amount, examples

_NOTES: Final = (
    ("clipped", "box", "clipped to the image"),
    ("outside", "box", "completely outside the image dropped{doubt}"),
    ("flat", "box", "with zero area dropped"),
    ("tiny", "box", "smaller than {tiny:g} pixels dropped"),
    ("duplicate", "duplicate box", "dropped"),
    ("emptied", "image", "without remaining boxes"),
    ("size", "image", "changed to the size of the file, boxes unchanged"),
    ("shape", "image", "of these may have been resized, because the aspect ratio is the same: then use fix:size=scale"),
    ("scaled", "image", "changed to the size of the file, boxes scaled"),
    ("masks", "box", "whose mask (segmentation) was dropped, because only polygons scale"),
    ("stored", "image", "with the size of the stored pixels, which EXIF rotates; size and boxes unchanged"),
)
"""Each kind of finding, the noun that is counted, and the text of its note."""

Finding = tuple[str, str]
"""A kind of finding and its place: ``("clipped", "box 2 (fig)")``."""


class Fix(Merging[tuple[str, tuple[Finding, ...]]]):
    """The step ``fix``.

    Corrects, in this order: the size of the image, boxes that extend beyond it, boxes with zero area, tiny boxes, and
    duplicate boxes. Every image is kept, and no file of the source is changed.

    Coordinates in the wrong order are swapped by the reader, at the request of this step (``?inverted=swap``), and the
    conversion reports how many.

    Args:
        clip: Whether to clip boxes to their image, and to drop those completely outside.
        flat: ``"drop"`` or ``"keep"`` boxes with zero area.
        tiny: Drop boxes whose width or height is less than this number of pixels after clipping.
        duplicates: ``"drop"`` or ``"keep"`` boxes with the label, coordinates and attributes (except the number ``id``)
            of an earlier box of the image.
        size: What to do if the size differs from that of the file: ``"keep"`` does not compare them; ``"picture"`` uses
            that of the file and leaves the boxes unchanged; ``"scale"`` scales the boxes, for images that were resized
            after annotation. Both read the headers of all images.

    Raises:
        UsageError: ``tiny`` is out of range, or there is nothing to fix.
    """

    keeps_labels = True

    def __init__(
        self, clip: bool = True, flat: str = "drop", tiny: float = 0.0, duplicates: str = "drop", size: str = "keep"
    ) -> None:
        if not tiny >= 0:
            raise UsageError(f"fix: tiny={tiny:g}", "use a number of pixels, or omit it")
        if not (clip or tiny) and (flat, duplicates, size) == ("keep", "keep", "keep"):
            raise UsageError("fix: every correction is turned off", "leave one of them on")
        self.clip = clip
        self.flat = flat
        self.tiny = tiny
        self.duplicates = duplicates
        self.size = size
        # Only reading files is worth threads, and only that can fail for a single image.
        self.per_sample = size != "keep"
        self._ledger = Ledger()
        self._used = False

    def __call__(self, samples: Iterable[Sample]) -> Iterator[Sample]:
        """Yields each sample, corrected.

        Raises:
            DataError: With ``size``: an image is missing or damaged, or its boxes match neither size.
        """
        for sample in samples:
            self._used = True
            fixed, found = self._fixed(sample)
            if found:
                self._ledger.enter(sample.image.name, (sample.source or sample.image.name, tuple(found)))
            yield fixed

    def add(self, noted: Mapping[str, tuple[str, tuple[Finding, ...]]]) -> None:
        """Adds what a copy noted."""
        self._used = True
        super().add(noted)

    def notes(self) -> list[str]:
        """Returns the number of findings of each kind, and the first few places."""
        entries = self._ledger.entries()
        doubt = " (size=picture checks the sizes)" if self.size == "keep" else ""
        notes = []
        for kind, word, text in _NOTES:
            places = [f"{file}, {place}" if place else file for file, all_ in entries for k, place in all_ if k == kind]
            if places:
                text = text.format(tiny=self.tiny, doubt=doubt)
                notes.append(f"{amount(len(places), word)} {text}: {examples(places)}")
        return notes or (["nothing to fix"] if self._used else [])

    def _fixed(self, sample: Sample) -> tuple[Sample, list[Finding]]:
        found: list[Finding] = []
        if self.size != "keep":
            from boxwright_transforms.sizes import with_file_size  # imports NumPy and Pillow

            sample, found = with_file_size(sample, scale=self.size == "scale")
        before = sample.boxes
        boxes = before if self._is_correct(sample) else self._fixed_boxes(sample, found)
        if boxes is before:
            return sample, found
        if not boxes:
            found.append(("emptied", ""))
        return sample.replace(boxes=boxes), found

    def _is_correct(self, sample: Sample) -> bool:
        """Returns whether no box needs a correction, as in most images, by a quick check."""
        width, height, tiny = sample.image.width, sample.image.height, self.tiny
        coordinates = sample.boxes.coordinates
        if self.duplicates == "drop" and len(set(coordinates)) < len(coordinates):
            return False
        for xmin, ymin, xmax, ymax in coordinates:
            if xmin < 0 or ymin < 0 or xmax > width or ymax > height:
                return False
            if not xmin < xmax or not ymin < ymax or xmax - xmin < tiny or ymax - ymin < tiny:
                return False
        return True

    def _fixed_boxes(self, sample: Sample, found: list[Finding]) -> Boxes:
        boxes = sample.boxes
        labels: list[str] = []
        kept: list[Coordinates] = []
        attributes: list[Any] = []
        seen: dict[tuple[str, Coordinates], list[dict[str, Any]]] = {}
        for position, (label, box, row) in enumerate(
            zip(boxes.labels, boxes.coordinates, boxes.attributes, strict=True), start=1
        ):
            place = f"box {position} ({label})"
            box, kind = self._fixed_box(box, sample.image.width, sample.image.height)
            if kind:
                found.append((kind, place))
            if kind and kind != "clipped":
                continue
            earlier, without_id = seen.setdefault((label, box), []), _without_id(row)
            if self.duplicates == "drop" and without_id in earlier:
                found.append(("duplicate", place))
                continue
            earlier.append(without_id)
            labels.append(label)
            kept.append(box)
            attributes.append(row)
        if tuple(kept) == boxes.coordinates:
            return boxes
        return Boxes(labels, kept, attributes if boxes.has_attributes else None)

    def _fixed_box(self, box: Coordinates, width: int, height: int) -> tuple[Coordinates, str]:
        """Returns the coordinates and the finding: ``"clipped"``, the reason to drop the box, or an empty text."""
        xmin, ymin, xmax, ymax = box
        kind = ""
        if self.clip and (xmin < 0 or ymin < 0 or xmax > width or ymax > height):
            clipped = (max(xmin, 0.0), max(ymin, 0.0), min(xmax, float(width)), min(ymax, float(height)))
            if clipped[0] > clipped[2] or clipped[1] > clipped[3] or (_has_area(box) and not _has_area(clipped)):
                return box, "outside"
            box, kind = clipped, "clipped"
        if not _has_area(box):
            # A line that was clipped is still a line.
            return box, "flat" if self.flat == "drop" else kind
        if min(box[2] - box[0], box[3] - box[1]) < self.tiny:
            return box, "tiny"
        return box, kind


def _has_area(box: Coordinates) -> bool:
    return box[0] < box[2] and box[1] < box[3]


def _without_id(attributes: Any) -> dict[str, Any]:
    return {name: value for name, value in attributes.items() if name != "id"}
