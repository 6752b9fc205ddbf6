"""TensorRT: the conformance tests, the plugin's node, and the scripts with TensorRT replaced by a recorder."""

from __future__ import annotations

import struct
import subprocess
import sys
import types
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("tensorflow")
pytest.importorskip("tf2onnx")

import onnx
from onnx import TensorProto, helper, numpy_helper

from boxwright import LabelMap, Run, UsageError
from boxwright.models import DecoderSettings, InputSettings, Network
from boxwright.plugins import Registry
from boxwright_tensorrt.convert import build_command, build_script, calibration_cache, convert
from boxwright_tensorrt.exporter import TensorRTExporter
from boxwright_testing import NetworkExporterTests
from boxwright_testing.networks import ColorsBackend
from boxwright_tf.onnx import quantize

pytestmark = pytest.mark.tensorflow


class TestTensorRT(NetworkExporterTests):
    exporter = "tensorrt"

    def test_the_model_is_the_network_with_the_plugin(self, plugins: Registry, run: Run, tmp_path: Path) -> None:
        """Attributes as in NVIDIA's description of ``EfficientNMS_TRT``."""
        _, artifact = next(self.exported(plugins, run, tmp_path))
        network, model = onnx.load(artifact), onnx.load(artifact.with_name("model.onnx"))
        *rest, suppression = model.graph.node
        assert list(rest[: len(network.graph.node)]) == list(network.graph.node)
        assert [node.op_type for node in rest[len(network.graph.node) :]] == ["Max", "Min"]
        assert (suppression.op_type, suppression.domain, list(suppression.input)[1]) == (
            "EfficientNMS_TRT",
            "TRT",
            "scores",
        )
        assert {each.name: helper.get_attribute_value(each) for each in suppression.attribute} == {
            "plugin_version": b"1",
            "score_threshold": pytest.approx(0.1),
            "iou_threshold": pytest.approx(0.5),
            "max_output_boxes": 100,
            "background_class": -1,
            "score_activation": 0,
            "class_agnostic": 0,
            "box_coding": 0,
        }
        names = ["num_detections", "detection_boxes", "detection_scores", "detection_classes"]
        assert [each.name for each in model.graph.output] == names == list(suppression.output)
        subprocess.run(["sh", "-n", artifact.with_name("build.sh")], check=True)

    def test_the_plugin_suppresses_as_the_decoder_does(self, run: Run, tmp_path: Path) -> None:
        """Over all classes with ``class_agnostic``; what it does not have is an error."""
        network = ColorsBackend().write_network(run, tmp_path)
        convert(replace(network, decoder=DecoderSettings(suppression="all")), tmp_path, "fp32")
        node = onnx.load(tmp_path / "model.onnx").graph.node[-1]
        assert {each.name: each.i for each in node.attribute}["class_agnostic"] == 1
        for decoder in (DecoderSettings(soft_nms_sigma=0.5), DecoderSettings(iou_threshold=(0.3, 0.5))):
            with pytest.raises(UsageError, match="Soft-NMS"):
                convert(replace(network, decoder=decoder), tmp_path, "fp32")

    def test_boxes_are_clipped_after_the_plugin_if_the_decoder_does(self, run: Run, tmp_path: Path) -> None:
        network = ColorsBackend().write_network(run, tmp_path)
        convert(replace(network, decoder=DecoderSettings(clips_first=False)), tmp_path, "fp32")
        graph = onnx.load(tmp_path / "model.onnx").graph
        plugin, largest, smallest = graph.node[-3:]
        assert (plugin.op_type, plugin.input[0]) == ("EfficientNMS_TRT", "boxes")
        assert [largest.op_type, smallest.op_type] == ["Max", "Min"]
        assert (largest.input[0], smallest.output[0]) == (plugin.output[1], graph.output[1].name)
        assert graph.output[1].name == "detection_boxes"

    def test_only_the_best_scores_enter_the_plugin(self, run: Run, tmp_path: Path) -> None:
        """Of the scores 1, 0.9 and 0.5 of red and half of them of green, the best three: 1, 0.9 and both 0.5."""
        import onnxruntime

        network = ColorsBackend().write_network(run, tmp_path)
        convert(replace(network, decoder=DecoderSettings(pre_nms=3)), tmp_path, "fp32")
        model = onnx.load(tmp_path / "model.onnx")
        plugin = model.graph.node.pop()
        del model.graph.output[:]
        model.graph.output.append(helper.make_tensor_value_info(plugin.input[1], TensorProto.FLOAT, ["batch", 3, 2]))
        session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
        images = np.full((1, 16, 32, 3), (255, 127.5, 0), np.float32)
        (scores,) = session.run(None, {"images": images})
        np.testing.assert_allclose(scores, [[[1, 0.5], [0.9, 0], [0.5, 0]]])


