"""Several datasets as one, and a dataset whose splits are in several places."""

from __future__ import annotations

import hashlib
import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import repeat
from typing import Any

from boxwright.datasets.problems import Problems
from boxwright.datasets.protocols import OnProblem, Reader, ShapeReader, SwappingReader
from boxwright.datasets.shape_rule import ShapeRule
from boxwright.errors import DataError, UsageError
from boxwright.label_map import LabelMap, LabelMapItem
from boxwright.schemas import DatasetInfo, ImageRef, Sample, SwappedCoordinates
from boxwright.storage.filesystem import filesystem, list_folder
from boxwright.storage.links import Boundary
from boxwright.storage.uri import SPLIT, DatasetURI, base_name, is_remote, join, parent

_SHARDS = re.compile(r"@(\d+)$")


@dataclass
class Source:
    """One of the datasets that are read as one.

    Attributes:
        uri: Its URI.
        reader: Its reader.
        boundary: Its folders.
        name: What its images are called if others have the same name: ``NAME/a.jpg``.
        split: The split of its samples without one.
    """

    uri: DatasetURI
    reader: Reader
    boundary: Boundary
    name: str = ""
    split: str | None = None

    def read(self, on_problem: OnProblem) -> Iterator[Sample]:
        """Yields the samples that are inside the dataset."""
        for sample in self.reader.read(on_problem):
            try:
                self.boundary.check(sample.image.location)
            except DataError as error:
                on_problem(error)
                continue
            yield sample if self.split is None or sample.split is not None else sample.replace(split=self.split)


class MergedReader:
    """Reads several datasets as one.

    Classes with the same name are one class. An image keeps its name unless another source has an image with that name:
    then each gets the name of its source in front. The annotations are read once before the first sample is yielded, to
    find these names and the labels, and to compare the images of several datasets.

    Args:
        sources: The datasets, in order.
        location: For messages.
        compare: Whether to search for images with the same bytes in several sources.
    """

    def __init__(self, sources: Sequence[Source], location: str, *, compare: bool) -> None:
        self._sources = sources
        self._compare = compare
        self._surveyed: _Survey | None = None
        readers = [source.reader for source in sources]
        if all(isinstance(reader, SwappingReader) for reader in readers):
            self.swapped = _AllSwapped([reader.swapped for reader in readers if isinstance(reader, SwappingReader)])
        rules = [reader.shapes for reader in readers if isinstance(reader, ShapeReader)]
        if rules:
            self.shapes = _AllShapes(rules)
        infos = [reader.info for reader in readers]
        formats = {info.format for info in infos}
        counts = [info.num_samples for info in infos]
        attributes, clashes = _merged_attributes([info.attributes for info in infos])
        splits = [split for source in sources for split in (source.split, *source.reader.info.splits)]
        notes = [note for info in infos for note in info.notes]
        if clashes:
            notes.append(f"fields of the datasets that differ, left out: {', '.join(clashes)}")
        self.info = DatasetInfo(
            format=formats.pop() if len(formats) == 1 else "merged",
            location=location,
            label_map=merged_classes([info.label_map for info in infos]),
            num_samples=None if None in counts else sum(count or 0 for count in counts),
            splits=tuple(dict.fromkeys(split for split in splits if split is not None)),
            notes=tuple(notes),
            attributes=attributes,
        )

    @property
    def locations(self) -> tuple[str, ...]:
        """The location of each source."""
        several = (getattr(source.reader, "locations", None) or (source.uri.location,) for source in self._sources)
        return tuple(place for places in several for place in places)

    def read(self, on_problem: OnProblem) -> Iterator[Sample]:
        """Yields every sample; see :class:`boxwright.datasets.Reader`."""
        shared = self._survey().shared
        seen: set[str] = set()
        for source in self._sources:
            for sample in source.read(on_problem):
                name = sample.image.name
                if name in shared:
                    name = f"{source.name}/{name}"
                    sample = sample.replace(image=sample.image.model_copy(update={"name": name}))
                if name in seen:
                    place = sample.source or name
                    on_problem(DataError(place, f"duplicate image {name!r}", "rename one of the two images"))
                    continue
                seen.add(name)
                yield sample

    def labels(self) -> Iterator[Sequence[str]]:
        """Yields the labels of all samples; see :class:`boxwright.datasets.LabelReader`."""
        survey = self._survey()
        if survey.problem is not None:
            raise survey.problem
        yield sorted(survey.labels)
        yield from repeat((), survey.images - 1)  # each image counts once

    def _survey(self) -> _Survey:
        """Reads all sources once, to know what depends on all of them."""
        if self._surveyed is None:
            readers = [source.reader for source in self._sources]
            before = [(each.swapped, each.swapped.count) for each in readers if isinstance(each, SwappingReader)]
            self._surveyed = self._made_survey()
            for swapped, count in before:  # what this reading finds is counted once
                swapped.count = count
            for reader in readers:
                if isinstance(reader, ShapeReader):
                    reader.shapes.restart()
        return self._surveyed

    def _made_survey(self) -> _Survey:
        """Reads names and labels, compares the images, and adds notes."""
        copies = _Copies()
        problems = Problems("skip")
        labels: set[str] = set()
        shared: set[str] = set()
        notes: list[str] = []
        seen: dict[str, str] = {}
        count = 0
        for source in self._sources:
            images = boxes = 0
            for sample in source.read(problems):
                name = sample.image.name
                labels.update(sample.boxes.labels)
                images += 1
                boxes += len(sample.boxes)
                if seen.setdefault(name, source.name) != source.name:
                    shared.add(name)
                if self._compare:
                    copies.add(f"{source.name}/{name}", sample.image)
            count += images
            if self._compare:
                what = f"{images:,} image{'s' * (images != 1)}, {boxes:,} box{'es' * (boxes != 1)}"
                notes.append(f"{source.uri}: {what}")
        if shared:
            verb = "1 name is" if len(shared) == 1 else f"{len(shared):,} names are"
            rule = "which get the name of their dataset or split in front"
            notes.append(f"{verb} used by several images, {rule}: {min(shared)}")
        if pairs := copies.pairs():
            verb = "1 image is a copy of another" if len(pairs) == 1 else f"{len(pairs):,} images are copies of others"
            notes.append(f"{verb}, such as {pairs[0]}; --with dedupe keeps one of each")
        self.info = self.info.model_copy(update={"notes": (*self.info.notes, *notes)})
        return _Survey(shared, labels, count, problems.skipped[0] if problems.skipped else None)


