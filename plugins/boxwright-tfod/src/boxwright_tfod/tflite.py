"""SSD models for TensorFlow Lite (now LiteRT): ``.tflite`` files as models, run without TensorFlow.

Such a file takes one image of fixed size, ``(1, height, width, 3)``, and ends in the custom operation
``TFLite_Detection_PostProcess``, whose outputs are boxes ``(1, N, 4)``, ``ymin xmin ymax xmax`` relative to the input,
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
from boxwright.models import resize_bilinear
from boxwright_tf import tflite_metadata
from boxwright_tf.litert import refuse_tflite
from boxwright_tf.quiet import quiet_import, quiet_stderr
from boxwright_tf.tflite_metadata import Metadata
from boxwright_tfod.detections import ExportedModel, Prepared, decoded
from boxwright_tfod.recognise import POSTPROCESS

USUAL = 127.5
"""Mean and standard deviation of MobileNet and Inception, which scale pixels to -1..1."""

OFFSET = 1
"""From the classes of TensorFlow Lite to the ids of a label map, of which the API reserves 0 for the background."""

_OUTPUTS = ("location", "category", "score", "number of detections")
_THREADS = 1
"""With more, the operation omits the class whose index is the number of threads (detection_postprocess.cc: the counter
``next_col`` begins at that number and is incremented before it is used)."""
_DAMAGE = (ValueError, TypeError, IndexError, AttributeError, KeyError, struct.error, OverflowError, MemoryError)


class File:
    """The content of a ``.tflite`` file, parsed without running anything.

    Args:
        path: The file.

    Raises:
        DataError: The file is missing, damaged, or not a detector with one image as its input; or it contains
            operations of TensorFlow, and is not trusted.

    Attributes:
        content: All bytes.
        outputs: The indices of the tensors with boxes, classes, scores and their number.
        metadata: The TFLite Metadata.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self.content = path.read_bytes()
        except OSError as error:
            raise DataError(path, error.strerror or str(error), "check the path") from None
        if self.content[4:8] != b"TFL3":
            raise DataError(path, "it is not a TensorFlow Lite model", "pass a .tflite file")
        refuse_tflite(path, self.content)
        try:
            self._model = flatbuffer_utils.read_model_from_bytearray(self.content)
            self._check_complete()
            self._graph = self._model.subgraphs[0]
            self.outputs = self._postprocess()
            self.metadata = self._metadata()
        except _DAMAGE as error:
            raise DataError(path, f"it is damaged: {error}", "copy or export it again") from None

    def _check_complete(self) -> None:
        """Checks that the weights, which are at the end of the file and read late, are not cut off."""
        raw = schema.Model.GetRootAs(self.content)
        for number in range(raw.BuffersLength()):
            buffer = raw.Buffers(number)
            buffer.DataAsNumpy()  # raises a ValueError if it extends beyond the end
            if buffer.Offset() + buffer.Size() > len(self.content):
                raise ValueError("it is cut off")

    def _postprocess(self) -> list[int]:
        codes = [code.customCode for code in self._model.operatorCodes]
        for operator in self._graph.operators:
            if codes[operator.opcodeIndex] == POSTPROCESS:
                return [int(index) for index in operator.outputs]
        raise DataError(
            self.path,
            f"it has no {POSTPROCESS.decode()}: it is not SSD, or another program exported it",
            "pass an export of the API's export_tflite_graph_tf2.py, or of boxwright export --to tfod-tflite",
        )

    def _metadata(self) -> Metadata:
        entries = {entry.name: self._model.buffers[entry.buffer].data for entry in self._model.metadata or ()}
        found = entries.get(tflite_metadata.NAME)
        metadata = Metadata() if found is None else tflite_metadata.parse(bytes(found), self.content)
        padded = entries.get(tflite_metadata.RESIZER)
        resizer = {} if padded is None else tflite_metadata.resizer(bytes(padded))
        return Metadata(metadata.mean, metadata.std, metadata.labels, resizer)

    def with_metadata(self, metadata: Metadata) -> bytes:
        """Returns the file with TFLite Metadata added."""
        outputs = list(self._graph.outputs)
        names = dict(zip(self.outputs, _OUTPUTS, strict=True))
        boxes, classes = (outputs.index(index) for index in self.outputs[:2])
        described = tflite_metadata.build(
            metadata, [names[index] for index in outputs], boxes, classes, "SSD of the TensorFlow Object Detection API"
        )
        entries = {tflite_metadata.NAME: described}
        if metadata.resizer:
            entries[tflite_metadata.RESIZER] = tflite_metadata.resizer_entry(metadata.resizer)
        return tflite_metadata.pack(self._model, entries, metadata.labels)


