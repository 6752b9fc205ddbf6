"""The script for a GPU, on a machine that may have none."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).resolve().parents[1] / "tools" / "gpu_check.py"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("gpu_check", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_detections_are_compared_in_both_directions(script: ModuleType) -> None:
    """A score of 0.01 and an edge of 1 pixel may differ; a detection at the limit of the score may be missing."""
    one = [["mug", 0.9, 1.0, 2.0, 30.0, 40.0], ["key", 0.505, 1.0, 2.0, 30.0, 40.0]]
    near = [["mug", 0.895, 1.9, 2.0, 30.0, 40.0]]
    assert script.unmatched([one, []], [near, []], 0.5) == 0
    assert script.unmatched([one, []], [near, []], 0.1) == 1
    assert script.unmatched([near], [one], 0.5) == 0
    far = (["mug", 0.9, 2.5, 2.0, 30.0, 40.0], ["mug", 0.87, 1.0, 2.0, 30.0, 40.0], ["key", 0.9, 1.0, 2.0, 30.0, 40.0])
    for other in far:
        assert script.unmatched([one[:1]], [[other]], 0.5) == 1


@pytest.mark.parametrize(
    ("losses", "precision", "problem"),
    [
        ([2.05, 1.0], "float32", ""),
        ([2.2, 1.0], "float32", "2.200, and 2.000 on the processor"),
        ([2.2, 1.0], "mixed_bfloat16", ""),
        ([2.0, float("nan")], "float32", "not finite"),
    ],
)
def test_losses_are_compared(script: ModuleType, losses: list[float], precision: str, problem: str) -> None:
    result = script.Result("GPU", 100.0, losses)
    script.compare_losses(result, script.Result("CPU", 10.0, [2.0, 1.0]), precision)
    assert problem in result.problem
    assert bool(result.problem) == bool(problem)


@pytest.mark.slow
@pytest.mark.tensorflow
def test_without_a_gpu_the_processor_is_checked(tmp_path: Path) -> None:
    pytest.importorskip("keras_cv")
    size = ["--steps", "4", "--images", "8", "--image-size", "64x64", "--batch-size", "4"]
    command = [sys.executable, str(SCRIPT), "--out", "out", "--framework", "tensorflow", *size]
    environment = os.environ | {"CUDA_VISIBLE_DEVICES": "-1"}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=1200)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "tensorflow: no GPU found: ran on the CPU" in done.stdout
    assert "0 of " in done.stdout
    report = json.loads((tmp_path / "out" / "report.json").read_text())["tensorflow"]
    assert report["gpus"] == 0
    names = [result["name"] for result in report["trained"]]
    assert len(names) == 4
    assert [name for name in names if "bfloat16" in name or "XLA" in name or "mirrored:2" in name] == names[1:]
    assert all(result["images_per_second"] > 0 and not result["problem"] for result in report["trained"])
