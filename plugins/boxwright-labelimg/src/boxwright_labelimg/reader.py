"""Reads a folder of labelImg XML."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from boxwright.errors import DataError
from boxwright.folders import Folder
from boxwright.pictures import Pictures, measured_size
from boxwright.protocols import OnProblem
from boxwright.schemas import Boxes, DatasetInfo, Edges, ImageRef, Sample, check_edges
from boxwright_labelimg.annotation import Annotation
from boxwright_labelimg.layout import parse_layout, quick_labels


class LabelImgReader:
    """One sample an XML file, in the plain string order of the files' paths (``10.xml`` before ``2.xml``).

    The picture's name is ``<filename>``, or the found picture's own name where that differs (see :class:`Pictures`).
    A picture that is not there leaves the annotation readable: its sample has no ``location``. A ``<size>`` that is
    missing or 0 is taken from the picture, as it is after EXIF orientation is applied.

    Args:
        location: A folder, or a URL that fsspec opens, with XML files in it or in its sub-folders.
        images: The folder of the pictures, where it is not the XML's own.
        one_based: Whether the edges count pixels from 1 with xmax, ymax included, as in the PASCAL VOC development
            kit; they become ``(xmin - 1, ymin - 1, xmax, ymax)``.
        inverted: ``"error"``, or ``"swap"`` to exchange edges that stand in the wrong order.
        unannotated: ``"ignore"``, or ``"include"`` to give pictures without XML as samples without boxes, after the
            others.

    Raises:
        DataError: There is no such folder, or it has pictures and not one XML file.
    """

    def __init__(
        self,
        location: str,
        images: str | None = None,
        one_based: bool = False,
        inverted: str = "error",
        unannotated: str = "ignore",
    ) -> None:
        self._folder = Folder.at(location)
        self._xmls = self._folder.ending(".xml")
        pictures = self._folder if images is None else Folder.at(images)
        self._pictures = Pictures(pictures, "<filename>", besides=self._xmls)
        self._one_based = one_based
        self._swap = inverted == "swap"
        self._include = unannotated == "include"
        # Matching names costs time, and is of use only where there are more files than XML.
        crowded = len(self._pictures.names) > len(self._xmls)
        self._unannotated = self._pictures.without(self._xmls) if crowded or self._include else []
        if self._unannotated and not self._xmls and not self._include:
            raise DataError(
                location,
                f"there are {len(self._unannotated)} pictures in it and no XML file",
                "annotate them with labelImg (format PascalVOC), or name the folder of the XML:"
                " labelimg:XML_FOLDER?images=PICTURE_FOLDER",
            )
        count = len(self._xmls) + (len(self._unannotated) if self._include else 0)
        left = len(self._unannotated) if not self._include else 0
        notes = (
            (f"pictures without an XML of their name, not read: {left} (?unannotated=include reads them)",)
            if left
            else ()
        )
        self.info = DatasetInfo(format="labelimg", location=location, num_samples=count, notes=notes)

    def read(self, on_problem: OnProblem) -> Iterator[Sample]:
        """Yields the samples; see :class:`boxwright.protocols.Reader`."""
        first_of: dict[str, str] = {}
        for sample in self.read_part(0, len(self._xmls), on_problem):
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
        if self._include:
            for name in self._unannotated:
                if name not in first_of:
                    try:
                        yield self._empty(name)
                    except DataError as error:
                        on_problem(error)

    @property
    def parts(self) -> int:
        """How many XML files there are to share between processes; none where pictures without XML come after them."""
        return 0 if self._include else len(self._xmls)

    def read_part(self, start: int, stop: int, on_problem: OnProblem) -> Iterator[Sample]:
        """Yields the samples of the XML files from ``start`` to ``stop``."""
        for xml in self._xmls[start:stop]:
            try:
                sample = self._sample(xml)
            except DataError as error:
                on_problem(error)
                continue
            yield sample

    def labels(self) -> Iterator[Sequence[str]]:
        """The labels of each XML file, for looking through the classes in a fraction of a reading's time.

        Raises:
            DataError: A file cannot be read, or is no annotation.
        """
        return self.labels_part(0, len(self._xmls))

    def labels_part(self, start: int, stop: int) -> Iterator[Sequence[str]]:
        """The labels of the XML files from ``start`` to ``stop``.

        Raises:
            DataError: As :meth:`labels`.
        """
        for xml in self._xmls[start:stop]:
            data = self._folder.read(xml)
            found = quick_labels(data)
            yield found if found is not None else self._sample(xml).boxes.labels

    def _sample(self, xml: str) -> Sample:
        folder = self._folder
        file = folder.place(xml)
        data = folder.read(xml)
        annotation = parse_layout(data)
        if annotation is None:
            from boxwright_labelimg.tree import parse_tree

            annotation = parse_tree(data, file)
        filename, width, height, attributes, labels, edges, box_attributes = annotation
        name, location = self._pictures.find(filename, xml, file)
        if not width or not height:
            width, height = measured_size(name, location, file, remedy="correct <size>")
        if self._one_based:
            edges = [(xmin - 1, ymin - 1, xmax, ymax) for xmin, ymin, xmax, ymax in edges]
        try:
            boxes = Boxes(labels, edges, box_attributes)
        except ValueError:
            boxes = Boxes(labels, self._ordered(annotation, edges, file), box_attributes)
        try:
            image = ImageRef(name=name, width=width, height=height, location=location)
            return Sample(image=image, boxes=boxes, attributes=attributes, source=file)
        except ValueError:
            raise _not_unicode(file) from None

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
            ordered.append((min(xmin, xmax), min(ymin, ymax), max(xmin, xmax), max(ymin, ymax)))
        return ordered

    def _empty(self, name: str) -> Sample:
        location = self._pictures.folder.place(name)
        if not _is_unicode(location):
            raise _not_unicode(location)
        width, height = measured_size(name, location, location)
        return Sample(image=ImageRef(name=name, width=width, height=height, location=location), source=location)


def _is_unicode(name: str) -> bool:
    return name.isprintable() or not any("\ud800" <= letter <= "\udfff" for letter in name)


def _not_unicode(file: str) -> DataError:
    """The error for a name whose bytes are no UTF-8, which Python shows as lone surrogates."""
    shown = file.encode(errors="backslashreplace").decode()
    return DataError(shown, "its path is not UTF-8, so that no other format could name it", "rename the file")
