"""Writes labelImg folders and VOC datasets."""

from __future__ import annotations

import os
import re

from boxwright import DataError, LabelMap, Sample
from boxwright.datasets import FolderFiles, Output
from boxwright_voc.devkit import ANNOTATIONS, IMAGE_SETS, IMAGES
from boxwright_voc.image_sets import NO_SPLIT, UNION
from boxwright_voc.xml.document import XmlDocument

_NOT_IN_A_FILE_NAME = re.compile(r"[/\\\0\r\n:\ud800-\udfff]|^\.|^$")
_NOT_IN_A_LABEL_MAP = re.compile(r"[:\r\n\ud800-\udfff]|^#|^\s|\s$|^$")


class _XmlWriter:
    """Writes each image and its XML, each into its folder; the image's bytes are copied unchanged."""

    def __init__(self, output: Output, pictures: bool, one_based: bool, xml_folder: str, image_folder: str) -> None:
        self._files = FolderFiles(output)
        self._copies_images = pictures
        self._document = XmlDocument(one_based)
        self._xml_folder = xml_folder
        self._image_folder = image_folder
        self._written: dict[str, str] = {}  # name without suffix -> image

    def write(self, sample: Sample) -> None:
        """Adds one image and its XML.

        Raises:
            DataError: The image cannot be read, the XML would replace another image's, or XML cannot represent a value.
            OutputError: The image's name leads out of the folder.
        """
        image = sample.image.name
        name = os.path.splitext(image)[0]
        try:
            self._check(sample, name)
            document = self._document.encoded(sample)
        except ValueError as error:
            remedy = "rename it in the source, or leave the image out with --on-error skip"
            raise DataError(sample.source or image, str(error), remedy) from None
        if self._copies_images:
            self._files.copy(self._image_folder + image, sample.image)
        self._written[name] = image
        self._files.put(f"{self._xml_folder}{name}.xml", document)

    def _check(self, sample: Sample, name: str) -> None:
        """Checks that the sample can be written.

        Raises:
            ValueError: It cannot.
        """
        if name in self._written:
            raise ValueError(f"the images {self._written[name]} and {sample.image.name} would share {name}.xml")

    def close(self) -> None:
        """Does nothing: all files are complete."""


class LabelImgWriter(_XmlWriter):
    """Writes each image with its XML next to it, in labelImg's layout (:mod:`boxwright_voc.xml.document`).

    Args:
        output: The folder.
        label_map: Not used; the XML contains names.
        pictures: Whether to copy the images; without them the samples need none.
        one_based: Whether to write ``(xmin + 1, ymin + 1, xmax, ymax)``, the PASCAL VOC development kit's pixels.
    """

    def __init__(
        self, output: Output, label_map: LabelMap | None = None, pictures: bool = True, one_based: bool = False
    ) -> None:
        super().__init__(output, pictures, one_based, "", "")

    def _check(self, sample: Sample, name: str) -> None:
        super()._check(sample, name)
        if sample.image.name.lower().endswith(".xml"):
            raise ValueError(f"the image {sample.image.name} has the name of an annotation")


class VocWriter(_XmlWriter):
    """Writes ``Annotations/NAME.xml``, ``JPEGImages/NAME.jpg`` and the image sets of ``ImageSets/Main``.

    Each split has a list, and ``trainval`` has one if there are ``train`` and ``val``. Images without a split are in
    ``default.txt``, the name that CVAT and Datumaro use. :mod:`boxwright_voc.xml.document` describes the XML.

    Args:
        output: The folder.
        label_map: The classes of ``labelmap.txt``; the XML contains names.
        pictures: Whether to copy the images; without them the samples need none.
        one_based: Whether to write ``(xmin + 1, ymin + 1, xmax, ymax)``, as the VOC database's own files do.
        class_lists: Whether each class gets a list for each split, with 1, 0 (only difficult objects) or -1 (none)
            after each image.
        labelmap: Whether to write ``labelmap.txt``, from which Datumaro takes the classes if they are not VOC's.
    """

    def __init__(
        self,
        output: Output,
        label_map: LabelMap | None = None,
        pictures: bool = True,
        one_based: bool = False,
        class_lists: bool = False,
        labelmap: bool = False,
    ) -> None:
        super().__init__(output, pictures, one_based, f"{ANNOTATIONS}/", f"{IMAGES}/")
        self._class_lists = class_lists
        self._labelmap = labelmap
        self._classes = dict.fromkeys(label_map.names if label_map else ())
        self._lists: dict[str, list[str]] = {}
        self._flags: dict[str, dict[str, int]] = {}  # class -> name in the lists -> 1, or 0 for difficult ones alone

    def write(self, sample: Sample) -> None:
        """Adds one image, its XML, and its name in the lists.

        Raises:
            DataError: As :meth:`_XmlWriter.write`, or a list cannot represent a name.
            OutputError: The image's name leads out of the folder.
        """
        super().write(sample)
        name = os.path.splitext(sample.image.name)[0]
        self._classes.update(dict.fromkeys(sample.boxes.labels))
        self._lists.setdefault(sample.split if sample.split is not None else NO_SPLIT, []).append(name)
        if self._class_lists:
            for label, attributes in zip(sample.boxes.labels, sample.boxes.attributes, strict=True):
                flags = self._flags.setdefault(label, {})
                flags[name] = 1 if flags.get(name) == 1 or not attributes.get("difficult") else 0

    def _check(self, sample: Sample, name: str) -> None:
        super()._check(sample, name)
        if "\n" in name or "\r" in name:
            raise ValueError(f"the image's name {name!r} has more than one line")
        if sample.split == NO_SPLIT:
            raise ValueError(f"the split is named {NO_SPLIT!r}, which means an image without a split")
        if sample.split is not None and _NOT_IN_A_FILE_NAME.search(sample.split):
            raise ValueError(f"the split {sample.split!r} cannot be part of a file name")
        for label in sample.boxes.labels if self._class_lists else ():
            if _NOT_IN_A_FILE_NAME.search(label):
                raise ValueError(f"the class {label!r} cannot be part of a file name, as class_lists=true needs it")
        for label in sample.boxes.labels if self._labelmap else ():
            if _NOT_IN_A_LABEL_MAP.search(label):
                raise ValueError(f"the class {label!r} cannot be a line of labelmap.txt")

    def close(self) -> None:
        """Writes the lists and the classes."""
        if "train" in self._lists and "val" in self._lists:
            both = {*self._lists["train"], *self._lists["val"], *self._lists.get(UNION, ())}
            self._lists[UNION] = [name for name in self._written if name in both]
        for split, names in self._lists.items():
            self._files.put(f"{IMAGE_SETS}/{split}.txt", "".join(f"{name}\n" for name in names).encode())
            for label in sorted(self._flags):
                flags = self._flags[label]
                lines = "".join(f"{name} {flags.get(name, -1):2d}\n" for name in names)
                self._files.put(f"{IMAGE_SETS}/{label}_{split}.txt", lines.encode())
        if self._labelmap:
            classes = (label for label in self._classes if not _NOT_IN_A_LABEL_MAP.search(label))
            lines = "".join(f"{label}:::\n" for label in classes)
            self._files.put("labelmap.txt", f"# label:color_rgb:parts:actions\n{lines}".encode())
