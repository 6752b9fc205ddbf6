"""``ImageSets/Main``: the image sets of a VOC dataset, one text file for each.

A file lists the names of images without their suffix, one per line. The image set of a class, ``aeroplane_train.txt``,
has a flag after each name: 1, 0 (all such objects are difficult) or -1 (there are none). See the PASCAL VOC development
kit, section "Image sets": http://host.robots.ox.ac.uk/pascal/VOC/voc2012/devkit_doc.pdf
"""

from __future__ import annotations

import os
import re
from collections.abc import Container
from typing import Final

from boxwright import DataError
from boxwright.storage import IMAGE_SUFFIXES, Folder

OFFICIAL: Final = ("train", "val", "test")
UNION: Final = "trainval"
NO_SPLIT: Final = "default"
"""The image set of the images without a split, as CVAT and Datumaro name it."""

_FLAGGED = re.compile(r"(.*\S)\s+(-1|0|1)")


class ImageSets:
    """The image sets of one year.

    ``train``, ``val`` and ``test`` are splits. ``trainval`` is their union: it is the split only of images that are in
    none of the three. Another image set is a split if it shares no image with those before it, in plain string order;
    otherwise it is a selection, which is read only by its name.

    Args:
        folder: The folder of the text files, if there is one.
        known: The names of annotations and images, without their suffix.

    Attributes:
        names: The sorted names of the image sets, without those of classes.
        splits: The names of those that are splits, ``trainval`` last.
        selections: The names of the others.

    Raises:
        DataError: A file cannot be read.
    """

    def __init__(self, folder: Folder | None, known: Container[str]) -> None:
        self._known = known
        self._folder = folder
        files = [name for name in folder.ending(".txt") if "/" not in name] if folder else []
        self._files = {os.path.splitext(name)[0]: name for name in files}
        self._lines: dict[str, dict[str, int]] = {}
        self.names = [name for name in sorted(self._files) if not self._is_of_a_class(name)]
        self.splits, self.selections = self._splits_and_selections()

    def _is_of_a_class(self, name: str) -> bool:
        _, separator, split = name.rpartition("_")
        if not separator or split not in self._files:
            return False
        first = next((line for line in self._read(name) if line.strip()), "")
        return first not in self._known and bool(_FLAGGED.fullmatch(first.strip()))

    def _splits_and_selections(self) -> tuple[list[str], list[str]]:
        splits: list[str] = [name for name in OFFICIAL if name in self.names]
        taken = {image for name in splits for image in self.images(name)}
        selections = []
        for name in self.names:
            if name in splits or name == UNION:
                continue
            if taken.isdisjoint(self.images(name)):
                splits.append(name)
                taken.update(self.images(name))
            else:
                selections.append(name)
        return splits + [UNION] * (UNION in self.names), selections

    def __contains__(self, name: str) -> bool:
        """Whether there is an image set of that name, or for ``trainval``, the two that it consists of."""
        return name in self._files or (name == UNION and "train" in self._files and "val" in self._files)

    def images(self, name: str) -> dict[str, int]:
        """Returns the images of an image set, each with its line; for a class, those that contain it.

        Raises:
            DataError: The file cannot be read, or is not UTF-8.
        """
        if name not in self._files and name in self:
            return self.images("train") | self.images("val")
        if name not in self._lines:
            found: dict[str, int] = {}
            for number, line in enumerate(self._read(name), start=1):
                image = self._image(line)
                if image:
                    found.setdefault(image, number)
            self._lines[name] = found
        return self._lines[name]

    def splits_of(self, image: str) -> list[str]:
        """Returns the splits of an image: all of ``train``, ``val`` and ``test``, else at most one."""
        found = [name for name in self.splits if name != UNION and image in self.images(name)]
        if not found and UNION in self.splits and image in self.images(UNION):
            return [UNION]
        return found

    def place_of(self, image: str, name: str) -> tuple[str, str]:
        """Returns the file and the line of an image in an image set, for messages."""
        assert self._folder is not None
        if name not in self._files:  # trainval without its own file
            name = "train" if image in self.images("train") else "val"
        return self._folder.place(self._files[name]), f"line {self.images(name)[image]}"

    def _image(self, line: str) -> str:
        if line in self._known:
            return line
        name = line.strip()
        if flagged := _FLAGGED.fullmatch(name):
            name = flagged[1] if flagged[2] != "-1" else ""
        stem, suffix = os.path.splitext(name)
        return stem if suffix.lower() in IMAGE_SUFFIXES and name not in self._known else name

    def _read(self, name: str) -> list[str]:
        assert self._folder is not None
        try:
            text = self._folder.read(self._files[name]).decode("utf-8-sig")
        except UnicodeDecodeError:
            file = self._folder.place(self._files[name])
            raise DataError(file, "it is not UTF-8 text", "save it as UTF-8") from None
        return [line.removesuffix("\r") for line in text.split("\n")]
