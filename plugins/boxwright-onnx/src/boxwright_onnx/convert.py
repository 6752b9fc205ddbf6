"""The network in ONNX, with the suppression as part of the graph."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from boxwright.models import Network
from boxwright_tf.onnx import keep_best, quantize, require_common, to_onnx

_LARGE = 1024
"""Weights with fewer numbers stay float32: they need no space."""
_WEIGHTED = ("Conv", "ConvTranspose", "Gemm", "MatMul")
"""The operations whose weights are halved; other constants are anchors, whose coordinates need more digits."""


def convert(network: Network, precision: str, calibration: Iterable[Any] = ()) -> bytes:
    """Returns a network as an ONNX file.

    Its input is ``images``, ``(batch, height, width, 3)`` float32. Its outputs are the detections in all images of the
    batch after suppression, of each class separately and in no order: ``boxes`` ``(D, 4)`` float32, ``xyxy`` in pixels
    of the input, ``scores`` ``(D,)`` float32, ``classes`` ``(D,)`` int64 from 0, and ``positions`` ``(D,)`` int64, the
    image in the batch.

    Args:
        network: The network.
        precision: Of the weights ``fp32`` or ``fp16``; ``int8`` of the convolutions.
        calibration: Inputs for ``int8``.

    Raises:
        UsageError: Its decoder is Soft-NMS or fusion, or has IoU thresholds by class, which ONNX does not have.
    """
    require_common(network.decoder, "ONNX")
    model = to_onnx(network.saved_model, "raw_boxes", "raw_scores")
    if precision == "int8":
        model = quantize(model, calibration)
    _add_suppression(model.graph, network)
    if precision == "fp16":
        _halve_weights(model.graph)
    names = json.dumps(network.label_map.names, ensure_ascii=False)
    helper.set_model_props(model, {"names": names, "image_size": f"{network.inputs.width}x{network.inputs.height}"})
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def _add_suppression(graph: Any, network: Network) -> None:
    """Appends ``NonMaxSuppression`` and gathers what it selects (onnx/docs/Operators.md)."""
    decoder, inputs = network.decoder, network.inputs
    constants = {
        "origin": np.zeros(4, np.float32),
        "corner": np.array([inputs.width, inputs.height] * 2, np.float32),
        "max_detections": np.array([decoder.max_detections], np.int64),
        "iou_threshold": np.array([decoder.iou_threshold], np.float32),
        "score_threshold": np.array([decoder.score_threshold], np.float32),
        "of_image": np.array([0], np.int64),
        "of_class": np.array([1], np.int64),
        "of_box": np.array([0, 2], np.int64),
        "column": np.array([1], np.int64),
    }
    limits = ["max_detections", "iou_threshold", "score_threshold"]
    scores = keep_best(graph, "raw_scores", decoder.pre_nms)
    classes = [
        helper.make_node("Gather", ["selected", "of_class"], ["class_column"], axis=1),
        helper.make_node("Squeeze", ["class_column", "column"], ["classes"]),
    ]
    if decoder.suppression == "all":  # the classes of one anchor overlap completely, so only the best one is left
        constants["one"] = np.array([1], np.int64)
        graph.node.append(helper.make_node("TopK", [scores, "one"], ["best_score", "best_class"], axis=2))
        scores = "best_score"
        classes = [
            helper.make_node("GatherND", ["best_class", "selected_boxes"], ["class_column"]),
            helper.make_node("Squeeze", ["class_column", "column"], ["classes"]),
        ]
    graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in constants.items())
    candidates = "clipped" if decoder.clips_first else "raw_boxes"
    graph.node.extend(
        [
            helper.make_node("Max", ["raw_boxes", "origin"], ["not_negative"]),
            helper.make_node("Min", ["not_negative", "corner"], ["clipped"]),
            helper.make_node("Transpose", [scores], ["scores_by_class"], perm=[0, 2, 1]),
            # Corners in any order: with center_point_box=0, x and y may be exchanged in all boxes.
            helper.make_node("NonMaxSuppression", [candidates, "scores_by_class", *limits], ["selected"]),
            helper.make_node("GatherND", ["scores_by_class", "selected"], ["scores"]),
            helper.make_node("Gather", ["selected", "of_box"], ["selected_boxes"], axis=1),
            helper.make_node("GatherND", ["clipped", "selected_boxes"], ["boxes"]),
            *classes,
            helper.make_node("Gather", ["selected", "of_image"], ["image_column"], axis=1),
            helper.make_node("Squeeze", ["image_column", "column"], ["positions"]),
        ]
    )
    del graph.output[:]
    graph.output.extend(
        [
            helper.make_tensor_value_info("boxes", TensorProto.FLOAT, ["detections", 4]),
            helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["detections"]),
            helper.make_tensor_value_info("classes", TensorProto.INT64, ["detections"]),
            helper.make_tensor_value_info("positions", TensorProto.INT64, ["detections"]),
        ]
    )


def _halve_weights(graph: Any) -> None:
    """Stores the large weights of convolutions and matrices as float16, with a cast to float32 before their use."""
    casts = []
    weights = {name for node in graph.node if node.op_type in _WEIGHTED for name in node.input[:2]}
    for weight in graph.initializer:
        values = numpy_helper.to_array(weight)
        if weight.name in weights and values.dtype == np.float32 and values.size >= _LARGE:
            name = weight.name
            weight.CopyFrom(numpy_helper.from_array(values.astype(np.float16), f"{name}_half"))
            casts.append(helper.make_node("Cast", [f"{name}_half"], [name], to=TensorProto.FLOAT))
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
