"""A network and its suppression as a Keras model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from boxwright.models import Network
from boxwright_keras.registered import Detector
from boxwright_tf.suppression import suppress

_LARGE = 16
"""Constants with fewer numbers stay in the graph."""


def convert(network: Network, path: Path) -> None:
    """Writes a ``.keras`` file.

    Its input is ``images``, ``(batch, height, width, 3)`` float32, 0 to 255. Its outputs are ``boxes``
    ``(batch, D, 4)`` float32, ``xyxy`` in pixels of the input, ``scores`` ``(batch, D)`` float32, ``classes``
    ``(batch, D)`` int32 from 0, best first and padded with -1, and ``num_detections`` ``(batch,)`` int32.

    Args:
        network: The network.
        path: The file.
    """
    size = network.inputs.height, network.inputs.width
    loaded = tf.saved_model.load(str(network.saved_model))
    infer = loaded.signatures["serving_default"]

    @tf.function(input_signature=[tf.TensorSpec((None, *size, 3), tf.float32, name="images")], autograph=False)
    def detect(images: Any) -> dict[str, Any]:
        outputs = infer(images=images)
        found = suppress(outputs["boxes"], outputs["scores"], size, network.decoder)
        return {"num_detections" if name == "num" else name: value for name, value in found.items()}

    function = detect.get_concrete_function()
    frozen = convert_variables_to_constants_v2(function, lower_control_flow=False)
    graph = frozen.graph.as_graph_def()
    weights = _take_weights(graph)
    inputs = {"images": [None, *size, 3]} | {name: list(value.shape) for name, value in weights.items()}
    outputs = dict(zip(sorted(function.structured_outputs), (tensor.name for tensor in frozen.outputs), strict=True))
    layer = Detector(graph.SerializeToString().hex(), inputs, outputs, list(network.label_map.names), name="detector")
    images = keras.Input((*size, 3), name="images")
    model = keras.Model(images, layer(images))
    layer.set_weights(list(weights.values()))
    model.save(path)


def _take_weights(graph: Any) -> dict[str, Any]:
    """Replaces large constants by placeholders, and returns their values by name."""
    weights = {}
    for node in graph.node:
        if node.op != "Const" or node.attr["dtype"].type != tf.float32.as_datatype_enum:
            continue
        value = tf.make_ndarray(node.attr["value"].tensor)
        if value.size >= _LARGE:
            weights[node.name] = value
            node.op = "Placeholder"
            del node.attr["value"]
            node.attr["shape"].shape.CopyFrom(tf.TensorShape(value.shape).as_proto())
    return weights
