"""RKNN: the split of the network, the script for old boards, and, where its environment is installed, the simulator."""

from __future__ import annotations

import importlib.util
import os
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnxruntime")
onnx = pytest.importorskip("onnx")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from boxwright import ExportError, ImageRef, LabelMap, MissingLibraryError, RunError, Sample, UsageError  # noqa: E402
from boxwright.environments import Environment, Worker, WorkerError  # noqa: E402
from boxwright.models import DecoderSettings, InputSettings, Network, write_settings  # noqa: E402
from boxwright_rknn import ENVIRONMENT, worker  # noqa: E402
from boxwright_rknn.exporter import RKNNExporter, _script  # noqa: E402
from boxwright_rknn.graph import split  # noqa: E402

HEIGHT, WIDTH = 8, 12


def network(convolutions: bool = True) -> Any:
    """Two heads behind a shared convolution; the decoder asks for the shape of what it gets, as tf2onnx writes it."""
    rng = np.random.default_rng(0)
    weights = {"shared": rng.normal(size=(5, 3, 3, 3)), "w_boxes": rng.normal(size=(4, 5, 1, 1))}
    weights |= {"w_scores": rng.normal(size=(2, 5, 1, 1)), "factor": np.array(0.01)}
    values = [numpy_helper.from_array(value.astype(np.float32), name) for name, value in weights.items()]
    values += [
        numpy_helper.from_array(np.array(v, np.int64), n)
        for n, v in (("zero", [0]), ("rest", [-1]), ("four", [4]), ("two", [2]))
    ]
    nodes = [helper.make_node("Mul", ["images", "factor"], ["scaled"])]
    if convolutions:
        nodes += [
            helper.make_node("Transpose", ["scaled"], ["turned"], perm=[0, 3, 1, 2]),
            helper.make_node("Conv", ["turned", "shared"], ["common"]),
            helper.make_node("Relu", ["common"], ["positive"]),
            helper.make_node("Conv", ["positive", "w_boxes"], ["raw_boxes"]),
            helper.make_node("Conv", ["positive", "w_scores"], ["raw_scores"]),
        ]
    else:
        nodes += [helper.make_node("Identity", ["scaled"], [name]) for name in ("raw_boxes", "raw_scores")]
    nodes += [
        helper.make_node("Shape", ["raw_boxes"], ["shape"]),
        helper.make_node("Gather", ["shape", "zero"], ["batch"]),
        helper.make_node("Concat", ["batch", "rest", "four"], ["boxes_shape"], axis=0),
        helper.make_node("Concat", ["batch", "rest", "two"], ["scores_shape"], axis=0),
        helper.make_node("Reshape", ["raw_boxes", "boxes_shape"], ["boxes"]),
        helper.make_node("Reshape", ["raw_scores", "scores_shape"], ["flat"]),
        helper.make_node("Sigmoid", ["flat"], ["scores"]),
    ]
    graph = helper.make_graph(
        nodes,
        "network",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["batch", HEIGHT, WIDTH, 3])],
        [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", "n", size])
            for name, size in (("boxes", 4), ("scores", 2))
        ],
        values,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def outputs_of(model: Any, inputs: dict[str, Any]) -> list[Any]:
    import onnxruntime

    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return list(session.run(None, inputs))


def test_both_parts_together_are_the_network() -> None:
    images = np.random.default_rng(1).uniform(0, 255, (1, HEIGHT, WIDTH, 3)).astype(np.float32)
    expected = outputs_of(network(), {"images": images})
    parts = split(network(), HEIGHT, WIDTH)
    names = [each.name for each in parts.network.graph.output]
    assert sorted(names) == ["raw_boxes", "raw_scores"]
    assert [each.name for each in parts.decoder.graph.input] == names, "the order of the outputs of the NPU"
    assert sum(node.op_type == "Conv" for node in parts.network.graph.node) == 3
    assert {node.op_type for node in parts.decoder.graph.node} == {"Reshape", "Sigmoid"}, "constants are computed"
    heads = outputs_of(parts.network, {"images": images.transpose(0, 3, 1, 2)})
    found = outputs_of(parts.decoder, dict(zip(names, heads, strict=True)))
    for one, other in zip(expected, found, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5)


