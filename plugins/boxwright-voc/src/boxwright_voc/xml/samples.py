"""The XML files of a folder as samples: what every reader of Pascal VOC XML shares."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from boxwright.errors import DataError
from boxwright.exchanged import in_order
from boxwright.folders import Folder
from boxwright.pictures import Pictures, measured_size
from boxwright.plain import plain_sample
from boxwright.protocols import OnProblem
from boxwright.schemas import Boxes, Edges, ImageRef, Sample, check_edges
from boxwright_voc.xml.annotation import Annotation
from boxwright_voc.xml.patterns import parse_layout, quick_labels
from boxwright_voc.xml.scalars import each

_SHIFTED = frozenset({"xmin", "ymin", "x", "y"})


class XmlSamples:
    """Gives each XML file of a folder as a sample, or its labels alone.

    The picture's name is ``<filename>``, or the found picture's own name where that differs (see
    :class:`boxwright.pictures.Pictures`). A picture that is not there leaves the annotation readable: its sample has no
    ``location``. A ``<size>`` that is missing or 0 is taken from the picture, as it is after EXIF orientation is
    applied.

    Args:
        folder: Where the XML files are.
        pictures: The pictures that they describe.
        one_based: Whether the edges count pixels from 1 with xmax, ymax included, as in the PASCAL VOC development
            kit; they become ``(xmin - 1, ymin - 1, xmax, ymax)``, also those of parts, and 1 is taken off points.
        inverted: ``"error"``, or ``"swap"`` to exchange edges that stand in the wrong order.
        prefix: What the pictures' names begin with, besides: ``"VOC2007/"``.
    """

    def __init__(
        self, folder: Folder, pictures: Pictures, *, one_based: bool = False, inverted: str = "error", prefix: str = ""
    ) -> None:
        self.folder = folder
        self.pictures = pictures
        self._one_based = one_based
        self._swap = inverted == "swap"
        self._prefix = prefix

    def sample(self, xml: str, split: str | None = None) -> Sample:
        """What an XML file says.

        Args:
            xml: Its path inside the folder, with ``/``.
            split: The sample's split.

        Raises:
            DataError: It cannot be read, is no annotation, or lacks what a box needs; or its picture leads out of the
                folder, could be one of two, or is needed for its size and not there.
        """
        folder = self.folder
        file, data = folder.place(xml), folder.read(xml)
        annotation = parse_layout(data) or _from_tree(data, file)
        filename, width, height, attributes, labels, edges, box_attributes = annotation
        name, location = self.pictures.find(filename, xml, file)
        if not width or not height:
            width, height = measured_size(name, location, file, remedy="correct <size>")
        if self._one_based:
            edges = [(xmin - 1, ymin - 1, xmax, ymax) for xmin, ymin, xmax, ymax in edges]
            if box_attributes is not None:
                box_attributes = [moved(attributes, -1) for attributes in box_attributes]
        try:
            boxes = Boxes(labels, edges, box_attributes)
        except ValueError:
            boxes = Boxes(labels, self._ordered(annotation, edges, file), box_attributes)
        try:
            return plain_sample(self._prefix + name, width, height, location, boxes, split, attributes, file)
        except ValueError:
            raise _not_unicode(file) from None

    def annotation(self, xml: str) -> Annotation:
        """What an XML file says, as it stands there.

        Raises:
            DataError: It cannot be read, is no annotation, or lacks what a box needs.
        """
        data = self.folder.read(xml)
        return parse_layout(data) or _from_tree(data, self.folder.place(xml))

    def labels(self, xml: str) -> Sequence[str]:
        """The labels in an XML file, in a fraction of a reading's time.

        Raises:
            DataError: It cannot be read, or is no annotation.
        """
        found = quick_labels(self.folder.read(xml))
        return found if found is not None else self.sample(xml).boxes.labels

    def unannotated(self, name: str, split: str | None = None) -> Sample:
        """A picture without XML, as a sample without boxes.

        Raises:
            DataError: It is no picture, or its path is not UTF-8.
        """
        location = self.pictures.folder.place(name)
        if not _is_unicode(location):
            raise _not_unicode(location)
        width, height = measured_size(name, location, location)
        image = ImageRef(name=self._prefix + name, width=width, height=height, location=location)
        return Sample(image=image, split=split, source=location)

    def _ordered(self, annotation: Annotation, edges: list[Edges], file: str) -> list[Edges]:
        ordered = []
        for position, (xmin, ymin, xmax, ymax) in enumerate(edges, start=1):
            problem = check_edges((xmin, ymin, xmax, ymax))
            if problem and not self._swap:
                raise DataError(
                    file,
                    problem,
                    "draw the box again, or let edges in the wrong order be exchanged: ?inverted=swap",
                    f"object {position} ({annotation.labels[position - 1]})",
                )
            ordered.append(in_order((xmin, ymin, xmax, ymax)) if problem else (xmin, ymin, xmax, ymax))
        return ordered


def _from_tree(data: bytes, file: str) -> Annotation:
    from boxwright_voc.xml.tree import parse_tree  # most datasets never need it

    return parse_tree(data, file)


def each_picture_once(samples: Iterable[Sample], on_problem: OnProblem) -> Iterator[Sample]:
    """Passes samples on, but for those whose picture came before: these are problems that name both annotations."""
    first_of: dict[str, str] = {}
    for sample in samples:
        name = sample.image.name
        if name in first_of:
            on_problem(
                DataError(
                    sample.source,
                    f"it names the picture {name}, as {first_of[name]} does",
                    "correct <filename> in one of them, or remove one",
                )
            )
            continue
        first_of[name] = sample.source
        yield sample


def moved(attributes: Mapping[str, Any], by: int) -> Mapping[str, Any]:
    """A box's attributes with its parts and points moved as ``xmin`` and ``ymin`` of its edges are."""
    if "part" not in attributes and "point" not in attributes:
        return attributes
    changed = dict(attributes)
    if "part" in changed:
        changed["part"] = each(changed["part"], lambda part: _with_place_moved(part, by))
    if "point" in changed:
        changed["point"] = each(changed["point"], lambda point: _moved(point, by))
    return changed


def _with_place_moved(part: Any, by: int) -> Any:
    if isinstance(part, dict) and "bndbox" in part:
        return part | {"bndbox": _moved(part["bndbox"], by)}
    return part


def _moved(place: Any, by: int) -> Any:
    if not isinstance(place, dict):
        return place
    return {
        name: value + by if name in _SHIFTED and type(value) in (int, float) else value for name, value in place.items()
    }


def _is_unicode(name: str) -> bool:
    return name.isprintable() or not any("\ud800" <= letter <= "\udfff" for letter in name)


def _not_unicode(file: str) -> DataError:
    """The error for a name whose bytes are no UTF-8, which Python shows as lone surrogates."""
    shown = file.encode(errors="backslashreplace").decode()
    return DataError(shown, "its path is not UTF-8, so that no other format could name it", "rename the file")
