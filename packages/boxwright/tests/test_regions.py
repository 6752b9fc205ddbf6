"""Crowds and regions without annotations: what trains, and what evaluation ignores."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from boxwright import Boxes, DataError, Dataset, ImageRef, Run, Sample, are_regions, load_model, train, validate
from boxwright.datasets import SampleReader
from boxwright.models.inference import predicted_pairs
from boxwright.plugins.registry import Registry

Row = tuple[str, tuple[float, float, float, float], dict[str, Any]]

TRUCK: Row = ("truck", (10, 10, 30, 30), {})
VAN: Row = ("van", (50, 50, 70, 70), {})
CROWD: Row = ("truck", (0, 0, 100, 100), {"iscrowd": 1})
REGION: Row = ("DontCare", (60, 0, 90, 20), {"truncated": -1})


def dataset(*images: Sequence[Row]) -> Dataset:
    samples = [
        Sample(
            image=ImageRef(name=f"{number}.jpg", width=100, height=100),
            boxes=Boxes(*(list(column) for column in zip(*rows, strict=True))),
        )
        for number, rows in enumerate(images)
    ]
    return Dataset(SampleReader(samples))


@pytest.mark.parametrize(
    ("label", "attributes", "expected"),
    [
        ("truck", {}, False),
        ("truck", {"iscrowd": 0}, False),
        ("truck", {"iscrowd": -1}, False),  # unknown, in Open Images
        ("truck", {"iscrowd": 1}, True),
        ("truck", {"iscrowd": "true"}, True),
        ("truck", {"difficult": 1, "truncated": 1, "occluded": 1}, False),
        ("DontCare", {}, True),
        ("dontcare", {"occluded": -1}, True),
    ],
)
def test_what_a_region_is(label: str, attributes: dict[str, Any], expected: bool) -> None:
    assert are_regions(Boxes([label], [(1, 2, 3, 4)], [attributes])) == [expected]


def test_regions_are_not_trained_on(tmp_path: Path, plugins: Registry) -> None:
    data = dataset([TRUCK, CROWD, REGION], [VAN])
    run = train(data, out=tmp_path / "run", registry=plugins)
    assert run.label_map.names == ("truck", "van")
    # The example backend keeps the mean of all relative boxes: those of the truck and the van.
    assert json.loads(run.file("model/average.json").read_text()) == pytest.approx([0.3, 0.3, 0.5, 0.5])
    assert Run(run.path).state["inputs"]["data"]["boxes"] == 4


def test_held_out_regions_need_no_class(tmp_path: Path, plugins: Registry) -> None:
    data, held_out = dataset([TRUCK], [VAN]), dataset([TRUCK, REGION, ("tram", (1, 2, 3, 4), {"iscrowd": 1})])
    assert train(data, val=held_out, out=tmp_path / "run", registry=plugins).status == "done"
    with pytest.raises(DataError, match="not in the label map: 'tram'"):
        train(data, val=dataset([("tram", (1, 2, 3, 4), {})]), out=tmp_path / "other", registry=plugins)


def test_regions_alone_are_nothing_to_learn_from(tmp_path: Path, plugins: Registry) -> None:
    with pytest.raises(DataError, match="no box to learn from"):
        train(dataset([CROWD, REGION]), out=tmp_path / "run", registry=plugins)


def test_validation_counts_them(plugins: Registry) -> None:
    report = validate(dataset([TRUCK, CROWD, REGION]), images="none", registry=plugins)
    found = [(problem.severity, problem.problem) for problem in report.problems if problem.check == "region"]
    assert found == [("note", "DontCare: 1 box"), ("note", "truck: 1 box")]
    assert dataset([TRUCK, CROWD, REGION]).scan().regions == {"truck": 1, "DontCare": 1}


def test_a_model_need_not_know_the_classes_of_regions(tmp_path: Path, plugins: Registry) -> None:
    model = load_model(train(dataset([TRUCK]), out=tmp_path / "run", registry=plugins), registry=plugins)
    crowd: Row = ("van", (0, 0, 100, 100), {"iscrowd": 1})
    ((sample, _),) = predicted_pairs(model, dataset([TRUCK, REGION, crowd]))
    assert sample.boxes.labels == ("truck", "DontCare", "van")  # the metric ignores detections in them
    with pytest.raises(DataError, match="the model does not know the class 'van'"):
        list(predicted_pairs(model, dataset([TRUCK, REGION, VAN])))
