"""Reads and writes ``frozen_inference_graph.pb``, the export of the API's first generation.

A graph takes ``image_tensor:0``, uint8 ``(1, height, width, 3)``, and returns ``detection_boxes:0`` ``(1, N, 4)``,
``detection_scores:0``, ``detection_classes:0`` ``(1, N)`` and ``num_detections:0`` ``(1,)``
(object_detection/exporter.py of the API's TensorFlow 1 branch).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import tensorflow as tf
from google.protobuf.message import DecodeError
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from boxwright import DataError, LabelMap, RunError, Sample
from boxwright_tf.programs import refuse_graph
from boxwright_tfod.detections import ExportedModel, Prepared
from boxwright_tfod.detector import SIGNATURE, tensorflow_pixels

INPUT = "image_tensor"
OUTPUTS = ("detection_boxes", "detection_scores", "detection_classes", "num_detections")
_INSIDE = "detector"


class FrozenGraphDetector(ExportedModel):
    """A frozen graph as a model, in plain TensorFlow.

    Args:
        path: The graph.
        label_map: The classes.

    Raises:
        DataError: The file is not a graph, or not a detector of the API, or contains operations with files, connections
            or Python code, and is not trusted.
        RunError: This version of TensorFlow cannot run it.
    """

    @property
    def prepared(self) -> Callable[[Sample], Prepared]:
        """Decodes as the API does."""
        return tensorflow_pixels

    def __init__(self, path: Path, label_map: LabelMap) -> None:
        super().__init__(label_map)
        graph = _read(path)
        names = {node.name for node in graph.node}
        if missing := [name for name in (INPUT, *OUTPUTS) if name not in names]:
            raise DataError(
                path,
                f"the graph has no {', '.join(missing)}",
                "pass a graph that the API's export_inference_graph.py wrote with --input_type=image_tensor",
            )
        refuse_graph(path, graph)
        try:
            imported = tf.compat.v1.wrap_function(lambda: tf.graph_util.import_graph_def(graph, name=""), [])
            self._detect = imported.prune(f"{INPUT}:0", {name: f"{name}:0" for name in OUTPUTS})
        except (ValueError, tf.errors.OpError) as error:
            raise RunError(
                f"{path} cannot be run by TensorFlow {tf.__version__}: {error}", "export it again"
            ) from error

    def output(self, pixels: Any) -> dict[str, Any]:
        """Returns the graph's output for one image, uint8 ``(height, width, 3)``."""
        return {name: value.numpy()[0] for name, value in self._detect(tf.constant(pixels[None])).items()}


def _read(path: Path) -> Any:
    graph = tf.compat.v1.GraphDef()
    try:
        graph.ParseFromString(path.read_bytes())
    except OSError as error:
        raise DataError(path, error.strerror or str(error), "check the path") from None
    except DecodeError:
        raise DataError(path, "it is not a TensorFlow graph, or damaged", "copy or export it again") from None
    return graph


def freeze(saved_model: Path, target: Path) -> None:
    """Writes a SavedModel of the API as a frozen graph with the tutorial's tensor names.

    Loops and branches are lowered to operations that TensorFlow 1 supports.

    Args:
        saved_model: The folder that ``exporter_main_v2`` wrote.
        target: The ``.pb`` file.
    """
    loaded = tf.saved_model.load(str(saved_model))
    function = loaded.signatures[SIGNATURE]
    frozen = convert_variables_to_constants_v2(function, lower_control_flow=True)
    outputs = dict(zip(sorted(function.structured_outputs), frozen.outputs, strict=True))
    graph = tf.Graph()
    with graph.as_default():
        image = tf.compat.v1.placeholder(tf.uint8, (1, None, None, 3), name=INPUT)
        found = tf.graph_util.import_graph_def(
            frozen.graph.as_graph_def(),
            input_map={frozen.inputs[0].name: image},
            return_elements=[outputs[name].name for name in OUTPUTS],
            name=_INSIDE,
        )
        for name, tensor in zip(OUTPUTS, found, strict=True):
            tf.identity(tensor, name=name)
    target.write_bytes(graph.as_graph_def().SerializeToString(deterministic=True))
