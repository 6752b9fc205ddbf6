"""A dict in the form of COCO, in and out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import boxwright
from boxwright import UsageError

CONTENT = {
    "images": [{"id": 7, "file_name": "a.jpg", "width": 64, "height": 48}],
    "annotations": [{"id": 3, "image_id": 7, "category_id": 2, "bbox": [1, 2, 3, 4], "area": 12, "iscrowd": 0}],
    "categories": [{"id": 2, "name": "fig"}],
}


def test_both_ways(tmp_path: Path) -> None:
    data = boxwright.from_coco_dict(CONTENT, images=tmp_path)
    (sample,) = data
    assert (sample.image.name, sample.boxes.labels, sample.boxes.coordinates) == ("a.jpg", ("fig",), ((1, 2, 4, 6),))
    assert list(data) == [sample]
    again = boxwright.to_coco_dict(data)
    assert json.loads(json.dumps(again)) == again
    assert again["categories"] == CONTENT["categories"]
    annotation = {name: again["annotations"][0][name] for name in ("category_id", "bbox", "area", "iscrowd")}
    assert annotation == {"category_id": 2, "bbox": [1, 2, 3, 4], "area": 12, "iscrowd": 0}
    assert again["images"][0]["file_name"] == "a.jpg"


def test_pycocotools_reads_it() -> None:
    coco = pytest.importorskip("pycocotools.coco").COCO()
    coco.dataset = boxwright.to_coco_dict(boxwright.from_coco_dict(CONTENT))
    coco.createIndex()
    assert [each["name"] for each in coco.loadCats(coco.getCatIds())] == ["fig"]
    assert [each["bbox"] for each in coco.loadAnns(coco.getAnnIds())] == [[1, 2, 3, 4]]


def test_a_dict_that_is_not_json() -> None:
    with pytest.raises(UsageError, match="the dict is not JSON"):
        boxwright.from_coco_dict({"images": object()})
