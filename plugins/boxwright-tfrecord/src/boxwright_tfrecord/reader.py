"""Reads TFRecord files of the TF Object Detection API."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import PurePosixPath
from typing import cast

from boxwright import (
    Boxes,
    BoxwrightError,
    Coordinates,
    DataError,
    DatasetInfo,
    ImageRef,
    LabelMap,
    Sample,
    SwappedCoordinates,
    check_coordinates,
    find_label_map,
    read_label_map,
)
from boxwright.datasets import OnProblem
from boxwright.images import Header, ImageLookup, parse_header
from boxwright.plugins import Detection
from boxwright.storage import is_remote, is_safe_name, join, parent, read_file
from boxwright_tfrecord.attributes import (
    FLAGS,
    MASK,
    OBJECT,
    VIEW,
    is_read,
    is_tfds,
    passed_over,
    read_box_attributes,
    read_image_attributes,
)
from boxwright_tfrecord.example import Values, decode_example
from boxwright_tfrecord.header import jpeg_or_png_header
from boxwright_tfrecord.records import HEADER_SIZE, Record, count_records, is_header, open_records, read_records
from boxwright_tfrecord.shards import find_files, stem_of

_EDGES = ("xmin", "ymin", "xmax", "ymax")
_TEXT, _LABEL = "image/object/class/text", "image/object/class/label"
_KINDS: dict[str, type] = {
    "image/encoded": bytes,
    "image/filename": bytes,
    "image/format": bytes,
    "image/height": int,
    "image/width": int,
    **{"image/object/bbox/" + edge: float for edge in _EDGES},
    _TEXT: bytes,
    _LABEL: int,
    VIEW: bytes,
}
_COLUMNS = frozenset(key for key in _KINDS if key.startswith(OBJECT)) | set(FLAGS)
_KIND_NAMES = {bytes: "bytes", float: "floats", int: "integers"}
_LEAVE_OUT = "write the record again, or leave it out with --on-error skip"
_FLOAT32_STEP = 2.0**-22  # twice float32's spacing: another tool may have rounded twice
_MAX_RELATIVE = 2.0
_LONGEST = 300


class _RecordError(Exception):
    """The problem with a record, and the remedy."""

    def __init__(self, problem: str, remedy: str = _LEAVE_OUT) -> None:
        super().__init__(problem, remedy)
        self.problem = problem
        self.remedy = remedy


class TFRecordReader:
    """Reads the samples of one or more record files, one record in memory at a time.

    Args:
        location: A file, a sharded set (``X@10``, ``X-?????-of-00010``), a pattern, or a folder.
        label_map: The label map file; ``None`` for ``label_map.pbtxt`` in the folder of the records, if it exists.
        images: Folder of the images that are not in the records; ``None`` for the folder of the records.
        names: ``"filename"`` names images by ``image/filename``, ``"basename"`` by the last part of it, ``"number"`` by
            file and record number.
        coordinates: ``"relative"`` (0 to 1, the standard) or ``"pixels"``.
        inverted: ``"error"`` or ``"swap"`` for boxes whose coordinates are in the wrong order.
        crc: Whether to check the records' checksums.
        masks: Whether ``image/object/mask`` becomes each box's ``segmentation``, in COCO's run-length encoding.

    Raises:
        DataError: No record files were found, a shard is missing, or the label map cannot be read.
    """

    def __init__(
        self,
        location: str,
        label_map: str | None = None,
        images: str | None = None,
        names: str = "filename",
        coordinates: str = "relative",
        inverted: str = "error",
        crc: bool = True,
        masks: bool = False,
    ) -> None:
        self._files = find_files(location)
        self._folder = parent(self._files[0])
        self._images = ImageLookup(self._folder if images is None else images, "image/filename")
        self._names = names
        self._pixels = coordinates == "pixels"
        self._swap = inverted == "swap"
        self.swapped = SwappedCoordinates()
        self._crc = crc
        self._masks = masks
        classes, self._label_map_path = self._classes(label_map)
        self._by_id = {item.id: item.name for item in classes.items} if classes else {}
        self._by_name = {item.display_name: item.name for item in classes.items if item.display_name} if classes else {}
        self._by_name |= {name: name for name in self._by_id.values()}
        self.info = DatasetInfo(
            format="tfrecord",
            location=location,
            label_map=classes,
            num_samples=count_records(self._files),
            notes=self._notes(),
        )

    def _classes(self, given: str | None) -> tuple[LabelMap | None, str]:
        """Returns the label map and its file; Roboflow writes ``NAME_label_map.pbtxt`` for ``NAME.tfrecord``."""
        # A dataset without boxes has no classes: its label map is an empty file.
        if given is not None or read_file(join(self._folder, "label_map.pbtxt")) != b"":
            found = find_label_map(given, self._folder)
            if found[0] is not None:
                return found
        path = join(self._folder, f"{stem_of(self._files[0])}_label_map.pbtxt")
        classes = read_label_map(path)
        return classes, path if classes is not None else ""

    def _notes(self) -> tuple[str, ...]:
        """Returns a note about the keys of the first record that are not read."""
        first = next(read_records(self._files[0], check=False, may_be_empty=True), None)
        try:
            keys = decode_example(first.data, lambda key: False) if isinstance(first, Record) else {}
        except ValueError:
            keys = {}
        if is_tfds(keys):
            raise DataError(self._files[0], _TFDS, "read its folder as tfds:FOLDER")
        unread = [key for key in passed_over(keys) if not (self._masks and key == MASK)]
        return (f"keys of its records that are not read: {', '.join(unread)}",) if unread else ()

    def read(self, on_problem: OnProblem) -> Iterator[Sample]:
        """Yields every sample, file by file; see :meth:`boxwright.datasets.protocols.Reader.read`."""
        seen: set[str] = set()
        for path in self._files:
            yield from self._read_file(path, seen, on_problem)

    @property
    def shards(self) -> int:
        """The number of files, which machines may share."""
        return len(self._files)

    def read_shard(self, number: int, on_problem: OnProblem) -> Iterator[Sample]:
        """Yields the samples of one file; see :class:`boxwright.datasets.ShardedReader`."""
        return self._read_file(self._files[number], set(), on_problem)

    def _read_file(self, path: str, seen: set[str], on_problem: OnProblem) -> Iterator[Sample]:
        for record in read_records(path, check=self._crc, may_be_empty=len(self._files) > 1):
            if isinstance(record, DataError):
                on_problem(record)
                continue
            try:
                sample = self._sample(path, record, seen)
            except _RecordError as fault:
                on_problem(DataError(path, fault.problem, fault.remedy, record.place))
                continue
            except DataError as error:
                on_problem(error)
                continue
            seen.add(sample.image.name)
            yield sample

    def _sample(self, path: str, record: Record, seen: set[str]) -> Sample:
        try:
            features = decode_example(record.data, self._wanted if self._masks else is_read)
        except ValueError as error:
            raise _RecordError(f"it is not a tf.train.Example: {error}") from None
        for key, values in features.items():
            if values and key in _KINDS and not isinstance(values[0], _KINDS[key]):
                raise _RecordError(f"{key} contains {_KIND_NAMES[type(values[0])]}, not {_KIND_NAMES[_KINDS[key]]}")
        data = cast(bytes, _single(features, "image/encoded")) or None
        filename = _decoded(cast(bytes, _single(features, "image/filename") or b""), "image/filename")
        if not filename and not any(key.startswith(OBJECT) for key in features):
            keys = ", ".join(features)
            raise _RecordError(
                f"image/filename is missing; the keys are: {keys[:_LONGEST]}", "check that this is such a dataset"
            )
        header = _header(data, filename) if data is not None else None
        name, location = self._name(filename, path, record, header), None
        if data is None:
            name, location = self._outside(filename, name)
        elif not is_safe_name(name):
            raise _RecordError(f"the file name {name!r} leads outside the dataset's folder", _NAME_REMEDY)
        if name in seen:
            raise _RecordError(f"duplicate image {name!r}", _NAME_REMEDY)
        image = self._image(features, name, location, data, header)
        boxes = self._boxes(features, image)
        try:
            attributes = read_image_attributes(features, filename)
        except ValueError as error:
            raise _RecordError(str(error)) from None
        return Sample(image=image, boxes=boxes, attributes=attributes, source=f"{path}, record {record.number}")

    def _wanted(self, key: str) -> bool:
        return key == MASK or is_read(key)

    def _name(self, filename: str, path: str, record: Record, header: Header | None) -> str:
        if self._names == "number":
            stem = path.replace("\\", "/").rpartition("/")[2]
            ending = {"jpeg": ".jpg", "png": ".png"}.get(header.format if header else "") or _suffix(filename)
            return f"{stem}-{record.number:06d}{ending}"
        if not filename:
            raise _RecordError("image/filename is missing", _NAME_REMEDY)
        if self._names == "basename":
            return filename.replace("\\", "/").rpartition("/")[2] or "image"
        return filename

    def _outside(self, filename: str, name: str) -> tuple[str, str]:
        """Returns the name and the location of an image that is not in its record."""
        outside = name if self._names == "basename" else filename
        if is_remote(self._images.location) and is_safe_name(outside):  # not checked: that would take a request
            return name, join(self._images.location, outside)
        try:
            found, location = self._images.find_written(outside, self._folder)
        except DataError as error:
            raise _RecordError(f"the image is not in the record, and {error.problem}", _NAME_REMEDY) from None
        return name if self._names == "number" else found, location or join(self._images.location, found)

    def _image(
        self, features: dict[str, Values], name: str, location: str | None, data: bytes | None, header: Header | None
    ) -> ImageRef:
        width, height = (cast("int | None", _single(features, key)) for key in ("image/width", "image/height"))
        if width is None or height is None:
            header = header or _any_header(name, location, data)
            width, height = header.width, header.height
        elif width < 1 or height < 1:
            raise _RecordError(f"the image size is {width}x{height}")
        elif header and (width, height) not in ((header.width, header.height), header.upright_size):
            raise _RecordError(
                f"the size is {width}x{height} in the record and {header.width}x{header.height} in its image"
            )
        kind = header.format if header else _decoded(cast(bytes, _single(features, "image/format") or b""), "format")
        return ImageRef(
            name=name, width=width, height=height, location=location, data=data, format=kind.lower() or None
        )

    def _boxes(self, features: dict[str, Values], image: ImageRef) -> Boxes:
        columns = [cast("list[float]", features.get("image/object/bbox/" + edge, [])) for edge in _EDGES]
        count = len(columns[0])
        for key in _COLUMNS:
            # An attribute may be missing for all boxes, and so may one of text and label.
            values = features.get(key)
            if values is not None and len(values) != count and (values or key.startswith(OBJECT + "bbox/")):
                raise _RecordError(f"{key} has {len(values)} values for {count} boxes")
        if not all(len(column) == count for column in columns):
            raise _RecordError("a box needs all of xmin, ymin, xmax, ymax")
        if not count:
            return Boxes()
        edges, labels = self._edges(columns, image), self._labels(features, count)
        try:
            attributes = read_box_attributes(features, count)
            if self._masks and features.get(MASK):
                from boxwright_tfrecord.masks import read_masks

                masks = read_masks(features[MASK], count, (image.width, image.height))
                of_boxes = attributes or [{}] * count
                attributes = [each | {"segmentation": mask} for each, mask in zip(of_boxes, masks, strict=True)]
            return Boxes(labels, edges, attributes)
        except ValueError as error:
            raise _RecordError(
                str(error), "correct the boxes; to swap coordinates in the wrong order: ?inverted=swap"
            ) from None

    def _edges(self, columns: list[list[float]], image: ImageRef) -> list[Coordinates]:
        if self._pixels:
            scaled = columns
        else:
            if _MAX_RELATIVE < max(map(max, columns)) < math.inf:
                raise _RecordError(
                    f"a coordinate is {max(map(max, columns)):g}, not in 0 to 1: these look like pixels",
                    "if they are pixels, set ?coordinates=pixels",
                )
            sizes = (image.width, image.height, image.width, image.height)
            scaled = [[_unrounded(edge * size) for edge in column] for column, size in zip(columns, sizes, strict=True)]
        edges = list(zip(*scaled, strict=True))
        if self._swap:
            edges = [
                self.swapped.sort(box) if check_coordinates(box) else box for box in cast("list[Coordinates]", edges)
            ]
        return cast("list[Coordinates]", edges)

    def _labels(self, features: dict[str, Values], count: int) -> list[str]:
        texts = cast("list[bytes]", features.get(_TEXT) or [])
        numbers = cast("list[int]", features.get(_LABEL) or [])
        return [self._label(texts[i] if texts else b"", numbers[i] if numbers else None) for i in range(count)]

    def _label(self, text: bytes, number: int | None) -> str:
        """Returns a box's class: by its text, which has priority, else by its id."""
        if text:
            label = _decoded(text, "image/object/class/text")
            if not self._by_id:
                return label
            if label in self._by_name:
                return self._by_name[label]
            raise _RecordError(
                f"the class {label!r} is not in {self._label_map_path}", "add it there, or set ?label_map=FILE"
            )
        if number is None:
            raise _RecordError("a box has neither image/object/class/text nor image/object/class/label")
        if number in self._by_id:
            return self._by_id[number]
        if self._by_id:
            raise _RecordError(
                f"the class id {number} is not in {self._label_map_path}", "add it there, or set ?label_map=FILE"
            )
        raise _RecordError(
            f"a box has the class id {number} and no name", "set the label map: ?label_map=label_map.pbtxt"
        )


