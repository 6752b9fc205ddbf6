"""``ImageSets/Main``: which picture belongs to which split.

A list holds the names of pictures without their ending, one a line. The list of a class, ``aeroplane_train.txt``, has
behind each 1, 0 (all such objects are difficult) or -1 (there is none). See the PASCAL VOC development kit, section
"Image sets": http://host.robots.ox.ac.uk/pascal/VOC/voc2012/devkit_doc.pdf
"""

from __future__ import annotations

import os
import re
from collections.abc import Container
from typing import Final

from boxwright.errors import DataError
from boxwright.folders import Folder
from boxwright.uri import PICTURE_SUFFIXES, join
from boxwright_voc.places import LISTS, is_folder

OFFICIAL: Final = ("train", "val", "test")
UNION: Final = "trainval"
NO_SPLIT: Final = "default"
"""What CVAT and Datumaro call the list of the pictures that belong to no split."""

_FLAGGED = re.compile(r"(.*\S)\s+(-1|0|1)")


class SplitLists:
    """The lists of one year.

    ``train``, ``val`` and ``test`` are splits. ``trainval`` is their union: it is the split only of pictures that are
    in none of the three. Another list is a split if it shares no picture with the lists before it, in plain string
    order; one that does is a selection, to be read by its name alone.

    Args:
        place: The year's folder.
        known: The names, without ending, of annotations and pictures.

    Attributes:
        names: The lists' names, sorted, without those of classes.
        splits: Those of them that are splits, ``trainval`` last.
        selections: Those of them that are none.

    Raises:
        DataError: A list cannot be read.
    """

    def __init__(self, place: str, known: Container[str]) -> None:
        self._known = known
        folder = join(place, LISTS)
        self._folder = Folder.at(folder) if is_folder(folder) else None
        files = [name for name in self._folder.ending(".txt") if "/" not in name] if self._folder else []
        self._files = {os.path.splitext(name)[0]: name for name in files}
        self._lines: dict[str, dict[str, int]] = {}
        self.names = [name for name in sorted(self._files) if not self._is_of_a_class(name)]
        self.splits, self.selections = self._sorted_out()

    def _is_of_a_class(self, name: str) -> bool:
        _, mark, split = name.rpartition("_")
        if not mark or split not in self._files:
            return False
        first = next((line for line in self._read(name) if line.strip()), "")
        return first not in self._known and bool(_FLAGGED.fullmatch(first.strip()))

    def _sorted_out(self) -> tuple[list[str], list[str]]:
        splits: list[str] = [name for name in OFFICIAL if name in self.names]
        taken = {picture for name in splits for picture in self.pictures(name)}
        selections = []
        for name in self.names:
            if name in splits or name == UNION:
                continue
            if taken.isdisjoint(self.pictures(name)):
                splits.append(name)
                taken.update(self.pictures(name))
            else:
                selections.append(name)
        return splits + [UNION] * (UNION in self.names), selections

    def __contains__(self, name: str) -> bool:
        """Whether there is a list of that name; of ``trainval``, whether there is what it is made of."""
        return name in self._files or (name == UNION and "train" in self._files and "val" in self._files)

    def pictures(self, name: str) -> dict[str, int]:
        """The pictures of a list, each with the line that names it; of the list of a class, those that hold it.

        Raises:
            DataError: It cannot be read, or is not UTF-8.
        """
        if name not in self._files and name in self:
            return self.pictures("train") | self.pictures("val")
        if name not in self._lines:
            found: dict[str, int] = {}
            for number, line in enumerate(self._read(name), start=1):
                picture = self._picture(line)
                if picture:
                    found.setdefault(picture, number)
            self._lines[name] = found
        return self._lines[name]

    def splits_of(self, picture: str) -> list[str]:
        """The splits that a picture is in: of ``train``, ``val`` and ``test`` all, else at most one."""
        found = [name for name in self.splits if name != UNION and picture in self.pictures(name)]
        if not found and UNION in self.splits and picture in self.pictures(UNION):
            return [UNION]
        return found

    def place_of(self, picture: str, name: str) -> tuple[str, str]:
        """The file of a list that names a picture, and the line, for messages."""
        assert self._folder is not None
        if name not in self._files:  # trainval without a file of its own
            name = "train" if picture in self.pictures("train") else "val"
        return self._folder.place(self._files[name]), f"line {self.pictures(name)[picture]}"

    def _picture(self, line: str) -> str:
        if line in self._known:
            return line
        name = line.strip()
        if flagged := _FLAGGED.fullmatch(name):
            name = flagged[1] if flagged[2] != "-1" else ""
        stem, suffix = os.path.splitext(name)
        return stem if suffix.lower() in PICTURE_SUFFIXES and name not in self._known else name

    def _read(self, name: str) -> list[str]:
        assert self._folder is not None
        try:
            text = self._folder.read(self._files[name]).decode("utf-8-sig")
        except UnicodeDecodeError:
            file = self._folder.place(self._files[name])
            raise DataError(file, "it is not UTF-8 text", "save it as UTF-8") from None
        return [line.removesuffix("\r") for line in text.split("\n")]
