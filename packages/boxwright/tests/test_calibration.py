"""The images that a quantized export is calibrated with."""

from __future__ import annotations

import json
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import boxwright
from boxwright import Boxes, DataError, Dataset, ExporterSpec, Run, Sample, UsageError
from boxwright.datasets.dataset import SampleReader
from boxwright.models import DecoderSettings, InputSettings, Network, NetworkExporter, write_settings
from boxwright.models.calibration import calibration_samples
from boxwright.plugins.registry import Registry

SPEC = ExporterSpec(name="small", load="toys:Small", precisions=("fp32", "int8"), calibrated=("int8",))


@pytest.fixture
def run(ground_truth: str, plugins: Registry, tmp_path: Path) -> Run:
    return boxwright.train(ground_truth, out=tmp_path / "run", backend="average", registry=plugins)


def dataset_of(images: Path, count: int, label: str = "fig") -> Dataset:
    image = boxwright.ImageRef(name="a.jpg", width=100, height=80, location=str(images / "a.jpg"))
    samples = [Sample(image=image, boxes=Boxes([label], [(10 + n / 100, 8, 30, 24)])) for n in range(count)]
    return Dataset(SampleReader(samples), uri="lines:memory")


def test_the_training_data_by_default(run: Run, plugins: Registry, ground_truth: str) -> None:
    samples, about = calibration_samples(SPEC, "int8", run, None, plugins)
    assert [sample.image.name for sample in samples] == ["a.jpg", "b.jpg"]
    assert about == {"data": ground_truth, "pictures": 2}


def test_images_from_the_whole_dataset(run: Run, plugins: Registry, images: Path) -> None:
    """Of 1,280 images every tenth."""
    samples, _ = calibration_samples(SPEC, "int8", run, dataset_of(images, 1280), plugins)
    assert [round(sample.boxes.coordinates[0][0] * 100) - 1000 for sample in samples] == list(range(0, 1280, 10))


def test_what_training_accepted_is_accepted(run: Run, plugins: Registry, images: Path) -> None:
    """Regions of other classes; and of two images, the damaged one is left out."""
    (good,) = dataset_of(images, 1)
    region = good.replace(boxes=Boxes(["fig", "DontCare"], [(1, 2, 3, 4), (5, 6, 7, 8)]))
    samples, _ = calibration_samples(SPEC, "int8", run, Dataset(SampleReader([region])), plugins)
    assert len(samples) == 1

    exporter = NetworkExporter()
    damaged = good.replace(image=good.image.model_copy(update={"data": b"\xff\xd8\xff", "location": None}))
    network = types.SimpleNamespace(inputs=InputSettings(32, 32))
    exporter.calibration = [damaged, good]
    assert [pixels.shape for pixels in exporter.calibration_images(network)] == [(1, 32, 32, 3)]  # type: ignore[arg-type]
    exporter.calibration = [damaged]
    with pytest.raises(DataError, match=r"a\.jpg"):
        list(exporter.calibration_images(network))  # type: ignore[arg-type]


def test_other_precisions_need_none(run: Run, plugins: Registry, images: Path) -> None:
    assert calibration_samples(SPEC, "fp32", run, None, plugins) == ([], None)
    with pytest.raises(UsageError, match=r"small:fp32 needs no calibration\n  -> .*needed by: small:int8"):
        calibration_samples(SPEC, "fp32", run, dataset_of(images, 1), plugins)


def test_wrong_images_are_refused(run: Run, plugins: Registry, images: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="contains no images to calibrate with"):
        calibration_samples(SPEC, "int8", run, dataset_of(images, 0), plugins)
    with pytest.raises(DataError, match=r"does not know the class 'car'[\s\S]*images of: date, fig"):
        calibration_samples(SPEC, "int8", run, dataset_of(images, 3, "car"), plugins)
    with pytest.raises(DataError, match="nowhere"):
        calibration_samples(SPEC, "int8", run, f"lines:{tmp_path / 'nowhere'}", plugins)
    (tmp_path / "ground_truth.jsonl").unlink()
    with pytest.raises(UsageError, match="training data of .* was not found to calibrate small:int8"):
        calibration_samples(SPEC, "int8", run, None, plugins)


def test_the_exporter_gets_the_inputs_and_the_manifest_names_them(
    run: Run, make_registry: Callable[..., Registry], toys: types.ModuleType, images: Path, tmp_path: Path
) -> None:
    shapes: list[tuple[int, ...]] = []

    class Small(NetworkExporter):
        model = "model.json"

        def export(self, run: Run, out: Path, precision: str = "") -> Path:
            network = Network(out, InputSettings(16, 8), DecoderSettings(), run.label_map)
            write_settings(network, out)
            shapes.extend(image.shape for image in self.calibration_images(network))
            (out / self.model).write_text("{}")
            return out / self.model

        def load(self, artifact: Path, device: str = "") -> Any:
            return boxwright.load_model(run, registry=plugins)

        @staticmethod
        def load_network(path: str) -> Any:
            """Never called."""

    toys.Small = Small  # type: ignore[attr-defined]
    plugins = make_registry(SPEC)
    data = dataset_of(images, 3)
    made = boxwright.export(run, "small:int8", tmp_path / "out", data=data, calibrate=data, registry=plugins)
    assert shapes == [(1, 8, 16, 3)] * 3
    manifest = json.loads((made.artifact.parent / "artifact.json").read_text())
    assert manifest["calibration"] == {"data": "lines:memory", "pictures": 3}
    assert "Calibrated with 3 images of `lines:memory`" in (made.artifact.parent / "README.md").read_text()
