from __future__ import annotations

import base64
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import boxwright
from boxwright import Boxes, Dataset, ImageRef, Sample
from boxwright.datasets import Ellipse, Mask, Points, Polygon, Polyline, Rectangle, SampleReader, Skeleton


def write(folder: Path, *boxes: tuple[tuple[float, ...], Mapping[str, Any]], **attributes: Any) -> dict[str, Any]:
    Image.new("RGB", (64, 48)).save(folder / "a.jpg")
    image = ImageRef(name="a.jpg", width=64, height=48, location=str(folder / "a.jpg"))
    labels = ["fig"] * len(boxes)
    made = Boxes(labels, [box for box, _ in boxes], [extra for _, extra in boxes])  # type: ignore[misc]
    sample = Sample(image=image, boxes=made, attributes=attributes)
    boxwright.convert(Dataset(SampleReader([sample])), f"labelme:{folder}/out")
    (back,) = boxwright.open(f"labelme:{folder}/out")
    assert back.boxes.xyxy == pytest.approx(sample.boxes.xyxy)
    assert [dict(each) for each in back.boxes.attributes] == [dict(each) for each in made.attributes]
    assert back.attributes == sample.attributes
    content: dict[str, Any] = json.loads((folder / "out/a.json").read_text())
    return content


def test_the_keys_of_labelme(tmp_path: Path) -> None:
    """Those that ``LabelFile.load`` of LabelMe 5.5 looks for."""
    extra = {"group_id": 3, "description": "note", "flags": {"occ": True}, "score": 0.5}
    content = write(tmp_path, ((1, 2, 30, 20.5), extra), ((3, 4, 5, 6), {}), flags={"day": True}, camera="left")
    assert content == {
        "version": "5.5.0",
        "flags": {"day": True},
        "shapes": [
            {
                "label": "fig",
                "points": [[1, 2], [30, 20.5]],
                "group_id": 3,
                "description": "note",
                "shape_type": "rectangle",
                "flags": {"occ": True},
                "mask": None,
                "score": 0.5,
            },
            {
                "label": "fig",
                "points": [[3, 4], [5, 6]],
                "group_id": None,
                "description": "",
                "shape_type": "rectangle",
                "flags": {},
                "mask": None,
            },
        ],
        "imagePath": "a.jpg",
        "imageData": None,
        "imageHeight": 48,
        "imageWidth": 64,
        "camera": "left",
    }


def test_attributes_with_the_names_of_keys(tmp_path: Path) -> None:
    odd = {"label": "x", "points": 3, "flags": [1], "group_id": "g", "description": "", "mask": None, "boxwright": {}}
    content = write(tmp_path, ((1, 2, 3, 4), odd), flags=7, version="2", imageData="x", boxwright=1)
    assert content["shapes"][0]["boxwright"] == odd
    assert content["boxwright"] == {"flags": 7, "version": "2", "imageData": "x", "boxwright": 1}


@pytest.mark.parametrize(
    ("shape", "kind", "points"),
    [
        (Polygon.of([(1.0, 2.0), (20.0, 3.0), (9.0, 30.0)]), "polygon", [[1, 2], [20, 3], [9, 30]]),
        (Ellipse(20.0, 20.0, 5.0, 5.0), "circle", [[20, 20], [25, 20]]),
        (Polyline(((1.0, 2.0), (20.0, 3.0))), "line", [[1, 2], [20, 3]]),
        (Polyline(((1.0, 2.0), (20.0, 3.0), (9.0, 30.0))), "linestrip", [[1, 2], [20, 3], [9, 30]]),
        (Points(((1.0, 2.0), (20.0, 3.0))), "points", [[1, 2], [20, 3]]),
        # LabelMe has no rectangle that is rotated: 40 x 4 about (30, 22), turned by 90 degrees.
        (Rectangle(10.0, 20.0, 50.0, 24.0, 90.0), "polygon", [[32, 2], [32, 42], [28, 42], [28, 2]]),
        # Nor has it the others.
        (Ellipse(20.0, 20.0, 5.0, 3.0, 90.0), "rectangle", [[17, 15], [23, 25]]),
        (Polygon((((1.0, 2.0), (5.0, 3.0)), ((9.0, 30.0), (3.0, 3.0)))), "rectangle", [[1, 2], [9, 30]]),
        (Skeleton(((1.0, 2.0), (9.0, 30.0)), (2, 1), ("head", "tail")), "rectangle", [[1, 2], [9, 30]]),
    ],
)
def test_each_shape_is_written_as_it_was_drawn(shape: Any, kind: str, points: Any, tmp_path: Path) -> None:
    (drawn,) = write(tmp_path, (shape.box, shape.attributes))["shapes"]
    assert (drawn["shape_type"], drawn["points"]) == (kind, points)


def test_a_mask_is_a_cropped_image(tmp_path: Path) -> None:
    """Two columns of three pixels from (10, 20) on, of an image of 64 x 48."""
    runs = Mask(64, 48, (10 * 48 + 20, 3, 45, 3, 64 * 48 - 11 * 48 - 23))
    (drawn,) = write(tmp_path, (runs.box, runs.attributes))["shapes"]
    assert (drawn["shape_type"], drawn["points"]) == ("mask", [[10, 20], [11, 22]])
    with Image.open(io.BytesIO(base64.b64decode(drawn["mask"]))) as image:
        assert np.asarray(image).tolist() == [[True, True]] * 3


def test_a_box_that_was_changed_is_a_rectangle(tmp_path: Path) -> None:
    shape = Polygon.of([(1.0, 2.0), (20.0, 3.0), (9.0, 30.0)])
    (drawn,) = write(tmp_path, ((1, 2, 20, 25), shape.attributes))["shapes"]
    assert (drawn["shape_type"], drawn["points"]) == ("rectangle", [[1, 2], [20, 25]])
    assert drawn["segmentation"] == [[1, 2, 20, 3, 9, 30]]
