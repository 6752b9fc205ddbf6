"""SSD models for TensorFlow Lite (now LiteRT): ``.tflite`` files as models, run without TensorFlow.

Such a file takes one picture of one size, ``(1, height, width, 3)``, and ends in the custom operation
``TFLite_Detection_PostProcess``, whose outputs are boxes ``(1, N, 4)``, ``ymin xmin ymax xmax`` as shares of the input,
classes ``(1, N)`` from 0 without background, scores ``(1, N)`` and the number of detections ``(1,)``
(tensorflow/lite/kernels/detection_postprocess.cc).
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter
from ai_edge_litert.tools import flatbuffer_utils
from numpy.typing import NDArray

from boxwright import DataError, LabelMap, LabelMapItem, LogReporter, RunError, Sample
from boxwright_tf.quiet import quiet_import, quiet_stderr
from boxwright_tfod import tflite_metadata
from boxwright_tfod.detections import ExportedModel, Prepared, decoded
from boxwright_tfod.recognise import POSTPROCESS
from boxwright_tfod.tflite_metadata import Metadata

USUAL = 127.5
"""Mean and standard deviation of MobileNet and Inception, which bring pixels to -1..1."""

OFFSET = 1
"""From the classes of TensorFlow Lite to the numbers of a label map, of which the API keeps 0 for the background."""

_OUTPUTS = ("location", "category", "score", "number of detections")
_THREADS = 1
"""With more, the operation leaves out the class whose index is the number of threads (detection_postprocess.cc: the
counter ``next_col`` begins at that number and is raised before it is used)."""
_DAMAGE = (ValueError, TypeError, IndexError, AttributeError, KeyError, struct.error, OverflowError, MemoryError)


class File:
    """The content of a ``.tflite`` file, taken apart without running anything.

    Args:
        path: Where it is.

    Raises:
        DataError: It is not there, damaged, or not a detector with one picture as its input.

    Attributes:
        content: All bytes.
        places: The tensors with boxes, classes, scores and their number.
        metadata: What it says of itself.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self.content = path.read_bytes()
        except OSError as error:
            raise DataError(path, error.strerror or str(error), "check the path") from None
        if self.content[4:8] != b"TFL3":
            raise DataError(path, "it is no TensorFlow Lite model", "give a .tflite file")
        try:
            self._model = flatbuffer_utils.read_model_from_bytearray(self.content)
            self._check_whole()
            self._graph = self._model.subgraphs[0]
            self.places = self._postprocess()
            self.metadata = self._metadata()
        except _DAMAGE as error:
            raise DataError(path, f"it is damaged: {error}", "copy or export it again") from None

    def _check_whole(self) -> None:
        """What is cut off at its end is cut off of the weights, which are read as they are needed."""
        raw = schema.Model.GetRootAs(self.content)
        for number in range(raw.BuffersLength()):
            buffer = raw.Buffers(number)
            buffer.DataAsNumpy()  # raises a ValueError where it reaches beyond the end
            if buffer.Offset() + buffer.Size() > len(self.content):
                raise ValueError("it is cut off")

    def _postprocess(self) -> list[int]:
        codes = [code.customCode for code in self._model.operatorCodes]
        for operator in self._graph.operators:
            if codes[operator.opcodeIndex] == POSTPROCESS:
                return [int(place) for place in operator.outputs]
        raise DataError(
            self.path,
            f"it has no {POSTPROCESS.decode()}: it is of another kind than SSD, or another program exported it",
            "give what the API's export_tflite_graph_tf2.py made, or boxwright export --to tfod-tflite",
        )

    def _metadata(self) -> Metadata:
        entries = {entry.name: self._model.buffers[entry.buffer].data for entry in self._model.metadata or ()}
        found = entries.get(tflite_metadata.NAME)
        metadata = Metadata() if found is None else tflite_metadata.parse(bytes(found), self.content)
        padded = entries.get(tflite_metadata.RESIZER)
        resizer = {} if padded is None else tflite_metadata.resizer(bytes(padded))
        return Metadata(metadata.mean, metadata.std, metadata.labels, resizer)

    def with_metadata(self, metadata: Metadata) -> bytes:
        """The file with what has to be known to use it."""
        outputs = list(self._graph.outputs)
        names = dict(zip(self.places, _OUTPUTS, strict=True))
        boxes, classes = (outputs.index(place) for place in self.places[:2])
        described = tflite_metadata.build(metadata, ["image"], [names[place] for place in outputs], boxes, classes)
        entries = {tflite_metadata.NAME: described}
        if metadata.resizer:
            entries[tflite_metadata.RESIZER] = tflite_metadata.resizer_entry(metadata.resizer)
        for name, content in entries.items():
            buffer, entry = schema.BufferT(), schema.MetadataT()
            buffer.data = np.frombuffer(content, np.uint8)
            entry.name, entry.buffer = name, len(self._model.buffers)
            self._model.buffers.append(buffer)
            self._model.metadata = [*(self._model.metadata or ()), entry]
        written = flatbuffer_utils.convert_object_to_bytearray(self._model)
        return tflite_metadata.pack(bytes(written), metadata.labels)


