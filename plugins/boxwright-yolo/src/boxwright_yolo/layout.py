"""Which pictures a dataset has, where each one's label file is, and to which split it belongs."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import NamedTuple

from boxwright.errors import DataError, UsageError
from boxwright.uri import base_name
from boxwright_yolo.description import ORDER, UNSPLIT, Description, decoded
from boxwright_yolo.paths import Tree, clean, is_absolute, label_file_of, labels_folder_of, stem_of

_START = re.compile(rb"\s*[0-9.]+(?:[ \t]+-?[0-9.]+){4}")
_TEXTS = frozenset({"classes.txt", "train.txt", "val.txt", "valid.txt", "test.txt", "license.txt", "requirements.txt"})
_SKIP = "or leave it out with --on-error skip"


class Item(NamedTuple):
    """One picture of the dataset.

    Attributes:
        name: Its name in the dataset.
        picture: Its path inside the folder of the pictures; empty where it is not there.
        label: Its label file's path inside the dataset's folder; empty where it has none.
        split: ``None`` where it belongs to none, or to several.
    """

    name: str
    picture: str
    label: str
    split: str | None


def is_label(content: bytes) -> bool:
    """Whether a file begins as a label file does: five numbers in a line."""
    return _START.match(content.removeprefix(b"\xef\xbb\xbf")) is not None


class Layout:
    """The pictures of a dataset, in the order in which they are read: by split, then by path or as listed.

    Args:
        tree: The dataset's folder.
        description: Its classes and splits.
        pictures: The folder of the pictures; the same ``tree`` where they are with the label files.
        split: The one split to read; ``None`` for all.
        annotated: Whether pictures without a label file are left out.
        sized: Whether the pictures' size is known, so that they need not be there.

    Attributes:
        items: The pictures, and an error for each item that cannot be read.
        splits: The splits that hold pictures.
        notes: What a user should know of the choice.

    Raises:
        DataError: A split that has to be there is not.
        UsageError: There is no such split.
    """

    def __init__(
        self,
        tree: Tree,
        description: Description,
        pictures: Tree,
        split: str | None = None,
        annotated: bool = False,
        sized: bool = False,
    ) -> None:
        self._tree = tree
        self._description = description
        self._pictures = pictures
        self._apart = pictures is not tree
        self._sized = sized
        self._found: dict[str, Item] = {}
        self._shared: set[str] = set()
        self._errors: dict[str, DataError] = {}
        self._strangers: dict[str, None] = {}
        self.notes: list[str] = []
        splits = self._splits(split)
        for name, paths in splits.items():
            for path in paths:
                self._add_path(path, None if name == UNSPLIT else name)
        if not splits:
            self._add_flat()
        self._give_names()
        self._note(whole=split is None)
        self.items = list(self._checked(annotated))
        self.splits = tuple(dict.fromkeys(i.split for i in self.items if isinstance(i, Item) and i.split))

    def _splits(self, wanted: str | None) -> dict[str, tuple[str, ...]]:
        splits = dict(self._description.splits)
        if wanted is not None:
            if wanted not in splits or wanted == UNSPLIT:
                there = ", ".join(name for name in splits if name != UNSPLIT) or "none"
                raise UsageError(
                    f"there is no split {wanted!r} in {self._description.place or self._tree.folder.location}",
                    f"it has: {there}",
                )
            splits = {wanted: splits[wanted]}
        return {name: paths for name, paths in splits.items() if self._is_there(name, paths, wanted is not None)}

    def _is_there(self, split: str, paths: Iterable[str], wanted: bool) -> bool:
        found = {path: self._tree.find(path, self._description.base) is not None for path in paths}
        missing = [path for path, there in found.items() if not there]
        if not missing:
            return True
        if wanted or split not in self._description.optional or any(found.values()):
            raise DataError(
                self._description.place,
                f"{split} is {missing[0]!r}, and there is no such folder or list in {self._tree.folder.location}",
                "correct it, or put what it names there",
            )
        if split in ORDER:
            self.notes.append(f"{split}: {missing[0]} is not there")
        return False

    def _add_path(self, written: str, split: str | None) -> None:
        path = self._tree.find(written, self._description.base)
        assert path is not None
        if is_absolute(written):
            self.notes.append(f"{written} is read from {path or 'the folder itself'}")
        if path not in self._tree.names:
            self._add_folder(path, split)
        elif path.lower().endswith(".txt"):
            self._add_list(path, split)
        else:
            self._add(Item(path.rpartition("/")[2], self._picture(path), self._label(path), split), path)

    def _add_folder(self, folder: str, split: str | None) -> None:
        inside = f"{folder}/" if folder else ""
        used: set[str] = set()
        for picture in self._tree.pictures if not self._apart else ():
            if picture.startswith(inside):
                label = self._label(picture)
                used.add(label)
                self._add(Item(picture[len(inside) :], picture, label, split), picture)
        labels = labels_folder_of(inside)
        left = self._tree.names.difference(used)
        self._add_left((name for name in left if name.startswith(labels)), labels, inside, split)

    def _add_list(self, file: str, split: str | None) -> None:
        """The pictures that a text file names, one a line."""
        place, base = self._tree.folder.place(file), file.rpartition("/")[0]
        first: dict[str, int] = {}
        for number, line in enumerate(decoded(self._tree.folder.read(file), place).splitlines(), start=1):
            line = line.strip()
            if not line:
                continue
            path = self._tree.find_picture(line, base) or self._tree.find_picture(line, self._description.base)
            path = path or "/".join(clean(line))
            picture = self._picture(path)
            if path in first:
                problem = f"it names the picture {path}, as line {first[path]} does"
                self._fail(DataError(place, problem, f"remove one of them, {_SKIP}", f"line {number}"))
            elif not picture and not self._sized:
                self._fail(_missing(place, f"there is no picture {path}", f"line {number}"))
            else:
                self._add(Item(_short(path, split, file), picture, self._label(path), split), path)
            first.setdefault(path, number)

    def _add_flat(self) -> None:
        """A folder without splits: ``images`` and ``labels``, or label files beside the pictures."""
        if not self._apart and {"images", "labels"} <= self._tree.folders:
            self._add_folder("images", None)
            return
        used = {self._description.file}
        for picture in self._pictures.pictures:
            label = self._label(picture)
            used.add(label)
            self._add(Item(picture, picture, label, None), picture)
        self._add_left(self._tree.names - used, "labels/" if "labels" in self._tree.folders else "", "", None)

    def _add_left(self, names: Iterable[str], labels: str, inside: str, split: str | None) -> None:
        """The label files that belong to none of the pictures beside them."""
        for label in sorted(name for name in names if name.lower().endswith(".txt")):
            if not self._is_label(label):
                self._strangers[label] = None
                continue
            stem = stem_of(label).removeprefix(labels)
            found = self._pictures_of(stem, inside, split) if self._apart else []
            picture = found[0] if found else ""
            if len(found) > 1:
                self._fail(self._clash(label, found))
            elif not picture and not self._sized:
                self._fail(_missing(self._tree.folder.place(label), f"there is no picture {inside}{stem} for it"))
            else:
                self._add(Item(stem + os.path.splitext(picture)[1], picture, label, split), label)

    def _is_label(self, file: str) -> bool:
        name = file.rpartition("/")[2].lower()
        if file == self._description.file or name in _TEXTS or name.startswith("readme"):
            return False
        content = self._tree.folder.read(file)
        return not content.strip() or is_label(content)

    def _picture(self, path: str) -> str:
        """Where the picture is that the dataset has at a path: there, or below the folder of the pictures."""
        if not self._apart:
            return path if path in self._tree.names else ""
        parts = path.split("/")
        return next((p for p in ("/".join(parts[i:]) for i in range(len(parts))) if p in self._pictures.names), "")

    def _pictures_of(self, stem: str, inside: str, split: str | None) -> list[str]:
        """The pictures in the folder of the pictures that a label file could belong to."""
        for wanted in (stem, f"{split}/{stem}", f"{inside}{stem}"):
            if found := self._stems.get(wanted):
                return found
        return []

    @cached_property
    def _stems(self) -> dict[str, list[str]]:
        table: dict[str, list[str]] = {}
        for picture in self._pictures.pictures:
            table.setdefault(stem_of(picture), []).append(picture)
        return table

    def _label(self, picture: str) -> str:
        """The label file of a picture: where Ultralytics looks for it, else beside the picture."""
        beside = f"{stem_of(picture)}.txt"
        for label in (label_file_of(picture), beside, f"labels/{beside}" if self._apart else beside):
            if label in self._tree.names and label != self._description.file:
                return label
        return ""

    def _add(self, item: Item, path: str) -> None:
        key = item.picture or path
        other = self._found.setdefault(key, item)
        if other.label != item.label:
            self._fail(
                DataError(
                    self._tree.folder.place(item.label),
                    f"its picture {item.picture} has a label file already, {other.label}",
                    f"remove one of the two, {_SKIP}",
                )
            )
        elif other.split != item.split:
            self._shared.add(key)
            self._found[key] = other._replace(split=None)

    def _fail(self, error: DataError) -> None:
        self._errors.setdefault(error.message, error)  # two splits may name the same folder

    def _give_names(self) -> None:
        """Names that stand more than once, as ``1.jpg`` in two splits, become the whole path."""
        count = Counter(item.name for item in self._found.values())
        for key, item in self._found.items():
            if count[item.name] > 1:
                self._found[key] = item._replace(name=item.picture or f"{item.split or UNSPLIT}/{item.name}")

    def _checked(self, annotated: bool) -> Iterator[Item | DataError]:
        sharing: dict[str, list[str]] = {}
        for item in self._found.values():
            if item.label:
                sharing.setdefault(item.label, []).append(item.picture or item.name)
        bare = sum(not item.label for item in self._found.values())
        if bare:
            answer = "not read" if annotated else "read as pictures without boxes"
            option = "include reads them" if annotated else "ignore leaves them out"
            self.notes.append(f"pictures without a label file, {answer}: {bare} (?unannotated={option})")
        for item in self._found.values():
            pictures = sharing.get(item.label, [])
            if len(pictures) > 1:
                if pictures[0] in (item.picture, item.name):
                    yield self._clash(item.label, pictures)
            elif item.label or not annotated:
                yield item
        yield from self._errors.values()

    def _note(self, whole: bool) -> None:
        if self._shared:
            problem = "pictures that stand in several splits, read once and without a split"
            self.notes.append(f"{problem}: {len(self._shared)} (?split=NAME reads the pictures of one)")
        if self._strangers:
            self.notes.append(f"text files that are no label files, not read: {', '.join(self._strangers)}")
        left = [] if self._apart or not whole else [name for name in self._tree.pictures if name not in self._found]
        if left:
            self.notes.append(f"pictures that are no part of the dataset, not read: {len(left)}, such as {left[0]}")

    def _clash(self, label: str, pictures: Iterable[str]) -> DataError:
        return DataError(
            self._tree.folder.place(label),
            f"it could belong to {' or '.join(sorted(pictures))}",
            f"a label file has its picture's name but for the ending: rename one of the pictures, {_SKIP}",
        )


def _missing(place: str, problem: str, where: str = "") -> DataError:
    remedy = "put the picture there, name the folder of the pictures by ?images=FOLDER, or give the size of all of them"
    return DataError(
        place, f"{problem}, so that its size is not known", f"{remedy} by ?size=WIDTHxHEIGHT, {_SKIP}", where
    )


def _short(path: str, split: str | None, file: str) -> str:
    """The name of a listed picture: what follows the last folder ``images`` and the folder of the split or list."""
    name = f"/{path}".rpartition("/images/")[2].removeprefix("/")
    first, _, rest = name.partition("/")
    return rest if rest and first in (split, stem_of(base_name(file))) else name
