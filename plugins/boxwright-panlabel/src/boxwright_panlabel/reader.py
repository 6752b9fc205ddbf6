"""Reads the formats of panlabel through its JSON.

``reader.NAME`` is the reader of the format with that name: a callable ``(location, **options)``.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import weakref
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from boxwright import (
    Boxes,
    Coordinates,
    DataError,
    DatasetInfo,
    ImageRef,
    LabelMap,
    Sample,
    SwappedCoordinates,
    check_coordinates,
)
from boxwright.datasets import OnProblem, RefusedShapeError, ShapeRule
from boxwright.images import ImageLookup, measured_size
from boxwright.storage import is_file, is_folder, is_safe_name, join, parent
from boxwright_panlabel.bridges import ANY, Bridge
from boxwright_panlabel.document import Document
from boxwright_panlabel.ignored import CHECKED, ignored
from boxwright_panlabel.program import Done, convert, first_few
from boxwright_panlabel.stage import annotation_files, class_names, fetched, first_unreadable, staged
from boxwright_panlabel.table import BRIDGES
from boxwright_panlabel.values import read_attributes

_SKIP = "or skip the image with --on-error skip"
_LEAVE = "convert the rest with --on-error skip"
_NOISE = 1e-9
_HABITS = {"": (0, 0), "one_based": (-1, 0), "inclusive": (0, 1)}
_USES = {"TRAIN": "train", "VALIDATION": "val", "TEST": "test"}
_SPLITS = {"automl_ml_use": _USES, "cityscapes_split": None}
_OPTIONS = {
    "bbox": "--hf-bbox-format",
    "split": "--split",
    "objects": "--hf-objects-column",
    "category_map": "--hf-category-map",
}


class PanlabelReader:
    """Reads one sample per image, sorted by image name as plain strings.

    panlabel converts the dataset to its JSON once, in a temporary folder that is removed with this object. Meanwhile it
    has all of it in memory (about 6 KB per image with four boxes). The JSON is then read one image at a time.

    Coordinates are used unchanged, from 0, with xmax and ymax exclusive. If a format stores them relative to the image
    size, or as width and height, the rounding error of float64 (less than 1e-9 pixels) is removed.

    Args:
        name: The name of the format in boxwright.
        location: A path, or a URL that fsspec opens.
        images: The folder of the images, if they are not next to the annotations; a path or a URL.
        inverted: ``"error"``, or ``"swap"`` to swap coordinates that are in the wrong order. Some of panlabel's
            readers always swap them.
        guessed: ``"error"``, or ``"accept"`` for sizes that just enclose the boxes and cannot be verified, because the
            image does not exist.
        one_based: Whether pixels are counted from 1 with xmax, ymax inclusive: 1 is subtracted from xmin and ymin.
        inclusive: Whether xmax and ymax are the last pixel: 1 is added to them.
        shapes: What happens to shapes that are not upright boxes: ``"box"``, ``"skip"`` or ``"fail"``.
        options: Options that ``_OPTIONS`` passes to panlabel.

    Raises:
        DataError: The location does not exist, or panlabel cannot read it.
        UsageError: The folder of the images cannot be used.
        MissingLibraryError: The program is not installed.
    """

    def __init__(
        self,
        name: str,
        location: str,
        images: str | None = None,
        inverted: str = "error",
        guessed: str = "error",
        one_based: bool = False,
        inclusive: bool = False,
        shapes: str = "box",
        **options: str,
    ) -> None:
        self._bridge = BRIDGES[name]
        self._rule = ShapeRule(shapes)
        self._location = location
        self._swap = inverted == "swap"
        self.swapped = SwappedCoordinates()
        self._accept = guessed == "accept"
        self._shift = _HABITS["one_based" if one_based else "inclusive" if inclusive else ""]
        self._places = _Places(location, images, self._bridge, options.get("split", ""))
        workplace = tempfile.mkdtemp(prefix="boxwright-panlabel-")
        weakref.finalize(self, shutil.rmtree, workplace, ignore_errors=True)
        self._local = fetched(location, self._bridge, os.path.join(workplace, "dataset"))
        done = self._convert(workplace, images, options)
        try:
            self._document = Document(os.path.join(workplace, "dataset.json"))
        except (ValueError, KeyError, TypeError, OverflowError) as error:
            raise DataError(location, f"panlabel's result is invalid: {error}", "correct the ids in it") from None
        self._problems = [*self._found_problems(done), *self._ignored()]
        self.info = self._info(done)

    def read(self, on_problem: OnProblem) -> Iterator[Sample]:
        """Yields the samples; see :class:`boxwright.datasets.Reader`."""
        for problem in self._problems:
            on_problem(problem)
        seen: set[str] = set()
        for image, found in self._document.images():
            try:
                sample = self._sample(image, found)
                if sample.image.name in seen:
                    raise self._error("duplicate image name", f"rename one, {_SKIP}", sample.image.name)
            except DataError as error:
                on_problem(error)
                continue
            seen.add(sample.image.name)
            yield sample

    def _convert(self, workplace: str, images: str | None, options: Mapping[str, str]) -> Done:
        path = staged(self._local, images, self._bridge, workplace)
        parent = self._location.rpartition("/")[0]
        renamed = {path: self._location, self._local: self._location}
        renamed |= {os.path.join(workplace, folder): parent for folder in ("stage", "dataset")}
        try:
            return convert(
                (self._bridge.program_name, path),
                ("ir-json", os.path.join(workplace, "dataset.json")),
                [f"{_OPTIONS[name]}={value}" for name, value in options.items()],
                name=self._bridge.name,
                blamed=self._location,
                renamed=renamed,
            )
        except DataError as error:
            # Some messages of panlabel do not name the file.
            files = annotation_files(self._local, self._bridge)
            if not files or any(file in error.problem for file in files):
                raise
            blamed = first_unreadable(files) or first_few(files)
            raise DataError(self._location, f"{error.problem} (in {blamed})", error.remedy) from None

    def _found_problems(self, done: Done) -> Iterator[DataError]:
        """Yields errors for what panlabel skipped, with its own messages if there are any."""
        count = len(self._document)
        if not count:
            files = annotation_files(self._local, self._bridge)
            found = f" ({first_few(files)})" if files else ""
            problem = f"panlabel finds no images of the format {self._bridge.name}{found}"
            raise DataError(self._location, problem, "check the location and the format")
        counters = {key: text for key, text in self._document.info.get("attributes", {}).items() if "skipped" in key}
        if done.skipped or counters:
            reason = first_few(done.skipped) or ", ".join(f"{key}: {text}" for key, text in counters.items())
            yield DataError(self._location, f"panlabel skipped something: {reason}", _LEAVE)
        if self._document.orphans:
            yield DataError(
                self._location,
                f"{self._document.orphans} annotations belong to no image",
                f"correct their image ids, or {_LEAVE}",
            )
        if self._bridge.names == "spaceless" and (classes := class_names(self._local)) is not None:
            nameless = [name for name in self._document.categories.values() if name not in classes[1]]
            if nameless:
                problem = f"classes without a name: {first_few(nameless)}"
                yield DataError(classes[0], problem, f"write one name per line, or {_LEAVE}")
        files = annotation_files(self._local, self._bridge) if self._bridge.listing else []
        if len(files) > count:
            unreadable = first_unreadable(files)
            such = f", such as {unreadable}" if unreadable else f" ({first_few(files)})"
            yield DataError(
                self._location,
                f"panlabel skipped {len(files) - count} of {len(files)} files{such}",
                f"correct them, remove files that are not annotations, or {_LEAVE}",
            )

    def _ignored(self) -> Iterator[DataError]:
        """Yields errors for what panlabel would leave out, or get wrong, without a word."""
        files = annotation_files(self._local, self._bridge) or [self._local]
        for file in files if self._bridge.name in CHECKED else ():
            for problem in ignored(self._bridge.name, file):
                place = file.replace(self._local, self._location, 1)
                yield DataError(place, f"panlabel does not read {problem}", f"export it as COCO, or {_LEAVE}")

    def _info(self, done: Done) -> DatasetInfo:
        document = self._document
        names = [name for name in document.categories.values() if name]
        return DatasetInfo(
            format=self._bridge.name,
            location=self._location,
            label_map=LabelMap.from_names(names, sort=False) if names else None,
            num_samples=len(document),
            notes=(*done.notes, self._note()),
            attributes=self._dataset_attributes(),
        )

    def _note(self) -> str:
        ignored = f", which ignores {self._bridge.ignores}" if self._bridge.ignores else ""
        return f"{self._bridge.name} is read through panlabel{ignored}"

    def _dataset_attributes(self) -> dict[str, Any]:
        document = self._document
        given = {key: text for key, text in document.info.get("attributes", {}).items() if not _counts(key)}
        found: dict[str, Any] = {}
        if any(field.name == ANY for field in self._bridge.dataset):
            found = {key: value for key, value in document.info.items() if key != "attributes"}
            if document.licenses:
                found["licenses"] = document.licenses
        if document.parents:
            found["supercategories"] = document.parents
        return found | read_attributes(given, self._bridge.dataset)

    def _sample(self, image: dict[str, Any], annotations: list[dict[str, Any]]) -> Sample:
        bridge = self._bridge
        name, location = self._places.find(str(image["file_name"]).removeprefix(bridge.prefix))
        if not name:
            raise self._error("an image has no file name", f"add it, {_SKIP}", str(image["id"]))
        attributes = read_attributes(image.get("attributes", {}), bridge.image)
        split = _split(image.get("attributes", {}))
        for field in ("license_id", "date_captured"):
            if field in image:
                attributes.setdefault(field, image[field])
        try:
            labels = [self._document.categories[each["category_id"]] for each in annotations]
        except KeyError as error:
            raise self._error(f"a box has the unknown class {error}", f"correct it, {_SKIP}", name) from None
        annotations, labels = self._ruled(annotations, labels, name)
        found = [self._box_attributes(each) for each in annotations]
        edges = [self._edges(each["bbox"], label, name) for each, label in zip(annotations, labels, strict=True)]
        size, edges = self._size(image, name, location, edges)
        order = self._sorted(annotations)
        boxes = self._boxes([labels[i] for i in order], [edges[i] for i in order], [found[i] for i in order], name)
        return Sample(
            image=ImageRef(name=name, width=size[0], height=size[1], location=location),
            boxes=boxes,
            split=split,
            attributes=attributes,
            source=f"{self._location}, {name}",
        )

    def _ruled(
        self, annotations: list[dict[str, Any]], labels: list[str], name: str
    ) -> tuple[list[dict[str, Any]], list[str]]:
        """Returns the boxes and labels that the rule for shapes does not leave out."""
        key = self._bridge.shape
        if not key:
            return annotations, labels
        kept = []
        for each, label in zip(annotations, labels, strict=True):
            kind = read_attributes(each.get("attributes", {}), self._bridge.box).get(key)
            try:
                if kind is None or self._rule.box_of(str(kind).lower().replace("_", " ")):
                    kept.append((each, label))
            except RefusedShapeError as error:
                raise self._error(str(error), f"leave it out: ?shapes=skip, {_SKIP}", f"{name} ({label})") from None
        return [each for each, _ in kept], [label for _, label in kept]

    def _box_attributes(self, annotation: dict[str, Any]) -> dict[str, Any]:
        attributes = read_attributes(annotation.get("attributes", {}), self._bridge.box)
        if annotation.get("confidence") is not None:
            attributes["score"] = _without_noise(annotation["confidence"] / self._bridge.certain)
        return attributes

    def _edges(self, bbox: dict[str, Any], label: str, name: str) -> Coordinates:
        values = [bbox[edge] for edge in ("xmin", "ymin", "xmax", "ymax")]
        if None in values:
            raise self._error("a coordinate is not a finite number", f"correct it, {_SKIP}", f"{name} ({label})")
        xmin, ymin, xmax, ymax = map(_without_noise, values)
        first, last = self._shift
        edges = (xmin + first, ymin + first, xmax + last, ymax + last)
        problem = check_coordinates(edges)
        if not problem:
            return edges
        if not self._swap:
            remedy = f"correct it, swap the coordinates (?inverted=swap), {_SKIP}"
            raise self._error(problem, remedy, f"{name} ({label})")
        return self.swapped.sort(edges)

    def _size(
        self, image: dict[str, Any], name: str, location: str | None, edges: list[Coordinates]
    ) -> tuple[tuple[int, int], list[Coordinates]]:
        """Returns the image size, after EXIF orientation if panlabel measured it, and the coordinates in its pixels."""
        size = (int(image["width"]), int(image["height"]))
        sizes = self._bridge.sizes
        doubtful = sizes == "guessed" and size in (_extent(edges), (1, 1))
        if 0 not in size and not (doubtful or sizes == "measured"):
            return size, edges
        if location is None and 0 not in size:
            if doubtful and not self._accept:
                raise self._error(
                    f"the image does not exist, and its size, {size[0]}x{size[1]}, may be guessed from the boxes",
                    "pass the folder of the images: ?images=FOLDER, or accept the sizes: ?guessed=accept",
                    name,
                )
            return size, edges
        # panlabel ignores EXIF orientation, and boxes refer to the image as it is displayed.
        upright = measured_size(name, location, self._location, name)
        if self._bridge.relative and upright != size and 0 not in size:
            x, y = upright[0] / size[0], upright[1] / size[1]
            edges = [(xmin * x, ymin * y, xmax * x, ymax * y) for xmin, ymin, xmax, ymax in edges]
        return upright, edges

    def _sorted(self, annotations: list[dict[str, Any]]) -> list[int]:
        places = list(range(len(annotations)))
        key = self._bridge.order
        numbers = [each.get("attributes", {}).get(key, "") for each in annotations]
        if key and all(number.isdecimal() for number in numbers):
            places.sort(key=lambda place: int(numbers[place]))
        return places

    def _boxes(self, labels: list[str], edges: list[Coordinates], attributes: list[dict[str, Any]], name: str) -> Boxes:
        try:
            return Boxes(labels, edges, attributes)
        except ValueError as error:
            raise self._error(str(error), f"correct it, {_SKIP}", name) from None

    def _error(self, problem: str, remedy: str, place: str) -> DataError:
        return DataError(self._location, problem, remedy, place)


class _Places:
    """The folders in which images are searched for."""

    def __init__(self, location: str, images: str | None, bridge: Bridge, split: str = "") -> None:
        base = location if is_folder(location) else parent(location.replace("\\", "/"))
        self._location = location
        self._folders = (
            [images]
            if images is not None
            else [join(base, name) if name else base for name in (*filter(None, (split,)), *bridge.searched)]
        )
        self._lookup = ImageLookup(images or base)
        self._split = bridge.name == "supervisely"

    def find(self, filename: str) -> tuple[str, str | None]:
        """Returns the name and the location of an image, ``None`` if it does not exist.

        Raises:
            DataError: The file name leads out of the dataset, or two images match.
        """
        if not filename:
            return "", None
        if is_safe_name(filename):
            for folder in self._folders:
                for inside in (filename, *(self._in_datasets(filename) if self._split else ())):
                    if is_file(place := join(folder, inside)):
                        return filename, place
        name, location = self._lookup.find_written(filename, self._location)
        return filename if is_safe_name(filename) else name, location

    def _in_datasets(self, name: str) -> Iterator[str]:
        """Yields the locations of Supervisely's images: ``DATASET/img/NAME``."""
        folder, slash, rest = name.partition("/")
        if slash:
            yield f"{folder}/img/{rest}"
        yield f"img/{name}"
        yield f"dataset/img/{name}"


