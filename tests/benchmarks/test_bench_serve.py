"""A served model and the same model called directly, in turns."""

import json
import subprocess
import sys
from pathlib import Path
from statistics import median
from typing import Any

import pytest

pytest.importorskip("pytest_benchmark", reason="the benchmarks need pytest-benchmark")
pytest.importorskip("boxwright_serve")
pytest.importorskip("keras_cv", reason="the model is trained with KerasCV")
pytest.importorskip("openvino", reason="the model runs in OpenVINO")

SCRIPT = Path(__file__).parent / "peers" / "serve_load.py"


@pytest.mark.parametrize("preset", ["tiny", "resnet18"])
def test_a_served_model_and_the_same_called_directly(
    benchmark: Any, environment: dict[str, str], tmp_path: Path, preset: str
) -> None:
    """The goal is at least 85 % of the throughput."""

    def run(*words: object) -> None:
        command = [sys.executable, "-m", "boxwright_cli", *map(str, words)]
        subprocess.run(command, cwd=tmp_path, env=environment, check=True, capture_output=True)

    run("demo", "demo", "--images", 20, "--size", "640x480")
    settings = ("--preset", preset, "--image-size", "256x256", "--set", "steps=2")
    run("train", "--data", "labelimg:demo/train", "--out", "run", *settings)
    run("export", "run", "--to", "openvino", "--out", "exported", "--data", "labelimg:demo/test")
    command = [sys.executable, str(SCRIPT), "exported", "demo/train"]
    done = benchmark.pedantic(
        lambda: subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True),
        rounds=1,
    )
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["same"]
    benchmark.extra_info.update(found)
    for what in ("images_per_s", "cpu_ms"):
        pairs = [(one[what], other[what]) for one, other in zip(found["direct"], found["served"], strict=True)]
        ratios = [other / one for one, other in pairs]
        print(
            f"{preset}, {what}: direct {median(one for one, _ in pairs):.1f}, served "
            f"{median(other for _, other in pairs):.1f}: {median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
        )
