"""Samples of Pascal VOC XML files, for both formats."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy, deepcopy
from typing import NamedTuple

from boxwright import Boxes, Coordinates, DataError, ImageRef, Sample, SwappedCoordinates, check_coordinates
from boxwright.datasets import ShapeRule
from boxwright.images import ImageLookup, measured_size
from boxwright.storage import Folder, check_unicode
from boxwright_voc.xml.annotation import Annotation
from boxwright_voc.xml.parsing import parse
from boxwright_voc.xml.patterns import find_labels
from boxwright_voc.xml.values import shift_attributes


class XmlSamples:
    """Makes a sample of each XML file of a folder.

    The image's name is ``<filename>``, or the name of the image that was found if it differs (see
    :class:`boxwright.images.ImageLookup`). An annotation whose image is missing can still be read: its sample has no
    ``location``. A ``<size>`` that is missing or 0 is read from the image, after EXIF orientation is applied.

    Args:
        folder: The folder of the XML files.
        images: The images that they describe.
        one_based: Whether coordinates count pixels from 1 and include xmax, ymax, as in the PASCAL VOC development kit;
            they become ``(xmin - 1, ymin - 1, xmax, ymax)``, also those of parts, and 1 is subtracted from points.
        inverted: ``"error"``, or ``"swap"`` to swap coordinates in the wrong order.
        prefix: The prefix of the images' names, such as ``"VOC2007/"``.
        swapped: Counts the boxes whose coordinates were swapped; several folders of a dataset share one.
        shapes: What to do with shapes that are not upright boxes; shared in the same way.
    """

    def __init__(
        self,
        folder: Folder,
        images: ImageLookup,
        *,
        one_based: bool = False,
        inverted: str = "error",
        prefix: str = "",
        swapped: SwappedCoordinates | None = None,
        shapes: ShapeRule | None = None,
    ) -> None:
        self._folder = folder
        self._images = images
        self._one_based = one_based
        self._swap = inverted == "swap"
        self.swapped = swapped if swapped is not None else SwappedCoordinates()
        self.shapes = shapes if shapes is not None else ShapeRule()
        self._prefix = prefix

    def apart(self) -> XmlSamples:
        """The same, which counts swapped coordinates and shapes for itself."""
        same = copy(self)
        same.swapped, same.shapes = deepcopy(self.swapped), deepcopy(self.shapes)
        return same

    def annotated(self, xml: str, split: str | None = None) -> Sample:
        """Returns the sample of an XML file.

        Args:
            xml: Its path inside the folder, with ``/``.
            split: The sample's split.

        Raises:
            DataError: The file is not a complete annotation; or its image is outside the folder, ambiguous, or missing
                and needed for its size.
        """
        folder = self._folder
        file = folder.place(xml)
        annotation = parse(folder.read(xml), file, self.shapes)
        filename, width, height, attributes, labels, coordinates, box_attributes = annotation
        name, location = self._images.find(filename, xml, file)
        if not width or not height:
            width, height = measured_size(name, location, file, remedy="correct <size>")
        if self._one_based:
            coordinates = [(xmin - 1, ymin - 1, xmax, ymax) for xmin, ymin, xmax, ymax in coordinates]
            if box_attributes is not None:
                box_attributes = [shift_attributes(attributes, -1) for attributes in box_attributes]
        try:
            boxes = Boxes(labels, coordinates, box_attributes)
        except ValueError:
            boxes = Boxes(labels, self._sorted(labels, coordinates, file), box_attributes)
        try:
            image = ImageRef(name=self._prefix + name, width=width, height=height, location=location)
            return Sample(image=image, boxes=boxes, split=split, attributes=attributes, source=file)
        except ValueError:
            for text in (file, location or "", split or ""):
                check_unicode(text)
            raise

    def unannotated(self, name: str, split: str | None = None) -> Sample:
        """Returns an image without XML as a sample without boxes.

        Raises:
            DataError: It is not an image, or its path is not UTF-8.
        """
        location = self._images.folder.place(name)
        check_unicode(location)
        width, height = measured_size(name, location, location)
        image = ImageRef(name=self._prefix + name, width=width, height=height, location=location)
        return Sample(image=image, split=split, source=location)

    def annotation(self, xml: str) -> Annotation:
        """Returns the unchanged content of an XML file.

        Raises:
            DataError: It is not a complete annotation.
        """
        return parse(self._folder.read(xml), self._folder.place(xml), self.shapes)

    def labels(self, xml: str) -> Sequence[str]:
        """Returns the labels in an XML file.

        Raises:
            DataError: It cannot be read, or is not an annotation.
        """
        found = find_labels(self._folder.read(xml))
        return found if found is not None else self.annotated(xml).boxes.labels

    def _sorted(self, labels: Sequence[str], coordinates: list[Coordinates], file: str) -> list[Coordinates]:
        """Swaps coordinates in the wrong order, or reports the first."""
        result = []
        for position, (label, box) in enumerate(zip(labels, coordinates, strict=True), start=1):
            problem = check_coordinates(box)
            if problem and self._swap:
                box = self.swapped.sort(box)
                problem = check_coordinates(box)
            if problem:
                raise DataError(
                    file,
                    problem,
                    "draw the box again, or let coordinates in the wrong order be swapped: ?inverted=swap",
                    f"object {position} ({label})",
                )
            result.append(box)
        return result


class Item(NamedTuple):
    """One image of a dataset.

    Attributes:
        samples: The samples of the folder that it belongs to.
        xml: Its annotation; empty for an image without one.
        image: The name of an image without annotation.
        split: Its split.
        problem: The reason why it cannot be read.
    """

    samples: XmlSamples
    xml: str = ""
    image: str = ""
    split: str | None = None
    problem: DataError | None = None

    def sample(self) -> Sample:
        """Returns its sample.

        Raises:
            DataError: It cannot be read.
        """
        if self.problem is not None:
            raise self.problem.with_traceback(None)
        if self.xml:
            return self.samples.annotated(self.xml, self.split)
        return self.samples.unannotated(self.image, self.split)

    def labels(self) -> Sequence[str]:
        """Returns its labels.

        Raises:
            DataError: It cannot be read.
        """
        if self.problem is not None:
            raise self.problem.with_traceback(None)
        return self.samples.labels(self.xml) if self.xml else ()
