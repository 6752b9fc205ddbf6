"""Writes the Pascal VOC layout."""

from __future__ import annotations

import os
import re

from boxwright.errors import DataError
from boxwright.folder_files import FolderFiles
from boxwright.protocols import Output
from boxwright.schemas import LabelMap, Sample
from boxwright_voc.lists import NO_SPLIT, UNION
from boxwright_voc.places import ANNOTATIONS, LISTS, PICTURES
from boxwright_voc.xml.document import XmlDocument

_REMEDY = "rename it in the source, or leave the picture out with --on-error skip"
_UNFIT = re.compile(r"[/\\\0\r\n:\ud800-\udfff]|^\.|^$")
"""What cannot be part of a list's file name."""


class VocWriter:
    """Writes ``Annotations/NAME.xml``, ``JPEGImages/NAME.jpg`` and the lists of ``ImageSets/Main``.

    The XML is that of :mod:`boxwright_voc.xml.document`, and the images' bytes are copied as they are. Each split gets
    a list, and ``trainval`` one where there are ``train`` and ``val``; pictures without a split are in
    ``default.txt``, as CVAT and Datumaro call it.

    Args:
        output: The folder.
        label_map: Not used; the XML holds names.
        pictures: Whether the pictures are copied; without them the samples need none.
        one_based: Writes ``(xmin + 1, ymin + 1, xmax, ymax)``, as the VOC database's own files have it.
        class_lists: Whether each class gets a list beside each split's, with 1, 0 (only difficult ones) or -1 (none)
            behind each picture.
    """

    def __init__(
        self,
        output: Output,
        label_map: LabelMap | None = None,
        pictures: bool = True,
        one_based: bool = False,
        class_lists: bool = False,
    ) -> None:
        self._files = FolderFiles(output)
        self._pictures = pictures
        self._class_lists = class_lists
        self._document = XmlDocument(one_based)
        self._written: dict[str, str] = {}  # name in the lists -> picture
        self._lists: dict[str, list[str]] = {}
        self._flags: dict[str, dict[str, int]] = {}  # class -> name in the lists -> 1, or 0 for difficult ones alone

    def write(self, sample: Sample) -> None:
        """Adds one picture and its XML.

        Raises:
            DataError: Its picture cannot be read, its XML would replace another's, or a name holds what XML, or the
                name of a list, cannot.
            OutputError: The picture's name leads out of the folder.
        """
        picture = sample.image.name
        name = os.path.splitext(picture)[0]
        try:
            self._check(sample, name)
            document = self._document.encoded(sample)
        except ValueError as error:
            raise DataError(sample.source or picture, str(error), _REMEDY) from None
        if self._pictures:
            self._files.copy(f"{PICTURES}/{picture}", sample.image)
        self._written[name] = picture
        self._files.put(f"{ANNOTATIONS}/{name}.xml", document)
        self._lists.setdefault(sample.split if sample.split is not None else NO_SPLIT, []).append(name)
        if self._class_lists:
            self._note_classes(sample, name)

    def _check(self, sample: Sample, name: str) -> None:
        if name in self._written:
            raise ValueError(f"the pictures {self._written[name]} and {sample.image.name} would share {name}.xml")
        if "\n" in name or "\r" in name:
            raise ValueError(f"the picture's name {name!r} has more than one line")
        if sample.split == NO_SPLIT:
            raise ValueError(f"the split is called {NO_SPLIT!r}, which means a picture without a split")
        if sample.split is not None and _UNFIT.search(sample.split):
            raise ValueError(f"the split {sample.split!r} cannot be part of a file name")
        for label in sample.boxes.labels if self._class_lists else ():
            if _UNFIT.search(label):
                raise ValueError(f"the class {label!r} cannot be part of a file name, as class_lists=true needs it")

    def _note_classes(self, sample: Sample, name: str) -> None:
        for label, attributes in zip(sample.boxes.labels, sample.boxes.attributes, strict=True):
            flags = self._flags.setdefault(label, {})
            flags[name] = 1 if flags.get(name) == 1 or not attributes.get("difficult") else 0

    def close(self) -> None:
        """Writes the lists."""
        if "train" in self._lists and "val" in self._lists:
            both = {*self._lists["train"], *self._lists["val"], *self._lists.get(UNION, ())}
            self._lists[UNION] = [name for name in self._written if name in both]
        for split, names in self._lists.items():
            self._files.put(f"{LISTS}/{split}.txt", "".join(f"{name}\n" for name in names).encode())
            for label in sorted(self._flags):
                flags = self._flags[label]
                lines = "".join(f"{name} {flags.get(name, -1):2d}\n" for name in names)
                self._files.put(f"{LISTS}/{label}_{split}.txt", lines.encode())
