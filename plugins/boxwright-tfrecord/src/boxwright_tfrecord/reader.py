"""Reads TFRecord files of the TF Object Detection API."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import cast

from boxwright import (
    Boxes,
    BoxwrightError,
    DataError,
    DatasetInfo,
    Edges,
    ImageRef,
    LabelMap,
    Sample,
    check_edges,
    find_label_map,
    in_order,
    read_label_map,
)
from boxwright.datasets import OnProblem
from boxwright.plugins import Detection
from boxwright.storage import join, parent, read_file
from boxwright_tfrecord.attributes import (
    FLAGS,
    MASK,
    OBJECT,
    VIEW,
    is_read,
    passed_over,
    read_box_attributes,
    read_image_attributes,
)
from boxwright_tfrecord.example import Values, decode_example
from boxwright_tfrecord.pictures import PictureHeader, is_safe_name, read_picture_header
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
    """What is wrong with a record, and what to do about it."""

    def __init__(self, problem: str, remedy: str = _LEAVE_OUT) -> None:
        super().__init__(problem, remedy)
        self.problem = problem
        self.remedy = remedy


class TFRecordReader:
    """Reads the samples of one or more record files, one record in memory at a time.

    Args:
        location: A file, a sharded set (``X@10``, ``X-?????-of-00010``), a pattern, or a folder.
        label_map: The label map file; ``None`` takes ``label_map.pbtxt`` beside the records if it is there.
        images: Folder of the pictures that the records do not hold; ``None`` for the folder of the records.
        names: ``"filename"`` names pictures by ``image/filename``, ``"basename"`` by the last part of that,
            ``"number"`` by file and record number.
        coordinates: ``"relative"`` (0..1, the standard) or ``"pixels"``.
        inverted: ``"error"`` or ``"swap"`` for boxes whose edges are in the wrong order.
        crc: Whether to check the records' checksums.
        masks: Whether ``image/object/mask`` becomes each box's ``segmentation``, run lengths as COCO has them.

    Raises:
        DataError: There are no record files at the location, a shard is missing, or the label map cannot be read.
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
        self._images = self._folder if images is None else images
        self._names = names
        self._pixels = coordinates == "pixels"
        self._swap = inverted == "swap"
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
        """The label map and its file; Roboflow puts ``NAME_label_map.pbtxt`` beside ``NAME.tfrecord``."""
        # A dataset without boxes has no classes: its label map is an empty file.
        if given is not None or read_file(join(self._folder, "label_map.pbtxt")) != b"":
            found = find_label_map(given, self._folder)
            if found[0] is not None:
                return found
        path = join(self._folder, f"{stem_of(self._files[0])}_label_map.pbtxt")
        classes = read_label_map(path)
        return classes, path if classes is not None else ""

    def _notes(self) -> tuple[str, ...]:
        """What the first record has that is not read."""
        first = next(read_records(self._files[0], check=False, may_be_empty=True), None)
        try:
            keys = decode_example(first.data, lambda key: False) if isinstance(first, Record) else {}
        except ValueError:
            keys = {}
        unread = [key for key in passed_over(keys) if not (self._masks and key == MASK)]
        return (f"keys of its records that are not read: {', '.join(unread)}",) if unread else ()

    def read(self, on_problem: OnProblem) -> Iterator[Sample]:
        """Yields every sample, file by file; see :meth:`boxwright.datasets.protocols.Reader.read`."""
        seen: set[str] = set()
        for path in self._files:
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
            raise _RecordError(f"it is no tf.train.Example: {error}") from None
        for key, values in features.items():
            if values and key in _KINDS and not isinstance(values[0], _KINDS[key]):
                raise _RecordError(f"{key} holds {_KIND_NAMES[type(values[0])]}, not {_KIND_NAMES[_KINDS[key]]}")
        data = cast(bytes, _single(features, "image/encoded")) or None
        header = _header_of(data) if data is not None else None
        filename = _decoded(cast(bytes, _single(features, "image/filename") or b""), "image/filename")
        if not filename and not any(key.startswith(OBJECT) for key in features):
            keys = ", ".join(features)
            raise _RecordError(f"it has no image/filename; its keys are: {keys[:_LONGEST]}", "is this such a dataset?")
        name = self._name(filename, path, record, header)
        if name in seen:
            raise _RecordError(f"a picture named {name!r} came before", _NAME_REMEDY)
        image = self._image(features, name, filename, data, header)
        boxes = self._boxes(features, image)
        try:
            attributes = read_image_attributes(features, filename)
        except ValueError as error:
            raise _RecordError(str(error)) from None
        return Sample(image=image, boxes=boxes, attributes=attributes, source=f"{path}, record {record.number}")

    def _wanted(self, key: str) -> bool:
        return key == MASK or is_read(key)

    def _name(self, filename: str, path: str, record: Record, header: PictureHeader | None) -> str:
        if self._names == "number":
            stem = path.replace("\\", "/").rpartition("/")[2]
            ending = {"jpeg": ".jpg", "png": ".png"}.get(header.format if header else "") or _suffix(filename)
            return f"{stem}-{record.number:06d}{ending}"
        if not filename:
            raise _RecordError("it has no image/filename", _NAME_REMEDY)
        if self._names == "basename":
            return filename.replace("\\", "/").rpartition("/")[2] or "picture"
        if not is_safe_name(filename):
            raise _RecordError(f"the file name {filename!r} leads outside the dataset's folder", _NAME_REMEDY)
        return filename

    def _image(
        self, features: dict[str, Values], name: str, filename: str, data: bytes | None, header: PictureHeader | None
    ) -> ImageRef:
        location = None
        if data is None:
            outside = name if self._names == "basename" else filename
            if not outside or not is_safe_name(outside):
                raise _RecordError(f"it holds no picture, and its file name is {filename!r}", _NAME_REMEDY)
            location = join(self._images, outside)
        width, height = (cast("int | None", _single(features, key)) for key in ("image/width", "image/height"))
        if width is None or height is None:
            width, height = (header.width, header.height) if header else _size_by_pillow(name, location, data)
        elif width < 1 or height < 1:
            raise _RecordError(f"the picture's size is {width}x{height}")
        elif header and (width, height) not in ((header.width, header.height), header.upright_size):
            raise _RecordError(f"the record says {width}x{height} and its picture is {header.width}x{header.height}")
        kind = header.format if header else _decoded(cast(bytes, _single(features, "image/format") or b""), "format")
        return ImageRef(
            name=name, width=width, height=height, location=location, data=data, format=kind.lower() or None
        )

    def _boxes(self, features: dict[str, Values], image: ImageRef) -> Boxes:
        columns = [cast("list[float]", features.get("image/object/bbox/" + edge, [])) for edge in _EDGES]
        count = len(columns[0])
        for key in _COLUMNS:
            # Attributes may be left out as a whole, and so may one of text and label.
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
            raise _RecordError(str(error), "correct the boxes; for edges in the wrong order: ?inverted=swap") from None

    def _edges(self, columns: list[list[float]], image: ImageRef) -> list[Edges]:
        if self._pixels:
            scaled = columns
        else:
            if _MAX_RELATIVE < max(map(max, columns)) < math.inf:
                raise _RecordError(
                    f"an edge is {max(map(max, columns)):g}, where 0 to 1 is expected: these look like pixels",
                    "if they are pixels, read with ?coordinates=pixels",
                )
            sizes = (image.width, image.height, image.width, image.height)
            scaled = [[_unrounded(edge * size) for edge in column] for column, size in zip(columns, sizes, strict=True)]
        edges = list(zip(*scaled, strict=True))
        if self._swap:
            edges = [in_order(box) if check_edges(box) else box for box in cast("list[Edges]", edges)]
        return cast("list[Edges]", edges)

    def _labels(self, features: dict[str, Values], count: int) -> list[str]:
        texts = cast("list[bytes]", features.get(_TEXT) or [])
        numbers = cast("list[int]", features.get(_LABEL) or [])
        return [self._label(texts[i] if texts else b"", numbers[i] if numbers else None) for i in range(count)]

    def _label(self, text: bytes, number: int | None) -> str:
        """A box's class: by its text, which holds whatever the numbers say, else by its number."""
        if text:
            label = _decoded(text, "image/object/class/text")
            if not self._by_id:
                return label
            if label in self._by_name:
                return self._by_name[label]
            raise _RecordError(
                f"the class {label!r} is not in {self._label_map_path}", "add it there, or read with ?label_map=FILE"
            )
        if number is None:
            raise _RecordError("a box has neither image/object/class/text nor image/object/class/label")
        if number in self._by_id:
            return self._by_id[number]
        if self._by_id:
            raise _RecordError(
                f"the class number {number} is not in {self._label_map_path}",
                "add it there, or read with ?label_map=FILE",
            )
        raise _RecordError(
            f"the box has class number {number} and no name", "say what the numbers mean: ?label_map=label_map.pbtxt"
        )