class TFLiteDetector(ExportedModel):
    """A ``.tflite`` file as a model, in LiteRT's interpreter.

    A picture is resized as the API does it, and prepared as the file's TFLite Metadata say. If it has none, pixels are
    brought to -1..1, which is right for MobileNet and is said.

    Args:
        file: The file.
        label_map: The classes; class 0 of the file is number 1 of it.

    Raises:
        DataError: Its input is no picture.
        RunError: The interpreter cannot run it.
    """

    def __init__(self, file: File, label_map: LabelMap) -> None:
        super().__init__(label_map)
        self._places, metadata = file.places, file.metadata
        try:
            with quiet_stderr():
                self._interpreter = Interpreter(model_content=file.content, num_threads=_THREADS)
                self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise RunError(f"{file.path} cannot be run by LiteRT: {error}", "export it again") from None
        inputs = self._interpreter.get_input_details()
        self._input, shape = inputs[0]["index"], inputs[0]["shape"].tolist()
        if len(inputs) != 1 or len(shape) != 4 or shape[0] != 1 or shape[3] != 3 or min(shape) < 1:
            raise DataError(file.path, f"its input is no picture in colour, but {shape}", "give a detector")
        self._size = shape[1], shape[2]
        self._type, self._quantization = inputs[0]["dtype"], inputs[0]["quantization"]
        self._resizer = metadata.resizer
        if not metadata.mean and self._type == np.float32:
            LogReporter().warning(
                f"{file.path} does not say how its pixels are prepared; (pixel - {USUAL}) / {USUAL} is taken, which is"
                " right for MobileNet and wrong for ResNet."
            )
        self._mean = np.asarray(metadata.mean or [USUAL], np.float32)
        self._std = np.asarray(metadata.std or [USUAL], np.float32)

    @property
    def prepared(self) -> Callable[[Sample], Prepared]:
        """Decodes as the API does where TensorFlow is installed, and else as Pillow does."""
        if find_spec("tensorflow") is None:
            return pillow_pixels
        with quiet_import():
            from boxwright_tfod.detector import tensorflow_pixels
        return tensorflow_pixels

    def found(self, pixels: NDArray[np.uint8]) -> dict[str, NDArray[Any]]:
        """What the model says of one picture, uint8 ``(height, width, 3)``."""
        shown = self._shown(pixels.shape[:2])
        values = (resized(pixels, shown) - self._mean) / self._std
        if shown != self._size:
            values = padded(values, self._size, self._resizer["pad"])
        self._interpreter.set_tensor(self._input, self._quantized(values)[None])
        self._interpreter.invoke()
        boxes, classes, scores, number = (self._interpreter.get_tensor(place) for place in self._places)
        count = int(number[0])
        share = np.array([shown[0] / self._size[0], shown[1] / self._size[1]] * 2, np.float32)
        return {
            "detection_boxes": boxes[0, :count] / share,
            "detection_classes": classes[0, :count] + OFFSET,
            "detection_scores": scores[0, :count],
        }

    def _shown(self, size: tuple[int, ...]) -> tuple[int, int]:
        """Height and width that a picture has within the input."""
        if not self._resizer:
            return self._size
        return within(size, self._resizer["min_dimension"], self._resizer["max_dimension"])

    def _quantized(self, values: NDArray[np.float32]) -> NDArray[Any]:
        if self._type == np.float32:
            return values.astype(np.float32)
        scale, zero = self._quantization
        limits = np.iinfo(self._type)
        steps = np.round(values / scale + zero) if scale else values
        return np.clip(steps, limits.min, limits.max).astype(self._type)


