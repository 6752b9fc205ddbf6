"""OpenVINO: the conformance tests, and what only this exporter has."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

openvino = pytest.importorskip("openvino")

from boxwright import Run, Sample, UsageError  # noqa: E402
from boxwright.models import InputSettings  # noqa: E402
from boxwright.plugins import Registry  # noqa: E402
from boxwright_openvino.exporter import OpenVINOExporter  # noqa: E402
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
