from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import boxwright
from boxwright import Boxes, DataError, Dataset, ImageRef, Sample
from boxwright.datasets import Ellipse, Mask, Polygon, Polyline, Rectangle, SampleReader, Skeleton
from boxwright_labelstudio.brush import decoded, encoded


def sample(*boxes: tuple[tuple[float, ...], Mapping[str, Any]], name: str = "a.jpg", **attributes: Any) -> Sample:
    columns = ["car"] * len(boxes), [box for box, _ in boxes], [extra for _, extra in boxes]
    image = ImageRef(name=name, width=64, height=48)
    return Sample(image=image, boxes=Boxes(*columns), attributes=attributes)  # type: ignore[arg-type]


def written(folder: Path, *samples: Sample) -> list[dict[str, Any]]:
    boxwright.convert(Dataset(SampleReader(samples)), f"label-studio:{folder}/o.json")
    back = list(boxwright.open(f"label-studio:{folder}/o.json"))
    for one, other in zip(samples, back, strict=True):
        assert other.image.name == one.image.name
        assert other.boxes.xyxy == pytest.approx(one.boxes.xyxy, abs=1e-9)
        for before, after in zip(one.boxes.attributes, other.boxes.attributes, strict=True):
            assert {**after, "id": None} == {**before, "id": None}
    tasks: list[dict[str, Any]] = json.loads((folder / "o.json").read_text())
    return tasks


def test_pre_annotations(tmp_path: Path) -> None:
    """The keys of https://labelstud.io/guide/predictions; 16 of 64 pixels are 25 percent."""
    scored = ((16, 12, 48, 24), {"score": 0.5, "occluded": 1})
    (task,) = written(tmp_path, sample(scored, ((0, 0, 64, 48), {"score": 1, "id": "abc"}), camera="left"))
    assert task["data"] == {"image": "a.jpg", "width": 64, "height": 48, "camera": "left"}
    assert "annotations" not in task
    (prediction,) = task["predictions"]
    assert (prediction["model_version"], prediction["score"]) == ("boxwright", 0.75)
    one, two = prediction["result"]
    assert one == {
        "id": one["id"],
        "type": "rectanglelabels",
        "from_name": "label",
        "to_name": "image",
        "original_width": 64,
        "original_height": 48,
        "image_rotation": 0,
        "value": {"x": 25, "y": 25, "width": 50, "height": 25, "rotation": 0, "rectanglelabels": ["car"]},
        "score": 0.5,
        "meta": {"boxwright": {"occluded": 1}},
    }
    assert two["id"] == "abc"
    assert "meta" not in two


def test_annotations_and_the_names_of_a_configuration(tmp_path: Path) -> None:
    query = "into=annotations&from_name=tag&to_name=photo&prefix=/data/local-files/%3Fd%3Dphotos/"
    made = sample(((1, 2, 3, 4), {}), name="cam 1/a#1.jpg")
    boxwright.convert(Dataset(SampleReader([made])), f"label-studio:{tmp_path}/o.json?{query}")
    (task,) = json.loads((tmp_path / "o.json").read_text())
    assert task["data"]["image"] == "/data/local-files/?d=photos/cam%201/a%231.jpg"
    (annotation,) = task["annotations"]
    assert [(each["from_name"], each["to_name"]) for each in annotation["result"]] == [("tag", "photo")]
    (back,) = boxwright.open(f"label-studio:{tmp_path}/o.json")
    assert back.image.name == "photos/cam 1/a#1.jpg"


def test_a_rotated_rectangle(tmp_path: Path) -> None:
    """40 x 4 about (30, 22) by 90 degrees: its first corner is at (32, 2), about which Label Studio rotates."""
    shape = Rectangle(10.0, 20.0, 50.0, 24.0, 90.0)
    (task,) = written(tmp_path, sample((shape.box, shape.attributes)))
    value = task["predictions"][0]["result"][0]["value"]
    assert value == {
        "x": 50,
        "y": pytest.approx(200 / 48),
        "width": 62.5,
        "height": pytest.approx(400 / 48),
        "rotation": 90,
        "rectanglelabels": ["car"],
    }


@pytest.mark.parametrize(
    ("shape", "kind", "value"),
    [
        (Polygon.of([(16.0, 12.0), (32.0, 12.0), (16.0, 24.0)]), "polygon", {"points": [[25, 25], [50, 25], [25, 50]]}),
        (Ellipse(32.0, 24.0, 16.0, 12.0, 30.0), "ellipse", {"x": 50, "radiusX": 25, "radiusY": 25, "rotation": 30}),
        (Ellipse(32.0, 24.0, 6.0, 6.0), "ellipse", {"x": 50, "radiusX": 9.375, "radiusY": 12.5, "rotation": 0}),
        # Label Studio does not have these.
        (Polyline(((16.0, 12.0), (32.0, 24.0))), "rectangle", {"x": 25, "width": 25}),
        (Skeleton(((16.0, 12.0), (32.0, 24.0)), (2, 1), ("a", "b")), "rectangle", {"x": 25, "width": 25}),
        (Polygon((((16.0, 12.0),), ((32.0, 24.0),))), "rectangle", {"x": 25, "width": 25}),
    ],
)
def test_each_shape_is_written_as_it_was_drawn(shape: Any, kind: str, value: dict[str, Any], tmp_path: Path) -> None:
    (task,) = written(tmp_path, sample((shape.box, shape.attributes)))
    (result,) = task["predictions"][0]["result"]
    assert result["type"] == f"{kind}labels"
    assert {name: result["value"][name] for name in value} == value


def test_a_mask(tmp_path: Path) -> None:
    shape = Mask(64, 48, (501, 1, 46, 1, 47, 1, 64 * 48 - 597))
    (task,) = written(tmp_path, sample((shape.box, shape.attributes)))
    (result,) = task["predictions"][0]["result"]
    assert (result["type"], result["from_name"], result["value"]["format"]) == ("brushlabels", "brush", "rle")


@pytest.mark.parametrize("seed", range(10))
def test_brushes_are_decoded_as_they_were_encoded(seed: int) -> None:
    chance = np.random.default_rng(seed)
    width, height = (int(side) for side in chance.integers(1, 70, 2))
    inside = chance.random((height, width)) < chance.random()
    assert (decoded(encoded(inside), width, height) == inside).all()


def test_a_long_run(tmp_path: Path) -> None:
    inside = np.zeros((300, 400), dtype=bool)
    inside[100:200] = True
    codes = encoded(inside)
    assert len(codes) < math.ceil(12 + 3 * 3 * 4)
    assert (decoded(codes, 400, 300) == inside).all()


def test_attributes_with_the_names_of_keys(tmp_path: Path) -> None:
    attributes: dict[str, Any] = {"image": "x", "width": 3, "height": "tall", "boxwright": 1, "note": None}
    (task,) = written(tmp_path, sample(**attributes))
    assert task["data"]["boxwright"] == {name: attributes[name] for name in ("image", "width", "height", "boxwright")}
    (back,) = boxwright.open(f"label-studio:{tmp_path}/o.json")
    assert back.attributes == {**attributes, "source_id": 1}


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("first.jpg", "duplicate image first.jpg"),
        ("data:image/x.jpg", "would be read as an address"),
        ("s3://a/b.jpg", "would be read as an address"),
    ],
)
def test_names_that_cannot_be_written(name: str, problem: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=problem):
        written(tmp_path, sample(name="first.jpg"), sample(name=name))
    assert not (tmp_path / "o.json").exists()
