"""Writes TFRecord files for the TF Object Detection API.

Keys and values are those of the API's ``dataset_tools/create_pascal_tf_record.py``:
https://github.com/tensorflow/models/tree/master/research/object_detection/dataset_tools. For attributes that Pascal VOC
does not have, see :mod:`boxwright_tfrecord.attributes`.
"""

from __future__ import annotations

import gzip
import hashlib
import os
from typing import IO, Any, cast

from boxwright import DataError, LabelMap, Sample, UsageError
from boxwright.datasets import Output
from boxwright.images import Header, check_size, is_complete
from boxwright.storage import is_remote, is_safe_name, open_regular
from boxwright_tfrecord.attributes import add_box_attributes
from boxwright_tfrecord.example import Example
from boxwright_tfrecord.header import jpeg_or_png_header
from boxwright_tfrecord.records import write_record
from boxwright_tfrecord.shards import Sharded, check_count, parse_sharded


class TFRecordWriter:
    """Writes samples, with or without their images, as ``tf.train.Example`` records.

    Images are copied byte for byte; any image is possible outside the records. The shards take turns.

    Args:
        output: Where the files are written.
        label_map: All classes, with their ids.
        shards: Number of files; ``None`` for one, or the number in the target's name (``OUT@10``).
        compression: ``"gzip"`` or ``"none"``; a target that ends in ``.gz`` is always compressed.
        images: ``"embed"`` if the records contain the images.

    Raises:
        UsageError: ``shards`` is out of range, or differs from the number in the target's name.
    """

    def __init__(
        self,
        output: Output,
        label_map: LabelMap | None,
        shards: int | None = None,
        compression: str = "none",
        images: str = "embed",
    ) -> None:
        base, count, ending = _target(output.location, shards)
        packed = compression == "gzip" or (base + ending).lower().endswith(".gz")
        folder_length = len(base) - len(base.replace("\\", "/").rpartition("/")[2])
        names = [name[folder_length:] for name in Sharded(base, count, ending).names] or [""]
        # Closed by close(), or by the output itself after a failure.
        self._plain: list[IO[bytes]] = [output.open(name) for name in names]
        self._files = [_pack(file) for file in self._plain] if packed else self._plain
        self._classes = {item.name: item.id for item in (label_map.items if label_map else ())}
        self._embeds = images == "embed"
        self._names: set[str] = set()
        self._written = 0

    def __getstate__(self) -> dict[str, Any]:
        """Leaves out the files: a copy on another machine prepares samples and writes nothing."""
        return {"_classes": self._classes, "_embeds": self._embeds}

    def write(self, sample: Sample) -> None:
        """Writes one image with its boxes.

        Raises:
            DataError: As :meth:`prepare`, or a name is a duplicate.
        """
        name = sample.image.name
        if name in self._names:
            raise DataError(
                sample.source or name,
                f"duplicate image {name!r}",
                "rename one of the two images: programs that read the records tell images apart by name",
            )
        self.put(self.prepare(sample))

    def prepare(self, sample: Sample) -> tuple[str, bytes]:
        """Returns the name of an image and its record.

        Raises:
            DataError: The image is of another size than in the annotation, or rotated by EXIF; or it is missing,
                damaged, or neither JPEG nor PNG, and the record would contain it. The name is unsafe; a class is
                not in the label map; a value does not fit in the record.
        """
        name = sample.image.name
        if not is_safe_name(name):
            raise DataError(
                sample.source or name,
                f"the file name {name!r} leads outside the dataset's folder",
                "rename the image in its annotation to a plain file name",
            )
        return name, self._example(sample).encode()

    def put(self, prepared: tuple[str, bytes]) -> None:
        """Writes what :meth:`prepare` returned."""
        name, record = prepared
        write_record(self._files[self._written % len(self._files)], record)
        self._names.add(name)
        self._written += 1

    def _example(self, sample: Sample) -> Example:
        if self._embeds:
            data = _image_bytes(sample)
            header = _checked_header(sample, data)
        else:
            check_size(sample)
        image, labels, edges = sample.image, sample.boxes.labels, sample.boxes.coordinates
        width, height = image.width, image.height
        name = image.name.encode()
        try:
            ids = [self._classes[label] for label in labels]
        except KeyError as error:
            raise DataError(
                sample.source or image.name,
                f"the class {error.args[0]!r} is not in the label map",
                "add it there, or set another label map",
            ) from None
        source_id = sample.attributes.get("source_id")
        example = Example()
        try:
            if self._embeds:
                example.add_bytes("image/encoded", [data])
            example.add_bytes("image/filename", [name])
            if self._embeds:
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
        """Closes all files."""
        for file in self._files:
            file.close()
        for file in self._plain:
            file.close()


def _target(location: str, shards: int | None) -> Sharded:
    """Returns the names of the files; a count of 0 for one file without a number."""
    if shards is not None:
        check_count(shards, location)
    sharded = parse_sharded(location)
    if sharded is None:
        if shards is not None and not is_remote(location):
            _refuse_existing(location)
        return Sharded(location, shards or 0)
    if shards is not None and shards != sharded.number:
        raise UsageError(f"{location} means {sharded.number} shards, and shards={shards}", "leave one of the two out")
    return sharded


def _refuse_existing(location: str) -> None:
    if os.path.exists(location):
        raise UsageError(
            f"{location} exists as one file, and would be read instead of its new shards", "remove it first"
        )


def _pack(file: IO[bytes]) -> IO[bytes]:
    # Level 1, because JPEG and PNG hardly shrink; no name and time, so that equal data has equal bytes.
    return cast(IO[bytes], gzip.GzipFile(filename="", mode="wb", compresslevel=1, fileobj=file, mtime=0))


def _image_bytes(sample: Sample) -> bytes:
    image = sample.image
    if image.data is not None:
        return image.data
    if not image.location:
        raise DataError(
            sample.source or image.name,
            f"the image {image.name} was not found",
            "put the image next to its annotation, or set the images' folder: FORMAT:LOCATION?images=FOLDER",
        )
    if not is_remote(image.location):
        try:
            with open(image.location, "rb", buffering=0, opener=open_regular) as file:
                return file.read()
        except OSError:
            pass  # the core reports the error
    return image.read()


def _checked_header(sample: Sample, data: bytes) -> Header:
    image = sample.image
    place = image.location or sample.source or image.name
    try:
        header = jpeg_or_png_header(data, place)
    except ValueError as error:
        raise DataError(place, str(error), _REPLACE) from None
    if header is None:
        if not data:
            raise DataError(place, "the file is empty", _REPLACE)
        raise DataError(
            place,
            "the image is neither JPEG nor PNG, and a record can contain no other format",
            f"write the images as JPEG: --with resize:{image.width}x{image.height},fit=inside",
        )
    if not is_complete(data):
        raise DataError(place, "the image is cut off", _REPLACE)
    annotated = (image.width, image.height)
    if header.orientation != 1 and annotated == header.upright_size:
        # TensorFlow's decoders do not rotate images, so the boxes would not be on the objects.
        raise DataError(
            place,
            f"the image has EXIF orientation {header.orientation}, which TensorFlow ignores: its boxes would be in the"
            " wrong places",
            "rotate the pixels while converting: --with upright",
        )
    if annotated != (header.width, header.height):
        from boxwright.images import size_mismatch  # with Pillow and NumPy, which most conversions do not need

        raise size_mismatch(sample, header)
    return header


_REPLACE = "replace the file, or leave it out with --on-error skip"
