"""Finds the images of a dataset, the label file of each, and its split."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import NamedTuple

from boxwright import DataError, UsageError
from boxwright.images import trailing_parts
from boxwright.storage import base_name
from boxwright_yolo.description import ORDER, UNSPLIT, Description, decoded
from boxwright_yolo.paths import Tree, clean, is_absolute, label_file_of, labels_folder_of, stem_of

_START = re.compile(rb"\s*[0-9.]+(?:[ \t]+-?[0-9.]+){4}")
_TEXTS = frozenset({"classes.txt", "train.txt", "val.txt", "valid.txt", "test.txt", "license.txt", "requirements.txt"})
_SKIP = "or leave it out with --on-error skip"


class Item(NamedTuple):
    """One image of the dataset.

    Attributes:
        name: Its name in the dataset.
        image: Its path inside the folder of the images; empty if it is missing.
        label: Its label file's path inside the dataset's folder; empty if it has none.
        split: Its split; ``None`` if it belongs to none, or to several.
    """

    name: str
    image: str
    label: str
    split: str | None


def is_label(content: bytes) -> bool:
    """Whether a file begins like a label file: with five numbers in a line."""
    return _START.match(content.removeprefix(b"\xef\xbb\xbf")) is not None


class Layout:
    """The images of a dataset, in the order in which they are read: by split, then by path or as listed.

    Args:
        tree: The dataset's folder.
        description: Its classes and splits.
        images: The folder of the images; the same as ``tree`` if they are with the label files.
        split: The one split to read; ``None`` for all.
        annotated: Whether images without a label file are left out.
        sized: Whether the images' size is known, so they need not exist.

    Attributes:
        items: The images, and an error for each item that cannot be read.
        splits: The splits that have images.
        notes: Notes for the user about images that are treated specially.

    Raises:
        DataError: A required split is missing.
        UsageError: The split does not exist.
    """

    def __init__(
        self,
        tree: Tree,
        description: Description,
        images: Tree,
        split: str | None = None,
        annotated: bool = False,
        sized: bool = False,
    ) -> None:
        self._tree = tree
        self._description = description
        self._images = images
        self._separate = images is not tree
        self._sized = sized
        self._found: dict[str, Item] = {}
        self._shared: set[str] = set()
        self._errors: dict[str, DataError] = {}
        self._not_labels: dict[str, None] = {}
        self.notes: list[str] = []
        splits = self._splits(split)
        for name, paths in splits.items():
            for path in paths:
                self._add_path(path, None if name == UNSPLIT else name)
        if not splits:
            self._add_flat()
        self._resolve_names()
        self._note(whole=split is None)
        self.items = list(self._checked(annotated))
        self.splits = tuple(dict.fromkeys(i.split for i in self.items if isinstance(i, Item) and i.split))

    def _splits(self, requested: str | None) -> dict[str, tuple[str, ...]]:
        splits = dict(self._description.splits)
        if requested is not None:
            if requested not in splits or requested == UNSPLIT:
                existing = ", ".join(name for name in splits if name != UNSPLIT) or "none"
                raise UsageError(
                    f"no split {requested!r} in {self._description.place or self._tree.folder.location}",
                    f"use one of: {existing}",
                )
            splits = {requested: splits[requested]}
        return {name: paths for name, paths in splits.items() if self._exists(name, paths, requested is not None)}

    def _exists(self, split: str, paths: Iterable[str], requested: bool) -> bool:
        found = {path: self._tree.find(path, self._description.base) is not None for path in paths}
        missing = [path for path, exists in found.items() if not exists]
        if not missing:
            return True
        if requested or split not in self._description.optional or any(found.values()):
            raise DataError(
                self._description.place,
                f"{split} is {missing[0]!r}, not a folder or list in {self._tree.folder.location}",
                "correct it, or add that folder or list",
            )
        if split in ORDER:
            self.notes.append(f"{split}: {missing[0]} is missing")
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
            self._add(Item(path.rpartition("/")[2], self._image(path), self._label(path), split), path)

    def _add_folder(self, folder: str, split: str | None) -> None:
        inside = f"{folder}/" if folder else ""
        used: set[str] = set()
        for image in self._tree.images if not self._separate else ():
            if image.startswith(inside):
                label = self._label(image)
                used.add(label)
                self._add(Item(image[len(inside) :], image, label, split), image)
        labels = labels_folder_of(inside)
        unused = self._tree.names.difference(used)
        self._add_unused((name for name in unused if name.startswith(labels)), labels, inside, split)

    def _add_list(self, file: str, split: str | None) -> None:
        """Adds the images that a text file lists, one per line."""
        place, base = self._tree.folder.place(file), file.rpartition("/")[0]
        first: dict[str, int] = {}
        for number, line in enumerate(decoded(self._tree.folder.read(file), place).splitlines(), start=1):
            line = line.strip()
            if not line:
                continue
            path = self._tree.find_image(line, base) or self._tree.find_image(line, self._description.base)
            path = path or "/".join(clean(line))
            image = self._image(path)
            if path in first:
                problem = f"duplicate image {path}: line {first[path]} lists it too"
                self._fail(DataError(place, problem, f"remove one of them, {_SKIP}", f"line {number}"))
            elif not image and not self._sized:
                self._fail(_missing(place, f"the image {path} is missing", f"line {number}"))
            else:
                self._add(Item(_short(path, split, file), image, self._label(path), split), path)
            first.setdefault(path, number)

    def _add_flat(self) -> None:
        """Adds a folder without splits: ``images`` and ``labels``, or label files next to the images."""
        if not self._separate and {"images", "labels"} <= self._tree.folders:
            self._add_folder("images", None)
            return
        used = {self._description.file}
        for image in self._images.images:
            label = self._label(image)
            used.add(label)
            self._add(Item(image, image, label, None), image)
        self._add_unused(self._tree.names - used, "labels/" if "labels" in self._tree.folders else "", "", None)

    def _add_unused(self, names: Iterable[str], labels: str, inside: str, split: str | None) -> None:
        """Adds the label files that belong to none of the images next to them."""
        for label in sorted(name for name in names if name.lower().endswith(".txt")):
            if not self._is_label(label):
                self._not_labels[label] = None
                continue
            stem = stem_of(label).removeprefix(labels)
            found = self._images_of(stem, inside, split) if self._separate else []
            image = found[0] if found else ""
            if len(found) > 1:
                self._fail(self._clash(label, found))
            elif not image and not self._sized:
                self._fail(_missing(self._tree.folder.place(label), f"its image {inside}{stem} is missing"))
            else:
                self._add(Item(stem + os.path.splitext(image)[1], image, label, split), label)

    def _is_label(self, file: str) -> bool:
        name = file.rpartition("/")[2].lower()
        if file == self._description.file or name in _TEXTS or name.startswith("readme"):
            return False
        content = self._tree.folder.read(file)
        return not content.strip() or is_label(content)

    def _image(self, path: str) -> str:
        """Returns the location of an image of the dataset: its path, or one below the folder of the images."""
        if not self._separate:
            return self._tree.spelled(path)
        return next(filter(None, map(self._images.spelled, trailing_parts(path))), "")

    def _images_of(self, stem: str, inside: str, split: str | None) -> list[str]:
        """Returns the images in the folder of the images that a label file could belong to."""
        for name in (stem, f"{split}/{stem}", f"{inside}{stem}"):
            if found := self._stems.get(name):
                return found
        return []

    @cached_property
    def _stems(self) -> dict[str, list[str]]:
        table: dict[str, list[str]] = {}
        for image in self._images.images:
            table.setdefault(stem_of(image), []).append(image)
        return table

    def _label(self, image: str) -> str:
        """Returns the label file of an image: the one that Ultralytics uses, else the one next to the image."""
        adjacent = f"{stem_of(image)}.txt"
        for label in (label_file_of(image), adjacent, f"labels/{adjacent}" if self._separate else adjacent):
            if label in self._tree.names and label != self._description.file:
                return label
        found = self._tree.spelled(label_file_of(image)) or self._tree.spelled(adjacent)
        return found if found != self._description.file else ""

    def _add(self, item: Item, path: str) -> None:
        key = item.image or path
        other = self._found.setdefault(key, item)
        if other.label != item.label:
            self._fail(
                DataError(
                    self._tree.folder.place(item.label),
                    f"its image {item.image} already has the label file {other.label}",
                    f"remove one of them, {_SKIP}",
                )
            )
        elif other.split != item.split:
            self._shared.add(key)
            self._found[key] = other._replace(split=None)

    def _fail(self, error: DataError) -> None:
        self._errors.setdefault(error.message, error)  # two splits may name the same folder

    def _resolve_names(self) -> None:
        """Replaces duplicate names, such as ``1.jpg`` in two splits, by the whole path."""
        count = Counter(item.name for item in self._found.values())
        for key, item in self._found.items():
            if count[item.name] > 1:
                self._found[key] = item._replace(name=item.image or f"{item.split or UNSPLIT}/{item.name}")

    def _checked(self, annotated: bool) -> Iterator[Item | DataError]:
        sharing: dict[str, list[str]] = {}
        for item in self._found.values():
            if item.label:
                sharing.setdefault(item.label, []).append(item.image or item.name)
        unlabeled = sum(not item.label for item in self._found.values())
        if unlabeled:
            result = "not read" if annotated else "read as images without boxes"
            option = "include reads them" if annotated else "ignore leaves them out"
            self.notes.append(f"images without a label file, {result}: {unlabeled} (?unannotated={option})")
        for item in self._found.values():
            images = sharing.get(item.label, [])
            if len(images) > 1:
                if images[0] in (item.image, item.name):
                    yield self._clash(item.label, images)
            elif item.label or not annotated:
                yield item
        yield from self._errors.values()

    def _note(self, whole: bool) -> None:
        if self._shared:
            problem = "images in several splits, read once and without a split"
            self.notes.append(f"{problem}: {len(self._shared)} (?split=NAME reads the images of one)")
        if self._not_labels:
            self.notes.append(f"text files that are not label files, not read: {', '.join(self._not_labels)}")
        others = [] if self._separate or not whole else [name for name in self._tree.images if name not in self._found]
        if others:
            self.notes.append(f"images that are not part of the dataset, not read: {len(others)}, such as {others[0]}")

    def _clash(self, label: str, images: Iterable[str]) -> DataError:
        return DataError(
            self._tree.folder.place(label),
            f"it could belong to {' or '.join(sorted(images))}",
            f"a label file has the name of its image with another suffix: rename one of the images, {_SKIP}",
        )


def _missing(place: str, problem: str, where: str = "") -> DataError:
    remedy = "add it, name the folder of the images (?images=FOLDER) or set the size of all images (?size=WIDTHxHEIGHT)"
    return DataError(place, f"{problem}, so its size is unknown", f"{remedy}, {_SKIP}", where)


def _short(path: str, split: str | None, file: str) -> str:
    """Returns the name of a listed image: its path after the last folder ``images`` and that of the split or list."""
    name = f"/{path}".rpartition("/images/")[2].removeprefix("/")
    first, _, rest = name.partition("/")
    return rest if rest and first in (split, stem_of(base_name(file))) else name
