"""Exports: checked against their run, recognised, and accepted instead of a run."""

from __future__ import annotations

import hashlib
import json
import os
import runpy
import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import boxwright
from boxwright import (
    Boxes,
    Dataset,
    Detection,
    Detections,
    ExportError,
    ExporterSpec,
    LabelMap,
    OutputError,
    PluginNotFoundError,
    RunError,
    Sample,
    UsageError,
)
from boxwright.datasets.dataset import SampleReader
from boxwright.images import decode_image
from boxwright.models import DecoderSettings, InputSettings, select_detections
from boxwright.models.artifact import _render
from boxwright.plugins.registry import Registry


@pytest.fixture
def data(images: Path) -> Dataset:
    """Two images with a box at the same relative position, which the example backend learns exactly."""
    samples = [
        Sample(
            image=boxwright.ImageRef(name=name, width=100, height=80, location=str(images / name)),
            boxes=Boxes(["fig"], [(10, 8, 30, 24)]),
        )
        for name in ("a.jpg", "b.png")
    ]
    return Dataset(SampleReader(samples), uri="lines:memory")


@pytest.fixture
def run(data: Dataset, plugins: Registry, tmp_path: Path) -> Any:
    return boxwright.train(data, out=tmp_path / "run", backend="average", registry=plugins)


def test_an_export_is_checked_and_can_be_used_like_its_run(
    run: Any, data: Dataset, plugins: Registry, tmp_path: Path, images: Path
) -> None:
    made = boxwright.export(run, "json", tmp_path / "out", data=data, registry=plugins)
    assert made.artifact == tmp_path / "out" / "model.json"
    assert made.artifact.is_file()
    assert (made.parity.images, made.parity.total.compared, made.parity.matched) == (4, 4, 1), "each at two sizes"
    assert made.bytes == sum(path.stat().st_size for path in (tmp_path / "out").iterdir())
    assert LabelMap.from_pbtxt((tmp_path / "out" / "label_map.pbtxt").read_text()) == run.label_map
    assert json.loads(json.dumps(made.to_dict()))["check"]["found_again"] == 4
    for place in (tmp_path / "out", made.artifact):
        found = boxwright.predict(place, images / "a.jpg", registry=plugins)
        assert found.detections[0].boxes.coordinates[0] == pytest.approx((10, 8, 30, 24))
    ours, theirs = (
        boxwright.evaluate(each, data, metric="found", registry=plugins) for each in (tmp_path / "out", run.path)
    )
    assert ours.values == theirs.values
    assert ours.label_map == theirs.label_map == run.label_map


class Liar:
    """Writes a model that finds something else."""

    label_map = LabelMap.from_names(["fig"])

    def export(self, run: Any, out: Path, precision: str = "") -> Path:
        (out / "model").write_text(precision)
        return out / "model"

    def load(self, artifact: Path) -> Any:
        return self

    def predict(self, samples: Any, *, batch_size: int = 8, score: float = 0.0) -> Iterator[Detections]:
        for sample in samples:
            yield Detections(image=sample.image, boxes=Boxes(["fig"], [(10, 8, 30, 50)], [{"score": 0.5}]))


def test_an_export_that_finds_something_else_is_refused(
    run: Any, data: Dataset, make_registry: Callable[..., Registry], toys: types.ModuleType, tmp_path: Path
) -> None:
    toys.Liar = Liar  # type: ignore[attr-defined]
    plugins = make_registry(ExporterSpec(name="liar", load="toys:Liar"))
    with pytest.raises(ExportError, match="4 of 4 missing, 4 added"):
        boxwright.export(run, "liar", tmp_path / "out", data=data, registry=plugins)
    assert not (tmp_path / "out").exists()