def test_networks_that_cannot_be_split() -> None:
    with pytest.raises(ExportError, match="no convolution"):
        split(network(convolutions=False), HEIGHT, WIDTH)
    model = network()
    model.graph.node.append(helper.make_node("ReduceMean", ["images"], ["bright"], keepdims=0))
    model.graph.node.append(helper.make_node("Mul", ["scores", "bright"], ["better"]))
    model.graph.output[1].name = "better"
    for node in model.graph.node:
        for names in (node.input, node.output):
            names[:] = [{"scores": "first", "better": "scores"}.get(name, name) for name in names]
    model.graph.output[1].name = "scores"
    with pytest.raises(ExportError, match="need the image in addition"):
        split(model, HEIGHT, WIDTH)


def test_the_toolkit_is_imported_without_pytorch(monkeypatch: pytest.MonkeyPatch) -> None:
    """What rknn-toolkit2 2.5.0 does while it is imported: base classes, decorators, values of sub-modules."""
    if importlib.util.find_spec("torch") is not None:
        pytest.skip("PyTorch is installed")
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    path = Path(str(worker.__file__)).with_name("prepare.py")
    exec(compile(path.read_text("utf-8"), path, "exec"), {"__name__": "prepare"})
    code = """
import torch
import torch.nn.functional as F
from torch.utils.data import DataLoader

class Layer(torch.nn.Module):
    @torch.no_grad()
    def forward(self, x):
        return x

assert Layer().forward(3) == 3
kind = torch.float32
"""
    exec(code, {})
    for name in [name for name in sys.modules if name.partition(".")[0] == "torch"]:
        del sys.modules[name]


