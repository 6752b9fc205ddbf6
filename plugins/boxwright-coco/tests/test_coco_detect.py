from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from boxwright_coco.detect import detect

IMAGES = [{"id": i, "file_name": f"{i}.jpg", "width": 40, "height": 30} for i in range(3)]
ROWS = [{"id": i, "image_id": i, "category_id": 1, "bbox": [1, 2, 3, 4]} for i in range(3)]
CLASSES = [{"id": 1, "name": "fig"}]


def ask(folder: Path, content: Any, name: str = "x.json") -> tuple[bool, str]:
    (folder / name).write_text(content if isinstance(content, str) else json.dumps(content), "utf-8")
    answer = detect(str(folder / name))
    assert answer.reason
    return answer.matches, answer.reason


@pytest.mark.parametrize(
    "content",
    [
        {"images": IMAGES, "annotations": ROWS, "categories": CLASSES},
        {"categories": CLASSES, "annotations": ROWS, "info": {}, "images": IMAGES},
        {"images": IMAGES, "annotations": [], "categories": CLASSES},
        {"images": [], "annotations": [], "categories": []},
        {"info": {}, "images": IMAGES, "categories": CLASSES},  # image_info_test2017.json
        {"images": IMAGES, "annotations": ROWS},
        # Longer than the part that is read, with either list first, and with the other keys outside it.
        {"images": IMAGES * 2000, "annotations": ROWS * 2000, "categories": CLASSES},
        {"annotations": ROWS * 2000, "images": IMAGES * 2000, "categories": CLASSES},
        {"images": IMAGES * 2000, "annotations": ROWS, "categories": CLASSES * 5000},
        {"info": {"about": "x" * 60_000}, "annotations": ROWS * 100, "images": IMAGES * 2000},
    ],
)
def test_instances_are_detected(tmp_path: Path, content: Any) -> None:
    assert ask(tmp_path, content) == (True, "an object with images and annotations")


def test_detections_are_detected(tmp_path: Path) -> None:
    for times in (1, 2000):
        matches, reason = ask(tmp_path, [row | {"score": 0.5} for row in ROWS] * times)
        assert matches
        assert "read it with ?truth=instances.json" in reason


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ([{"image": "a.jpg", "annotations": []}], "CreateML"),
        ([{"id": 1, "data": {"image": "a.jpg"}, "annotations": []}], "Label Studio"),
        ({"version": "5.0", "flags": {}, "shapes": [], "imagePath": "a.jpg"}, "labelme"),
        ({"_via_settings": {}, "_via_img_metadata": {}}, "VGG Image Annotator"),
        ({"info": {}, "categories": {"label": {"labels": []}}, "items": []}, "Datumaro"),
        ({"a.jpg123": {"filename": "a.jpg", "regions": []}}, "an object with 'a.jpg123', not images"),
        ({"images": IMAGES, "annotations": [{"image_id": 1, "caption": "figs"}]}, "captions"),
        ({"images": IMAGES, "annotations": [{"image_id": 1, "segments_info": []}]}, "panoptic"),
        ({"images": ["a.jpg"], "annotations": []}, "its images have no id and file_name"),
        # panlabel's own JSON
        ({"images": IMAGES, "annotations": [ROWS[0] | {"bbox": {"min": {"x": 1}}}]}, "its boxes are objects"),
        ({"images": IMAGES * 2000, "annotations": [ROWS[0] | {"bbox": {"min": {"x": 1}}}]}, "its boxes are objects"),
        ({"images": IMAGES, "labels": CLASSES}, "neither annotations nor categories"),
        ([{"image_id": 1, "caption": "figs"}], "a list of objects with 'image_id', 'caption'"),
        ([1, 2], "other values than objects"),
        ([], "an empty list"),
        ({}, "no keys"),
        ("42", "neither { nor ["),
        ("", "empty"),
        ('{"images": [', "truncated"),
        ("[" * 100_000, "nested too deeply"),
    ],
)
def test_other_files_are_rejected_with_a_reason(tmp_path: Path, content: Any, reason: str) -> None:
    matches, why = ask(tmp_path, content)
    assert not matches
    assert reason in why


def test_only_the_ends_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The middle of a long file is not read; here it is not even JSON."""
    ends = json.dumps({"images": IMAGES * 2000, "annotations": ROWS})
    text = ends[:70_000] + "]" * 1_000_000 + ends[-200:]
    assert ask(tmp_path, text) == (True, "an object with images and annotations")


def test_locations(tmp_path: Path) -> None:
    import fsspec

    assert ask(tmp_path, "{}", "x.txt") == (False, "its name does not end in .json")
    assert not detect(str(tmp_path)).matches
    assert "No such file" in detect(str(tmp_path / "nowhere.json")).reason
    content = json.dumps({"images": IMAGES * 2000, "annotations": ROWS * 2000}).encode()
    fsspec.filesystem("memory").pipe("/coco-detect/x.json", content)
    assert detect("memory://coco-detect/x.json").matches
    assert not detect("memory://coco-detect/y.json").matches