@dataclass
class _Survey:
    """What one reading of all sources finds.

    Attributes:
        shared: The names that several images have.
        labels: The labels of all boxes.
        images: The number of images.
        problem: The first item that cannot be read.
    """

    shared: set[str]
    labels: set[str]
    images: int
    problem: DataError | None


class _Copies:
    """Finds images with the same bytes; only those with the same size are read."""

    def __init__(self) -> None:
        self._by_size: dict[int, list[tuple[str, str | bytes]]] = {}

    def add(self, name: str, image: ImageRef) -> None:
        """Adds an image; one that is missing, or at a URL, is not compared."""
        if image.data is not None:
            digest = hashlib.sha256(image.data).digest()
            self._by_size.setdefault(len(image.data), []).append((name, digest))
        elif image.location and not is_remote(image.location):
            with suppress(OSError):
                self._by_size.setdefault(os.stat(image.location).st_size, []).append((name, image.location))

    def pairs(self) -> list[str]:
        """Returns each copy with the image that it is a copy of: ``b/y.jpg and a/x.jpg``."""
        found = []
        for group in self._by_size.values():
            firsts: dict[bytes, str] = {}
            for name, content in group if len(group) > 1 else ():
                try:
                    digest = content if isinstance(content, bytes) else _digest(content)
                except DataError:
                    continue
                if digest in firsts:
                    found.append(f"{name} and {firsts[digest]}")
                else:
                    firsts[digest] = name
        return found


def _digest(location: str) -> bytes:
    return hashlib.sha256(ImageRef(name="image", width=1, height=1, location=location).read()).digest()


class _AllSwapped(SwappedCoordinates):
    """The counts of several readers together."""

    def __init__(self, each: Sequence[SwappedCoordinates]) -> None:
        self._each = each

    @property
    def count(self) -> int:  # type: ignore[override]
        """How many boxes were sorted."""
        return sum(swapped.count for swapped in self._each)


