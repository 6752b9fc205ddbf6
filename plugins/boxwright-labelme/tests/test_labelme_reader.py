from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import boxwright
from boxwright import DataError, Sample
from boxwright_labelme.detect import detect

Place = Callable[..., Path]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """Puts files into a folder: images by their size, JSON by its content."""

    def put(**_: Any) -> Path:
        return tmp_path

    def place(files: dict[str, Any]) -> Path:
        for name, content in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, tuple):
                Image.new("RGB", content).save(path)
            elif isinstance(content, bytes):
                path.write_bytes(content)
            else:
                path.write_text(json.dumps(content))
        return tmp_path

    return place


def document(image: str | None, *shapes: dict[str, Any], **other: Any) -> dict[str, Any]:
    content: dict[str, Any] = {
        "version": "5.5.0",
        "flags": {},
        "shapes": list(shapes),
        "imagePath": image,
        "imageData": None,
    }
    return {**content, "imageHeight": 48, "imageWidth": 64, **other}


def shape(kind: str | None, points: list[list[float]], **other: Any) -> dict[str, Any]:
    return {"label": "fig", "points": points, "group_id": None, "description": "", "shape_type": kind, **other}


def read(location: Path | str, **options: str) -> list[Sample]:
    query = "&".join(f"{name}={value}" for name, value in options.items())
    return list(boxwright.open(f"labelme:{location}{'?' if query else ''}{query}"))


SHAPES: dict[str, tuple[dict[str, Any], tuple[float, ...], dict[str, Any]]] = {
    # A rectangle may be drawn from any corner.
    "rectangle": (shape("rectangle", [[30, 20], [1, 2]]), (1, 2, 30, 20), {}),
    # X-AnyLabeling stores four points.
    "four points": (shape("rectangle", [[1, 2], [30, 2], [30, 20], [1, 20]]), (1, 2, 30, 20), {}),
    # A square of side 10 about (20, 20), turned by 45 degrees: half its diagonal is sqrt(50).
    "rotation": (
        shape("rotation", [[20, 20 - 50**0.5], [20 + 50**0.5, 20], [20, 20 + 50**0.5], [20 - 50**0.5, 20]]),
        (20 - 50**0.5, 20 - 50**0.5, 20 + 50**0.5, 20 + 50**0.5),
        {"rotation": pytest.approx(45)},
    ),
    # The second point is on the circle: its radius is 5.
    "circle": (shape("circle", [[20, 20], [23, 24]]), (15, 15, 25, 25), {"shape": {"name": "circle", "r": 5.0}}),
    "polygon": (
        shape("polygon", [[1, 2], [20, 3], [9, 30]]),
        (1, 2, 20, 30),
        {"segmentation": [[1, 2, 20, 3, 9, 30]]},
    ),
    # The first versions of LabelMe had polygons alone, and no shape_type.
    "no type": (shape(None, [[1, 2], [20, 3], [9, 30]]), (1, 2, 20, 30), {"segmentation": [[1, 2, 20, 3, 9, 30]]}),
    "line": (
        shape("line", [[20, 3], [1, 2]]),
        (1, 2, 20, 3),
        {"shape": {"name": "polyline", "all_points_x": [20, 1], "all_points_y": [3, 2]}},
    ),
    "linestrip": (
        shape("linestrip", [[1, 2], [20, 3], [9, 30]]),
        (1, 2, 20, 30),
        {"shape": {"name": "polyline", "all_points_x": [1, 20, 9], "all_points_y": [2, 3, 30]}},
    ),
    "points": (
        shape("points", [[1, 2], [20, 3], [9, 30]]),
        (1, 2, 20, 30),
        {"shape": {"name": "points", "all_points_x": [1, 20, 9], "all_points_y": [2, 3, 30]}},
    ),
}


