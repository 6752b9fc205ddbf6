"""labelImg XML to CSV, 5,000 images."""

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pytest_benchmark", reason="the benchmarks need pytest-benchmark")

IMAGES = 5_000


@pytest.fixture
def ours(boxwright: Callable[..., Any], photos: Callable[[int], Path], tmp_path: Path) -> Any:
    out, label_map = tmp_path / "ours.csv", tmp_path / "label_map.pbtxt"
    return boxwright([out, label_map], "convert", f"labelimg:{photos(IMAGES)}", f"csv:{out}")


def rows(path: Path) -> list[list[str]]:
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


def test_csv_and_pandas(
    compare: Callable[..., None], ours: Any, peer: Callable[..., Any], photos: Callable[[int], Path], tmp_path: Path
) -> None:
    """The tutorials' way: the same rows and the same label map."""
    out, label_map = tmp_path / "theirs.csv", tmp_path / "theirs.pbtxt"
    theirs = peer("csv_pandas.py", ("pandas",), [out, label_map], photos(IMAGES), out, label_map)
    compare(ours, theirs)
    assert rows(tmp_path / "ours.csv") == rows(out)
    assert (tmp_path / "label_map.pbtxt").read_text("utf-8") == label_map.read_text("utf-8")


def test_csv_and_globox(
    compare: Callable[..., None], ours: Any, peer: Callable[..., Any], photos: Callable[[int], Path], tmp_path: Path
) -> None:
    """The fastest other converter; its CSV has other columns, and as many boxes."""
    out = tmp_path / "theirs.csv"
    compare(ours, peer("csv_globox.py", ("globox",), [out], photos(IMAGES), out))
    assert len(rows(tmp_path / "ours.csv")) == len(rows(out))
