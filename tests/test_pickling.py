"""Datasets of every format can be pickled, as processes that are spawned and PyTorch's DataLoader need it."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import boxwright
from boxwright import Sample
from boxwright.plugins import default_registry
from boxwright_testing import make_sample

SPECS = [entry.spec for entry in default_registry().all("format")]
FORMATS = [spec for spec in SPECS if spec.load and spec.write and not spec.bridge and spec.name != "pictures"]


def named(dataset: Any) -> list[str]:
    return [sample.image.name for sample in dataset]


@pytest.fixture
def samples(tmp_path: Path) -> list[Sample]:
    return [make_sample(tmp_path / "images", f"{i}.jpg", (40, 30), ["fig"], [(i, 2, 20, 20)]) for i in range(3)]


@pytest.mark.parametrize("spec", FORMATS, ids=lambda spec: spec.name)
def test_it_reads_the_same_afterwards(spec: Any, samples: list[Sample], tmp_path: Path) -> None:
    suffix = (spec.suffixes or ("",))[0] if spec.target == "file" else ""
    location = f"{spec.name}:{tmp_path / f'dataset{suffix}'}"
    boxwright.convert(boxwright.from_samples(samples), location)
    dataset = boxwright.open(location)
    again = pickle.loads(pickle.dumps(dataset))
    assert named(again) == named(dataset)
    assert again.label_map == dataset.label_map
    with_step = boxwright.open(dataset, steps=["filter:boxes=0.."])
    assert named(pickle.loads(pickle.dumps(with_step))) == named(dataset)


def test_a_new_process_reads_it(samples: list[Sample], tmp_path: Path) -> None:
    boxwright.convert(boxwright.from_samples(samples), f"csv:{tmp_path}/a.csv")
    (tmp_path / "d.pickle").write_bytes(pickle.dumps(boxwright.open(f"csv:{tmp_path}/a.csv?images={tmp_path}/images")))
    code = "import pickle, sys; print([s.image.name for s in pickle.load(open(sys.argv[1], 'rb'))])"
    found = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "d.pickle"], check=True, capture_output=True, text=True
    )
    assert found.stdout.strip() == "['0.jpg', '1.jpg', '2.jpg']"
