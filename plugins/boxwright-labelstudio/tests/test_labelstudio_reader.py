from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import boxwright
from boxwright import Sample
from boxwright_labelstudio.detect import detect
from boxwright_labelstudio.paths import parts_of

Place = Callable[..., Path]
BOX = {"x": 50, "y": 50, "width": 20, "height": 20, "rotation": 0, "rectanglelabels": ["a"]}
"""In an image of 64 x 48: 32, 24, 44.8, 33.6."""

EDGES = (32, 24, 44.8, 33.6)


def result(kind: str, value: dict[str, Any], **other: Any) -> dict[str, Any]:
    size = {"original_width": 64, "original_height": 48, "image_rotation": 0}
    return {**size, "value": value, "id": "r", "from_name": "label", "to_name": "image", "type": kind, **other}


def box(x: float = 50, label: str = "a", **other: Any) -> dict[str, Any]:
    return result("rectanglelabels", {**BOX, "x": x, "rectanglelabels": [label]}, **other)


def task(*results: dict[str, Any], image: str = "a.jpg", **other: Any) -> dict[str, Any]:
    annotation = {"id": 10, "completed_by": 1, "result": list(results)}
    return {"id": 1, "data": {"image": image}, "annotations": [annotation], "predictions": [], **other}


@pytest.fixture
def place(tmp_path: Path) -> Place:
    def place(*tasks: Any, **images: str) -> Path:
        (tmp_path / "t.json").write_text(json.dumps(tasks))
        return tmp_path / "t.json"

    return place


def draw(path: Path, size: tuple[int, int] = (64, 48)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size).save(path)
    return path


def read(location: Path, **options: str) -> list[Sample]:
    query = "&".join(f"{name}={value}" for name, value in options.items())
    return list(boxwright.open(f"label-studio:{location}{'?' if query else ''}{query}"))


def edges(sample: Sample) -> list[tuple[float, ...]]:
    return [box.coordinates for box in sample.boxes]


def test_a_rectangle_is_rotated_about_its_top_left_corner(place: Place) -> None:
    """As ``convert_annotation_to_yolo_obb`` of Label Studio's SDK 2.1 does: the corner 32,24 stays."""
    (sample,) = read(place(task(result("rectanglelabels", {**BOX, "rotation": 90.0}))))
    assert edges(sample) == [(22.4, 24, 32, 36.8)]
    assert sample.boxes.attributes[0]["rotation"] == 90
    assert sample.boxes.attributes[0]["segmentation"] == [[32, 24, 32, 36.8, 22.4, 36.8, 22.4, 24]]


@pytest.mark.parametrize(
    ("kind", "value", "around", "attributes"),
    [
        (
            "polygonlabels",
            {"points": [[10, 10], [20, 10], [20, 30]]},
            (6.4, 4.8, 12.8, 14.4),
            {"segmentation": [[6.4, 4.8, 12.8, 4.8, 12.8, 14.4]]},
        ),
        (
            "ellipselabels",
            {"x": 50, "y": 50, "radiusX": 6.25, "radiusY": 12.5, "rotation": 0},
            (28, 18, 36, 30),
            {"shape": {"name": "ellipse", "cx": 32, "cy": 24, "rx": 4, "ry": 6}},
        ),
        # The same by 90 degrees about its center.
        (
            "ellipselabels",
            {"x": 50, "y": 50, "radiusX": 6.25, "radiusY": 12.5, "rotation": 90},
            (26, 20, 38, 28),
            {"rotation": 90},
        ),
        (
            "vectorlabels",
            {"vertices": [{"x": 10, "y": 10}, {"x": 20, "y": 30}], "closed": False},
            (6.4, 4.8, 12.8, 14.4),
            {"shape": {"name": "polyline", "all_points_x": [6.4, 12.8], "all_points_y": [4.8, 14.4]}},
        ),
    ],
)
def test_each_shape_is_read_as_the_box_around_it(
    kind: str, value: dict[str, Any], around: tuple[float, ...], attributes: dict[str, Any], place: Place
) -> None:
    (sample,) = read(place(task(result(kind, {**value, kind: ["b"]}))))
    assert sample.boxes.labels == ("b",)
    assert edges(sample) == [around]
    assert {name: sample.boxes.attributes[0][name] for name in attributes} == attributes


def test_a_brush_that_label_studio_encoded(place: Place) -> None:
    """``mask2rle`` of Label Studio's SDK 2.1, of 3 x 3 pixels from (10, 20) on in 64 x 48."""
    codes = [0, 0, 48, 0, 57, 27, 255, 20, 39, 0, 183, 255, 188, 192, 45, 255, 239, 48, 11, 127, 252, 103, 44, 0]
    (sample,) = read(place(task(result("brushlabels", {"format": "rle", "rle": codes, "brushlabels": ["b"]}))))
    assert edges(sample) == [(10, 20, 13, 23)]


