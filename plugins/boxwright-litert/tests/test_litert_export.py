"""LiteRT: the conformance tests, and what only this exporter has."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from boxwright import BoxwrightError, DataError
from boxwright.models import trust_models
from boxwright_litert.exporter import LiteRTExporter
from boxwright_testing import NetworkExporterTests
from boxwright_tf.litert import to_litert

pytestmark = pytest.mark.tensorflow


class TestLiteRT(NetworkExporterTests):
    exporter = "litert"


def test_operations_of_tensorflow_are_refused(tmp_path: Path) -> None:
    """A file of somebody else, whose operation would write a file: refused by name, unless it is trusted."""
    schema = pytest.importorskip("ai_edge_litert.schema_py_generated")
    from ai_edge_litert.tools import flatbuffer_utils

    model, code = schema.ModelT(), schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.CUSTOM
    code.customCode = b"FlexWriteFile"
    model.version, model.operatorCodes, model.subgraphs, model.buffers = 3, [code], [schema.SubGraphT()], []
    path = tmp_path / "model.tflite"
    path.write_bytes(flatbuffer_utils.convert_object_to_bytearray(model))
    with pytest.raises(DataError, match="operations of TensorFlow: FlexWriteFile"):
        LiteRTExporter().load(path)
    with trust_models(), pytest.raises(BoxwrightError) as caught:
        LiteRTExporter().load(path)
    assert "FlexWriteFile" not in caught.value.message


def test_int8_up_to_the_last_convolution() -> None:
    """The decoder after it, whose numbers need more steps, stays float32."""
    schema = pytest.importorskip("ai_edge_litert.schema_py_generated")
    tf = pytest.importorskip("tensorflow")
    random = np.random.default_rng(1)
    kernels = [tf.constant(random.normal(0, 0.2, (3, 3, 3, 3)).astype(np.float32)) for _ in range(2)]

    def network(images: Any) -> tuple[Any, Any]:
        features = tf.nn.relu(tf.nn.conv2d(images / 255.0, kernels[0], 1, "SAME"))
        deltas = tf.reshape(tf.nn.conv2d(features, kernels[1], 1, "SAME"), (1, 64, 3))
        return tf.exp(deltas) * 7.0, tf.sigmoid(deltas)

    images = [random.uniform(0, 255, (1, 8, 8, 3)).astype(np.float32) for _ in range(4)]
    content = to_litert(network, (8, 8), "int8", lambda: images)
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content))
    graph, names = model.subgraphs[0], {value: name for name, value in vars(schema.BuiltinOperator).items()}
    types = {
        names[model.operatorCodes[each.opcodeIndex].builtinCode]: graph.tensors[each.outputs[0]].type
        for each in graph.operators
    }
    assert types["CONV_2D"] == schema.TensorType.INT8
    assert types["EXP"] == types["LOGISTIC"] == schema.TensorType.FLOAT32
    assert graph.tensors[graph.inputs[0]].type == schema.TensorType.FLOAT32
