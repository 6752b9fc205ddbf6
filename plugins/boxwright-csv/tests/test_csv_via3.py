"""Projects of VGG Image Annotator 3, in the form of those that version 3.0.11 saves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import boxwright
from boxwright import DataError

# The kinds of attributes, files and shapes are numbered in _via_attribute.js, _via_file.js and _via_metadata.js.
ATTRIBUTES = {
    "1": {"aname": "screws", "anchor_id": "FILE1_Z0_XY1", "type": 3, "desc": "", "options": {"0": "cyl", "1": "hex"}},
    "2": {"aname": "seen", "anchor_id": "FILE1_Z0_XY1", "type": 2, "options": {"0": "rust", "1": "dirt", "2": "paint"}},
    "3": {"aname": "note", "anchor_id": "FILE1_Z0_XY0", "type": 1, "desc": "", "options": {}},
}
PROJECT = {"pid": "__VIA_PROJECT_ID__", "data_format_version": "3.1.1", "creator": "VIA", "vid_list": ["1", "2", "3"]}


def region(*xy: float, view: str = "1", **values: str) -> dict[str, Any]:
    av = {name.strip("_"): value for name, value in values.items()}
    return {"vid": view, "flg": 0, "z": [], "xy": list(xy), "av": av}


def project(tmp_path: Path, *regions: dict[str, Any], **parts: Any) -> str:
    Image.new("RGB", (640, 480)).save(tmp_path / "a.jpg")
    content = {
        "project": PROJECT,
        "config": {"file": {"loc_prefix": {"1": "", "2": "", "3": "", "4": ""}}},
        "attribute": ATTRIBUTES,
        "file": {"1": {"fid": "1", "fname": "a.jpg", "type": 2, "loc": 1, "src": "a.jpg"}},
        "metadata": {f"1_{number:08}": each for number, each in enumerate(regions)},
        "view": {"1": {"fid_list": ["1"]}},
    }
    (tmp_path / "via_project.json").write_text(json.dumps(content | parts))
    return f"{tmp_path}/via_project.json"


def test_a_project_is_recognized_and_read(tmp_path: Path) -> None:
    place = project(
        tmp_path, region(2, 10, 20, 30.5, 40, _1="1", _2="0,2"), region(_3="wet"), region(3, 100, 90, 10, _1="0")
    )
    dataset = boxwright.open(f"{place}?label=screws")
    assert dataset.uri.startswith("via:")
    (sample,) = dataset
    assert (sample.image.width, sample.image.height, sample.attributes) == (640, 480, {"note": "wet"})
    assert sample.boxes.labels == ("hex", "cyl")
    assert sample.boxes.coordinates == ((10, 20, 40.5, 60), (90, 80, 110, 100))
    assert sample.boxes.attributes[0] == {"seen": {"rust": True, "paint": True}}


@pytest.mark.parametrize(
    ("xy", "expected"),
    [
        ([4, 50, 60, 20, 10], (30, 50, 70, 70)),
        ([5, 7, 9, 3, 4], (3, 4, 7, 9)),
        ([6, 7, 9, 3, 4, 5, 1], (3, 1, 7, 9)),
        ([7, 7, 9, 3, 4, 5, 1], (3, 1, 7, 9)),
        ([8, 1690.5, 223, 1588, 68, 1566, 162, 1595, 122], (1566, 68, 1690.5, 223)),  # four points on its sides
        ([9, 110, 90, 90, 90, 100, 100], (90, 80, 110, 100)),  # on the circle with center (100, 90) and radius 10
    ],
)
def test_each_shape_has_its_box(xy: list[float], expected: tuple[float, ...], tmp_path: Path) -> None:
    (sample,) = boxwright.open(f"via:{project(tmp_path, region(*xy, _1='0'))}")
    assert sample.boxes.coordinates[0] == pytest.approx(expected)


def test_views_of_anything_but_one_image_are_problems(tmp_path: Path) -> None:
    files = {
        "1": {"fid": "1", "fname": "a.jpg", "type": 2, "loc": 1, "src": "a.jpg"},
        "2": {"fid": "2", "fname": "b.mp4", "type": 4, "loc": 1, "src": "b.mp4"},
    }
    views = {"1": {"fid_list": ["1"]}, "2": {"fid_list": ["2"]}, "3": {"fid_list": ["1", "2"]}, "4": {"fid_list": 1}}
    dataset = boxwright.open(f"via:{project(tmp_path, file=files, view=views)}", on_error="skip")
    assert len(list(dataset)) == 1
    assert [error.place for error in dataset.problems.skipped] == [f"line 1, view {number}" for number in (2, 3, 4)]


@pytest.mark.parametrize("xy", [[10, 1, 2], [2, 1, 2], ["2", 1, 2, 3, 4], [9, 1, 2], [8, 1, 2, "3", 4, 5, 6], 2, [[]]])
def test_shapes_that_there_are_not(xy: Any, tmp_path: Path) -> None:
    broken = {"vid": "1", "flg": 0, "z": [], "xy": xy, "av": {"1": "0"}}
    with pytest.raises(DataError, match=r"view 1, region 1: "):
        list(boxwright.open(f"via:{project(tmp_path, broken)}"))


def test_members_may_have_any_order(tmp_path: Path) -> None:
    place = Path(project(tmp_path, region(2, 10, 20, 30, 40, _1="1")))
    place.write_text(json.dumps(json.loads(place.read_text()), sort_keys=True))
    (sample,) = boxwright.open(f"{place}?label=screws")
    assert sample.boxes.labels == ("hex",)


@pytest.mark.parametrize(
    ("parts", "problem"),
    [
        ({"view": {"1": 5}}, "view 1 is not an object"),
        ({"metadata": {"1_a": region(2, 1, 2, 3, 4, view="9", _1="0")}}, "a region is in view 9, which does not exist"),
    ],
)
def test_what_belongs_to_no_image_is_a_problem(parts: Any, problem: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=problem):
        list(boxwright.open(f"via:{project(tmp_path, **parts)}"))
