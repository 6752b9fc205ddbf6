"""Exports of a network whose boxes and scores can be computed manually."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

tf = pytest.importorskip("tensorflow")
pytest.importorskip("tf2onnx")

from boxwright import DataError, ImageRef, LabelMap, RunError, Sample, UsageError  # noqa: E402
from boxwright.images import encode_jpeg  # noqa: E402
from boxwright.models import DecoderSettings, InputSettings, Network  # noqa: E402
from boxwright_onnx import exporter as module  # noqa: E402
from boxwright_onnx.convert import convert  # noqa: E402
from boxwright_onnx.exporter import ONNXExporter  # noqa: E402

pytestmark = pytest.mark.tensorflow

BOXES = np.array([[2, 4, 12, 10], [3, 4, 13, 10], [20, 1, 30, 9]], np.float32)
"""The first two have an IoU of 54 / 66."""

GREEN = Image.new("RGB", (64, 32), (0, 128, 0))


class Colors(tf.Module):  # type: ignore[misc,name-defined]
    """Scores of three fixed boxes: the mean of red and of green over the image, 0 to 1, times the box's factor."""

    def __init__(self) -> None:
        self.factors = tf.Variable([[1.0], [0.9], [0.5]])

    @tf.function(input_signature=[tf.TensorSpec((None, 16, 32, 3), tf.float32, name="images")])  # type: ignore[untyped-decorator,unused-ignore]
    def serve(self, images: Any) -> dict[str, Any]:
        means = tf.reduce_mean(images, axis=(1, 2))[:, None, :2] / 255.0
        boxes = tf.tile(tf.constant(BOXES)[None], (tf.shape(images)[0], 1, 1))
        return {"boxes": boxes, "scores": means * self.factors}


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Network:
    folder, colors = tmp_path_factory.mktemp("network"), Colors()
    tf.saved_model.save(colors, str(folder), signatures={"serving_default": colors.serve})
    classes = LabelMap.from_names(["red", "green"], sort=False)
    return Network(folder, InputSettings(32, 16), DecoderSettings(score_threshold=0.1), classes)


@pytest.fixture
def exporter(network: Network, monkeypatch: pytest.MonkeyPatch) -> ONNXExporter:
    @contextmanager
    def opened(run: Any) -> Iterator[Network]:
        yield network

    monkeypatch.setattr(module, "open_network", opened)
    return ONNXExporter()


@pytest.mark.parametrize("precision", ["", "fp16"])
def test_the_artifact_detects_what_the_network_says(exporter: ONNXExporter, tmp_path: Path, precision: str) -> None:
    artifact = exporter.export(SimpleNamespace(), tmp_path, precision)  # type: ignore[arg-type]
    model = exporter.load(artifact)
    photo = ImageRef(name="green.jpg", width=64, height=32, data=encode_jpeg(GREEN, 100))
    (found,) = model.predict([Sample(image=photo)])
    assert found.boxes.labels == ("green", "green"), "the second box is suppressed"
    assert found.scores == pytest.approx([128 / 255, 64 / 255], abs=2e-3)
    np.testing.assert_allclose(found.boxes.xyxy, 2 * BOXES[[0, 2]], atol=1e-3)


def test_onnx_runtime_detects_in_a_batch_of_any_size(exporter: ONNXExporter, tmp_path: Path) -> None:
    import onnxruntime

    artifact = exporter.export(SimpleNamespace(), tmp_path)  # type: ignore[arg-type]
    session = onnxruntime.InferenceSession(artifact, providers=["CPUExecutionProvider"])
    images = np.zeros((2, 16, 32, 3), np.float32)
    images[1, :, :, 0] = 255
    boxes, scores, classes, positions = session.run(["boxes", "scores", "classes", "positions"], {"images": images})
    assert positions.tolist() == [1, 1], "the first image is black"
    assert classes.tolist() == [0, 0]
    assert scores.tolist() == pytest.approx([1, 0.5])
    assert boxes.tolist() == BOXES[[0, 2]].tolist()
    properties = session.get_modelmeta().custom_metadata_map
    assert properties == {"names": '["red", "green"]', "image_size": "32x16"}


def test_soft_nms_is_an_error(exporter: ONNXExporter, network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="Soft-NMS"):
        convert(replace(network, decoder=DecoderSettings(soft_nms_sigma=0.5)), "fp32")


def test_the_settings_are_in_the_folder(exporter: ONNXExporter, tmp_path: Path) -> None:
    exporter.export(SimpleNamespace(), tmp_path)  # type: ignore[arg-type]
    assert (tmp_path / "labels.txt").read_text() == "red\ngreen\n"
    assert json.loads((tmp_path / "preprocess.json").read_text()) == {"width": 32, "height": 16, "oversample": 1.0}
    assert json.loads((tmp_path / "decoder.json").read_text())["score_threshold"] == 0.1


def test_a_damaged_artifact_is_an_error(exporter: ONNXExporter, tmp_path: Path) -> None:
    artifact = exporter.export(SimpleNamespace(), tmp_path)  # type: ignore[arg-type]
    whole = artifact.read_bytes()
    artifact.write_bytes(b"nothing")
    with pytest.raises(RunError, match="ONNX Runtime cannot run"):
        exporter.load(artifact)
    artifact.write_bytes(whole)
    (tmp_path / "decoder.json").write_text("[]")
    with pytest.raises(DataError, match=r"decoder\.json"):
        exporter.load(artifact)
    (tmp_path / "label_map.pbtxt").unlink()
    with pytest.raises(DataError, match=r"label_map\.pbtxt.*not found"):
        exporter.load(artifact)