@pytest.mark.parametrize("kind", SHAPES)
def test_each_shape_is_read_as_the_box_around_it(kind: str, place: Place) -> None:
    drawn, edges, attributes = SHAPES[kind]
    (sample,) = read(place({"a.json": document("a.jpg", drawn), "a.jpg": (64, 48)}))
    assert sample.boxes.coordinates[0] == pytest.approx(edges, abs=1e-9)
    found = dict(sample.boxes.attributes[0])
    for name, value in attributes.items():
        assert found[name] == (found[name] | value if isinstance(value, dict) else value)
    assert bool(found) == bool(attributes)


def test_a_mask_is_the_box_of_its_pixels(place: Place) -> None:
    """LabelMe stores a cropped PNG; here only 3 x 2 of its 5 x 4 pixels are set, from (12, 21) on."""
    inside = np.zeros((4, 5), dtype=bool)
    inside[1:3, 2:5] = True
    buffer = io.BytesIO()
    Image.fromarray(inside).save(buffer, "PNG")
    drawn = shape("mask", [[10, 20], [14, 23]], mask=base64.b64encode(buffer.getvalue()).decode())
    (sample,) = read(place({"a.json": document("a.jpg", drawn), "a.jpg": (64, 48)}))
    assert sample.boxes.coordinates == ((12, 21, 15, 23),)
    runs = sample.boxes.attributes[0]["segmentation"]
    assert runs["size"] == [48, 64]
    pixels = np.repeat(np.arange(len(runs["counts"])) % 2, runs["counts"]).reshape(64, 48).T
    assert sorted(zip(*np.nonzero(pixels), strict=True)) == [(y, x) for y in (21, 22) for x in (12, 13, 14)]


def test_a_point_has_no_box_and_is_counted(place: Place, tmp_path: Path) -> None:
    folder = place(
        {
            "a.json": document("a.jpg", shape("point", [[5, 6]]), shape("rectangle", [[1, 2], [3, 4]])),
            "a.jpg": (64, 48),
        }
    )
    report = boxwright.convert(f"labelme:{folder}", f"csv:{tmp_path}/o.csv")
    assert (report.boxes, dict(report.losses.dropped)) == (1, {"shape point": 1})
    assert report.notes == ["shapes left out, because they have no box or ?shapes=skip is set: 1 point"]


def test_shapes_are_left_out_on_request(place: Place, tmp_path: Path) -> None:
    drawn = [each[0] for each in SHAPES.values()]
    folder = place({"in/a.json": document("a.jpg", *drawn), "in/a.jpg": (64, 48)}) / "in"
    report = boxwright.convert(f"labelme:{folder}?shapes=skip", f"coco:{tmp_path}/out/o.json")
    assert report.boxes == 2  # the two upright rectangles
    assert sum(report.losses.dropped.values()) == len(drawn) - 2
    with pytest.raises(boxwright.LossError, match="shape circle: 1 shape"):
        boxwright.convert(f"labelme:{folder}?shapes=skip", f"coco:{tmp_path}/out/p.json", strict=True)


def test_flags_groups_and_descriptions_are_attributes(place: Place) -> None:
    drawn = shape("rectangle", [[1, 2], [3, 4]]) | {"group_id": 0, "description": "note", "flags": {"occ": True}}
    content = document("a.jpg", drawn | {"score": 0.5}, flags={"day": True}, camera=3)
    folder = place({"a.json": content, "a.jpg": (64, 48)})
    (sample,) = read(folder)
    assert sample.attributes == {"flags": {"day": True}, "camera": 3}
    assert dict(sample.boxes.attributes[0]) == {
        "group_id": 0,
        "description": "note",
        "flags": {"occ": True},
        "score": 0.5,
    }


