"""Training and prediction of KerasCV's network: CPU time next to plain KerasCV, in the same process."""

import json
import subprocess
import sys
from pathlib import Path
from statistics import median
from typing import Any

import pytest

pytest.importorskip("pytest_benchmark", reason="the benchmarks need pytest-benchmark")
pytest.importorskip("keras_cv", reason="the peer is KerasCV")

SCRIPT = Path(__file__).parent / "peers" / "train_kerascv.py"


def test_training_and_prediction_and_kerascv(benchmark: Any, environment: dict[str, str]) -> None:
    """The goals are the same CPU time for training, 1.7 times less in bfloat16, and 3 times less for prediction."""
    command = [sys.executable, str(SCRIPT)]
    done = benchmark.pedantic(
        lambda: subprocess.run(command, env=environment, capture_output=True, text=True, check=True), rounds=1
    )
    for work, turns in json.loads(done.stdout.splitlines()[-1]).items():
        for name, costs in turns.items():
            # Of each turn, because the speed of a shared machine changes with time.
            ratios = [theirs / ours for theirs, ours in zip(turns["kerascv"], costs, strict=True)]
            benchmark.extra_info[f"{work}, {name}"] = {"ms": costs, "ratios": ratios}
            print(
                f"{work}, {name}: {median(costs):.0f} ms an image; KerasCV takes {median(ratios):.2f} times as long "
                f"({min(ratios):.2f} to {max(ratios):.2f})"
            )
