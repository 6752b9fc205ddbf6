"""Reads a prepared TensorFlow dataset."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from absl import logging
from numpy.typing import NDArray

from boxwright import (
    Boxes,
    BoxFormat,
    DataError,
    DatasetInfo,
    ImageRef,
    LabelMap,
    LabelMapItem,
    Sample,
    convert_format,
)
from boxwright.datasets import OnProblem
from boxwright.images import Header, read_header, safe_filename
from boxwright_tf.quiet import quiet_import
from boxwright_tfds.layout import Column, find_layout
from boxwright_tfds.prepared import FEATURES, INFO, check_files, data_folder, find_prepared, is_name

with quiet_import():
    import tensorflow as tf
    import tensorflow_datasets as tfds

_FLAGS = frozenset({"difficult", "truncated", "occluded", "iscrowd"})
_UNSPECIFIED = ("", "unspecified", "Unspecified")
_SUFFIXES = {"jpeg": ".jpg", "tiff": ".tif"}
_FLOAT32_STEP = 2.0**-22  # twice float32's spacing
_SKIP = "skip the image with --on-error skip"
_INTERNALS = re.compile(r"^\{\{.*?\}\} ?| ?\[Op:\w+\].*$", re.MULTILINE)  # TensorFlow's internals in its messages
_PART = re.compile(r"\s*(?P<name>[A-Za-z0-9_.-]+)\s*(\[.*\])?\s*")
_NUMBER = "name images by their number instead: ?names=number"


class TfdsReader:
    """Reads one sample per example, split by split, in the order of the records.

    Images keep the bytes that TFDS stores. The size of an image is that of its stored pixels, as in TensorFlow.
    Relative coordinates are multiplied by it. Whole numbers and up to three decimals are restored from float32.

    Nothing is downloaded unless ``download`` is set.

    Args:
        location: Name of the dataset (``voc/2007``, ``voc/2007:5.0.0``), or the folder of a prepared one.
        split: Split in the syntax of TFDS: ``train``, ``train[:10%]``, ``train+validation``; all splits if ``None`` or
            ``all``.
        data_dir: Folder of the prepared datasets; by default ``TFDS_DATA_DIR``, else ``~/tensorflow_datasets``.
        download: Whether TFDS prepares a missing dataset first: from archives in ``DATA_DIR/downloads/manual``, else
            from the internet.
        objects: Feature with the boxes, if there are several and none is called ``objects``.
        label: Feature with the class of a box, if it is neither ``label`` nor ``type`` and there are several.
        names: ``"filename"`` names images by their file-name feature, if there is one; ``"number"`` by split and
            number.
        y_axis: ``"down"`` measures ymin and ymax from the top of the image, ``"up"`` from its bottom; ``"auto"`` is
            ``"up"`` for the ``kitti`` of TFDS, and otherwise ``"down"``.
        one_based: Whether coordinates count pixels from 1 with xmax and ymax inclusive, such as those of ``voc``: 1 is
            subtracted from xmin and ymin.

    Raises:
        DataError: The dataset is not prepared, cannot be read, has no boxes, or does not have the split.
        UsageError: The location is a URL, or matches several datasets.
    """

    def __init__(
        self,
        location: str,
        split: str | None = None,
        data_dir: str | None = None,
        download: bool = False,
        objects: str | None = None,
        label: str | None = None,
        names: str = "filename",
        y_axis: str = "auto",
        one_based: bool = False,
    ) -> None:
        self._location = location
        folder = find_prepared(location, data_dir)
        if folder is None:
            if not download:
                raise self._missing_error(data_dir)
            folder = self._prepare(data_dir)
        self._folder = folder
        check_files(folder)
        self._builder = self._open()
        self._layout = find_layout(self._builder.info.features, location, objects, label)
        self._splits = self._parse_split(split)
        self._numbered = names == "number" or not self._layout.filename
        self._y_up = y_axis == "up" or (y_axis == "auto" and self._builder.info.name == "kitti")
        self._shift = 1 if one_based else 0
        unread = self._layout.unread
        notes = (f"features that are not read: {', '.join(unread)}",) if unread else ()
        self.info = DatasetInfo(
            format="tfds",
            location=location,
            label_map=_label_map(self._layout.classes),
            num_samples=self._count(),
            splits=tuple(dict.fromkeys(name for name, _ in self._splits)),
            notes=notes,
        )

    def read(self, on_problem: OnProblem) -> Iterator[Sample]:
        """Yields the samples; see :class:`boxwright.datasets.Reader`."""
        seen: set[str] = set()
        for split, part in self._splits:
            for number, example in enumerate(self._examples(part)):
                place = f"{part}, example {number}"
                try:
                    sample = self._sample(example, split, number, place)
                    if sample.image.name in seen:
                        raise self._error(f"duplicate image name {sample.image.name!r}", _NUMBER, place)
                except DataError as error:
                    on_problem(error)
                    continue
                seen.add(sample.image.name)
                yield sample

    def _missing_error(self, data_dir: str | None) -> DataError:
        if not is_name(self._location):
            return DataError(self._location, f"it contains no prepared dataset (no {INFO})", "check the folder")
        return DataError(
            self._location,
            f"the dataset is not prepared in {data_folder(data_dir)}",
            "set another folder (?data_dir=FOLDER), or let TFDS prepare it: ?download=true",
        )

    def _prepare(self, data_dir: str | None) -> str:
        try:
            builder = tfds.builder(self._location, data_dir=data_folder(data_dir))
            builder.download_and_prepare()
        except Exception as error:  # each dataset has its own code
            manual = os.path.join(data_folder(data_dir), "downloads", "manual")
            raise DataError(
                self._location,
                f"TFDS cannot prepare it: {_first_line(error)}",
                f"check the name and the connection, or copy the archives to {manual}",
            ) from None
        return str(builder.data_path)

    def _open(self) -> Any:
        try:
            return tfds.builder_from_directory(self._folder)
        except Exception as error:  # TFDS raises any error for damaged files
            what = f"TFDS cannot read its {INFO} and {FEATURES}: {_first_line(error)}"
            raise DataError(self._folder, what, "prepare the dataset again") from None

    def _parse_split(self, split: str | None) -> list[tuple[str, str]]:
        """Returns the name and the instruction of each part of the split."""
        existing = list(self._builder.info.splits)
        parts = existing if split is None or split == "all" else [part.strip() for part in split.split("+")]
        found = []
        for part in parts:
            match = _PART.fullmatch(part)
            if match is None or match["name"] not in existing:
                problem = f"it has no split {part!r}"
                raise DataError(self._location, problem, f"use one of: {', '.join(existing)} (?split=NAME)")
            found.append((match["name"], part))
        if not found:
            raise DataError(self._location, "it has no splits", "prepare the dataset again")
        return found

    def _count(self) -> int:
        try:
            return sum(int(self._builder.info.splits[part].num_examples) for _, part in self._splits)
        except Exception as error:  # an invalid slice
            raise DataError(self._location, f"invalid split: {_first_line(error)}", "write train[:10%]") from None

    def _examples(self, part: str) -> Iterator[dict[str, Any]]:
        read = tfds.ReadConfig(interleave_cycle_length=1, try_autocache=False)
        decoders = tfds.decode.PartialDecoding(
            self._layout.features(), decoders={self._layout.image: tfds.decode.SkipDecoding()}
        )
        try:
            with _without_warnings():
                examples = self._builder.as_dataset(part, decoders=decoders, shuffle_files=False, read_config=read)
            yield from examples.as_numpy_iterator()
        except (tf.errors.OpError, ValueError, TypeError, AssertionError, OSError) as error:
            what = f"TFDS cannot read its records: {_first_line(error)}"
            raise DataError(self._folder, what, "prepare the dataset again", part) from None

    def _sample(self, example: dict[str, Any], split: str, number: int, place: str) -> Sample:
        layout = self._layout
        data = bytes(example[layout.image])
        header = read_header(data, f"{self._location}, {place}")
        rows = example[layout.objects] if layout.objects else {layout.bbox: _single_box(example[layout.bbox])}
        xyxy = self._coordinates(
            np.asarray(rows[layout.bbox], np.float64).reshape(-1, 4), (header.width, header.height)
        )
        labels = self._labels(example if layout.shared else rows, len(xyxy), place)
        attributes = [_attributes(layout.box_columns, rows, row) for row in range(len(xyxy))]
        try:
            boxes = Boxes.from_array(labels, xyxy, attributes)
        except ValueError as error:
            raise self._error(str(error), _SKIP, place) from None
        name = self._name(example, split, number, place, header)
        return Sample(
            image=ImageRef(name=name, width=header.width, height=header.height, data=data, format=header.format),
            boxes=boxes,
            split=split,
            attributes=_attributes(layout.image_columns, example) | self._source_id(example),
            source=f"{self._location}, {place}",
        )

    def _coordinates(self, rows: NDArray[np.float64], size: tuple[int, int]) -> NDArray[np.float64]:
        format_ = self._layout.box_format
        xyxy: NDArray[np.float64] = convert_format(rows, format_, BoxFormat.XYXY, image_size=size)
        exact: NDArray[np.float64] = _unrounded(xyxy) if format_.relative else xyxy
        if self._y_up:
            exact[:, [1, 3]] = size[1] - exact[:, [3, 1]]
        exact[:, :2] -= self._shift
        return exact

    def _labels(self, rows: dict[str, Any], count: int, place: str) -> list[str]:
        classes = self._layout.classes
        if not self._layout.label:
            return [classes[0]] * count
        numbers = np.atleast_1d(rows[self._layout.label]).tolist()
        if self._layout.shared:
            numbers *= count
        if not all(0 <= number < len(classes) for number in numbers):
            problem = f"its boxes have the class numbers {numbers}, but there are {len(classes)} classes"
            raise self._error(problem, _SKIP, place)
        return [classes[number] for number in numbers]

    def _name(self, example: dict[str, Any], split: str, number: int, place: str, header: Header) -> str:
        if self._numbered:
            return f"{split}-{number:06d}{_SUFFIXES.get(header.format, f'.{header.format}')}"
        text = _text(example[self._layout.filename])
        name = safe_filename(text, f"{self._location}, {place}", field="file name")
        if not name:
            raise self._error("the image has no file name", _NUMBER, place)
        return name

    def _source_id(self, example: dict[str, Any]) -> dict[str, str]:
        key = self._layout.source_id
        return {"source_id": str(_plain(example[key]))} if key else {}

    def _error(self, problem: str, remedy: str, place: str) -> DataError:
        return DataError(self._location, problem, remedy, place)


@contextmanager
def _without_warnings() -> Iterator[None]:
    """Suppresses the warnings of TFDS about its own deprecated calls."""
    before = logging.get_verbosity()
    logging.set_verbosity(min(before, logging.ERROR))
    try:
        yield
    finally:
        logging.set_verbosity(before)


def _label_map(classes: tuple[str, ...]) -> LabelMap:
    return LabelMap(items=tuple(LabelMapItem(id=i, name=name) for i, name in enumerate(classes, start=1)))


def _single_box(bbox: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    """Returns the box of an image with at most one; four zeros mean that there is none (``oxford_iiit_pet``)."""
    return [bbox] if bbox.any() else []


def _attributes(columns: tuple[Column, ...], rows: dict[str, Any], row: int | None = None) -> dict[str, Any]:
    """Returns the attributes of a box or an image, without flags of 0 or -1 (unknown), empty texts and NaN."""
    found: dict[str, Any] = {}
    for column in columns:
        value = _plain(rows[column.key] if row is None else rows[column.key][row])
        if column.classes:
            value = column.classes[value] if 0 <= value < len(column.classes) else ""
        if column.name in _FLAGS:
            if value > 0:
                found[column.name] = int(value) if value % 1 == 0 else value
        elif value == value and value not in _UNSPECIFIED:
            found[column.name] = value
    return found


def _plain(value: Any) -> Any:
    """Returns a number, a text, or a list of numbers as types of Python."""
    if isinstance(value, bytes):
        return _text(value)
    array = np.asarray(value)
    if array.dtype == np.float32:
        return [_shortest(each) for each in array] if array.ndim else _shortest(array[()])
    return array.tolist()


def _shortest(number: Any) -> float:
    """Returns the float with the fewest digits that is equal in float32."""
    return float(np.format_float_positional(number, unique=True)) if np.isfinite(number) else float(number)


def _text(value: bytes | str) -> str:
    return value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else value


def _unrounded(coordinates: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns the numbers with the fewest decimals (up to 3) that are equal in float32, else the numbers themselves."""
    allowed = np.abs(coordinates) * _FLOAT32_STEP
    found = coordinates.copy()
    for decimals in (3, 2, 1, 0):
        nearest = np.round(coordinates, decimals)
        found = np.where(np.abs(coordinates - nearest) <= allowed, nearest, found)
    return found


def _first_line(error: BaseException) -> str:
    text = _INTERNALS.sub("", str(error)).strip()
    return (text.splitlines()[0] if text else type(error).__name__)[:300]