def test_invalid_requests_are_reported_before_any_work(
    run: Any, data: Dataset, make_registry: Callable[..., Registry], toys: types.ModuleType, tmp_path: Path
) -> None:
    toys.Liar = Liar  # type: ignore[attr-defined]
    plugins = make_registry(
        ExporterSpec(name="liar", load="toys:Liar", precisions=("fp32", "fp16")),
        ExporterSpec(name="other", load="toys:Liar", backends=("kerascv",)),
    )
    with pytest.raises(UsageError, match=r"no precision 'int8'[\s\S]*fp32, fp16"):
        boxwright.export(run, "liar:int8", tmp_path / "out", registry=plugins)
    with pytest.raises(UsageError, match=r"models of kerascv, and .* was trained with average"):
        boxwright.export(run, "other", tmp_path / "out", registry=plugins)
    with pytest.raises(PluginNotFoundError):
        boxwright.export(run, "onnx", tmp_path / "out", registry=plugins)
    (tmp_path / "there").write_text("x")
    with pytest.raises(OutputError):
        boxwright.export(run, "json", tmp_path / "there", registry=plugins)


def test_an_export_is_not_made_without_images_to_check_it(run: Any, plugins: Registry, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="was not found, so the export could not be checked\n  -> pass images: --data"):
        boxwright.export(run, "json", tmp_path / "out", registry=plugins)
    assert not (tmp_path / "out").exists()


def test_foreign_models_are_recognised(
    make_registry: Callable[..., Registry], toys: types.ModuleType, tmp_path: Path, images: Path
) -> None:
    class Foreign(Liar):
        def load(self, artifact: Path, label_map: LabelMap | None = None) -> Any:
            self.label_map = label_map or LabelMap.from_names(["guessed"])
            return self

        def predict(self, samples: Any, **options: Any) -> Iterator[Detections]:
            for sample in samples:
                name = self.label_map.names[0]
                yield Detections(image=sample.image, boxes=Boxes([name], [(1, 1, 9, 9)], [{"score": 0.5}]))

    toys.Foreign = Foreign  # type: ignore[attr-defined]
    toys.detect = lambda path: Detection(path.endswith(".pb"), "it is a .pb" if path.endswith(".pb") else "no .pb")  # type: ignore[attr-defined]
    toys.broken = lambda path: 1 / 0  # type: ignore[attr-defined]
    plugins = make_registry(
        ExporterSpec(name="foreign", load="toys:Foreign", detect="toys:detect"),
        ExporterSpec(name="broken", load="toys:Foreign", detect="toys:broken"),
    )
    model, other = tmp_path / "frozen.pb", tmp_path / "model.xyz"
    model.write_bytes(b"x")
    other.write_bytes(b"x")
    classes = tmp_path / "label_map.pbtxt"
    classes.write_text(LabelMap.from_names(["fig"]).to_pbtxt())
    found = boxwright.predict(model, images / "a.jpg", label_map=classes, registry=plugins)
    assert found.detections[0].boxes.labels == ("fig",)
    assert boxwright.load_model(model, registry=plugins).label_map.names == ("guessed",)
    with pytest.raises(RunError, match=r"is neither a run nor a model[\s\S]*foreign: no \.pb[\s\S]*give a run folder"):
        boxwright.load_model(other, registry=plugins)
    with pytest.raises(RunError, match="does not exist"):
        boxwright.load_model(tmp_path / "nothing", registry=plugins)
    with pytest.raises(boxwright.DataError, match="file not found"):
        boxwright.load_model(model, label_map=tmp_path / "none.pbtxt", registry=plugins)


@pytest.fixture
def exported(run: Any, data: Dataset, plugins: Registry, tmp_path: Path) -> Path:
    return boxwright.export(run, "json", tmp_path / "out", data=data, registry=plugins).artifact.parent


