"""Conversion from a SavedModel, with TensorFlow."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.tools import flatbuffer_utils
from flatbuffers import flexbuffers

from boxwright.models import Network
from boxwright_tf import tflite_metadata
from boxwright_tf.litert import to_litert
from boxwright_tf.onnx import require_common
from boxwright_tf.quiet import quiet_import
from boxwright_tf.tflite_metadata import Metadata

with quiet_import():
    import tensorflow as tf

_POSTPROCESS = b"TFLite_Detection_PostProcess"
_DETECTIONS = ("location", "category", "score", "number of detections")
_SMALLEST = 1e-4
"""The operation refuses boxes without area: the smallest side, as a share of the input."""


def convert(
    network: Network, precision: str, calibration: Callable[[], Iterable[Any]] = tuple, *, suppress: bool = False
) -> bytes:
    """Returns a network as a ``.tflite`` file, with TFLite Metadata: the normalization of its input, and the classes.

    Args:
        network: The network; its input gets a batch of one image.
        precision: ``fp32``, ``fp16``, ``dynamic`` or ``int8``.
        calibration: Yields inputs for ``int8``.
        suppress: Whether ``TFLite_Detection_PostProcess`` ends the network.

    Raises:
        UsageError: With ``suppress``, its decoder is Soft-NMS, or has IoU thresholds by class.
    """
    if suppress:
        require_common(network.decoder, _POSTPROCESS.decode())
    loaded = tf.saved_model.load(str(network.saved_model))  # a signature does not keep its variables alive
    serve = loaded.signatures["serving_default"]

    def boxes_and_scores(images: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        found = serve(images=images)
        outputs = found["boxes"], found["scores"]
        return _encoded(*outputs, network) if suppress else outputs

    size = network.inputs.height, network.inputs.width
    model = flatbuffer_utils.read_model_from_bytearray(to_litert(boxes_and_scores, size, precision, calibration))
    graph, labels = model.subgraphs[0], network.label_map.names
    graph.outputs = sorted(map(int, graph.outputs), key=lambda output: bytes(graph.tensors[output].name))
    if suppress:
        _add_suppression(model, network)
    described = tflite_metadata.build(
        Metadata([0.0], [1.0], labels),
        _DETECTIONS if suppress else ("boxes", "scores"),
        boxes=0,
        classes=1,
        description="Detections after suppression" if suppress else "Boxes and scores before suppression",
        suppressed=suppress,
    )
    return tflite_metadata.pack(model, {tflite_metadata.NAME: described}, labels)


def _encoded(boxes: tf.Tensor, scores: tf.Tensor, network: Network) -> tuple[tf.Tensor, tf.Tensor]:
    """Encodes boxes as the operation decodes them, with an anchor that covers the input; and keeps the best scores.

    Returns:
        ``(1, N, 4)`` float32, center y, center x, and the logarithms of height and width, all relative to the input;
        and ``(1, N, classes)`` float32, in which all but the best scores are -1.
    """
    sides = tf.constant([network.inputs.width, network.inputs.height], tf.float32)
    low, high = (part / sides for part in tf.split(boxes, 2, axis=-1))
    if network.decoder.clips_first:
        low, high = tf.clip_by_value(low, 0.0, 1.0), tf.clip_by_value(high, 0.0, 1.0)
    parts = (low + high) / 2, tf.math.log(tf.maximum(high - low, _SMALLEST))
    flat = tf.reshape(scores, (1, -1))
    if flat.shape[1] > network.decoder.pre_nms:
        lowest = tf.math.top_k(flat, network.decoder.pre_nms).values[:, -1]
        scores = tf.where(scores >= lowest, scores, -1.0)
    return tf.concat([tf.reverse(part, [-1]) for part in parts], axis=-1), scores


def _add_suppression(model: Any, network: Network) -> None:
    """Appends ``TFLite_Detection_PostProcess`` (tensorflow/lite/kernels/detection_postprocess.cc)."""
    graph, decoder, classes = model.subgraphs[0], network.decoder, len(network.label_map.names)
    boxes = graph.tensors[graph.outputs[0]].shape[1]
    options: dict[str, object] = {
        "max_detections": decoder.max_detections,
        "max_classes_per_detection": 1,
        "detections_per_class": decoder.max_detections,
        "use_regular_nms": decoder.suppression == "class",
        # The operation keeps a score that is equal to the threshold.
        "nms_score_threshold": float(np.nextafter(np.float32(decoder.score_threshold), np.float32(1))),
        "nms_iou_threshold": decoder.iou_threshold,
        "num_classes": classes,
        **dict.fromkeys(("y_scale", "x_scale", "h_scale", "w_scale"), 1.0),
    }

    def tensor(name: str, shape: list[int], content: Any = None) -> int:
        made = schema.TensorT()
        made.name, made.shape, made.type, made.buffer = name.encode(), shape, schema.TensorType.FLOAT32, 0
        if content is not None:
            made.buffer = len(model.buffers)
            model.buffers.append(schema.BufferT())
            model.buffers[-1].data = np.frombuffer(content.tobytes(), np.uint8)
        graph.tensors.append(made)
        return len(graph.tensors) - 1

    anchors = tensor("anchors", [boxes, 4], np.tile(np.array([0, 0, 1, 1], np.float32), (boxes, 1)))
    shapes = [[1, decoder.max_detections, *rest] for rest in ([4], [], [])]
    operator, code = schema.OperatorT(), schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.CUSTOM
    code.customCode, code.version = _POSTPROCESS, 1
    operator.opcodeIndex = len(model.operatorCodes)
    operator.inputs = [*graph.outputs, anchors]
    operator.outputs = [tensor(name, shape) for name, shape in zip(_DETECTIONS, [*shapes, [1]], strict=True)]
    operator.customOptions = np.frombuffer(flexbuffers.Dumps(options), np.uint8)
    operator.customOptionsFormat = schema.CustomOptionsFormat.FLEXBUFFERS
    model.operatorCodes.append(code)
    graph.operators.append(operator)
    graph.outputs = operator.outputs
    for signature in model.signatureDefs or ():
        signature.outputs = []