_NAME_REMEDY = "name pictures by the last part of it, or by their place in the file: ?names=basename, ?names=number"


def _single(features: dict[str, Values], key: str) -> bytes | int | None:
    values = features.get(key)
    if not values:
        return None
    if len(values) > 1:
        raise _RecordError(f"{key} has {len(values)} values, where one is expected")
    return cast("bytes | int", values[0])


def _decoded(text: bytes, what: str) -> str:
    try:
        return text.decode()
    except UnicodeDecodeError:
        raise _RecordError(f"{what} is not UTF-8: {text!r}") from None


def _header_of(data: bytes) -> PictureHeader | None:
    try:
        return read_picture_header(data)
    except ValueError as error:
        raise _RecordError(str(error)) from None


def _size_by_pillow(name: str, location: str | None, data: bytes | None) -> tuple[int, int]:
    """The stored size of a picture that lies outside, or is neither JPEG nor PNG; TensorFlow knows no other."""
    from boxwright.images import read_header

    if data is None:
        data = ImageRef(name=name, width=1, height=1, location=location).read()
    header = read_header(data, location or name)
    return header.width, header.height


def _unrounded(edge: float) -> float:
    """The number of fewest decimals (up to 3) that float32 cannot tell from ``edge``, else ``edge`` itself.

    A relative coordinate loses up to 2**-24 of itself when it is stored. This gives whole pixels back exactly for
    pictures up to a million pixels wide, and moves no edge by more than 2**-22 of itself: 0.001 in 4,000 pixels.
    """
    allowed = abs(edge) * _FLOAT32_STEP
    if edge - edge != 0:  # NaN or infinite: the boxes' own check says so
        return edge
    for decimals in (0, 1, 2, 3):
        nearest = round(edge, decimals)
        if abs(edge - nearest) <= allowed:
            return nearest
    return edge


def _suffix(name: str) -> str:
    return PurePosixPath(name).suffix if is_safe_name(name) else ""


def detect(location: str) -> Detection:
    """Whether a location holds TFRecord files, by the checksum of the first record's length."""
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
        return Detection(True, f"{what} begins with a record's length and its checksum")
    return Detection(False, f"{what} does not begin with a record's length and its checksum")
