"""Files that Datumaro 1.13 wrote, and files that it reads."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import boxwright
from boxwright import Boxes, DataError, Dataset, ImageRef, Sample
from boxwright.datasets import Ellipse, Mask, Polygon, Rectangle, SampleReader
from boxwright_datumaro.detect import detect

# As Dataset.export of Datumaro 1.13.12 wrote it.
TRAIN = r"""{"dm_format_version": "1.0", "media_type": 2, "infos": {}, "categories": {"label": {"labels": [
{"name": "car", "parent": "", "attributes": ["color"]}, {"name": "cat", "parent": "", "attributes": []}],
"label_groups": [], "attributes": []}}, "items": [{"id": "a", "annotations": [
{"id": 3, "type": "bbox", "attributes": {"occluded": true, "color": "red", "rotation": 90.0}, "group": 2,
 "label_id": 0, "z_order": 1, "bbox": [10.0, 20.0, 40.0, 4.0]},
{"id": 0, "type": "polygon", "attributes": {}, "group": 0, "label_id": 1,
 "points": [1.0, 2.0, 20.0, 3.0, 9.0, 30.0], "z_order": 0},
{"id": 0, "type": "polyline", "attributes": {}, "group": 0, "label_id": 0,
 "points": [1.0, 2.0, 20.0, 3.0], "z_order": 0},
{"id": 0, "type": "points", "attributes": {}, "group": 0, "label_id": 0, "points": [1.0, 2.0, 9.0, 30.0],
 "z_order": 0, "visibility": [2, 1]},
{"id": 0, "type": "label", "attributes": {"a": 1}, "group": 0, "label_id": 1},
{"id": 0, "type": "caption", "attributes": {}, "group": 0, "caption": "hi"},
{"id": 0, "type": "mask", "attributes": {}, "group": 0, "label_id": 1,
 "rle": {"counts": "d?3]10\\]2", "size": [48, 64]}, "z_order": 0}],
"attr": {"frame": 7}, "image": {"path": "a.jpg", "size": [48, 64]}}]}"""
VAL = """{"categories": {}, "items": [
{"id": "sub/b", "annotations": [], "image": {"path": "sub_b.jpg", "size": [48, 64]}}]}"""


def exported(folder: Path) -> Path:
    for subset, text, name in (("train", TRAIN, "a.jpg"), ("val", VAL, "sub_b.jpg")):
        (folder / "annotations").mkdir(exist_ok=True)
        (folder / "annotations" / f"{subset}.json").write_text(text)
        (folder / "images" / subset).mkdir(parents=True)
        Image.new("RGB", (64, 48)).save(folder / "images" / subset / name)
    return folder


def test_an_export_of_datumaro(tmp_path: Path) -> None:
    one, two = boxwright.open(f"datumaro:{exported(tmp_path)}")
    assert (one.image.name, one.split, one.image.location) == ("a.jpg", "train", f"{tmp_path}/images/train/a.jpg")
    assert (two.image.name, two.split, len(two.boxes)) == ("sub_b.jpg", "val", 0)
    assert one.attributes == {"frame": 7, "labels": [{"label": "cat", "attributes": {"a": 1}}], "captions": ["hi"]}
    assert one.boxes.labels == ("car", "cat", "car", "car", "cat")
    assert one.boxes.coordinates == ((28, 2, 32, 42), (1, 2, 20, 30), (1, 2, 20, 3), (1, 2, 9, 30), (10, 20, 12, 23))
    assert dict(one.boxes.attributes[0]) == {
        "id": 3,
        "group": 2,
        "z_order": 1,
        "occluded": True,
        "color": "red",
        "rotation": 90.0,
        "segmentation": [[32, 2, 32, 42, 28, 42, 28, 2]],
    }
    assert one.boxes.attributes[3]["keypoints"] == [1, 2, 2, 9, 30, 1]
    (alone,) = boxwright.open(f"datumaro:{tmp_path}/annotations/train.json")
    assert (alone.split, alone.image.location) == ("train", one.image.location)
    assert repr(boxwright.open(str(tmp_path))).startswith("<Dataset datumaro:")


def test_the_classes_are_those_of_the_categories(tmp_path: Path) -> None:
    exported(tmp_path)
    dataset = boxwright.open(f"datumaro:{tmp_path}/annotations/train.json")
    assert dataset.label_map.names == ("car", "cat")


def test_shapes_are_written_as_datumaro_reads_them(tmp_path: Path) -> None:
    Image.new("RGB", (64, 48)).save(tmp_path / "a.jpg")
    image = ImageRef(name="cam/a.jpg", width=64, height=48, location=str(tmp_path / "a.jpg"))
    shapes: list[Any] = [
        Polygon.of([(1.0, 2.0), (20.0, 3.0), (9.0, 30.0)]),
        Rectangle(10.0, 20.0, 50.0, 24.0, 90.0),
        Ellipse(20.0, 20.0, 5.0, 3.0),
        Mask(64, 48, (500, 3, 45, 3, 2521)),
    ]
    boxes = Boxes(["car"] * 4, [shape.box for shape in shapes], [{"note": 1, **s.attributes} for s in shapes])
    boxwright.convert(Dataset(SampleReader([Sample(image=image, boxes=boxes)])), f"datumaro:{tmp_path}/out")
    content = json.loads((tmp_path / "out/annotations/default.json").read_text())
    assert content["categories"] == {
        "label": {"labels": [{"name": "car", "parent": "", "attributes": []}], "attributes": []}
    }
    (item,) = content["items"]
    assert (item["id"], item["image"]) == ("cam/a", {"path": "cam/a.jpg", "size": [48, 64]})
    assert (tmp_path / "out/images/default/cam/a.jpg").is_file()
    polygon, rotated, ellipse, mask = item["annotations"]
    assert (polygon["type"], polygon["points"], polygon["attributes"]) == ("polygon", [1, 2, 20, 3, 9, 30], {"note": 1})
    assert (rotated["type"], rotated["points"]) == ("polygon", [32, 2, 32, 42, 28, 42, 28, 2])
    assert rotated["attributes"] == {"note": 1, "rotation": 90}
    assert (ellipse["type"], ellipse["points"]) == ("ellipse", [15, 17, 25, 23])
    assert (mask["type"], mask["rle"]) == ("mask", {"counts": "d?3]10\\]2", "size": [48, 64]})
    (back,) = boxwright.open(f"datumaro:{tmp_path}/out")
    assert back.boxes.coordinates == boxes.coordinates


def test_what_cannot_be_written(tmp_path: Path) -> None:
    def sample(name: str, split: str | None = None) -> Sample:
        return Sample(image=ImageRef(name=name, width=4, height=3), split=split)

    for one, problem in (
        (sample("a.png"), "would have the same id a"),
        (sample("b.jpg", "default"), "the split 'default' cannot be the name of a file"),
        (sample(".b.jpg"), "would not be found"),
    ):
        source = Dataset(SampleReader([sample("a.jpg"), one]))
        with pytest.raises(DataError, match=problem):
            boxwright.convert(source, f"datumaro:{tmp_path}/out?pictures=false")
        assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("content", "reason"),
    [("[]", "it is not an object"), ('{"images": [], "annotations": []}', "without items"), ("{", "not valid JSON")],
)
def test_other_files_are_not_detected(content: str, reason: str, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(content)
    answer = detect(str(tmp_path / "a.json"))
    assert not answer.matches
    assert reason in answer.reason
