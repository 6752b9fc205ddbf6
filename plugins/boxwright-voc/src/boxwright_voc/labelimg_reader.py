"""Reads a folder of labelImg XML."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from boxwright.errors import DataError
from boxwright.folders import Folder
from boxwright.pictures import Pictures
from boxwright.protocols import OnProblem
from boxwright.schemas import DatasetInfo, Sample
from boxwright_voc.xml.samples import XmlSamples, each_picture_once


class LabelImgReader:
    """One sample an XML file, in the plain string order of the files' paths (``10.xml`` before ``2.xml``).

    See :class:`boxwright_voc.xml.samples.XmlSamples` for what becomes of a file.

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
        folder = Folder.at(location)
        self._xmls = folder.ending(".xml")
        pictures = Pictures(folder if images is None else Folder.at(images), "<filename>", besides=self._xmls)
        self._samples = XmlSamples(folder, pictures, one_based=one_based, inverted=inverted)
        self._include = unannotated == "include"
        # Matching names costs time, and is of use only where there are more files than XML.
        crowded = len(pictures.names) > len(self._xmls)
        self._unannotated = pictures.without(self._xmls) if crowded or self._include else []
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
        samples = each_picture_once(self.read_part(0, len(self._xmls), on_problem), on_problem)
        return self._and_unannotated(samples, on_problem) if self._include else samples

    def _and_unannotated(self, samples: Iterator[Sample], on_problem: OnProblem) -> Iterator[Sample]:
        given: set[str] = set()
        for sample in samples:
            given.add(sample.image.name)
            yield sample
        for name in self._unannotated:
            if name not in given:
                try:
                    yield self._samples.unannotated(name)
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
                sample = self._samples.sample(xml)
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
            yield self._samples.labels(xml)
