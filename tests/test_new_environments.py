"""The ``detect.py`` of each target in a new environment, which has only what the README of the artifact names."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("tensorflow")

import boxwright
from boxwright import Dataset, Run
from boxwright.datasets import SampleReader
from boxwright.plugins import Registry, default_registry
from boxwright_testing.networks import COLORS, DECODER
from boxwright_testing.probe import with_backend
from boxwright_testing.samples import drawn_samples

pytestmark = [pytest.mark.slow, pytest.mark.tensorflow]

TARGETS = ("litert", "litert-detection", "onnx", "openvino", "openvino-myriad", "tensorrt", "saved-model", "keras")
"""The targets that any computer can run; RKNN's runtime exists only for its boards, and a page needs a browser."""


@pytest.fixture
def plugins(monkeypatch: pytest.MonkeyPatch) -> Registry:
    """All plugins, and a backend whose network needs no training."""
    plugins = with_backend(default_registry(), COLORS)
    monkeypatch.setattr("boxwright.models.network.default_registry", lambda: plugins)
    return plugins


@pytest.fixture
def data(tmp_path: Path) -> Dataset:
    return Dataset(SampleReader(drawn_samples(tmp_path / "images", 8, labels=("first", "second"), empty=1)))


@pytest.fixture
def run(plugins: Registry, data: Dataset, tmp_path: Path) -> Run:
    return boxwright.train(data, out=tmp_path / "run", backend=COLORS.name, epochs=1, registry=plugins)


@pytest.mark.parametrize("target", TARGETS)
def test_the_readme_names_all_that_detect_py_needs(
    target: str, plugins: Registry, run: Run, data: Dataset, tmp_path: Path
) -> None:
    if target not in plugins.names("exporter"):
        pytest.skip(f"the exporter {target} is not installed")
    uv = shutil.which("uv")
    if uv is None:
        pytest.skip("uv, which creates the environment, is not installed")
    python = tmp_path / "environment" / ("Scripts" if os.name == "nt" else "bin") / "python"
    subprocess.run([uv, "venv", "-q", "-p", sys.executable, python.parent.parent], check=True)
    spec: Any = plugins.get("exporter", target).spec
    for precision in spec.precisions or ("",):
        folder = tmp_path / (precision or "exported")
        calibrate = data if precision in spec.calibrated else None
        name = f"{target}:{precision}".rstrip(":")
        boxwright.export(run, name, folder, data=data, calibrate=calibrate, registry=plugins)
        command = re.search("^python -m pip install (.*)$", (folder / "README.md").read_text("utf-8"), re.MULTILINE)
        assert command is not None, precision
        subprocess.run([uv, "pip", "install", "-q", "-p", python, *shlex.split(command[1])], check=True)
        script = [str(python), "-I", str(folder / "detect.py")]
        done = subprocess.run(script, capture_output=True, text=True, cwd=os.sep, check=False)
        assert done.returncode == 0, f"{precision}: {done.stderr}"
        found = [json.loads(line) for line in done.stdout.splitlines()]
        golden = json.loads((folder / "golden.json").read_text("utf-8"))["detections"]
        shown = [each for each in golden if each["score"] >= DECODER.to_dict()["score"]]
        assert [each["label"] for each in found] == [each["label"] for each in shown]
        assert shown, precision
        for one, other in zip(found, shown, strict=True):
            assert one["score"] == pytest.approx(other["score"], abs=1e-4)
            assert one["box"] == pytest.approx(other["box"], abs=0.01)
