"""Tests of exporters of any backend's network, with a network whose boxes and scores can be computed manually."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

import boxwright
from boxwright import BackendSpec, BoxwrightError, Dataset, ExportError, ImageRef, Run, Sample
from boxwright.datasets import SampleReader
from boxwright.models import DecoderSettings, InputSettings, Network, NetworkExporter, PortableModel, Suppressed
from boxwright.plugins import Registered, Registry
from boxwright_testing.exporters import ExporterTests
from boxwright_testing.probe import with_backend
from boxwright_testing.samples import unlike_samples
from boxwright_testing.specs import check_answer

INPUTS = InputSettings(32, 16, oversample=1.5)
DECODER = DecoderSettings(score_threshold=0.1)
BOXES = np.array([[2, 4, 12, 10], [3, 4, 13, 10], [20, 1, 30, 9]], np.float32)
"""The first two have an IoU of 54 / 66: the second is suppressed."""
FACTORS = np.array([[1.0], [0.9], [0.5]], np.float32)


def _colors(images: Any) -> tuple[Any, Any]:
    """Scores of two classes, for three boxes: the mean of red and of green, 0 to 1, times the factor of the box."""
    means = images.mean(axis=(1, 2))[:, None, :2] / np.float32(255)
    return BOXES[None], means * FACTORS


class ColorsBackend:
    """A backend whose network has no parameters, as numpy and as SavedModel."""

    def fit(self, job: Any) -> None:
        """Learns nothing."""
        job.epoch_ended(1, {"loss": 0.0})

    def load(self, run: Run) -> PortableModel:
        """The network in numpy."""
        return PortableModel(run.label_map, INPUTS, Suppressed(_colors, INPUTS, DECODER))

    def write_network(self, run: Run, folder: Path, change: Callable[[Any], Any] = lambda scores: scores) -> Network:
        """The network as SavedModel, with another operation on the scores if there is one."""
        import tensorflow as tf

        module = tf.Module()
        module.factors = tf.Variable(FACTORS)

        @tf.function(input_signature=[tf.TensorSpec((None, INPUTS.height, INPUTS.width, 3), tf.float32, name="images")])  # type: ignore[untyped-decorator,unused-ignore]
        def serve(images: Any) -> dict[str, Any]:
            means = tf.reduce_mean(images, axis=(1, 2))[:, None, :2] / 255.0
            boxes = tf.tile(tf.constant(BOXES)[None], (tf.shape(images)[0], 1, 1))
            return {"boxes": boxes, "scores": change(means * module.factors)}

        tf.saved_model.save(module, str(folder), signatures={"serving_default": serve})
        return Network(folder, INPUTS, DECODER, run.label_map)


COLORS = BackendSpec(
    name="boxwright-testing-colors", load="boxwright_testing.networks:ColorsBackend", presets={"plain": "The only one"}
)

_ALONE = """
import runpy, sys
sys.modules.update(dict.fromkeys(sys.argv.pop(1).split(",")))
sys.argv.pop(0)
runpy.run_path(sys.argv[0], run_name="__main__")
"""
"""Runs a script while some modules cannot be imported."""


class NetworkExporterTests(ExporterTests):
    """The rules for every subclass of :class:`boxwright.models.NetworkExporter`, in addition to `ExporterTests`.

    Its artifacts detect what was computed manually, and so does the ``detect.py`` in them, without boxwright.
    """

    backend: ClassVar[str] = COLORS.name
    image_size = None
    labels = ("first", "second")
    any_operation: ClassVar[bool] = False
    """Whether the target supports every operation of TensorFlow."""

    @pytest.fixture
    def plugins(self, registry: Registry, entry: Registered[Any], monkeypatch: pytest.MonkeyPatch) -> Registry:
        """The plugins under test, and the backend of the network."""
        pytest.importorskip("tensorflow")
        plugins = with_backend(registry, COLORS)
        monkeypatch.setattr("boxwright.models.network.default_registry", lambda: plugins)
        return plugins

    @pytest.fixture
    def photo(self) -> Sample:
        """An image of one color, stored rotated by 90 degrees: 48x96, upright 96x48."""
        from PIL import Image

        image = Image.new("RGB", (48, 96), (0, 128, 0))
        exif = image.getexif()
        exif[0x0112] = 6
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", exif=exif)
        return Sample(image=ImageRef(name="green.jpg", width=96, height=48, data=buffer.getvalue()))

    def make(self, registry: Registry) -> Any:
        """An exporter with images to calibrate with."""
        exporter = super().make(registry)
        exporter.calibration = list(unlike_samples(4))
        return exporter

    def artifacts(
        self, plugins: Registry, run: Run, images: list[Sample], out: Path, *, again: bool = False
    ) -> Iterator[tuple[str, Path]]:
        """Every precision with the folder of its artifact, made and checked by ``boxwright.export``.

        Each is made once for all tests of the class, and copied; with ``again``, it is made in ``out``.
        """
        spec, data = plugins.get("exporter", self.exporter).spec, Dataset(SampleReader(images))
        for precision in self.precisions(plugins):
            target = f"{self.exporter}:{precision}".rstrip(":")
            made = (out if again else run.path.parent) / target.replace(":", "-")
            if again or not made.exists():
                calibrate = data if precision in spec.calibrated else None
                boxwright.export(run, target, made, data=data, calibrate=calibrate, registry=plugins)
            yield precision, made if again else shutil.copytree(made, out / made.name)

    def test_detections_are_those_computed_manually(
        self, plugins: Registry, run: Run, images: list[Sample], photo: Sample, tmp_path: Path
    ) -> None:
        """A third of the size of the photo: its boxes are three times as large; the second one is suppressed."""
        for precision, folder in self.artifacts(plugins, run, images, tmp_path):
            (found,) = boxwright.load_model(folder, registry=plugins).predict([photo])
            assert found.boxes.labels == ("second", "second"), f"{precision}: {found}"
            assert found.scores == pytest.approx([128 / 255, 64 / 255], abs=self.score_tolerance), precision
            np.testing.assert_allclose(found.boxes.xyxy, 3 * BOXES[[0, 2]], atol=self.edge_tolerance)

    def test_detect_py_needs_no_boxwright(
        self, plugins: Registry, run: Run, images: list[Sample], photo: Sample, tmp_path: Path
    ) -> None:
        """It is at most 60 lines long, and detects what the artifact detects: rotated images, and transparent ones."""
        from PIL import Image

        (tmp_path / "green.jpg").write_bytes(photo.image.read())
        Image.new("RGBA", (96, 48), (0, 128, 0, 128)).save(tmp_path / "clear.png")
        clear = ImageRef(name="clear.png", width=96, height=48, location=str(tmp_path / "clear.png"))
        for precision, folder in self.artifacts(plugins, run, images, tmp_path / "out"):
            script = (folder / "detect.py").read_text("utf-8").splitlines()
            assert len(script) <= 60, f"{precision}: detect.py has {len(script)} lines"
            found = self.detect(plugins, folder, tmp_path / "green.jpg", tmp_path / "clear.png")
            expected: list[Any] = []
            model = boxwright.load_model(folder, registry=plugins)
            assert json.loads((folder / "decoder.json").read_text("utf-8")) == json.loads(json.dumps(DECODER.to_dict()))
            least = DECODER.score
            assert isinstance(least, float)
            for each in model.predict([photo, Sample(image=clear)], score=least):
                assert each.boxes, f"{precision}: nothing is detected in {each.image.name}"
                expected += zip(each.boxes.labels, each.scores, each.boxes.coordinates, strict=True)
            self.check_equal(found, expected)
            golden = json.loads((folder / "golden.json").read_text("utf-8"))
            assert golden["detections"], "nothing is detected in the golden image"
            shown = [each for each in golden["detections"] if each["score"] >= least]
            expectations = [(each["label"], each["score"], each["box"]) for each in shown]
            self.check_equal(self.detect(plugins, folder), expectations)

    def test_a_tuned_run_exports_its_settings(
        self, plugins: Registry, run: Run, images: list[Sample], tmp_path: Path
    ) -> None:
        """Both classes are detected in all boxes, and suppress each other, but only the best four scores take part.

        With factors of 1, 0.9 and 0.5, these are those of the first two boxes: 0.50, 0.45, 0.39 and 0.35.
        """
        from PIL import Image

        Image.new("RGB", (96, 48), (100, 128, 0)).save(tmp_path / "olive.png")
        olive = Sample(image=ImageRef(name="olive.png", width=96, height=48, location=str(tmp_path / "olive.png")))
        decoder = replace(DECODER, suppression="all", pre_nms=4, score=(0.6, 0.4))
        run.write_json("tuned.json", {"decoder": decoder.to_dict()})
        try:
            _, folder = next(self.artifacts(plugins, run, images, tmp_path / "out", again=True))
        finally:
            run.file("tuned.json").unlink()
        model = boxwright.load_model(folder, registry=plugins)
        (found,) = model.predict([olive])
        assert found.boxes.labels == ("second",), f"suppression over all classes, of the best scores: {found}"
        assert found.scores == pytest.approx([128 / 255], abs=self.score_tolerance)
        (shown,) = boxwright.predict(model, str(tmp_path / "olive.png")).detections
        expected = zip(shown.boxes.labels, shown.scores, shown.boxes.coordinates, strict=True)
        self.check_equal(self.detect(plugins, folder, tmp_path / "olive.png"), list(expected))
        assert len(shown.boxes) == 1

    def detect(self, plugins: Registry, folder: Path, *images: Path) -> list[dict[str, Any]]:
        """Runs ``detect.py`` where neither boxwright nor its plugins can be imported."""
        blocked = {"boxwright", "boxwright_tf", *(record.module for record in plugins.plugins.records)}
        command = [sys.executable, "-I", "-c", _ALONE, ",".join(sorted(blocked)), str(folder / "detect.py")]
        command += map(str, images)
        done = subprocess.run(command, capture_output=True, text=True, cwd=os.sep, check=False)
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]

    def check_equal(self, found: list[dict[str, Any]], expected: list[Any]) -> None:
        """Compares detections, which JSON files round."""
        assert [each["label"] for each in found] == [label for label, *_ in expected]
        for each, (_, score, box) in zip(found, expected, strict=True):
            assert each["score"] == pytest.approx(score, abs=1e-4)
            assert each["box"] == pytest.approx(box, abs=0.01)

    def test_an_operation_that_is_not_supported_is_named(
        self, plugins: Registry, run: Run, images: list[Sample], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The error of the converter is passed on, and nothing is written."""
        if self.any_operation:
            pytest.skip(f"the exporter {self.exporter} supports every operation")
        import tensorflow as tf

        def singular_values(scores: Any) -> Any:
            return scores * tf.linalg.svd(scores, compute_uv=False)[:, None, :]

        network = ColorsBackend().write_network(run, tmp_path / "network", singular_values)
        monkeypatch.setattr("boxwright.models.network.open_network", lambda run: nullcontext(network))
        with pytest.raises(ExportError) as caught:
            boxwright.export(run, self.exporter, tmp_path / "out", data=Dataset(SampleReader(images)), registry=plugins)
        check_answer(caught.value, "Svd")
        assert not (tmp_path / "out").exists()

    def test_a_damaged_artifact_is_an_error(self, plugins: Registry, run: Run, tmp_path: Path) -> None:
        """A model or settings that are not what they were: the error names the file."""
        exporter = plugins.resolve("exporter", self.exporter)()
        assert isinstance(exporter, NetworkExporter)
        _, artifact = next(self.exported(plugins, run, tmp_path))
        (artifact.parent / "decoder.json").write_text("[]")
        with pytest.raises(BoxwrightError) as caught:
            exporter.load(artifact)
        check_answer(caught.value, "decoder.json")
        (artifact.parent / "decoder.json").write_text(json.dumps(DECODER.to_dict()))
        for path in [artifact] if artifact.is_file() else [path for path in artifact.rglob("*") if path.is_file()]:
            path.write_bytes(b"nothing")
        with pytest.raises(BoxwrightError) as caught:
            exporter.load(artifact)
        check_answer(caught.value, artifact.name)
