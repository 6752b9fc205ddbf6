"""Reads Datumaro's JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import islice
from typing import Any, Final, NamedTuple

from boxwright import DataError, DatasetInfo, ImageRef, LabelMap, Sample
from boxwright.datasets import ItemError, OnProblem, ShapeRule
from boxwright.images import lookup_for, measured_size
from boxwright.storage import Folder, base_name, check_unicode, is_folder, join, json_members, open_binary, parent
from boxwright_datumaro.items import Item, category_names

ANNOTATIONS: Final = "annotations"
DEFAULT: Final = "default"
OBJECT: Final = "name a JSON file of Datumaro, an object with categories and items"
_SOME: Final = 20
_SKIP = "or leave the image out with --on-error skip"


class _File(NamedTuple):
    """An annotation file, the subset it contains, and the names of its classes."""

    location: str
    subset: str
    names: Sequence[str]


class DatumaroReader:
    """Yields one sample per item, file by file in the plain string order of their names.

    The name of a file in ``annotations`` is the split of its images, except ``default``. An image is looked for in
    ``images/SUBSET``, where Datumaro puts it, in ``images``, and next to ``annotations``. If images of two subsets have
    the same name, that of the second begins with its subset. An image without a size is measured.

    Args:
        location: A folder with ``annotations``, or one JSON file; a path, or a URL that fsspec opens.
        shapes: What happens to shapes that are not upright boxes: ``"box"``, ``"skip"`` or ``"fail"``.
        images: The folder of the images, if it is not that of the dataset.

    Attributes:
        shapes: The rule for shapes.

    Raises:
        DataError: The location does not exist, or its categories are not valid.
    """

    def __init__(self, location: str, shapes: str = "box", images: str | None = None) -> None:
        self.shapes = ShapeRule(shapes)
        root, files = _found(location)
        self._files = [_File(place, subset, _names_of(place)) for place, subset in files]
        folder = Folder.at(root)
        uri, others = f"datumaro:{location}", folder.ending(".json")
        self._images = lookup_for(folder, images, others, uri=uri, field="path", named=self._named())
        names = {tuple(file.names) for file in self._files}
        unique = next(iter(names)) if len(names) == 1 else ()
        self.info = DatasetInfo(
            format="datumaro",
            location=location,
            label_map=LabelMap.from_names(unique, sort=False) if unique and len(set(unique)) == len(unique) else None,
            notes=self._images.notes,
            splits=tuple(split for file in self._files if (split := _split(file.subset)) is not None),
        )

    def read(self, on_problem: OnProblem) -> Iterator[Sample]:
        """Yields the samples; see :class:`boxwright.datasets.Reader`."""
        line_of: dict[str, int] = {}
        for file in self._files:
            try:
                for number, line, content in _items(file.location):
                    place = f"item {number} (line {line})"
                    try:
                        sample = self._sample(file, place, content, line_of)
                    except ItemError as error:
                        where = f"{place}, {error.place}" if error.place else place
                        on_problem(DataError(file.location, error.problem, f"{error.remedy}, {_SKIP}", where))
                        continue
                    except DataError as error:
                        on_problem(error)
                        continue
                    line_of[sample.image.name] = line
                    yield sample
            except DataError as error:  # the rest of the file cannot be read
                on_problem(error)

    def _sample(self, file: _File, place: str, content: Any, taken: dict[str, int]) -> Sample:
        item = Item(content, file.names)
        source = f"{file.location}, {place}"
        check_unicode(source)
        name, location = self._located(item.name, file.subset, source)
        check_unicode(f"{name}{location or ''}")
        if name in taken and file.subset:
            name = f"{file.subset}/{name}"
        if name in taken:
            raise ItemError(f"it names the image {name}, as line {taken[name]} does", "remove one of them")
        width, height = item.size or measured_size(name, location, file.location, place)
        boxes = item.boxes(self.shapes)
        image = ImageRef(name=name, width=width, height=height, location=location)
        return Sample(image=image, boxes=boxes, split=_split(file.subset), attributes=item.attributes, source=source)

    def _located(self, filename: str, subset: str, source: str) -> tuple[str, str | None]:
        for folder in (*((f"images/{subset}/",) if subset else ()), "images/"):
            name, location = self._images.find(filename, folder, source, below=False)
            if location is not None:
                return name.removeprefix(folder), location
        return self._images.find(filename, "", source)

    def _named(self) -> Iterator[str]:
        """Yields the names of some images."""
        with suppress(DataError, ItemError):
            for file in self._files:
                for _, _, content in islice(_items(file.location), _SOME):
                    yield Item(content, file.names).name


def _found(location: str) -> tuple[str, list[tuple[str, str]]]:
    """Returns the folder of a dataset, and its files with their subsets."""
    if not is_folder(location):
        with open_binary(location):  # raises the error if it does not exist
            folder = parent(location)
        if base_name(folder) != ANNOTATIONS:
            return folder, [(location, "")]
        return parent(folder), [(location, base_name(location).rpartition(".")[0])]
    folder = location if base_name(location) == ANNOTATIONS else join(location, ANNOTATIONS)
    files = Folder.at(folder).ending(".json") if is_folder(folder) else []
    if not files:
        raise DataError(location, f"no .json file in its folder {ANNOTATIONS}", "name the folder that contains it")
    return parent(folder), [(join(folder, name), name.rpartition(".")[0]) for name in files]


def _names_of(location: str) -> list[str]:
    for member in json_members(location, OBJECT, into=("items",)):
        if member.key == "categories":
            try:
                return category_names(member.value)
            except ItemError as error:
                raise DataError(location, error.problem, error.remedy, f"line {member.line}") from None
    return []


def _items(location: str) -> Iterator[tuple[int, int, Any]]:
    number = 0
    for member in json_members(location, OBJECT, into=("items",)):
        if member.key == "items":
            number += 1
            yield number, member.line, member.value


def _split(subset: str) -> str | None:
    return None if subset in ("", DEFAULT) else subset
