"""The step ``fix``: boxes and sizes that are plainly wrong, mended and counted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from boxwright import Boxes, Edges, Sample, UsageError
from boxwright_transforms.notes import Ledger, amount, examples
from boxwright_transforms.values import check_choice

_SAID: Final = (
    ("clipped", "box", "cut at the edges of the picture"),
    ("outside", "box", "wholly outside of the picture left out{doubt}"),
    ("flat", "box", "without area left out"),
    ("tiny", "box", "smaller than {tiny:g} pixels left out"),
    ("duplicate", "box", "that stood twice left out"),
    ("emptied", "picture", "left without a box"),
    ("size", "picture", "given the size of the file; the boxes are as they were"),
    ("shape", "picture", "of these may have been scaled, as the shape is the same: then it is fix:size=scale"),
    ("scaled", "picture", "given the size of the file; the boxes were scaled with it"),
    ("masks", "box", "whose mask (segmentation) was left out, as only polygons scale"),
    ("stored", "picture", "with the size of the stored pixels, which EXIF turns; size and boxes are as they were"),
)
"""What may be found, what it is counted in, and how it is said."""

Finding = tuple[str, str]
"""What was found, and where: ``("clipped", "box 2 (fig)")``."""


class Fix:
    """The step ``fix``.

    Mends, in this order: the picture's size, boxes that reach outside, boxes without area, boxes that are too small,
    boxes that stand twice. No picture goes, and no file of the source is touched.

    Edges in the wrong order never come here: with this step, the reader exchanges them (``?inverted=swap``), and the
    conversion says how many there were.

    Args:
        clip: Whether boxes are cut at the edges of their picture; one that lies wholly outside goes.
        flat: ``"drop"`` or ``"keep"`` boxes without area.
        tiny: Boxes that are narrower or lower than so many pixels, after they were cut, go.
        duplicates: ``"drop"`` or ``"keep"`` boxes with label, edges and attributes (but for the number ``id``) of an
            earlier one of their picture.
        size: What becomes of a size that is not the file's: ``"keep"`` does not look; ``"picture"`` takes the file's
            and leaves the boxes as they are; ``"scale"`` scales the boxes along, for pictures that were made smaller or
            larger after they were annotated. Both read the headers of all pictures.

    Raises:
        UsageError: An option is out of range, or nothing is left to mend.
    """

    keeps_labels = True

    def __init__(
        self, clip: bool = True, flat: str = "drop", tiny: float = 0.0, duplicates: str = "drop", size: str = "keep"
    ) -> None:
        self.clip = clip
        self.flat = check_choice(flat, ("drop", "keep"), "fix: flat")
        if not tiny >= 0:
            raise UsageError(f"fix: tiny={tiny:g}", "give a number of pixels, or leave it out")
        self.tiny = tiny
        self.duplicates = check_choice(duplicates, ("drop", "keep"), "fix: duplicates")
        self.size = check_choice(size, ("keep", "picture", "scale"), "fix: size")
        if not (clip or tiny) and (self.flat, self.duplicates, self.size) == ("keep", "keep", "keep"):
            raise UsageError("fix: every kind of mending is switched off", "leave one of them on")
        # Only reading files is worth threads, and only that can fail for a single picture.
        self.per_sample = self.size != "keep"
        self._found: Ledger[tuple[str, tuple[Finding, ...]]] = Ledger()
        self._used = False

    def __call__(self, samples: Iterable[Sample]) -> Iterator[Sample]:
        """Yields each sample, mended.

        Raises:
            DataError: With ``size``: a picture is missing or damaged, or it cannot be told where its boxes belong.
        """
        for sample in samples:
            self._used = True
            mended, found = self._mended(sample)
            if found:
                self._found.enter(sample.image.name, (sample.source or sample.image.name, tuple(found)))
            yield mended

    def notes(self) -> list[str]:
        """How many there were of each kind, and where the first few were."""
        entries = self._found.entries()
        doubt = " (are the sizes right? size=picture looks)" if self.size == "keep" else ""
        said = []
        for kind, word, text in _SAID:
            places = [f"{file}, {place}" if place else file for file, all_ in entries for k, place in all_ if k == kind]
            if places:
                said.append(
                    f"{amount(len(places), word)} {text.format(tiny=self.tiny, doubt=doubt)}: {examples(places)}"
                )
        return said or (["nothing had to be mended"] if self._used else [])

    def _mended(self, sample: Sample) -> tuple[Sample, list[Finding]]:
        found: list[Finding] = []
        if self.size != "keep":
            from boxwright_transforms.sizes import with_real_size  # brings numpy and Pillow

            sample, found = with_real_size(sample, scale=self.size == "scale")
        before = sample.boxes
        boxes = before if self._whole(sample) else self._with_mended_boxes(sample, found)
        if boxes is before:
            return sample, found
        if not boxes:
            found.append(("emptied", ""))
        return sample.replace(boxes=boxes), found

    def _whole(self, sample: Sample) -> bool:
        """Whether no box needs anything, by a quick look: so it is with most pictures."""
        width, height, tiny = sample.image.width, sample.image.height, self.tiny
        edges = sample.boxes.edges
        if self.duplicates == "drop" and len(set(edges)) < len(edges):
            return False
        for xmin, ymin, xmax, ymax in edges:
            if xmin < 0 or ymin < 0 or xmax > width or ymax > height:
                return False
            if not xmin < xmax or not ymin < ymax or xmax - xmin < tiny or ymax - ymin < tiny:
                return False
        return True

    def _with_mended_boxes(self, sample: Sample, found: list[Finding]) -> Boxes:
        boxes = sample.boxes
        labels: list[str] = []
        kept: list[Edges] = []
        attributes: list[Any] = []
        seen: dict[tuple[str, Edges], list[dict[str, Any]]] = {}
        for position, (label, edges, row) in enumerate(
            zip(boxes.labels, boxes.edges, boxes.attributes, strict=True), start=1
        ):
            place = f"box {position} ({label})"
            edges, kind = self._mended_edges(edges, sample.image.width, sample.image.height)
            if kind:
                found.append((kind, place))
            if kind and kind != "clipped":
                continue
            twins, own = seen.setdefault((label, edges), []), _but_for_id(row)
            if self.duplicates == "drop" and own in twins:
                found.append(("duplicate", place))
                continue
            twins.append(own)
            labels.append(label)
            kept.append(edges)
            attributes.append(row)
        if tuple(kept) == boxes.edges:
            return boxes
        return Boxes(labels, kept, attributes if boxes.has_attributes else None)

    def _mended_edges(self, edges: Edges, width: int, height: int) -> tuple[Edges, str]:
        """The edges, and what was found: ``"clipped"``, or the reason why the box goes, or nothing."""
        xmin, ymin, xmax, ymax = edges
        kind = ""
        if self.clip and (xmin < 0 or ymin < 0 or xmax > width or ymax > height):
            cut = (max(xmin, 0.0), max(ymin, 0.0), min(xmax, float(width)), min(ymax, float(height)))
            if cut[0] > cut[2] or cut[1] > cut[3] or (_has_area(edges) and not _has_area(cut)):
                return edges, "outside"
            edges, kind = cut, "clipped"
        if not _has_area(edges):
            # A line that was cut is still a line.
            return edges, "flat" if self.flat == "drop" else kind
        if min(edges[2] - edges[0], edges[3] - edges[1]) < self.tiny:
            return edges, "tiny"
        return edges, kind


def _has_area(edges: Edges) -> bool:
    return edges[0] < edges[2] and edges[1] < edges[3]


def _but_for_id(attributes: Any) -> dict[str, Any]:
    return {name: value for name, value in attributes.items() if name != "id"}
