"""OpenVINO: the conformance tests, and what only this exporter has."""

from __future__ import annotations

import importlib.util
import logging
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

openvino = pytest.importorskip("openvino")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from boxwright import LabelMap, MissingLibraryError, Run, Sample, UsageError  # noqa: E402
from boxwright.models import DecoderSettings, InputSettings, Network, write_settings  # noqa: E402
from boxwright.plugins import Registry  # noqa: E402
from boxwright_openvino.convert import _import_nncf, convert  # noqa: E402
from boxwright_openvino.exporter import OpenVINOExporter  # noqa: E402
from boxwright_openvino.myriad import simplify, unsupported  # noqa: E402
from boxwright_testing import NetworkExporterTests, draw_image  # noqa: E402
from boxwright_testing.networks import INPUTS  # noqa: E402

pytestmark = pytest.mark.tensorflow


class TestOpenVINO(NetworkExporterTests):
    exporter = "openvino"

    def test_devices(self, plugins: Registry, run: Run, images: list[Sample], tmp_path: Path) -> None:
        """AUTO finds what the CPU finds; a device that is not there is an error that names those that are."""
        _, artifact = next(self.exported(plugins, run, tmp_path))
        exporter = OpenVINOExporter()
        found, other = (list(exporter.load(artifact, device=name).predict(images)) for name in ("CPU", "AUTO"))
        assert [each.boxes.labels for each in found] == [each.boxes.labels for each in other]
        with pytest.raises(UsageError, match=r"finds no NPU on this computer\n  -> use one of: CPU"):
            exporter.load(artifact, device="NPU")

    def test_each_image_is_computed_once(
        self, plugins: Registry, run: Run, images: list[Sample], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        _, artifact = next(self.exported(plugins, run, tmp_path))
        calls: list[int] = []
        call = openvino.CompiledModel.__call__

        def counted(*given: Any, **named: Any) -> Any:
            calls.append(1)
            return call(*given, **named)

        monkeypatch.setattr(openvino.CompiledModel, "__call__", counted)
        list(OpenVINOExporter().load(artifact).predict(images))
        assert len(calls) == len(images)

    def test_int8_on_any_device(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A network with a convolution, the mean of a color.

        On CPUs with bfloat16, AUTO would choose that, with which OpenVINO 2026.4 cannot compile larger networks.
        """
        kernel = np.zeros((2, 3, 16, 16), np.float32)
        kernel[[0, 1], [0, 1]] = 1 / 256
        graph = helper.make_graph(
            [
                helper.make_node("Transpose", ["images"], ["turned"], perm=[0, 3, 1, 2]),
                helper.make_node("Conv", ["turned", "kernel"], ["means"], strides=[16, 16]),
                helper.make_node("Div", ["means", "white"], ["parts"]),
                helper.make_node("Transpose", ["parts"], ["last"], perm=[0, 2, 3, 1]),
                helper.make_node("Reshape", ["last", "shape"], ["scores"]),
                helper.make_node("Identity", ["places"], ["boxes"]),
            ],
            "colors",
            [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["batch", 16, 32, 3])],
            [
                helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 2, size])
                for name, size in (("boxes", 4), ("scores", 2))
            ],
            [
                numpy_helper.from_array(kernel, "kernel"),
                numpy_helper.from_array(np.array(255, np.float32), "white"),
                numpy_helper.from_array(np.array([[[0, 0, 16, 16], [16, 0, 32, 16]]], np.float32), "places"),
                numpy_helper.from_array(np.array([-1, 2, 2], np.int64), "shape"),
            ],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        monkeypatch.setattr("boxwright_openvino.convert.to_onnx", lambda saved_model: model)
        network = Network(tmp_path, InputSettings(32, 16), DecoderSettings(), LabelMap.from_names(["red", "green"]))
        levels = np.linspace(0, 255, 9, dtype=np.float32)
        convert(network, tmp_path / "model.xml", "int8", [np.full((1, 16, 32, 3), each) for each in levels])
        kinds = {node.get_type_name() for node in openvino.Core().read_model(tmp_path / "model.xml").get_ops()}
        assert "FakeQuantize" in kinds
        write_settings(network, tmp_path)
        image = np.zeros((1, 16, 32, 3), np.float32)
        image[..., :16, 0], image[..., 16:, 1] = 255, 102
        compiled: Any = openvino.Core.compile_model
        asked: dict[str, Any] = {}

        def compile_model(self: Any, network: Any, device: str, settings: Any) -> Any:
            asked[device] = settings
            return compiled(self, network, device, settings)

        monkeypatch.setattr(openvino.Core, "compile_model", compile_model)
        for device in ("CPU", "AUTO"):
            _, scores = OpenVINOExporter.load_network(str(tmp_path / "model.xml"), device)(image)
            assert scores[0] == pytest.approx(np.array([[1, 0], [0, 0.4]]), abs=0.01), device
        assert asked["AUTO"]["DEVICE_PROPERTIES"]["CPU"]["INFERENCE_PRECISION_HINT"] == "f32"

    def test_fp16_halves_weights_and_not_anchors(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """The nearest float16 of 1/3 is 0.33325, and that of 300.1 is 300: a coordinate needs more digits.

        A score is the sum of 256 reds, each times a third.
        """
        graph = helper.make_graph(
            [
                helper.make_node("Transpose", ["images"], ["turned"], perm=[0, 3, 1, 2]),
                helper.make_node("Conv", ["turned", "kernel"], ["means"], strides=[16, 16]),
                helper.make_node("Reshape", ["means", "shape"], ["scores"]),
                helper.make_node("Sub", ["scores", "scores"], ["nothing"]),
                helper.make_node("Concat", ["nothing", "nothing"], ["none"], axis=2),
                helper.make_node("Add", ["none", "places"], ["boxes"]),
            ],
            "thirds",
            [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["batch", 16, 32, 3])],
            [
                helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 2, size])
                for name, size in (("boxes", 4), ("scores", 2))
            ],
            [
                numpy_helper.from_array(np.full((2, 3, 16, 16), 1 / 3, np.float32), "kernel"),
                numpy_helper.from_array(np.full((1, 2, 4), 300.1, np.float32), "places"),
                numpy_helper.from_array(np.array([-1, 2, 2], np.int64), "shape"),
            ],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        monkeypatch.setattr("boxwright_openvino.convert.to_onnx", lambda saved_model: model)
        network = Network(tmp_path, InputSettings(32, 16), DecoderSettings(), LabelMap.from_names(["any"]))
        convert(network, tmp_path / "model.xml", "fp16")
        write_settings(network, tmp_path)
        image = np.zeros((1, 16, 32, 3), np.float32)
        image[..., 0] = 1
        boxes, scores = OpenVINOExporter.load_network(str(tmp_path / "model.xml"))(image)
        np.testing.assert_allclose(boxes, 300.1, rtol=1e-6)
        np.testing.assert_allclose(scores, 256 * 0.33325195, rtol=1e-6)

    def test_without_nncf_int8_is_an_error_with_the_command(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Before the network is converted."""
        monkeypatch.setitem(sys.modules, "nncf", None)
        network = Network(tmp_path, InputSettings(32, 16), DecoderSettings(), LabelMap.from_names(["red"]))
        with pytest.raises(MissingLibraryError, match="NNCF is not installed") as caught:
            convert(network, tmp_path / "model.xml", "int8", [])
        assert 'pip install "boxwright-openvino[cpu]"' in caught.value.remedy
        assert list(tmp_path.iterdir()) == []

    def test_nncf_leaves_the_logging_of_others(self) -> None:
        """Unchanged, it sets its class for all new loggers, and its level for all handlers of its logger."""
        if importlib.util.find_spec("nncf") is None:
            pytest.skip("NNCF is not installed")
        handler, logger = logging.NullHandler(), logging.getLogger("nncf")
        logger.addHandler(handler)
        try:
            _import_nncf()
        finally:
            logger.removeHandler(handler)
        assert handler.level == logging.NOTSET
        assert logging.getLoggerClass() is logging.Logger

    def test_the_model_resizes_as_pillow_does(self, plugins: Registry, run: Run, tmp_path: Path) -> None:
        """An image of any size, in a batch of two, has the scores of the image that Pillow resized."""
        _, artifact = next(self.exported(plugins, run, tmp_path))
        model = openvino.Core().compile_model(artifact, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        image = draw_image(75, 61, [(5, 5, 40, 30), (50, 20, 70, 55)])
        small = InputSettings(INPUTS.width, INPUTS.height, oversample=9.0)(image)
        whole = np.asarray(image, np.float32)
        found = model(np.stack([whole, whole]))
        expected = small.mean(axis=(0, 1))[:2] / 255
        assert found["scores"][:, 0] == pytest.approx(np.stack([expected, expected]), abs=1e-5)


class TestMyriad(NetworkExporterTests):
    exporter = "openvino-myriad"
    score_tolerance = 0.002

    def test_what_the_plugin_reads(self, plugins: Registry, run: Run, tmp_path: Path) -> None:
        """Half precision, batch 1, no operation after opset 8, and the format of OpenVINO 2021."""
        _, artifact = next(self.exported(plugins, run, tmp_path))
        tree = ElementTree.parse(artifact).getroot()
        assert tree.get("version") == "10"
        layers = list(tree.iter("layer"))
        assert {str(layer.get("version")) for layer in layers} <= {f"opset{number}" for number in range(1, 9)}
        assert {port.get("precision") for port in tree.iter("port")} <= {"FP16", "I64", "I32", None}
        assert not {"NonMaxSuppression", "Slice", "ShapeOf"} & {layer.get("type") for layer in layers}
        (shape,) = [layer.find("data").get("shape") for layer in layers if layer.get("type") == "Parameter"]
        assert shape == "1,16,32,3"


def test_operations_that_the_myriad_plugin_does_not_read_are_named() -> None:
    from openvino import Model, opset1, opset4, opset8, opset15

    images = opset1.parameter([1, 4, 6], np.float32, name="images")
    flexible = opset1.parameter([-1, 4], np.float32, name="flexible")
    nodes = [
        opset4.acosh(images, name="curve"),
        opset15.softmax(images, 1) if hasattr(opset15, "softmax") else opset8.softmax(images, 1),
        opset15.topk(images, opset1.constant(2), 1, "max", "value", name="best"),
        opset1.relu(flexible, name="open"),
        opset1.relu(images, name="fine"),
    ]
    model = Model([node.output(0) for node in nodes], [images, flexible], "many")
    named = " ".join(sorted(unsupported(model)))
    assert "Acosh (curve)" in named
    assert "TopK of opset11 (best)" in named
    assert "Relu with a shape that is only known when it runs (open)" in named
    assert "fine" not in named
    assert "Softmax" not in named


@pytest.mark.parametrize(
    ("start", "stop", "step", "axes"),
    [
        ([1], [3], [1], [1]),
        ([-2, 0], [100, 4], [1, 2], [2, 1]),
        ([3], [-100], [-1], [-1]),
        ([0, 1], [1, 3], [1, 1], None),
    ],
)
def test_slices_become_strided_slices(
    start: list[int], stop: list[int], step: list[int], axes: list[int] | None
) -> None:
    """Compared with the slice itself."""
    from openvino import Core, Model, opset1, opset8

    images = opset1.parameter([1, 4, 6], np.float32)
    more = [] if axes is None else [np.array(axes)]
    node = opset8.slice(images, np.array(start), np.array(stop), np.array(step), *more)
    model = Model([node.output(0)], [images], "slice")
    values = np.arange(24, dtype=np.float32).reshape(1, 4, 6)
    expected = Core().compile_model(model, "CPU")([values])[0]
    simplify(model)
    assert "Slice" not in {each.get_type_name() for each in model.get_ops()}
    np.testing.assert_array_equal(Core().compile_model(model, "CPU")([values])[0], expected)
