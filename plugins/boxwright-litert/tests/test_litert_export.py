"""LiteRT: the conformance tests, and what only this exporter has."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from boxwright import DataError, LabelMap, Run
from boxwright.models import DecoderSettings, InputSettings, Network, select_detections, trust_models
from boxwright.plugins import Registry
from boxwright_litert.convert import convert
from boxwright_litert.exporter import LiteRTDetectionExporter, LiteRTExporter
from boxwright_testing import NetworkExporterTests
from boxwright_tf import tflite_metadata
from boxwright_tf.litert import to_litert

pytestmark = pytest.mark.tensorflow


class TestLiteRT(NetworkExporterTests):
    exporter = "litert"

    def test_the_file_contains_its_classes_and_normalization(self, plugins: Registry, run: Run, tmp_path: Path) -> None:
        """As in the metadata schema of TensorFlow Lite: a flatbuffer ``M001``, and a zip archive after the model."""
        schema = pytest.importorskip("ai_edge_litert.schema_py_generated")
        for precision, artifact in self.exported(plugins, run, tmp_path):
            content = artifact.read_bytes()
            with zipfile.ZipFile(artifact) as archive:
                assert archive.read("labels.txt") == b"first\nsecond\n", precision
            model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content))
            (described,) = (
                bytes(model.buffers[each.buffer].data) for each in model.metadata if each.name == b"TFLITE_METADATA"
            )
            assert described[4:8] == b"M001"
            metadata = tflite_metadata.parse(described, content)
            assert (metadata.mean, metadata.std, metadata.labels) == ([0.0], [1.0], ["first", "second"])


class TestLiteRTDetection(TestLiteRT):
    exporter = "litert-detection"


@pytest.mark.parametrize(
    "decoder",
    [
        DecoderSettings(0.2, 0.3, max_detections=50, pre_nms=10_000),
        DecoderSettings(0.0, 0.5, max_detections=20, pre_nms=40),
        DecoderSettings(0.2, 0.3, max_detections=50, suppression="all"),
        DecoderSettings(0.2, 0.3, max_detections=50, clips_first=False),
    ],
)
def test_the_operation_suppresses_as_the_decoder_does(decoder: DecoderSettings, tmp_path: Path) -> None:
    """Of 128 boxes, some beyond the edges of the input, with three scores each: the values of one pixel."""
    tf = pytest.importorskip("tensorflow")
    random = np.random.default_rng(4)
    corners = random.uniform(-4, (28, 12), (128, 2))
    boxes = np.concatenate([corners, corners + random.uniform(5, 12, (128, 2))], axis=1).astype(np.float32)
    inputs = InputSettings(32, 16)

    @tf.function(input_signature=[tf.TensorSpec((None, 16, 32, 3), tf.float32, name="images")])  # type: ignore[untyped-decorator,unused-ignore]
    def serve(images: Any) -> dict[str, Any]:
        scores = tf.reshape(images[:, :4], (-1, 128, 3)) / 255.0
        return {"boxes": tf.tile(boxes[None], (tf.shape(images)[0], 1, 1)), "scores": scores}

    tf.saved_model.save(tf.Module(), str(tmp_path / "network"), signatures={"serving_default": serve})
    labels = LabelMap.from_names(["a", "b", "c"], sort=False)
    content = convert(Network(tmp_path / "network", inputs, decoder, labels), "fp32", suppress=True)
    (tmp_path / "model.tflite").write_bytes(content)
    image = random.uniform(0, 255, (1, 16, 32, 3)).astype(np.float32)
    found = LiteRTDetectionExporter.load_network(str(tmp_path / "model.tflite"))(image)
    expected = select_detections(boxes, image[0, :4].reshape(128, 3) / np.float32(255), inputs, decoder)
    assert len(expected.scores) >= 10
    for one, other in zip(found, map(np.asarray, expected), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-4)


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
        LiteRTExporter().opened(path)
    with trust_models(), pytest.raises((ValueError, RuntimeError)) as caught:
        LiteRTExporter().opened(path)
    assert "FlexWriteFile" not in str(caught.value)


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


def test_fp16_halves_weights_and_not_anchors(tmp_path: Path) -> None:
    """The nearest float16 of 1/3 is 0.33325, and that of 300.1 is 300: a coordinate needs more digits."""
    tf = pytest.importorskip("tensorflow")
    anchors = tf.fill((1, 64, 4), 300.1)

    def network(images: Any) -> tuple[Any, Any]:
        thirds = tf.reshape(tf.nn.conv2d(images, tf.fill((1, 1, 3, 4096), 1 / 3), 1, "SAME"), (1, 64, 4096))
        return anchors + tf.nn.relu(-thirds[..., :4]), thirds

    content = to_litert(network, (8, 8), "fp16")
    assert len(content) < 12 * 4096, "of each channel three weights of two bytes and a bias of four"
    (tmp_path / "model.tflite").write_bytes(content)
    image = np.zeros((1, 8, 8, 3), np.float32)
    image[..., 0] = 1
    boxes, scores = LiteRTExporter.load_network(str(tmp_path / "model.tflite"))(image)
    np.testing.assert_allclose(boxes, 300.1, rtol=1e-6)
    np.testing.assert_allclose(scores, 0.33325, rtol=1e-5)
