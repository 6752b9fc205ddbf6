"""Networks in ONNX, converted from a SavedModel with tf2onnx."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from boxwright import ExportError, UsageError
from boxwright.models import DecoderSettings
from boxwright_tf.quiet import quiet_import, quiet_stderr

OPSET = 17


def require_common(decoder: DecoderSettings, target: str) -> None:
    """Checks that a target can suppress detections as a decoder does.

    Raises:
        UsageError: The decoder is Soft-NMS or box fusion, or has IoU thresholds by class.
    """
    if not decoder.is_common:
        raise UsageError(
            f"{target} has neither Soft-NMS nor box fusion, and one IoU threshold for all classes",
            "tune the run with --suppression class,all --common, or train it with soft_nms_sigma=0",
        )


def to_onnx(saved_model: Path, boxes: str = "boxes", scores: str = "scores") -> Any:
    """Returns a SavedModel of :class:`boxwright.models.Network` as an ``onnx.ModelProto``.

    Args:
        saved_model: The folder.
        boxes: The name of the output ``boxes`` in the result; the input is ``images``.
        scores: The name of the output ``scores``.
    """
    with quiet_import():
        import tensorflow as tf
        import tf2onnx
        from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2
    logging.getLogger("tf2onnx").setLevel(logging.ERROR)
    with quiet_stderr():
        loaded = tf.saved_model.load(str(saved_model))
        frozen = convert_variables_to_constants_v2(loaded.signatures["serving_default"])
        outputs = [tensor.name for tensor in frozen.outputs]
        (images,) = (tensor.name for tensor in frozen.inputs)
        model, _ = tf2onnx.convert.from_graph_def(
            frozen.graph.as_graph_def(),
            input_names=[images],
            output_names=outputs,
            opset=OPSET,
        )
    _rename(model.graph, {images: "images"} | dict(zip(outputs, (boxes, scores), strict=True)))
    return model


def keep_best(graph: Any, scores: str, number: int) -> str:
    """Appends what sets all but the best scores of each image to 0, before a suppression.

    Of equal scores, all stay.

    Args:
        graph: The graph.
        scores: Its output ``(batch, N, classes)``, whose N is known.
        number: How many of all N scores of all classes stay, as in
            :attr:`boxwright.models.DecoderSettings.pre_nms`.

    Returns:
        The name of the result, which has the same shape.

    Raises:
        ExportError: N or the number of classes is not known.
    """
    import numpy as np
    from onnx import helper, numpy_helper

    (shape,) = (value.type.tensor_type.shape.dim for value in graph.output if value.name == scores)
    size = shape[1].dim_value * shape[2].dim_value
    if not size:
        raise ExportError(
            "the number of boxes or classes of the network is not known", "give its outputs a fixed shape"
        )
    if size <= number:
        return scores
    constants = {
        "flat": np.array([0, -1], np.int64),
        "pre_nms": np.array([number], np.int64),
        "last": np.array([number - 1], np.int64),
        "axis": np.array([2], np.int64),
        "zero": np.zeros((), np.float32),
    }
    graph.initializer.extend(numpy_helper.from_array(value, f"best_{name}") for name, value in constants.items())
    graph.node.extend(
        [
            helper.make_node("Reshape", [scores, "best_flat"], ["flat_scores"]),
            helper.make_node("TopK", ["flat_scores", "best_pre_nms"], ["best_scores", "best_places"], axis=1),
            helper.make_node("Gather", ["best_scores", "best_last"], ["lowest_score"], axis=1),
            helper.make_node("Unsqueeze", ["lowest_score", "best_axis"], ["lowest_scores"]),
            helper.make_node("GreaterOrEqual", [scores, "lowest_scores"], ["among_best"]),
            helper.make_node("Where", ["among_best", scores, "best_zero"], ["kept_scores"]),
        ]
    )
    return "kept_scores"


def quantize(model: Any, images: Iterable[Any], *, for_tensorrt: bool = False) -> Any:
    """Returns an ONNX model whose convolutions are int8 (QDQ), and everything else float32.

    Box decoding in int8 would ruin the boxes: their coordinates need more than 256 steps.

    Args:
        model: The model, with the input ``images``.
        images: Inputs that show the range of the activations, each ``(1, height, width, 3)`` float32.
        for_tensorrt: Whether only what TensorRT reads is used: zero points of 0, no integer biases, and weights that
            are stored as float32.
    """
    import onnx
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Images(CalibrationDataReader):  # type: ignore[misc,unused-ignore]
        def __init__(self) -> None:
            self._images = iter(images)

        def get_next(self) -> Any:
            image = next(self._images, None)
            return None if image is None else {"images": image}

    with TemporaryDirectory() as folder, quiet_stderr():
        plain, prepared, quantized = (str(Path(folder, f"{name}.onnx")) for name in ("plain", "prepared", "quantized"))
        onnx.save(model, plain)
        quant_pre_process(plain, prepared, skip_symbolic_shape=True)
        quantize_static(
            prepared,
            quantized,
            Images(),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=["Conv"],
            per_channel=True,
            activation_type=QuantType.QInt8,
            weight_type=QuantType.QInt8,
            extra_options={
                "OpTypesToExcludeOutputQuantization": ["Conv"],
                "ActivationSymmetric": for_tensorrt,
                "QuantizeBias": not for_tensorrt,
                "AddQDQPairToWeight": for_tensorrt,
            },
        )
        return onnx.load(quantized)


def _rename(graph: Any, names: Mapping[str, str]) -> None:
    for value in (*graph.input, *graph.output):
        value.name = names.get(value.name, value.name)
    for node in graph.node:
        for values in (node.input, node.output):
            values[:] = [names.get(name, name) for name in values]
