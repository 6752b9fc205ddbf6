"""labelImg XML and images to TFRecord: CPU time with 5,000 images, memory with 5,000 and 50,000."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import boxwright as bw

pytest.importorskip("pytest_benchmark", reason="the benchmarks need pytest-benchmark")

IMAGES = 5_000


@pytest.fixture
def make(boxwright: Callable[..., Any], photos: Callable[[int], Path], tmp_path: Path) -> Callable[[int], Any]:
    out, label_map = tmp_path / "ours.record", tmp_path / "label_map.pbtxt"
    return lambda count: boxwright([out, label_map], "convert", f"labelimg:{photos(count)}", f"tfrecord:{out}")


def content(path: Path) -> list[tuple[object, ...]]:
    """The contents of the records, with a digest for each image."""
    return sorted(
        (
            sample.image.name,
            sample.image.width,
            sample.image.height,
            sample.boxes.labels,
            sample.boxes.coordinates,
            hashlib.sha256(sample.image.read()).hexdigest(),
        )
        for sample in bw.open(f"tfrecord:{path}")
    )


def test_tfrecord_and_tensorflow(
    compare: Callable[..., None],
    make: Callable[[int], Any],
    peer: Callable[..., Any],
    photos: Callable[[int], Path],
    tmp_path: Path,
) -> None:
    """As in the tutorials: XML to CSV with one program, CSV and images to TFRecord with another."""
    labels, label_map, out = tmp_path / "labels.csv", tmp_path / "theirs.pbtxt", tmp_path / "theirs.record"
    folder, libraries = photos(IMAGES), ("pandas", "tensorflow", "PIL")
    first = peer("csv_pandas.py", libraries, [labels, label_map], folder, labels, label_map)
    compare(make(IMAGES), first.then(peer("tfrecord_tensorflow.py", libraries, [out], labels, folder, out)))
    assert content(tmp_path / "ours.record") == content(out)


def test_tfrecord_and_the_minimal_loop(
    compare: Callable[..., None],
    make: Callable[[int], Any],
    peer: Callable[..., Any],
    photos: Callable[[int], Path],
    tmp_path: Path,
) -> None:
    """The least that Python needs for it, with nothing checked and no error answered."""
    out = tmp_path / "bare.record"
    compare(make(IMAGES), peer("tfrecord_bare.py", ("google_crc32c",), [out], photos(IMAGES), out))
    assert content(tmp_path / "ours.record") == content(out)


@pytest.mark.parametrize("count", [IMAGES, pytest.param(50_000, marks=pytest.mark.slow)])
def test_tfrecord_peak_memory(
    compare: Callable[..., None], make: Callable[[int], Any], tmp_path: Path, count: int
) -> None:
    """Memory does not grow with the dataset: under 150 MB for any number of images."""
    job = make(count)
    compare(job, rounds=1)
    (tmp_path / "ours.record").unlink()
    assert job.best.peak_mb < 150
