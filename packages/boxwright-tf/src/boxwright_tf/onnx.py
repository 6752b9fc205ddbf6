"""Networks in ONNX, converted from a SavedModel with tf2onnx."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from boxwright import UsageError
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


def to_onnx(saved_model: Path, names: Mapping[str, str]) -> Any:
    """Returns a SavedModel of :class:`boxwright.models.Network` as an ``onnx.ModelProto``.

    Args:
        saved_model: The folder.
        names: The names of its input ``images`` and its outputs ``boxes`` and ``scores`` in the result.
    """
    with quiet_import():
        import tensorflow as tf
        import tf2onnx
        from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2
    logging.getLogger("tf2onnx").setLevel(logging.ERROR)
    with quiet_stderr():
        loaded = tf.saved_model.load(str(saved_model))
        frozen = convert_variables_to_constants_v2(loaded.signatures["serving_default"])
        tensors = {key: tensor.name for key, tensor in zip(("boxes", "scores"), frozen.outputs, strict=True)}
        (tensors["images"],) = (tensor.name for tensor in frozen.inputs)
        model, _ = tf2onnx.convert.from_graph_def(
            frozen.graph.as_graph_def(),
            input_names=[tensors["images"]],
            output_names=[tensors["boxes"], tensors["scores"]],
            opset=OPSET,
        )
    _rename(model.graph, {tensor: names[key] for key, tensor in tensors.items()})
    return model


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