_TFDS = "its records have the keys of TensorFlow Datasets, not those of the TF Object Detection API"
_NAME_REMEDY = "name images by the last part of it, or by their number in the file: ?names=basename, ?names=number"


def _single(features: dict[str, Values], key: str) -> bytes | int | None:
    values = features.get(key)
    if not values:
        return None
    if len(values) > 1:
        raise _RecordError(f"{key} has {len(values)} values instead of one")
    return cast("bytes | int", values[0])


def _decoded(text: bytes, what: str) -> str:
    try:
        return text.decode()
    except UnicodeDecodeError:
        raise _RecordError(f"{what} is not UTF-8: {text!r}") from None


def _header(data: bytes, name: str) -> Header | None:
    try:
        return jpeg_or_png_header(data, name)
    except DataError as error:
        raise _RecordError(error.problem) from None
    except ValueError as error:
        raise _RecordError(str(error)) from None


def _any_header(name: str, location: str | None, data: bytes | None) -> Header:
    """Returns the header of an image that is not in the record, or is neither JPEG nor PNG."""
    header = parse_header(location) if location else None
    if header is None:
        from boxwright.images import read_header  # Pillow, which most records do not need

        image = ImageRef(name=name, width=1, height=1, location=location, data=data)
        header = read_header(image.read(), location or name)
    return header