def test_key_points_have_no_box_and_are_counted(place: Place, tmp_path: Path) -> None:
    point = result("keypointlabels", {"x": 50, "y": 50, "width": 0.5, "keypointlabels": ["b"]}, id="p")
    report = boxwright.convert(f"label-studio:{place(task(box(), point))}", f"coco:{tmp_path}/out/o.json")
    assert (report.boxes, report.losses.dropped) == (1, {"shape point": 1})


def test_choices_are_attributes(place: Place) -> None:
    """Of the image, or, with the same id as a region, of that region."""
    results = [
        box(),
        {"value": {"choices": ["night"]}, "id": "c", "from_name": "time", "to_name": "image", "type": "choices"},
        {"value": {"choices": ["rain", "fog"]}, "id": "d", "from_name": "weather", "type": "choices"},
        result("choices", {**BOX, "rectanglelabels": [], "choices": ["ripe"]}, from_name="state"),
        result("textarea", {**BOX, "rectanglelabels": [], "text": ["left one"]}, from_name="note"),
        {"type": "relation", "from_id": "r", "to_id": "s", "direction": "right"},
    ]
    (sample,) = read(place(task(*results)))
    assert {**sample.attributes, "source_id": None} == {"time": "night", "weather": ["rain", "fog"], "source_id": None}
    assert dict(sample.boxes.attributes[0]) == {"state": "ripe", "note": "left one", "id": "r"}


def test_shapes_whose_labels_are_separate_results(place: Place) -> None:
    """``<Rectangle>`` and ``<Labels>``, or a choice for each region, instead of ``<RectangleLabels>``."""
    geometry = {name: value for name, value in BOX.items() if name != "rectanglelabels"}
    one = [result("rectangle", geometry), result("labels", {**geometry, "labels": ["b"]}, from_name="l")]
    two = [result("rectangle", geometry, id="s"), result("choices", {**geometry, "choices": ["c"]}, id="s")]
    (sample,) = read(place(task(*one, *two)))
    assert (sample.boxes.labels, edges(sample)) == (("b", "c"), [EDGES, EDGES])


def test_a_region_with_several_labels(place: Place) -> None:
    (sample,) = read(place(task(result("rectanglelabels", {**BOX, "rectanglelabels": ["a", "b"]}))))
    assert sample.boxes.labels == ("a",)
    assert sample.boxes.attributes[0]["labels"] == ["a", "b"]


ANNOTATIONS: list[dict[str, Any]] = [
    {"id": 1, "was_cancelled": True, "result": [box(1)], "updated_at": "2024-05-05T10:00:00Z"},
    {"id": 2, "result": [box(2)], "updated_at": "2024-03-03T10:00:00Z"},
    {"id": 3, "ground_truth": True, "result": [box(3)], "updated_at": "2024-04-04T10:00:00Z"},
    {"id": 4, "result": [box(4, id="q")], "updated_at": "2024-02-02T10:00:00Z"},
]


@pytest.mark.parametrize(
    ("options", "read_from"),
    [
        ({}, [2]),
        ({"annotation": "latest"}, [3]),
        ({"annotation": "ground_truth"}, [3]),
        ({"annotation": "all"}, [2, 3, 4]),
        ({"predictions": "only"}, [5]),
        ({"annotation": "all", "predictions": "ignore"}, [2, 3, 4]),
    ],
)
def test_several_annotations(options: dict[str, str], read_from: list[int], place: Place) -> None:
    """The one that was cancelled never counts."""
    rows = [{**each, "result": [{**each["result"][0], "id": str(each["id"])}]} for each in ANNOTATIONS]
    guess = {"result": [box(5, score=0.75)], "model_version": "m", "score": 0.75}
    (sample,) = read(place(task(annotations=rows, predictions=[guess])), **options)
    assert edges(sample) == [pytest.approx((x * 0.64, 24, x * 0.64 + 12.8, 33.6)) for x in read_from]


def test_predictions_of_tasks_without_annotations(place: Place, tmp_path: Path) -> None:
    guess = {"result": [box(5, score=0.75)], "model_version": "m"}
    cancelled = {"was_cancelled": True, "result": [box(1)]}
    draw(tmp_path / "b.jpg")
    path = place(task(annotations=[cancelled], predictions=[guess]), task(image="b.jpg", annotations=[]))
    draw(tmp_path / "a.jpg")
    assert [[each["score"] for each in sample.boxes.attributes] for sample in read(path)] == [[0.75], []]
    assert [len(sample.boxes) for sample in read(path, predictions="ignore")] == [0, 0]


def test_tasks_without_results_are_measured(place: Place, tmp_path: Path) -> None:
    draw(tmp_path / "b.jpg", (30, 20))
    draw(tmp_path / "d.jpg", (25, 20))
    data = [{"image": "c.jpg", "width": 9, "height": 8}, {"image": "d.jpg", "width": 25, "height": 10**21}]
    empty, stated, wrong = read(place(task(image="b.jpg"), *[task() | {"data": each} for each in data]))
    assert (empty.image.width, empty.image.height, len(empty.boxes)) == (30, 20, 0)
    assert (stated.image.width, stated.image.height) == (9, 8)
    assert "width" not in stated.attributes
    assert (wrong.image.width, wrong.image.height, wrong.attributes["height"]) == (25, 20, 10**21)


