from __future__ import annotations

from pathlib import Path

import boxwright
import pytest
from boxwright import Dataset
from boxwright.datasets import SampleReader
from boxwright_testing import drawn_samples

from boxwright_myplugin.conformance import TestConformance as TestConformance


def test_it_predicts_the_average(tmp_path: Path) -> None:
    samples = drawn_samples(tmp_path, 6, labels=("square",))
    data = Dataset(SampleReader(samples))
    run = boxwright.train(data, out=tmp_path / "run", backend="myplugin", settings={"rate": 1})
    (found,) = boxwright.load_model(run).predict(samples[:1])
    columns = zip(*(sample.boxes.coordinates[0] for sample in samples), strict=True)
    assert found.boxes[0].coordinates == pytest.approx([sum(column) / 6 for column in columns])