class _AllShapes(ShapeRule):
    """The rules of several readers together."""

    def __init__(self, each: Sequence[ShapeRule]) -> None:
        super().__init__()
        self._each = each

    def restart(self) -> None:
        for rule in self._each:
            rule.restart()

    def totals(self) -> Counter[tuple[str, str]]:
        return sum((rule.totals() for rule in self._each), Counter())


def merged_classes(label_maps: Sequence[LabelMap | None]) -> LabelMap | None:
    """Returns the classes of all, by name: the ids of the first, and the next free id for one that another has."""
    items: dict[str, LabelMapItem] = {}
    for label_map in label_maps:
        if label_map is None:
            return None
        used = {item.id for item in items.values()}
        following = max(used, default=0) + 1
        for item in label_map.items:
            if item.name not in items:
                number = item.id if item.id not in used else following
                items[item.name] = item.model_copy(update={"id": number})
                used.add(number)
                following = max(following, number + 1)
    return LabelMap(items=tuple(items.values()))


def _merged_attributes(each: Sequence[dict[str, Any]]) -> tuple[dict[str, Any], list[str]]:
    """Returns the fields of the datasets as a whole, and the names of those that differ and are left out.

    COCO's ``categories`` are joined by name, as the classes are.
    """
    merged: dict[str, Any] = {}
    clashes: dict[str, None] = {}
    for name, value in (pair for attributes in each for pair in attributes.items()):
        if name == "categories":
            known = {category["name"] for category in merged.get(name, ())}
            merged[name] = [*merged.get(name, ()), *(one for one in value if one["name"] not in known)]
        elif merged.setdefault(name, value) != value:
            clashes[name] = None
    return {name: value for name, value in merged.items() if name not in clashes}, list(clashes)


def distinct_names(locations: Sequence[str]) -> list[str]:
    """Returns what distinguishes paths or URLs: ``a`` and ``b`` for ``data/a/i.json`` and ``data/b/i.json``."""
    rows = [re.split(r"[/\\]+", os.path.splitext(location)[0].rstrip("/\\")) for location in locations]
    while all(len(row) > 1 for row in rows) and len({row[-1] for row in rows}) == 1:
        rows = [row[:-1] for row in rows]
    while all(len(row) > 1 for row in rows) and len({row[0] for row in rows}) == 1:
        rows = [row[1:] for row in rows]
    names = ["/".join(part for part in row if part not in ("", ".", "..") and ":" not in part) for row in rows]
    if "" in names or len(set(names)) < len(names):
        return [str(number) for number in range(1, len(names) + 1)]
    return names


def expand_splits(uri: DatasetURI) -> dict[str, DatasetURI]:
    """Returns the URI of each split that exists, by split, for a URI with ``{split}`` in its location.

    Raises:
        DataError: There is none.
        UsageError: The location contains ``{split}`` more than once.
    """
    if uri.location.count(SPLIT) > 1:
        raise UsageError(f"{uri}: {SPLIT} appears more than once", "keep one of them")
    place, below = _SHARDS.sub(lambda match: f"-00000-of-{int(match[1]):05}", uri.location.rstrip("/\\")), ""
    while SPLIT not in base_name(place):
        place, below = parent(place), f"/{base_name(place)}{below}"
    before, _, after = base_name(place).partition(SPLIT)
    splits = {}
    with suppress(FileNotFoundError, NotADirectoryError):
        for entry in list_folder(parent(place)):
            name = entry.rstrip("/")
            split = name[len(before) : len(name) - len(after)]
            if not split or name != f"{before}{split}{after}" or name.startswith("."):
                continue
            whole = entry.endswith("/") or bool(after)
            if _exists(place.replace(SPLIT, split), below) if below else whole:
                splits[split] = uri.for_split(split)
    if not splits:
        raise DataError(uri.location, f"no file or folder matches {SPLIT}", "check the path")
    return dict(sorted(splits.items()))


def _exists(folder: str, below: str) -> bool:
    location = join(folder, below[1:])
    if not is_remote(location):
        return os.path.exists(location)
    files, path = filesystem(location)
    return bool(files.exists(path))
