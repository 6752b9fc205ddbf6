"""TFLite Metadata: the normalization of a ``.tflite`` file's input, and its classes.

The schema is tensorflow_lite_support/metadata/metadata_schema.fbs (version 1.0.0, ``M001``), the flatbuffer that
Android's Task Library and MediaPipe read: ``NormalizationOptions`` of the input, and a file of labels, one line per
class from 0, in a zip archive after the model, whose name is at the tensor of classes. The schema has no field for the
padding of an image, which is in a separate entry.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import flatbuffers
import numpy as np
from flatbuffers import number_types
from flatbuffers.table import Table

NAME = b"TFLITE_METADATA"
RESIZER = b"BOXWRIGHT_RESIZER"
LABELS = "labels.txt"
UNNAMED = "???"
"""The line in a file of labels for an id without a class."""

_IDENTIFIER = b"M001"
_VERSION = "1.0.0"
_NORMALIZATION = 1  # of the union ProcessUnitOptions
_IMAGE, _BOX, _RGB = 2, 3, 1  # of the union ContentProperties; of ColorSpaceType
_BOUNDARIES = 1  # of BoundingBoxType
_PIXEL = 1  # of CoordinateType
_YXYX = (1, 0, 3, 2)  # the places of left, top, right and bottom in ymin xmin ymax xmax
_XYXY = (0, 1, 2, 3)
_AXIS_LABELS, _VALUE_LABELS = 2, 3  # of AssociatedFileType
_LONGEST_LABELS = 10_000_000


@dataclass(frozen=True)
class Metadata:
    """The normalization, classes and padding of a model.

    Attributes:
        mean: Per channel, or one for all, of pixels 0..255; empty if the file does not define it.
        std: The same for the standard deviation; the model takes ``(pixel - mean) / std``.
        labels: The names of the classes from 0; empty if the file does not define them.
        resizer: Empty if an image is stretched to the input; else ``min_dimension``, ``max_dimension`` and ``pad`` of
            the API's ``keep_aspect_ratio_resizer``.
    """

    mean: Sequence[float] = ()
    std: Sequence[float] = ()
    labels: Sequence[str] = ()
    resizer: dict[str, Any] = field(default_factory=dict)


def build(
    metadata: Metadata, outputs: Sequence[str], boxes: int, classes: int, description: str, *, suppressed: bool = True
) -> bytes:
    """Returns the flatbuffer ``ModelMetadata`` of a detector with the input ``image``.

    Args:
        metadata: The content.
        outputs: The names of the model's outputs.
        boxes: The index of the output with the boxes.
        classes: The index of the output with the classes, or with the scores of all classes.
        description: The description of the model.
        suppressed: Whether the outputs are detections, ``ymin xmin ymax xmax`` relative to the input, with the numbers
            of their classes; or boxes of all anchors, ``xyxy`` in pixels of it, with the scores of all classes.
    """
    builder = flatbuffers.Builder(1024)
    text = builder.CreateString
    normalization = _table(builder, {0: _floats(builder, metadata.mean), 1: _floats(builder, metadata.std)})
    unit = _table(builder, {1: normalization}, {0: _NORMALIZATION})
    image = _table(builder, {}, {0: _RGB})
    content = _table(builder, {1: image}, {0: _IMAGE})
    described = {0: text("image"), 3: content, 4: _tables(builder, [unit])}
    labels = _tables(builder, [_table(builder, {0: text(LABELS)}, {2: _VALUE_LABELS if suppressed else _AXIS_LABELS})])
    order, unit_of = (_YXYX, 0) if suppressed else (_XYXY, _PIXEL)
    box = _table(builder, {0: _numbers(builder, order)}, {1: _BOUNDARIES, 2: unit_of})
    more = {boxes: {3: _table(builder, {1: box}, {0: _BOX})}, classes: {6: labels}}
    found = [_table(builder, {0: text(name)} | more.get(number, {})) for number, name in enumerate(outputs)]
    graph = {2: _tables(builder, [_table(builder, described)]), 3: _tables(builder, found)}
    model = {
        0: text("ObjectDetector"),
        1: text(description),
        3: _tables(builder, [_table(builder, graph)]),
        7: text(_VERSION),
    }
    builder.Finish(_table(builder, model), file_identifier=_IDENTIFIER)
    return bytes(builder.Output())


def parse(content: bytes, model: bytes) -> Metadata:
    """Parses a ``ModelMetadata``.

    Args:
        content: The flatbuffer.
        model: The ``.tflite`` file, with the archive of associated files at its end.

    Raises:
        ValueError: Either is damaged.
    """
    mean: list[float] = []
    std: list[float] = []
    labels: list[str] = []
    for graph in _Reader.root(content).tables(3):
        for tensor in graph.tables(2)[:1]:
            for unit in tensor.tables(4):
                if unit.number(0) == _NORMALIZATION:
                    mean, std = unit.table(1).floats(0), unit.table(1).floats(1)
        for tensor in graph.tables(3):
            for file in tensor.tables(6):
                if file.number(2) in (_AXIS_LABELS, _VALUE_LABELS) and not labels:
                    labels = unpack(model, file.text(0))
    return Metadata(mean, std, labels)


def pack(model: Any, entries: Mapping[bytes, bytes], labels: Sequence[str]) -> bytes:
    """Returns a ``.tflite`` file with entries of metadata, and with a file of labels after it.

    Args:
        model: The ``ModelT`` of ``ai_edge_litert.schema_py_generated``, to which the entries are added.
        entries: The content of each entry by its name.
        labels: The names of the classes from 0.
    """
    from ai_edge_litert import schema_py_generated as schema
    from ai_edge_litert.tools import flatbuffer_utils

    for name, content in entries.items():
        buffer, entry = schema.BufferT(), schema.MetadataT()
        buffer.data = np.frombuffer(content, np.uint8)
        entry.name, entry.buffer = name, len(model.buffers)
        model.buffers.append(buffer)
        model.metadata = [*(model.metadata or ()), entry]
    file = io.BytesIO(flatbuffer_utils.convert_object_to_bytearray(model))
    with zipfile.ZipFile(file, "a") as archive:
        # With a fixed date, so that equal models have equal files.
        archive.writestr(zipfile.ZipInfo(LABELS), "\n".join(labels) + "\n")
    return file.getvalue()


def unpack(content: bytes, name: str) -> list[str]:
    """Returns the lines of a file in the archive after a model.

    Raises:
        ValueError: The file is missing, or damaged.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive, archive.open(name) as file:
            return lines(file.read(_LONGEST_LABELS).decode("utf-8"))
    except (zipfile.BadZipFile, KeyError, OSError, RuntimeError, NotImplementedError, EOFError) as error:
        raise ValueError(f"its labels {name!r} are missing: {error}") from None