def test_the_manifest_describes_every_file(run: Any, exported: Path) -> None:
    manifest = json.loads((exported / "artifact.json").read_text("utf-8"))
    names = {path.name for path in exported.iterdir()}
    assert names == {"model.json", "label_map.pbtxt", "golden.png", "golden.json", "README.md", "artifact.json"}
    for name in names - {"artifact.json"}:
        content = (exported / name).read_bytes()
        assert manifest["files"][name] == {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    assert manifest["run"] == str(run.path)
    assert manifest["data"]["digest"] == run.state["inputs"]["data"]["digest"]
    assert manifest["check"]["passed"] is True
    assert "license of the training data" in manifest["license"]


def test_the_golden_image_has_its_detections(exported: Path, plugins: Registry) -> None:
    golden = json.loads((exported / "golden.json").read_text("utf-8"))
    (found,) = boxwright.predict(exported, exported / "golden.png", registry=plugins).detections
    (expected,) = golden["detections"]
    assert (expected["label"], expected["score"]) == (found.boxes.labels[0], found.scores[0])
    assert expected["box"] == pytest.approx(found.boxes.coordinates[0], abs=0.01)


def _append(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b" ")


def _changed(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        (lambda folder: _changed(folder / "model.json"), r"model\.json: it was changed after the export"),
        (lambda folder: _changed(folder / "golden.png"), r"golden\.png: it was changed after the export"),
        (
            lambda folder: (folder / "model.json").write_bytes((folder / "model.json").read_bytes() + b" "),
            r"model\.json: it was changed after the export",
        ),
        (lambda folder: os.truncate(folder / "model.json", 9), r"model\.json: it is cut off: 9 of \d+ bytes"),
        (lambda folder: (folder / "label_map.pbtxt").unlink(), r"label_map\.pbtxt: No such file"),
    ],
)
def test_an_artifact_that_is_not_what_was_exported_is_refused(
    damage: Callable[[Path], Any], problem: str, exported: Path, plugins: Registry
) -> None:
    damage(exported)
    for place in (exported, exported / "model.json"):
        with pytest.raises(boxwright.DataError, match=problem) as caught:
            boxwright.load_model(place, registry=plugins)
        assert "export the model again" in caught.value.remedy


MANIFEST = '"boxwright_artifact": 1, "exporter": "json"'


@pytest.mark.parametrize(
    ("manifest", "problem"),
    [
        ("{", "damaged"),
        ("[]", "damaged"),
        ('{"exporter": "json", "artifact": "model.json"}', "version 0, and this boxwright reads version 1"),
        ('{"boxwright_artifact": 2}', "version 2, and this boxwright reads version 1"),
        (f'{{{MANIFEST}, "artifact": "../a.json", "files": {{}}}}', r"'\.\./a\.json' is outside"),
        (f'{{{MANIFEST}, "artifact": "a", "files": {{"/b": {{"bytes": 1, "sha256": ""}}}}}}', "'/b' is outside"),
    ],
)
def test_a_wrong_manifest_is_refused(manifest: str, problem: str, plugins: Registry, tmp_path: Path) -> None:
    (tmp_path / "artifact.json").write_text(manifest)
    with pytest.raises(boxwright.DataError, match=problem):
        boxwright.load_model(tmp_path, registry=plugins)


def test_a_device_is_passed_on(
    run: Any, data: Dataset, make_registry: Callable[..., Registry], toys: types.ModuleType, tmp_path: Path
) -> None:
    plugins = make_registry()
    original = plugins.resolve("exporter", "json")
    asked = []

    class Anywhere(original):  # type: ignore[misc,valid-type]
        def load(self, artifact: Path, device: str = "CPU") -> Any:
            asked.append(device)
            return super().load(artifact)

    toys.Anywhere = Anywhere  # type: ignore[attr-defined]
    plugins = make_registry(ExporterSpec(name="anywhere", load="toys:Anywhere", devices=("CPU", "GPU")))
    folder = boxwright.export(run, "anywhere", tmp_path / "out", data=data, registry=plugins).artifact.parent
    boxwright.predict(folder, data, device="GPU", registry=plugins)
    boxwright.evaluate(folder, data, metric="found", device="GPU", registry=plugins)
    assert asked == ["CPU", "GPU", "GPU"]
    with pytest.raises(UsageError, match=r"cannot run on a device named 'TPU'\n  -> choose one of: CPU, GPU"):
        boxwright.predict(folder, data, device="TPU", registry=plugins)
    with pytest.raises(UsageError, match="is a run, which has no choice of devices"):
        boxwright.predict(run, data, device="GPU", registry=plugins)


def test_an_exporter_without_devices(exported: Path, data: Dataset, plugins: Registry) -> None:
    with pytest.raises(UsageError, match=r"models of json cannot run on a device named 'GPU'\n  -> omit the device"):
        boxwright.predict(exported, data, device="GPU", registry=plugins)


def test_an_artifact_has_its_own_label_map(run: Any, exported: Path, plugins: Registry) -> None:
    with pytest.raises(UsageError, match="has its own label map"):
        boxwright.load_model(exported, label_map=run.label_map, registry=plugins)


