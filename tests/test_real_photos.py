"""Trainings on real photos with the defaults: they reach the results in the README.

Run by ``nox -s slow``; about half an hour on two cores.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

import pytest

SHARED = Path(os.environ.get("BOXWRIGHT_SHARED_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))

pytestmark = [
    pytest.mark.slow,
    pytest.mark.tensorflow,
    pytest.mark.skipif(not SHARED.is_dir(), reason="the photos of shared/data are not here"),
]


def trained(tmp_path: Path, train: Path, held_out: Path, *options: str) -> dict[str, float]:
    """Trains and evaluates by the command line, and returns the COCO numbers."""

    def boxwright(*arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "boxwright_cli", *arguments], capture_output=True, text=True, timeout=3600
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    run = str(tmp_path / "run")
    record = f"tfrecord:{tmp_path}/train.record"
    boxwright("convert", f"labelimg:{train}", record)
    boxwright("train", "--data", record, "--val", f"labelimg:{held_out}", "--out", run, *options)
    found = json.loads(boxwright("evaluate", run, "--data", f"labelimg:{held_out}", "--json"))
    values: dict[str, float] = found["values"]
    return values


def test_fruits(tmp_path: Path) -> None:
    fruits = SHARED / "fruits"
    found = [
        trained(tmp_path / str(seed), fruits / "train", fruits / "test", "--seed", str(seed))["AP50"]
        for seed in range(3)
    ]
    assert statistics.median(found) >= 0.75, found


def test_blood_cells(tmp_path: Path) -> None:
    cells = SHARED / "bccd"
    found = trained(tmp_path, cells / "train", cells / "val")
    assert found["AP50"] >= 0.88, found
    assert found["AP"] >= 0.52, found