def lines(text: str) -> list[str]:
    """Returns the labels of a text, one line per class from 0, without the background that some begin with."""
    found = [line.strip() for line in text.removeprefix("\ufeff").rstrip().split("\n")]
    return found[1:] if found[0] in (UNNAMED, "background") else found


def resizer_entry(settings: dict[str, Any]) -> bytes:
    """Encodes the entry with the padding of an image."""
    return json.dumps(settings, sort_keys=True).encode()


def resizer(content: bytes) -> dict[str, Any]:
    """Decodes the entry with the padding of an image.

    Raises:
        ValueError: The entry is damaged.
    """
    try:
        found = json.loads(content)
        pad = [float(value) for value in found["pad"]]
        shortest, longest = int(found["min_dimension"]), int(found["max_dimension"])
    except (KeyError, TypeError) as error:
        raise ValueError(f"its entry {RESIZER.decode()} is damaged: {error!r}") from None
    if len(pad) != 3 or not 0 < shortest <= longest:
        raise ValueError(f"its entry {RESIZER.decode()} is damaged")
    return {"min_dimension": shortest, "max_dimension": longest, "pad": pad}


def _table(builder: Any, parts: dict[int, int], numbers: dict[int, int] | None = None) -> int:
    """Writes one table: references to other parts, and bytes, by their index in the schema."""
    numbers = numbers or {}
    builder.StartObject(1 + max([*parts, *numbers]))
    for slot, offset in parts.items():
        builder.PrependUOffsetTRelativeSlot(slot, offset, 0)
    for slot, value in numbers.items():
        builder.PrependUint8Slot(slot, value, 0)
    return int(builder.EndObject())


def _tables(builder: Any, offsets: Sequence[int]) -> int:
    builder.StartVector(4, len(offsets), 4)
    for offset in reversed(offsets):
        builder.PrependUOffsetTRelative(offset)
    return int(builder.EndVector())


def _floats(builder: Any, values: Sequence[float]) -> int:
    return int(builder.CreateNumpyVector(np.asarray(values, np.float32)))


def _numbers(builder: Any, values: Sequence[int]) -> int:
    return int(builder.CreateNumpyVector(np.asarray(values, np.uint32)))


class _Reader(Table):
    """A table of a flatbuffer, whose fields are read by their index in the schema."""

    @classmethod
    def root(cls, content: bytes) -> _Reader:
        if content[4:8] != _IDENTIFIER:
            raise ValueError("its TFLite Metadata does not begin with M001")
        return cls(content, int.from_bytes(content[:4], "little"))

    def _place(self, slot: int) -> int:
        offset = self.Offset(4 + 2 * slot)
        return int(offset + self.Pos) if offset else 0

    def number(self, slot: int) -> int:
        place = self._place(slot)
        return int(self.Get(number_types.Uint8Flags, place)) if place else 0

    def text(self, slot: int) -> str:
        place = self._place(slot)
        return bytes(self.String(place)).decode("utf-8") if place else ""

    def table(self, slot: int) -> _Reader:
        place = self._place(slot)
        if not place:
            raise ValueError("its TFLite Metadata is incomplete")
        return _Reader(self.Bytes, self.Indirect(place))

    def tables(self, slot: int) -> list[_Reader]:
        return [_Reader(self.Bytes, self.Indirect(place)) for place in self._elements(slot)]

    def floats(self, slot: int) -> list[float]:
        return [float(self.Get(number_types.Float32Flags, place)) for place in self._elements(slot)]

    def _elements(self, slot: int) -> Iterator[int]:
        place = self._place(slot)
        if not place:
            return iter(())
        offset = place - self.Pos
        start, count = self.Vector(offset), self.VectorLen(offset)
        if start + 4 * count > len(self.Bytes):
            raise ValueError("its TFLite Metadata is cut off")
        return iter(range(start, start + 4 * count, 4))