@pytest.mark.parametrize(
    ("path", "parts"),
    [
        ("/data/upload/3/0a1b2c3d-a.jpg", ["0a1b2c3d-a.jpg"]),
        ("/data/local-files/?d=photos/cam%201/a.jpg", ["photos", "cam 1", "a.jpg"]),
        ("http://localhost:8080/data/local-files/?d=photos/a.jpg", ["photos", "a.jpg"]),
        ("https://example.com/x/a%20b.jpg?width=3", ["x", "a b.jpg"]),
        ("s3://bucket/cam1/a.jpg", ["cam1", "a.jpg"]),
        ("..\\..\\label-studio\\media\\upload\\4\\cb0-b.png", ["cb0-b.png"]),
        ("images\\1/90f-a.jpg", ["images", "1", "90f-a.jpg"]),
        ("C:\\photos\\a.jpg", ["photos", "a.jpg"]),
        ("a#1?.jpg", ["a#1?.jpg"]),
        ("../../secret/a.jpg", ["secret", "a.jpg"]),
    ],
)
def test_paths_of_images(path: str, parts: list[str]) -> None:
    assert parts_of(path) == parts


def test_images_are_found(place: Place, tmp_path: Path) -> None:
    for name in ("cam1/a.jpg", "cam2/a.jpg", "uploads/0a1b2c3d-b.jpg", "c.jpg"):
        draw(tmp_path / name)
    paths = {
        "/data/local-files/?d=photos/cam1/a.jpg": ("cam1/a.jpg", "cam1/a.jpg"),
        "s3://bucket/photos/cam2/a.jpg": ("cam2/a.jpg", "cam2/a.jpg"),
        "/data/upload/1/0a1b2c3d-b.jpg": ("0a1b2c3d-b.jpg", "uploads/0a1b2c3d-b.jpg"),
        "/data/upload/1/99aabbcc-c.jpg": ("c.jpg", "c.jpg"),  # the image as it was before the upload
        "/data/upload/1/99aabbcc-d.jpg": ("99aabbcc-d.jpg", None),
    }
    samples = read(place(*(task(box(), image=path) for path in paths)))
    assert [sample.image.name for sample in samples] == [name for name, _ in paths.values()]
    assert [sample.image.location for sample in samples] == [
        None if file is None else str(tmp_path / file) for _, file in paths.values()
    ]
    assert [sample.attributes["path"] for sample in samples] == list(paths)


def test_an_image_inside_the_file(place: Place) -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (64, 48)).save(buffer, "PNG")
    url = f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"
    (sample,) = read(place(task(box(), image=url)))
    assert (sample.image.name, sample.image.read()) == ("1.png", buffer.getvalue())
    assert "path" not in sample.attributes


def test_the_key_of_the_image(place: Place) -> None:
    data = {"title": "x", "left": "l.jpg", "right": "r.jpg", "camera": 3}
    path = place(task(box()) | {"data": data})
    (sample,) = read(path)
    assert sample.image.name == "l.jpg"
    (sample,) = read(path, image="right")
    assert (sample.image.name, sample.attributes["camera"], sample.attributes["left"]) == ("r.jpg", 3, "l.jpg")


def test_json_min(place: Place) -> None:
    """An entry per annotation, with the values of each control; as Label Studio 1.10 exports it."""
    region = {**BOX, "original_width": 64, "original_height": 48}
    common = {"annotator": 1, "lead_time": 3.2}
    one = {"image": "/data/upload/1/a.jpg", "id": 7, "label": [region], "time": "night", **common}
    path = place(
        {**one, "annotation_id": 1, "updated_at": "2024-01-01T00:00:00Z"},
        {**one, "annotation_id": 2, "label": [{**region, "x": 0}], "updated_at": "2024-02-01T00:00:00Z"},
        {**one, "image": "/data/upload/1/b.jpg", "id": 8, "annotation_id": 3, "time": {"choices": ["a", "b"]}},
    )
    first, other = read(path)
    assert (first.image.name, edges(first), first.boxes.labels) == ("a.jpg", [EDGES], ("a",))
    assert (first.attributes["time"], other.attributes["time"]) == ("night", {"choices": ["a", "b"]})
    assert edges(read(path, annotation="latest")[0]) == [(0, 24, 12.8, 33.6)]
    assert len(read(path, annotation="all")[0].boxes) == 2
    assert detect(str(path)).matches


def test_exports_of_old_versions(place: Place) -> None:
    content = task(box())
    content["completions"] = content.pop("annotations")
    (sample,) = read(place(content))
    assert edges(sample) == [EDGES]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ({"data": {}}, "it is not a list"),
        ([], "it is an empty list"),
        ([1], "it is not a list of objects"),
        ([{"image": "a.jpg", "annotations": [{"label": "a", "coordinates": {}}]}], "without data and annotations"),
    ],
)
def test_other_files_are_not_detected(content: Any, reason: str, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps(content))
    answer = detect(str(tmp_path / "a.json"))
    assert not answer.matches
    assert reason in answer.reason
