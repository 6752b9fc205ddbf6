from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, parse

import pytest

import boxwright
from boxwright import Boxes, DataError, Dataset, ImageRef, LabelMap, Sample
from boxwright.datasets import Ellipse, Mask, Points, Polygon, Polyline, Rectangle, SampleReader, Skeleton


def written(folder: Path, *samples: Sample, **options: Any) -> Element:
    boxwright.convert(Dataset(SampleReader(samples)), f"cvat:{folder}/o.xml", **options)
    back = list(boxwright.open(f"cvat:{folder}/o.xml"))
    for one, other in zip(samples, back, strict=True):
        assert other.split == one.split
        assert other.boxes.xyxy == pytest.approx(one.boxes.xyxy)
        assert [dict(each) for each in other.boxes.attributes] == [dict(each) for each in one.boxes.attributes]
    return parse(folder / "o.xml").getroot()


def sample(*boxes: tuple[tuple[float, ...], Mapping[str, Any]], name: str = "a.jpg", **fields: Any) -> Sample:
    columns = ["car"] * len(boxes), [box for box, _ in boxes], [extra for _, extra in boxes]
    return Sample(image=ImageRef(name=name, width=64, height=48), boxes=Boxes(*columns), **fields)  # type: ignore[arg-type]


def test_the_elements_of_cvat(tmp_path: Path) -> None:
    """Those of the example in CVAT's documentation of the format."""
    extra = {"occluded": 1, "z_order": 3, "group_id": 2, "source": "auto", "color": "red", "n": 5, "digits": "007"}
    tags = ["night", {"label": "weather", "attributes": {"rain": True}}]
    one = sample(((1, 2, 30, 20.5), extra), attributes={"tags": tags}, split="train")
    root = written(tmp_path, one, label_map=LabelMap.from_names(["boat", "car"], sort=False))
    assert [child.tag for child in root] == ["version", "meta", "image"]
    assert [node.text for node in root.findall("meta/task/labels/label/name")] == ["boat", "car"]
    image = root[2]
    assert image.attrib == {"id": "0", "name": "a.jpg", "subset": "train", "width": "64", "height": "48"}
    box, night, weather = image
    assert (box.tag, box.attrib) == (
        "box",
        {
            "label": "car",
            "source": "auto",
            "occluded": "1",
            "z_order": "3",
            "group_id": "2",
            "xtl": "1",
            "ytl": "2",
            "xbr": "30",
            "ybr": "20.5",
        },
    )
    assert {node.attrib["name"]: node.text for node in box} == {"color": "red", "n": "5", "digits": "007"}
    assert (night.tag, night.attrib["label"], len(night)) == ("tag", "night", 0)
    assert [(node.attrib["name"], node.text) for node in weather] == [("rain", "true")]


@pytest.mark.parametrize(
    ("shape", "tag", "attributes"),
    [
        (Polygon.of([(1.0, 2.0), (20.5, 3.0), (9.0, 30.0)]), "polygon", {"points": "1,2;20.5,3;9,30"}),
        (Polyline(((1.0, 2.0), (20.0, 3.0))), "polyline", {"points": "1,2;20,3"}),
        (Points(((1.0, 2.0), (20.0, 3.0))), "points", {"points": "1,2;20,3"}),
        (
            Rectangle(10.0, 20.0, 50.0, 24.0, 90.0),
            "box",
            {"xtl": "10", "ytl": "20", "xbr": "50", "ybr": "24", "rotation": "90"},
        ),
        (Ellipse(20.0, 30.0, 5.0, 5.0), "ellipse", {"cx": "20", "cy": "30", "rx": "5", "ry": "5"}),
        (
            Ellipse(20.0, 30.0, 5.0, 3.0, 30.0),
            "ellipse",
            {"cx": "20", "cy": "30", "rx": "5", "ry": "3", "rotation": "30"},
        ),
        # .XX / X.. from (10, 20) on, in the columns of an image with 48 rows.
        (
            Mask(64, 48, (501, 1, 46, 1, 47, 1, 64 * 48 - 597)),
            "mask",
            {"rle": "1, 3, 2", "left": "10", "top": "20", "width": "3", "height": "2"},
        ),
        (Polygon((((1.0, 2.0), (5.0, 3.0)), ((9.0, 30.0), (3.0, 3.0)))), "box", {"xtl": "1", "xbr": "9"}),
    ],
)
def test_each_shape_is_written_as_it_was_drawn(
    shape: Any, tag: str, attributes: dict[str, str], tmp_path: Path
) -> None:
    drawn = written(tmp_path, sample((shape.box, shape.attributes)))[2][0]
    assert (drawn.tag, {name: drawn.attrib[name] for name in attributes}) == (tag, attributes)


def test_a_skeleton(tmp_path: Path) -> None:
    shape = Skeleton(((1.0, 2.0), (9.0, 30.0), (50.0, 40.0)), (2, 1, 0), ("head", "tail", "fin"))
    drawn = written(tmp_path, sample((shape.box, shape.attributes)))[2][0]
    assert drawn.tag == "skeleton"
    assert [(p.attrib["label"], p.attrib["points"], p.attrib["outside"], p.attrib["occluded"]) for p in drawn] == [
        ("head", "1,2", "0", "0"),
        ("tail", "9,30", "0", "1"),
        ("fin", "50,40", "1", "0"),
    ]


VALUES = ["5", "true", "null", '"x"', "[1]", "", "1.50", " x\r\ny ", 5, 0.1, True, None, [1, "2"]]


@pytest.mark.parametrize("value", VALUES)
def test_values_keep_their_types(value: Any, tmp_path: Path) -> None:
    written(tmp_path, sample(((1, 2, 3, 4), {"note": value})))


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"attributes": {"tags": "night"}}, "the attribute tags is 'night', not a list"),
        ({"attributes": {"tags": [3]}}, "a tag of the image is 3, not a label"),
        ({"split": "validation"}, "the split 'validation' has another name as a subset of CVAT"),
        ({"name": "first.jpg"}, "duplicate image first.jpg"),
        ({"name": "a\x01.jpg"}, "which XML cannot represent"),
    ],
)
def test_what_the_format_cannot_hold_is_refused(changes: dict[str, Any], problem: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=problem):
        written(tmp_path, sample(name="first.jpg"), sample(**changes))
    assert not (tmp_path / "o.xml").exists()
