"""Writes TFRecord files for the TF Object Detection API.

Keys and values are those of the API's ``dataset_tools/create_pascal_tf_record.py``:
https://github.com/tensorflow/models/tree/master/research/object_detection/dataset_tools. What VOC does not know has the
keys of :mod:`boxwright_tfrecord.attributes`.
"""

from __future__ import annotations

import gzip
import hashlib
import os
from typing import IO, cast

from boxwright import DataError, LabelMap, Sample, UsageError
from boxwright.datasets import Output
from boxwright.storage import is_remote
from boxwright_tfrecord.attributes import add_box_attributes
from boxwright_tfrecord.example import Example
from boxwright_tfrecord.pictures import PictureHeader, is_safe_name, read_picture_header
from boxwright_tfrecord.records import write_record
from boxwright_tfrecord.shards import Sharded, check_count, parse_sharded


class TFRecordWriter:
    """Writes samples, with their pictures, as ``tf.train.Example`` records.

    Pictures are copied byte for byte. Records go to the shards in turn.

    Args:
        output: Where the files go.
        label_map: Every class that will come, with its number.
        shards: How many files; ``None`` for one, or what the target's own name says (``OUT@10``).
        compression: ``"gzip"`` or ``"none"``; a target that ends in ``.gz`` is always compressed.

    Raises:
        UsageError: ``shards`` is out of range, or says something else than the target's name.
    """

    def __init__(
        self, output: Output, label_map: LabelMap | None, shards: int | None = None, compression: str = "none"
    ) -> None:
        base, count, ending = _target(output.location, shards)
        packed = compression == "gzip" or (base + ending).lower().endswith(".gz")
        folder_length = len(base) - len(base.replace("\\", "/").rpartition("/")[2])
        names = [name[folder_length:] for name in Sharded(base, count, ending).names] or [""]
        # Closed by close(), or by the output itself after a failure.
        self._plain: list[IO[bytes]] = [output.open(name) for name in names]
        self._files = [_pack(file) for file in self._plain] if packed else self._plain
        self._classes = {item.name: item.id for item in (label_map.items if label_map else ())}
        self._names: set[str] = set()
        self._written = 0

    def write(self, sample: Sample) -> None:
        """Adds one picture with its boxes.

        Raises:
            DataError: The picture is missing, damaged, neither JPEG nor PNG, of another size than the annotation says,
                or turned by EXIF; a name is unsafe or stands twice; a class is not in the label map; a value does not
                fit the record.
        """
        name = sample.image.name
        if not is_safe_name(name):
            raise DataError(
                sample.source or name,
                f"the file name {name!r} leads outside the dataset's folder",
                "rename the picture in its annotation to a plain file name",
            )
        if name in self._names:
            raise DataError(
                sample.source or name,
                f"a picture named {name!r} was written before",
                "rename one of the two pictures: everything that reads the records tells pictures apart by name",
            )
        data = _picture_bytes(sample)
        header = _checked_header(sample, data)
        record = self._example(sample, data, header).encode()
        write_record(self._files[self._written % len(self._files)], record)
        self._names.add(name)
        self._written += 1

    def _example(self, sample: Sample, data: bytes, header: PictureHeader) -> Example:
        image, labels, edges = sample.image, sample.boxes.labels, sample.boxes.edges
        width, height = image.width, image.height
        name = image.name.encode()
        try:
            ids = [self._classes[label] for label in labels]
        except KeyError as error:
            raise DataError(
                sample.source or image.name,
                f"the class {error.args[0]!r} is not in the label map",
                "add it there, or give another label map",
            ) from None
        source_id = sample.attributes.get("source_id")
        example = Example()
        try:
            example.add_bytes("image/encoded", [data])
            example.add_bytes("image/filename", [name])
            example.add_bytes("image/format", [header.format.encode()])
            example.add_bytes("image/key/sha256", [hashlib.sha256(data).hexdigest().encode()])
            example.add_bytes("image/source_id", [name if source_id is None else str(source_id).encode()])
            example.add_ints("image/height", [height])
            example.add_ints("image/width", [width])
            example.add_floats("image/object/bbox/xmin", [edge[0] / width for edge in edges])
            example.add_floats("image/object/bbox/ymin", [edge[1] / height for edge in edges])
            example.add_floats("image/object/bbox/xmax", [edge[2] / width for edge in edges])
            example.add_floats("image/object/bbox/ymax", [edge[3] / height for edge in edges])
            example.add_bytes("image/object/class/text", [label.encode() for label in labels])
            example.add_ints("image/object/class/label", ids)
            add_box_attributes(example, sample.boxes.attributes)
        except (OverflowError, ValueError) as error:
            raise DataError(
                sample.source or image.name, f"it does not fit in a record: {error}", "correct the annotation"
            ) from None
        return example

    def close(self) -> None:
        """Finishes all files."""
        for file in self._files:
            file.close()
        for file in self._plain:
            file.close()