@pytest.mark.parametrize("path", ["../images/a.jpg", "..\\images\\a.jpg"])
def test_images_in_a_folder_next_to_the_json(path: str, place: Place) -> None:
    folder = place({"data/json/a.json": document(path), "data/images/a.jpg": (64, 48)})
    (sample,) = read(folder / "data")
    assert (sample.image.name, sample.image.location) == ("images/a.jpg", str(folder / "data/images/a.jpg"))
    (sample,) = read(folder / "data/json")
    assert (sample.image.name, len(sample.image.read()) > 100) == ("a.jpg", True)
    (sample,) = read(folder / "data/json", images=str(folder / "data/images"))
    assert sample.image.name == "a.jpg"


def test_nothing_else_outside_the_folder_is_read(place: Place) -> None:
    folder = place({"data/json/a.json": document("../../secret/a.jpg"), "secret/a.jpg": (64, 48), "a.jpg": (64, 48)})
    (sample,) = read(folder / "data/json")
    assert (sample.image.name, sample.image.location) == ("a.jpg", None)
    folder = place({"data/json/a.json": document("../images/key.pem"), "data/images/key.pem": b"secret"})
    (sample,) = read(folder / "data/json")
    assert sample.image.location is None


def test_an_image_in_the_file_is_used_if_there_is_no_other(place: Place) -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (40, 30)).save(buffer, "PNG")
    text = base64.b64encode(buffer.getvalue()).decode()
    folder = place(
        {
            "a.json": document("gone.png", imageData=text),
            "b.json": document("b.jpg", imageData=text),
            "b.jpg": (64, 48),
            "c.json": document(None, imageData=text, imageWidth=None, imageHeight=None),
        }
    )
    one, two, three = read(folder)
    assert (one.image.name, one.image.read()) == ("gone.png", buffer.getvalue())
    assert (two.image.data, two.image.read()) == (None, (folder / "b.jpg").read_bytes())
    assert (three.image.name, three.image.width, three.image.height) == ("c.png", 40, 30)
    with pytest.raises(DataError, match="imageData is not base64"):
        read(place({"d.json": document("gone.png", imageData="?")}) / "d.json")


def test_sizes_and_names_that_are_missing(place: Place) -> None:
    folder = place({"a.json": document(None, imageWidth=None, imageHeight=None), "a.png": (20, 10)})
    (sample,) = read(folder)
    assert (sample.image.name, sample.image.width, sample.image.height) == ("a.png", 20, 10)
    (folder / "a.png").unlink()
    with pytest.raises(DataError, match=r"no image has the annotation's name"):
        read(folder)


def test_files_of_macos_are_not_annotations(place: Place) -> None:
    folder = place({"a.json": document("a.jpg"), "._a.json": b"\0\5\x16\7Mac OS X", "a.jpg": (64, 48)})
    assert [sample.image.name for sample in read(folder)] == ["a.jpg"]
    assert detect(str(folder)).matches


def test_images_without_json(place: Place) -> None:
    folder = place({"a.json": document("a.jpg"), "a.jpg": (64, 48), "b.jpg": (30, 20)})
    assert [s.image.name for s in read(folder)] == ["a.jpg"]
    _, other = read(folder, unannotated="include")
    assert (other.image.name, other.image.width, len(other.boxes)) == ("b.jpg", 30, 0)


def test_one_file_alone(place: Place) -> None:
    folder = place({"a.json": document("a.jpg"), "b.json": document("b.jpg"), "a.jpg": (64, 48)})
    (sample,) = read(folder / "a.json")
    assert sample.image.name == "a.jpg"
    assert repr(boxwright.open(str(folder / "a.json"))).startswith("<Dataset labelme:")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ([], "is not an object"),
        ({"shapes": 3, "imagePath": "a.jpg"}, "without shapes"),
        ({"shapes": []}, "without imagePath"),
        (b"{", "not valid JSON"),
    ],
)
def test_other_files_are_not_detected(place: Place, content: Any, reason: str) -> None:
    answer = detect(str(place({"a.json": content, "a.jpg": (4, 3)})))
    assert not answer.matches
    assert reason in answer.reason
