"""Writes a folder of pictures with labelImg XML beside them."""

from __future__ import annotations

import os

from boxwright.errors import DataError
from boxwright.folder_files import FolderFiles
from boxwright.protocols import Output
from boxwright.schemas import LabelMap, Sample
from boxwright_voc.xml.document import XmlDocument

_REMEDY = "rename it in the source, or leave the picture out with --on-error skip"


class LabelImgWriter:
    """Writes each picture and, beside it, its XML as labelImg lays it out; see :mod:`boxwright_voc.xml.document`.

    The picture's bytes are copied as they are.

    Args:
        output: The folder.
        label_map: Not used; the XML holds names.
        pictures: Whether the pictures are copied; without them the samples need none.
        one_based: Writes ``(xmin + 1, ymin + 1, xmax, ymax)``, the PASCAL VOC development kit's pixels.
    """

    def __init__(
        self, output: Output, label_map: LabelMap | None = None, pictures: bool = True, one_based: bool = False
    ) -> None:
        self._files = FolderFiles(output)
        self._pictures = pictures
        self._document = XmlDocument(one_based)
        self._written: dict[str, str] = {}  # XML file -> picture

    def write(self, sample: Sample) -> None:
        """Adds one picture and its XML.

        Raises:
            DataError: Its picture cannot be read, its XML would replace another's, or a name holds what XML cannot.
            OutputError: The picture's name leads out of the folder.
        """
        name = sample.image.name
        stem, suffix = os.path.splitext(name)
        xml = f"{stem}.xml"
        other = self._written.get(xml)
        if other is not None or suffix.lower() == ".xml":
            raise DataError(
                sample.source or name,
                f"the pictures {other} and {name} would share the annotation {xml}"
                if other is not None
                else f"the picture {name} has the name of an annotation",
                "rename one of them: labelImg keeps one XML for each name before the ending",
            )
        try:
            document = self._document.encoded(sample)
        except ValueError as error:
            raise DataError(sample.source or name, str(error), _REMEDY) from None
        if self._pictures:
            self._files.copy(name, sample.image)
        self._written[xml] = name
        self._files.put(xml, document)

    def close(self) -> None:
        """There is nothing left to finish."""