def _unrounded(coordinate: float) -> float:
    """Returns the number of fewest decimals (up to 3) that is the same float32, else the coordinate unchanged.

    A relative coordinate loses up to 2**-24 of itself when it is stored. This restores whole pixels exactly in images
    up to a million pixels wide, and changes no coordinate by more than 2**-22 of itself: 0.001 in 4,000 pixels.
    """
    allowed = abs(coordinate) * _FLOAT32_STEP
    if coordinate - coordinate != 0:  # NaN or infinite: Boxes reports it
        return coordinate
    for decimals in (0, 1, 2, 3):
        nearest = round(coordinate, decimals)
        if abs(coordinate - nearest) <= allowed:
            return nearest
    return coordinate


def _suffix(name: str) -> str:
    return PurePosixPath(name).suffix if is_safe_name(name) else ""


def detect(location: str) -> Detection:
    """Returns whether a location contains TFRecord files, by the checksum of the first record's length."""
    try:
        files = find_files(location)
        with open_records(files[0]) as file:
            head = file.read(HEADER_SIZE)
    except BoxwrightError as error:
        problem = error.problem if isinstance(error, DataError) else error.message
        return Detection(False, problem)
    except (OSError, EOFError) as error:
        return Detection(False, f"it cannot be read: {error}")
    what = os.path.basename(files[0])
    if is_header(head):
        first = next(read_records(files[0], check=False, may_be_empty=True), None)
        with suppress(ValueError):
            if isinstance(first, Record) and is_tfds(decode_example(first.data, lambda key: False)):
                return Detection(False, _TFDS)
        return Detection(True, f"{what} begins with a record's length and its checksum")
    return Detection(False, f"{what} does not begin with a record's length and its checksum")