def plain(boxes: int) -> Any:
    """A network whose output is its input: the boxes are constant, and the scores of two classes are the pixels."""
    graph = helper.make_graph(
        [
            helper.make_node("Reshape", ["images", "two"], ["scores"]),
            helper.make_node("Identity", ["places"], ["boxes"]),
        ],
        "plain",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, boxes, 2, 1])],
        [
            helper.make_tensor_value_info("boxes", TensorProto.FLOAT, [1, boxes, 4]),
            helper.make_tensor_value_info("scores", TensorProto.FLOAT, [1, boxes, 2]),
        ],
        [
            numpy_helper.from_array(np.array([1, -1, 2], np.int64), "two"),
            numpy_helper.from_array(np.zeros((1, boxes, 4), np.float32), "places"),
        ],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


@pytest.mark.parametrize(
    ("boxes", "pre_nms", "kept", "noted"),
    [(2000, 3840, 3840, False), (2000, 3841, 3840, True), (2000, 5000, 3840, True), (1920, 5000, 3840, False)],
)
def test_tensorrts_top_k_has_a_limit(
    boxes: int, pre_nms: int, kept: int, noted: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``ITopKLayer`` returns at most 3,840 elements; without one, as for 2 x 1,920 scores, all of them enter."""
    import onnxruntime

    monkeypatch.setattr("boxwright_tensorrt.convert.to_onnx", lambda saved_model: plain(boxes))
    network = Network(
        tmp_path, InputSettings(2, boxes), DecoderSettings(pre_nms=pre_nms), LabelMap.from_names(["a", "b"])
    )
    exporter = TensorRTExporter()
    exporter.convert(network, tmp_path, "fp32")
    assert ("3,840 best scores" in exporter.unchecked) is noted
    assert "GPU" in exporter.unchecked
    model = onnx.load(tmp_path / "model.onnx")
    plugin = model.graph.node.pop()
    assert ("TopK" in {node.op_type for node in model.graph.node}) is (2 * boxes > 3840)
    del model.graph.output[:]
    model.graph.output.append(helper.make_tensor_value_info(plugin.input[1], TensorProto.FLOAT, [1, boxes, 2]))
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    pixels = np.random.default_rng(0).permutation(2 * boxes).reshape(1, boxes, 2, 1).astype(np.float32) + 1
    (scores,) = session.run(None, {"images": pixels})
    assert sorted(scores[scores > 0]) == list(range(2 * boxes - kept + 1, 2 * boxes + 1))


def test_more_detections_than_tensorrt_chooses_among(tmp_path: Path) -> None:
    network = Network(
        tmp_path, InputSettings(2, 2), DecoderSettings(max_detections=3841), LabelMap.from_names(["a", "b"])
    )
    with pytest.raises(UsageError, match="3,840 scores of an image at most") as caught:
        convert(network, tmp_path, "fp32")
    assert "max_detections=3840" in caught.value.remedy


def convolution() -> Any:
    rng = np.random.default_rng(0)
    weights = {"kernel": rng.normal(size=(4, 3, 3, 3)), "bias": rng.normal(size=4)}
    graph = helper.make_graph(
        [
            helper.make_node("Transpose", ["images"], ["turned"], perm=[0, 3, 1, 2]),
            helper.make_node("Conv", ["turned", "kernel", "bias"], ["found"]),
        ],
        "network",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["batch", 8, 8, 3])],
        [helper.make_tensor_value_info("found", TensorProto.FLOAT, ["batch", 4, 6, 6])],
        [numpy_helper.from_array(value.astype(np.float32), name) for name, value in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def test_int8_is_what_tensorrt_reads() -> None:
    """Zero points of 0, no int32, and a cache with the scales: a range of -100..200 in 127 steps to either side."""
    images = [np.full((1, 8, 8, 3), value, np.float32) for value in (-100, 200)]
    model = quantize(convolution(), images, for_tensorrt=True)
    values = {each.name: numpy_helper.to_array(each) for each in model.graph.initializer}
    nodes = [node for node in model.graph.node if node.op_type in ("QuantizeLinear", "DequantizeLinear")]
    assert len(nodes) >= 4
    for node in nodes:
        assert values[node.input[2]].dtype == np.int8
        assert not values[node.input[2]].any()
    assert [node.input[2] for node in model.graph.node if node.op_type == "Conv"] == ["bias"]
    header, line = calibration_cache(model).splitlines()
    assert header == "TRT-8601-EntropyCalibration2"
    name, _, scale = line.partition(": ")
    assert name == "turned"
    assert struct.unpack(">f", bytes.fromhex(scale))[0] == pytest.approx(200 / 127.5, rel=0.01)


@pytest.mark.parametrize(
    ("precision", "flags"), [("fp32", []), ("fp16", ["FP16"]), ("int8", ["FP16", "INT8"])], ids=["fp32", "fp16", "int8"]
)
@pytest.mark.parametrize(("version", "network_flag"), [("8.6.1", 2), ("10.3.0", 0)])
def test_the_scripts(
    precision: str, flags: list[str], version: str, network_flag: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    called: dict[str, Any] = {"flags": []}
    profile = types.SimpleNamespace(set_shape=lambda *shapes: called.update(shapes=shapes))
    config = types.SimpleNamespace(set_flag=called["flags"].append, add_optimization_profile=lambda profile: None)
    builder = types.SimpleNamespace(
        create_network=lambda flag: called.update(network=flag),
        create_builder_config=lambda: config,
        create_optimization_profile=lambda: profile,
        build_serialized_network=lambda network, config: b"engine",
    )
    parser = types.SimpleNamespace(parse_from_file=lambda path: called.update(path=path) or True)
    logger = type("Logger", (), {"WARNING": 1, "__init__": lambda self, level: None})
    tensorrt = types.SimpleNamespace(
        __version__=version,
        Logger=logger,
        init_libnvinfer_plugins=lambda *rest: None,
        Builder=lambda logger: builder,
        OnnxParser=lambda network, logger: parser,
        NetworkDefinitionCreationFlag=types.SimpleNamespace(EXPLICIT_BATCH=1),
        BuilderFlag=types.SimpleNamespace(FP16="FP16", INT8="INT8"),
    )
    monkeypatch.setitem(sys.modules, "tensorrt", tensorrt)
    script = tmp_path / "build.py"
    code = build_script(precision, "16x32x3")
    exec(compile(code, script, "exec"), {"__file__": str(script)})
    assert (tmp_path / "model.engine").read_bytes() == b"engine"
    assert called["path"] == str(tmp_path / "model.onnx")
    assert called["shapes"] == ("images", (1, 16, 32, 3), (4, 16, 32, 3), (8, 16, 32, 3))
    assert (called["flags"], called["network"]) == (flags, network_flag)
    command = build_command(precision, "16x32x3")
    assert [flag for flag in ("fp16", "int8") if f" --{flag}" in command] == [flag.lower() for flag in flags]
    for kind, batch in (("min", 1), ("opt", 4), ("max", 8)):
        assert f"--{kind}Shapes=images:{batch}x16x32x3" in command
