"""The network as two ONNX files: the part for the NPU, and the decoder of boxes for the CPU of the board."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from boxwright import ExportError


class Parts(NamedTuple):
    """Two ONNX models.

    Attributes:
        network: From ``images`` ``(1, 3, height, width)`` to the outputs of the last convolutions.
        decoder: From these to ``boxes`` and ``scores``, in float32.
    """

    network: Any
    decoder: Any


def split(model: Any, height: int, width: int) -> Parts:
    """Splits a network after its last convolutions.

    Coordinates need more steps than the 256 of int8 and more digits than half precision has, so boxes are decoded
    outside.

    Args:
        model: The ONNX model from ``images`` ``(batch, height, width, 3)`` to ``boxes`` and ``scores``.
        height: The height of the input in pixels.
        width: The width of the input in pixels.

    Raises:
        ExportError: It has no convolutions, or the decoder also needs something else of the network.
    """
    from onnx import helper
    from onnx.utils import Extractor

    model = _with_fixed_batch(model, height, width)
    heads = _last_convolutions(model.graph)
    if not heads:
        raise ExportError("the network has no convolution for an NPU", "use another target")
    extractor = Extractor(model)
    network = extractor.extract_model(["images"], heads)
    decoder = extractor.extract_model(heads, ["boxes", "scores"])
    if any(name == "images" for node in decoder.graph.node for name in node.input):
        raise ExportError("boxes or scores need the image in addition to the last convolutions", "use another target")
    graph = network.graph
    for node in graph.node:
        node.input[:] = ["images_nhwc" if name == "images" else name for name in node.input]
    graph.node.insert(0, helper.make_node("Transpose", ["images"], ["images_nhwc"], perm=[0, 2, 3, 1]))
    del graph.input[:]
    graph.input.append(helper.make_tensor_value_info("images", 1, [1, 3, height, width]))
    return Parts(network, decoder)


def _with_fixed_batch(model: Any, height: int, width: int) -> Any:
    """Returns the model for one image, with everything computed that is constant then."""
    import onnx
    import onnxruntime

    for size, value in zip(model.graph.input[0].type.tensor_type.shape.dim, (1, height, width, 3), strict=True):
        size.dim_value = value
    with TemporaryDirectory() as folder:
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
        options.optimized_model_filepath = str(Path(folder, "fixed.onnx"))
        onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        return onnx.shape_inference.infer_shapes(onnx.load(options.optimized_model_filepath))


def _last_convolutions(graph: Any) -> list[str]:
    """Returns the outputs of the convolutions that no other convolution follows."""
    users = defaultdict(list)
    for node in graph.node:
        for name in node.input:
            users[name].append(node)
    leads: dict[str, bool] = {}
    for node in reversed(graph.node):  # which are in topological order
        found = node.op_type == "Conv"
        leads[node.output[0]] = found or any(leads[user.output[0]] for name in node.output for user in users[name])
    return [
        node.output[0]
        for node in graph.node
        if node.op_type == "Conv" and not any(leads[user.output[0]] for user in users[node.output[0]])
    ]
