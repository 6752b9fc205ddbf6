from __future__ import annotations

from pathlib import Path

from boxwright import Dataset
from boxwright.datasets import SampleReader
from boxwright_testing import drawn_samples

from boxwright_myplugin.conformance import TestConformance as TestConformance


def test_types_and_shapes(tmp_path: Path) -> None:
    dataset = Dataset(SampleReader(drawn_samples(tmp_path, 1, size=(64, 48))))
    (example,) = dataset.to_myplugin()
    assert (example["images"].shape, example["images"].dtype) == ((48, 64, 3), "uint8")
    assert (example["bounding_boxes"]["boxes"].shape, example["bounding_boxes"]["boxes"].dtype) == ((2, 4), "float32")
    assert example["bounding_boxes"]["classes"].tolist() == [0, 1]