def pillow_pixels(sample: Sample) -> Prepared:
    """A sample with its picture as Pillow decodes it."""
    picture, _ = decoded(sample)
    return sample, picture, np.asarray(picture.image)


def resized(pixels: NDArray[Any], size: tuple[int, int]) -> NDArray[np.float32]:
    """A picture stretched as the API does it.

    That is ``tf.compat.v1.image.resize_bilinear`` without ``half_pixel_centers``: the value at ``row * old / new`` and
    ``column * old / new``, of the four pixels around it (tensorflow/core/kernels/image/resize_bilinear_op.cc).

    Args:
        pixels: ``(height, width, 3)``.
        size: The new height and width.

    Returns:
        float32 of the new size.
    """
    (rows, below, down), (columns, right, across) = (
        _between(old, new) for old, new in zip(pixels.shape, size, strict=False)
    )
    across, down = across[None, :, None], down[:, None, None]

    def line(at: NDArray[np.intp]) -> NDArray[np.float32]:
        whole = pixels[at]
        left = whole[:, columns].astype(np.float32)
        values: NDArray[np.float32] = left + (whole[:, right].astype(np.float32) - left) * across
        return values

    top = line(rows)
    values: NDArray[np.float32] = top + (line(below) - top) * down
    return values


def _between(old: int, new: int) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float32]]:
    """The pixels before and after each new one along a side, and how far it is from the first."""
    place = np.arange(new, dtype=np.float32) * (np.float32(old) / np.float32(new))
    before = np.floor(place).astype(np.intp)
    return np.minimum(before, old - 1), np.minimum(before + 1, old - 1), place - before.astype(np.float32)


def within(size: tuple[int, ...], shortest: int, longest: int) -> tuple[int, int]:
    """Height and width of a picture in a ``keep_aspect_ratio_resizer`` (object_detection/core/preprocessor.py).

    Args:
        size: Height and width of the picture.
        shortest: Its ``min_dimension``.
        longest: Its ``max_dimension``.
    """
    height, width = np.float32(size[0]), np.float32(size[1])
    most = (shortest, longest) if height < width else (longest, shortest)
    scale = min(np.float32(most[0]) / height, np.float32(most[1]) / width)
    return max(1, int(np.round(scale * height))), max(1, int(np.round(scale * width)))


def padded(values: NDArray[np.float32], size: tuple[int, int], pad: list[float]) -> NDArray[np.float32]:
    """A picture in the upper left corner of one of ``size``, with ``pad`` in the rest."""
    whole = np.empty((*size, 3), np.float32)
    whole[:] = pad
    whole[: values.shape[0], : values.shape[1]] = values
    return whole


def classes_in(file: File) -> LabelMap | None:
    """The classes that a file itself names, numbered from 1; ``None`` if it names none."""
    return labelled(file.metadata.labels, str(file.path)) if file.metadata.labels else None


def labelled(labels: list[str] | tuple[str, ...] | Any, source: str) -> LabelMap:
    """A label map of a list of labels from 0 on.

    Raises:
        DataError: Two classes have one name.
    """
    known = [(number, name) for number, name in enumerate(labels, OFFSET) if name not in ("", tflite_metadata.UNNAMED)]
    try:
        return LabelMap(items=tuple(LabelMapItem(id=number, name=name) for number, name in known))
    except ValueError as error:
        raise DataError(source, f"its labels cannot be used: {error}", "give a label map: --label-map FILE") from None


def labels_of(label_map: LabelMap) -> list[str]:
    """The lines of a file of labels for a label map."""
    names = {item.id: item.name for item in label_map.items}
    return [names.get(number, tflite_metadata.UNNAMED) for number in range(OFFSET, max(names) + 1)]
