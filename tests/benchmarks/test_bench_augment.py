"""Augmentation as in KerasCV's two guides: images per CPU second next to KerasCV's layers, in the same process."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pytest_benchmark", reason="the benchmarks need pytest-benchmark")
pytest.importorskip("keras_cv", reason="the peer is KerasCV")

SCRIPT = Path(__file__).parent / "peers" / "augment_kerascv.py"


def test_augmentation_and_kerascv(benchmark: Any, environment: dict[str, str]) -> None:
    """The goal is six times the images per CPU second."""
    command = [sys.executable, str(SCRIPT)]
    done = benchmark.pedantic(
        lambda: subprocess.run(command, env=environment, capture_output=True, text=True, check=True), rounds=1
    )
    for guide, cost in json.loads(done.stdout.splitlines()[-1]).items():
        ratio = cost["kerascv"] / cost["boxwright"]
        benchmark.extra_info[guide] = cost | {"ratio": ratio}
        print(f"{guide}: KerasCV {cost['kerascv']:.1f} ms, boxwright {cost['boxwright']:.1f} ms: {ratio:.1f} times")
        assert ratio > 6