def test_a_run_has_its_own_label_map(run: Any, plugins: Registry) -> None:
    with pytest.raises(UsageError, match="has its own label map"):
        boxwright.load_model(run, label_map=run.label_map, registry=plugins)


def test_an_option_that_the_exporter_does_not_have(run: Any, data: Dataset, plugins: Registry, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="chip"):
        boxwright.export(run, "json", tmp_path / "out", data=data, settings={"chip": "x"}, registry=plugins)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("clips_first", [True, False])
def test_detect_py_suppresses_as_the_model_does(
    clips_first: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Many of the boxes extend beyond the input."""
    random = np.random.default_rng(5)
    corners = random.uniform(-15, (35, 15), (60, 2))
    boxes = np.concatenate([corners, corners + random.uniform(5, 25, (60, 2))], axis=1).astype(np.float32)
    scores = random.uniform(0, 1, (60, 3)).astype(np.float32)
    inputs, decoder = InputSettings(40, 20), DecoderSettings(0.2, pre_nms=100, clips_first=clips_first)
    runtime = "def load_network(path):\n    return None"
    options: dict[str, Any] = {"suppresses": False, "prepares": False, "again": True, "clips_first": clips_first}
    options |= {"packages": "", "runtime": runtime, "model": "m", "resize": inputs.resize}
    (tmp_path / "detect.py").write_text(_render("detect.py.jinja", **options).partition("\nnetwork = ")[0], "utf-8")
    for name, content in (("preprocess.json", inputs.to_dict()), ("decoder.json", decoder.to_dict())):
        (tmp_path / name).write_text(json.dumps(content), "utf-8")
    (tmp_path / "labels.txt").write_text("one\ntwo\nthree\n", "utf-8")
    found = list(runpy.run_path(str(tmp_path / "detect.py"))["suppress"](boxes, scores))
    expected = select_detections(boxes, scores, inputs, decoder)
    valid = [each for each in found if each[1] > 0]
    assert len(valid) == len(expected.scores) > 20
    for each, values in zip(valid, zip(*expected, strict=True), strict=True):
        for one, other in zip(each, values, strict=True):
            np.testing.assert_allclose(one, other, atol=1e-5)


@pytest.mark.parametrize("inputs", [InputSettings(40, 20, 1.5), InputSettings(40, 20, resize="bilinear")])
@pytest.mark.parametrize("size", [(90, 61), (30, 16)])
def test_detect_py_prepares_images_as_the_model_does(
    inputs: InputSettings, size: tuple[int, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A photo that is rotated by its EXIF orientation, at two sizes."""
    runtime = "def load_network(path):\n    return lambda pixels: ([], [], [])"
    options: dict[str, Any] = {"suppresses": True, "prepares": False, "again": False, "clips_first": True}
    options |= {"packages": "", "runtime": runtime, "model": "m"}
    (tmp_path / "detect.py").write_text(_render("detect.py.jinja", resize=inputs.resize, **options), "utf-8")
    for name, content in (("preprocess.json", inputs.to_dict()), ("decoder.json", DecoderSettings().to_dict())):
        (tmp_path / name).write_text(json.dumps(content), "utf-8")
    (tmp_path / "labels.txt").write_text("one\n", "utf-8")
    pixels = np.random.default_rng(2).integers(0, 256, (size[1] // 4 + 1, size[0] // 4 + 1, 3), dtype=np.uint8)
    image = Image.fromarray(pixels).resize(size)
    exif = image.getexif()
    exif[0x0112] = 6
    image.save(tmp_path / "photo.jpg", exif=exif)
    monkeypatch.setattr(sys, "argv", ["detect.py", str(tmp_path / "photo.jpg")])
    _, found, scale = runpy.run_path(str(tmp_path / "detect.py"))["prepare"](tmp_path / "photo.jpg")
    photo = (tmp_path / "photo.jpg").read_bytes()
    expected = inputs(decode_image(photo, "photo.jpg", at_least=inputs.reduced_size))
    np.testing.assert_allclose(found[0], expected, atol=1e-3)
    assert scale.tolist() == [size[1] / 40, size[0] / 20] * 2