def _counts(key: str) -> bool:
    """Returns whether a dataset attribute only counts what panlabel skipped or changed."""
    return "skipped" in key or key.endswith("_envelopes")


def _split(attributes: Mapping[str, str]) -> str | None:
    for key, names in _SPLITS.items():
        if key in attributes:
            text = attributes[key]
            return text if names is None else names.get(text.upper(), None if text.upper() == "UNASSIGNED" else text)
    return None


def _extent(edges: list[Coordinates]) -> tuple[int, int]:
    """Returns the size that panlabel guesses for an image: the smallest that contains its boxes."""
    widest = max([edge[2] for edge in edges], default=1.0)
    tallest = max([edge[3] for edge in edges], default=1.0)
    return max(1, -int(-widest // 1)), max(1, -int(-tallest // 1))


def _without_noise(edge: float) -> float:
    nearest = round(edge, 6)
    return nearest if abs(edge - nearest) <= _NOISE else edge


class ShapesReader(PanlabelReader):
    """Reads a format with shapes that are not upright boxes; see :class:`PanlabelReader`."""

    @property
    def shapes(self) -> ShapeRule:
        """The rule for shapes."""
        return self._rule


def __getattr__(name: str) -> Any:
    if name not in BRIDGES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return partial(ShapesReader if BRIDGES[name].shape else PanlabelReader, name)