@pytest.mark.parametrize("precision", ["fp16", "int8"])
def test_the_script_for_the_rk3399pro(precision: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[Any] = []

    class Toolkit:
        def __getattr__(self, name: str) -> Any:
            return lambda *words, **options: called.append((name, words, options)) or 0

    monkeypatch.setitem(sys.modules, "rknn", types.ModuleType("rknn"))
    monkeypatch.setitem(sys.modules, "rknn.api", types.SimpleNamespace(RKNN=Toolkit))
    (tmp_path / "calibration").mkdir()
    (tmp_path / "calibration" / "000.png").write_bytes(b"")
    before = os.getcwd()
    monkeypatch.chdir(before)
    exec(compile(_script(precision), "script", "exec"), {"__file__": str(tmp_path / "build_rk3399pro.py")})
    names = [name for name, *_ in called]
    assert names == ["config", "load_onnx", "build", "export_rknn"]
    assert called[0][2]["target_platform"] == ["rk3399pro"]
    assert called[1][2] == {"model": "network.onnx"}
    assert called[2][2]["do_quantization"] is (precision == "int8")
    assert (tmp_path / "images.txt").read_text() == "calibration/000.png\n"


def test_what_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BOXWRIGHT_HOME", str(tmp_path))
    with pytest.raises(MissingLibraryError) as caught:
        RKNNExporter().convert(None, tmp_path, "fp16")  # type: ignore[arg-type]
    assert caught.value.remedy.startswith("run: boxwright env install rknn")
    from boxwright.plugins import convert_options, default_registry

    spec = default_registry().get("exporter", "rknn").spec
    for settings, problem in (({"target": "rk3399"}, "rk3588"), ({"chip": "rk3588"}, "target")):
        with pytest.raises(UsageError, match=problem):
            convert_options(settings, spec.options, "the exporter rknn")


@pytest.mark.parametrize("accepted", [True, False])
def test_the_simulator_ends_with_the_model(accepted: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its process does not stay until the program ends; nor does that of a model which is refused."""
    program = tmp_path / "worker"
    program.mkdir()
    answer = "return None" if accepted else "raise ValueError('another model')"
    (program / "__init__.py").write_text("", "utf-8")
    (program / "toolkit.py").write_text(f"def simulate(connection, **arguments):\n    {answer}\n", "utf-8")
    started = Worker(Path(sys.executable), program, name="toy")
    monkeypatch.setattr(Environment, "worker", lambda self: started)
    parts = split(network(), HEIGHT, WIDTH)
    (tmp_path / "decoder.onnx").write_bytes(parts.decoder.SerializeToString())
    (tmp_path / "rknn.json").write_text('{"target": "rk3588", "precision": "fp16"}', "utf-8")
    if accepted:
        run = RKNNExporter().opened(tmp_path / "model.rknn")
        os.kill(started.pid, 0)  # it runs
        del run
    else:
        with pytest.raises(WorkerError, match="another model"):
            RKNNExporter().opened(tmp_path / "model.rknn")
    with pytest.raises(ProcessLookupError):
        os.kill(started.pid, 0)


needs_toolkit = pytest.mark.skipif(Environment(ENVIRONMENT).status != "installed", reason="boxwright env install rknn")


@needs_toolkit
@pytest.mark.tensorflow
@pytest.mark.parametrize("precision", ["fp16", "int8"])
def test_the_simulator_finds_what_the_network_finds(
    precision: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A convolution that sees red: the score of a class is the share of red in a quarter of the image."""
    import io

    from PIL import Image

    inputs = InputSettings(32, 32)
    decoder = DecoderSettings(score_threshold=0.3)
    kernel = np.zeros((1, 3, 16, 16), np.float32)
    kernel[:, 0] = 1 / 256 / 255
    boxes = np.array([[[x, y, x + 16, y + 16] for y in (0, 16) for x in (0, 16)]], np.float32)
    graph = helper.make_graph(
        [
            helper.make_node("Transpose", ["images"], ["turned"], perm=[0, 3, 1, 2]),
            helper.make_node("Conv", ["turned", "kernel"], ["red"], strides=[16, 16]),
            helper.make_node("Reshape", ["red", "shape"], ["scores"]),
            helper.make_node("Sub", ["scores", "scores"], ["nothing"]),
            helper.make_node("Add", ["places", "nothing"], ["boxes"]),
        ],
        "red",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["batch", 32, 32, 3])],
        [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 4, size])
            for name, size in (("boxes", 4), ("scores", 1))
        ],
        [
            numpy_helper.from_array(kernel, "kernel"),
            numpy_helper.from_array(boxes, "places"),
            numpy_helper.from_array(np.array([-1, 4, 1], np.int64), "shape"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    monkeypatch.setattr("boxwright_tf.onnx.to_onnx", lambda saved_model: model)
    image = Image.new("RGB", (64, 64), (0, 200, 90))
    image.paste((204, 0, 0), (32, 0, 64, 32))
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    photo = Sample(image=ImageRef(name="red.png", width=64, height=64, data=buffer.getvalue()))
    exporter = RKNNExporter("rk3566")
    exporter.calibration = [photo]
    found_network = Network(tmp_path, inputs, decoder, LabelMap.from_names(["red"]))
    exporter.convert(found_network, tmp_path, precision)
    write_settings(found_network, tmp_path)
    assert (tmp_path / "model.rknn").stat().st_size
    assert len(list((tmp_path / "calibration").glob("*.png"))) == (precision == "int8")
    for each in (exporter, RKNNExporter()):
        (found,) = each.load(tmp_path / "model.rknn").predict([photo])
        assert found.boxes.coordinates == ((32, 0, 64, 32),)
        assert found.scores == pytest.approx([0.8], abs=0.002 if precision == "fp16" else 0.015)


@needs_toolkit
def test_only_the_model_in_the_folder_is_simulated(tmp_path: Path) -> None:
    """A model of the same shape with other weights, for another chip, or cut off, is not what is simulated."""
    requests = {}
    for name, target in (("one", "rk3588"), ("other", "rk3588"), ("chip", "rk3566")):
        kernel = np.random.default_rng(len(name)).normal(size=(64, 3, 16, 16)).astype(np.float32)
        graph = helper.make_graph(
            [helper.make_node("Conv", ["images", "kernel"], ["found"], strides=[16, 16])],
            "network",
            [helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, 32, 32])],
            [helper.make_tensor_value_info("found", TensorProto.FLOAT, [1, 64, 2, 2])],
            [numpy_helper.from_array(kernel, "kernel")],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        (tmp_path / f"{name}.onnx").write_bytes(model.SerializeToString())
        requests[name] = {"network": str(tmp_path / f"{name}.onnx"), "target": target, "images": []}
        with Environment(ENVIRONMENT).worker() as worker:
            worker.call("toolkit:build", requests[name] | {"out": str(tmp_path / f"{name}.rknn")})
    whole = (tmp_path / "one.rknn").read_bytes()
    assert len(whole) == (tmp_path / "other.rknn").stat().st_size, "the size alone shows nothing"
    (tmp_path / "cut.rknn").write_bytes(whole[: len(whole) // 2])
    with Environment(ENVIRONMENT).worker() as worker:
        worker.call("toolkit:simulate", requests["one"] | {"model": str(tmp_path / "one.rknn")})
        for name in ("other", "chip", "cut"):
            with pytest.raises(RunError, match=f"{name}.rknn is not what rknn-toolkit2 makes of"):
                worker.call("toolkit:simulate", requests["one"] | {"model": str(tmp_path / f"{name}.rknn")})