def _target(location: str, shards: int | None) -> Sharded:
    """The files' names; a count of 0 for one file without a number."""
    if shards is not None:
        check_count(shards, location)
    sharded = parse_sharded(location)
    if sharded is None:
        if shards is not None and not is_remote(location):
            _refuse_beside(location)
        return Sharded(location, shards or 0)
    if shards is not None and shards != sharded.number:
        raise UsageError(f"{location} says {sharded.number} shards and shards={shards}", "leave one of the two out")
    return sharded


def _refuse_beside(location: str) -> None:
    if os.path.exists(location):
        raise UsageError(
            f"{location} is there as one file, and would be read instead of its new shards", "remove it first"
        )


def _pack(file: IO[bytes]) -> IO[bytes]:
    # Level 1, because JPEG and PNG hardly shrink; no name and time, so that the same data gives the same bytes.
    return cast(IO[bytes], gzip.GzipFile(filename="", mode="wb", compresslevel=1, fileobj=file, mtime=0))


def _picture_bytes(sample: Sample) -> bytes:
    image = sample.image
    if image.data is not None:
        return image.data
    if not image.location:
        raise DataError(
            sample.source or image.name,
            f"its picture {image.name} was not found",
            "put the picture beside its annotation, or say where the pictures are: FORMAT:PLACE?images=FOLDER",
        )
    if not is_remote(image.location):
        try:
            with open(image.location, "rb", buffering=0) as file:
                return file.read()
        except OSError:
            pass  # the core says what is wrong with it
    return image.read()


def _checked_header(sample: Sample, data: bytes) -> PictureHeader:
    image = sample.image
    place = image.location or sample.source or image.name
    try:
        header = read_picture_header(data)
    except ValueError as error:
        raise DataError(place, str(error), _REPLACE) from None
    if header is None:
        if not data:
            raise DataError(place, "the file is empty", _REPLACE)
        raise DataError(
            place,
            "a record holds JPEG or PNG pictures, and this is neither",
            f"write the pictures as JPEG: --with resize:{image.width}x{image.height}",
        )
    if not header.complete:
        raise DataError(place, f"the {header.format.upper()} picture breaks off before its end", _REPLACE)
    stored, annotated = (header.width, header.height), (image.width, image.height)
    if header.orientation != 1 and annotated == header.upright_size:
        # TensorFlow's decoders do not turn pictures, so the boxes would lie across the objects.
        raise DataError(
            place,
            f"the camera marked this picture as turned (EXIF orientation {header.orientation}), which TensorFlow does"
            " not look at: its boxes would be in the wrong places",
            f"turn the pixels while converting: --with resize:{image.width}x{image.height}",
        )
    if annotated != stored:
        from boxwright.images import Header, size_mismatch

        raise size_mismatch(sample, Header(header.width, header.height, header.format, header.orientation))
    return header


_REPLACE = "replace the file, or leave it out with --on-error skip"