class TFLiteDetector(ExportedModel):
    """A ``.tflite`` file as a model, in LiteRT's interpreter.

    An image is resized as in the API, and normalized by the file's TFLite Metadata. Without metadata, pixels are scaled
    to -1..1, which is right for MobileNet, with a warning.

    Args:
        file: The file.
        label_map: The classes; class 0 of the file has the id 1.

    Raises:
        DataError: The input is not an image.
        RunError: The interpreter cannot run the file.
    """

    def __init__(self, file: File, label_map: LabelMap) -> None:
        super().__init__(label_map)
        self._outputs, metadata = file.outputs, file.metadata
        try:
            with quiet_stderr():
                self._interpreter = Interpreter(model_content=file.content, num_threads=_THREADS)
                self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise RunError(f"{file.path} cannot be run by LiteRT: {error}", "export it again") from None
        inputs = self._interpreter.get_input_details()
        self._input, shape = inputs[0]["index"], inputs[0]["shape"].tolist()
        if len(inputs) != 1 or len(shape) != 4 or shape[0] != 1 or shape[3] != 3 or min(shape) < 1:
            raise DataError(file.path, f"its input is not a color image: shape {shape}", "pass a detector")
        self._size = shape[1], shape[2]
        self._type, self._quantization = inputs[0]["dtype"], inputs[0]["quantization"]
        self._resizer = metadata.resizer
        if not metadata.mean and self._type == np.float32:
            LogReporter().warning(
                f"{file.path} does not define how to normalize pixels; using (pixel - {USUAL}) / {USUAL}, which is"
                " right for MobileNet and wrong for ResNet."
            )
        self._mean = np.asarray(metadata.mean or [USUAL], np.float32)
        self._std = np.asarray(metadata.std or [USUAL], np.float32)

    @property
    def prepared(self) -> Callable[[Sample], Prepared]:
        """Decodes as the API does if TensorFlow is installed, else as Pillow does."""
        if find_spec("tensorflow") is None:
            return pillow_pixels
        with quiet_import():
            from boxwright_tfod.detector import tensorflow_pixels
        return tensorflow_pixels

    def output(self, pixels: NDArray[np.uint8]) -> dict[str, NDArray[Any]]:
        """Returns the model's output for one image, uint8 ``(height, width, 3)``."""
        size = self._size_in_input(pixels.shape[:2])
        values = (resize_bilinear(pixels, size) - self._mean) / self._std
        if size != self._size:
            values = padded(values, self._size, self._resizer["pad"])
        self._interpreter.set_tensor(self._input, self._quantized(values)[None])
        self._interpreter.invoke()
        boxes, classes, scores, number = (self._interpreter.get_tensor(index) for index in self._outputs)
        count = int(number[0])
        scale = np.array([size[0] / self._size[0], size[1] / self._size[1]] * 2, np.float32)
        return {
            "detection_boxes": boxes[0, :count] / scale,
            "detection_classes": classes[0, :count] + OFFSET,
            "detection_scores": scores[0, :count],
        }

    def _size_in_input(self, size: tuple[int, ...]) -> tuple[int, int]:
        """Returns the height and width of an image within the input."""
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
    """Decodes a sample's image with Pillow."""
    image, _ = decoded(sample)
    return sample, image, np.asarray(image.image)


def within(size: tuple[int, ...], shortest: int, longest: int) -> tuple[int, int]:
    """Returns the size of an image after a ``keep_aspect_ratio_resizer`` (object_detection/core/preprocessor.py).

    Args:
        size: Height and width of the image.
        shortest: The resizer's ``min_dimension``.
        longest: The resizer's ``max_dimension``.

    Returns:
        Height and width.
    """
    height, width = np.float32(size[0]), np.float32(size[1])
    most = (shortest, longest) if height < width else (longest, shortest)
    scale = min(np.float32(most[0]) / height, np.float32(most[1]) / width)
    return max(1, int(np.round(scale * height))), max(1, int(np.round(scale * width)))


def padded(values: NDArray[np.float32], size: tuple[int, int], pad: list[float]) -> NDArray[np.float32]:
    """Returns an image in the upper left corner of one of ``size``, with ``pad`` in the rest."""
    whole = np.empty((*size, 3), np.float32)
    whole[:] = pad
    whole[: values.shape[0], : values.shape[1]] = values
    return whole


def classes_in(file: File) -> LabelMap | None:
    """Returns the label map of a file's own labels, with ids from 1; ``None`` if it has no labels."""
    return labelled(file.metadata.labels, str(file.path)) if file.metadata.labels else None


def labelled(labels: list[str] | tuple[str, ...] | Any, source: str) -> LabelMap:
    """Returns the label map of a list of labels, whose first has the id 1.

    Raises:
        DataError: Two classes have the same name.
    """
    known = [
        (class_id, name) for class_id, name in enumerate(labels, OFFSET) if name not in ("", tflite_metadata.UNNAMED)
    ]
    try:
        return LabelMap(items=tuple(LabelMapItem(id=class_id, name=name) for class_id, name in known))
    except ValueError as error:
        raise DataError(source, f"its labels cannot be used: {error}", "pass a label map: --label-map FILE") from None


def labels_of(label_map: LabelMap) -> list[str]:
    """Returns the lines of a file of labels for a label map."""
    names = {item.id: item.name for item in label_map.items}
    return [names.get(class_id, tflite_metadata.UNNAMED) for class_id in range(OFFSET, max(names) + 1)]
