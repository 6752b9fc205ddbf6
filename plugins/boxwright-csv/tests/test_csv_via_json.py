"""JSON of VGG Image Annotator, as versions 1 and 2 write it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import boxwright
from boxwright import Boxes, Dataset, ImageRef, Sample, UsageError
from boxwright.datasets import SampleReader

RECT = {"name": "rect", "x": 1, "y": 2, "width": 20, "height": 20}
SHAPES: list[dict[str, Any]] = [
    RECT,
    {"name": "polygon", "all_points_x": [1, 20, 9], "all_points_y": [2, 3, 30]},
    {"name": "polyline", "all_points_x": [1, 20, 9], "all_points_y": [2, 3, 30]},
    {"name": "circle", "cx": 20, "cy": 20, "r": 5},
    {"name": "ellipse", "cx": 20, "cy": 20, "rx": 5, "ry": 3, "theta": 0.3},
]
Put = Callable[..., str]


def entry(*shapes: dict[str, Any], name: str = "a.jpg", **attributes: Any) -> dict[str, Any]:
    regions = [{"shape_attributes": shape, "region_attributes": attributes or {"label": "fig"}} for shape in shapes]
    return {"filename": name, "size": 100, "file_attributes": {"caption": "figs"}, "regions": regions}


@pytest.fixture
def put(tmp_path: Path) -> Put:
    def make(content: Any, name: str = "via.json") -> str:
        Image.new("RGB", (64, 48)).save(tmp_path / "a.jpg")
        (tmp_path / name).write_text(json.dumps(content))
        return str(tmp_path / name)

    return make


@pytest.mark.parametrize(
    "content",
    [
        {"a.jpg100": entry(RECT)},
        {"_via_settings": {}, "_via_img_metadata": {"a.jpg100": entry(RECT)}, "_via_attributes": {}},
        {"a.jpg100": {**entry(), "regions": {"0": entry(RECT)["regions"][0]}, "base64_img_data": ""}},
    ],
    ids=["annotations", "project", "version 1"],
)
def test_every_kind_of_file_is_recognized_and_read(content: Any, put: Put) -> None:
    dataset = boxwright.open(put(content))
    assert dataset.uri.startswith("via:")
    (sample,) = dataset
    assert (sample.image.name, sample.image.width, sample.attributes) == ("a.jpg", 64, {"caption": "figs"})
    assert (sample.boxes.labels, sample.boxes.coordinates) == (("fig",), ((1, 2, 21, 22),))


def test_shapes_follow_the_rule(put: Put, tmp_path: Path) -> None:
    uri = f"via:{put({'a': entry(*SHAPES, {'name': 'point', 'cx': 3, 'cy': 4})})}"
    (sample,) = boxwright.open(uri)
    assert sample.boxes.coordinates[:4] == ((1, 2, 21, 22), (1, 2, 20, 30), (1, 2, 20, 30), (15, 15, 25, 25))
    assert sample.boxes.attributes[1] == {"segmentation": [[1, 2, 20, 3, 9, 30]]}
    report = boxwright.convert(f"{uri}?shapes=skip", f"coco:{tmp_path}/o.json")
    assert (report.boxes, sum(report.losses.dropped.values())) == (1, 5)
    with pytest.raises(boxwright.DataError, match=r"line 1, a, region 2: it is not an upright box, but a polygon"):
        list(boxwright.open(f"{uri}?shapes=fail"))


def test_the_class_is_an_attribute_of_choice(put: Put) -> None:
    place = put({"a": entry(RECT, kind="fig", colour="red")})
    with pytest.raises(boxwright.DataError, match=r"region 1: the region has no attribute called class") as caught:
        list(boxwright.open(f"via:{place}"))
    assert "?label=NAME (one of kind, colour)" in caught.value.remedy
    (sample,) = boxwright.open(f"via:{place}?label=kind")
    assert (sample.boxes.labels, sample.boxes.attributes[0]) == (("fig",), {"colour": "red"})


@pytest.mark.parametrize("options", ["", "&project=true"])
def test_what_was_read_is_written_again(put: Put, tmp_path: Path, options: str) -> None:
    content = {"a": entry(*SHAPES, label="fig", ripe="very")}
    boxwright.convert(f"via:{put(content)}", f"via:{tmp_path}/out.json?label=label{options}")
    written = json.loads((tmp_path / "out.json").read_text())
    if options:
        # What VIA 2 requires of a project: project_open_parse_json_file in its via.js.
        assert {"_via_settings", "_via_img_metadata", "_via_attributes"} <= written.keys()
        assert written["_via_attributes"]["region"]["label"]["options"] == {"fig": ""}
        assert written["_via_image_id_list"] == list(written["_via_img_metadata"])
        written = written["_via_img_metadata"]
    ((key, found),) = written.items()
    size = (tmp_path / "a.jpg").stat().st_size
    assert (key, found["size"]) == (f"a.jpg{size}", size)
    assert found["file_attributes"] == {"caption": "figs"}
    shapes = [region["shape_attributes"] for region in found["regions"]]
    assert shapes == SHAPES
    assert {region["region_attributes"]["ripe"] for region in found["regions"]} == {"very"}


def test_rotated_rectangles_and_changed_boxes(put: Put, tmp_path: Path) -> None:
    corners = [32, 2, 32, 42, 28, 42, 28, 2]
    kept = {"rotation": 90, "segmentation": [corners]}
    Image.new("RGB", (64, 48)).save(tmp_path / "a.jpg")
    image = ImageRef(name="a.jpg", width=64, height=48, location=str(tmp_path / "a.jpg"))
    boxes = Boxes(["fig", "fig"], [(28, 2, 32, 42), (0, 0, 9, 9)], [kept, kept])
    boxwright.convert(Dataset(SampleReader([Sample(image=image, boxes=boxes)])), f"via:{tmp_path}/o.json")
    one, two = next(iter(json.loads((tmp_path / "o.json").read_text()).values()))["regions"]
    assert one["shape_attributes"] == {
        "name": "polygon",
        "all_points_x": [32, 32, 28, 28],
        "all_points_y": [2, 42, 42, 2],
    }
    assert two["shape_attributes"]["name"] == "rect"
    (sample,) = boxwright.open(f"via:{tmp_path}/o.json")
    assert sample.boxes.attributes == (kept, kept)


def test_a_project_is_json(put: Put, tmp_path: Path) -> None:
    place = put({"a": entry(RECT)})
    with pytest.raises(UsageError, match=r"a project is JSON"):
        boxwright.convert(f"via:{place}", f"via:{tmp_path}/o.csv?project=true")
    with pytest.raises(UsageError, match=r"no option 'grouped'"):
        boxwright.open(f"via:{place}?grouped=false")
    boxwright.convert(f"via:{place}", f"via:{tmp_path}/o.csv")
    assert repr(boxwright.open(f"{tmp_path}/o.csv")).startswith("<Dataset via:")
