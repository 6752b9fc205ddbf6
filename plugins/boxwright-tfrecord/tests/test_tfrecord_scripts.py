"""What other tools write: the API's own scripts, Roboflow, panlabel; with the parts that they leave out.

``coco.record``, ``oid.record`` and ``kitti.record`` were made by the functions of ``object_detection.dataset_tools``
2.8 (``create_coco_tf_record.create_tf_example`` with masks, ``oid_tfrecord_creation``, ``create_kitti_tf_record``)
under TensorFlow 2.21, each of one small image.
"""

from __future__ import annotations

import io
import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask

import boxwright
from boxwright import DataError, Sample
from boxwright_tfrecord.attributes import passed_over, shortest
from boxwright_tfrecord.example import decode_example
from boxwright_tfrecord.records import Record, read_records


def read(path: Path, **options: Any) -> list[Sample]:
    query = "&".join(f"{name}={value}" for name, value in options.items())
    return list(boxwright.open(f"tfrecord:{path}" + (f"?{query}" if query else "")))


def keys_of(path: Path) -> set[str]:
    first = next(read_records(str(path)))
    assert isinstance(first, Record)
    return set(decode_example(first.data))


def boxed(**more: list[Any]) -> dict[str, list[Any]]:
    """A record without an image, of 40x30 pixels, with two boxes."""
    edges = {"xmin": [0.25, 0.0], "ymin": [0.5, 0.0], "xmax": [0.75, 1.0], "ymax": [1.0, 1.0]}
    return {
        "image/filename": [b"a.jpg"],
        "image/height": [30],
        "image/width": [40],
        **{f"image/object/bbox/{edge}": values for edge, values in edges.items()},
        "image/object/class/text": [b"fig", b"nut"],
        **{key.replace("__", "/"): values for key, values in more.items()},
    }


def test_create_coco_tf_record(data: Path) -> None:
    (sample,) = read(data / "coco.record")
    assert "image/object/class/label" not in keys_of(data / "coco.record")
    assert (sample.image.name, sample.attributes) == ("000000000139.jpg", {"source_id": "139"})
    one, two = sample.boxes
    assert (one.label, one.coordinates, one.attributes) == ("fig", (1, 2, 30, 20), {"area": 261.5})
    assert (two.label, two.coordinates) == ("date, dried", (10.25, 5.5, 30.75, 15.5))
    assert two.attributes == {"area": 120.125, "iscrowd": 1}
    notes = boxwright.open(f"tfrecord:{data / 'coco.record'}").info.notes
    assert notes == ("keys of its records that are not read: image/object/mask",)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # pycocotools and numpy 2
def test_masks_are_those_of_pycocotools(data: Path) -> None:
    (sample,) = read(data / "coco.record", masks="true")
    polygon, crowd = (attributes["segmentation"] for attributes in sample.boxes.attributes)
    assert crowd == {"counts": [300, 20, 30, 10, 840], "size": [30, 40]}
    (expected,) = coco_mask.frPyObjects([[1, 2, 30, 2, 30, 20]], 30, 40)
    ours = coco_mask.frPyObjects(polygon, 30, 40)
    assert np.array_equal(coco_mask.decode(ours), coco_mask.decode(expected))
    assert boxwright.open(f"tfrecord:{data / 'coco.record'}?masks=true").info.notes == ()


def test_oid_tfrecord_creation(data: Path) -> None:
    (sample,) = read(data / "oid.record")
    assert not {b"image/height", b"image/width", b"image/format"} & keys_of(data / "oid.record")
    assert (sample.image.name, sample.image.width, sample.image.height) == ("i1.jpg", 40, 30)
    assert [(box.label, box.coordinates) for box in sample.boxes] == [
        ("/m/a", (4, 6, 20, 12)),
        ("/m/b", (10, 15, 30, 30)),
    ]
    assert [dict(each) for each in sample.boxes.attributes] == [
        {"is_depiction": 1, "occluded": 1},
        {"iscrowd": 1, "truncated": 1},
    ]
    assert sample.attributes == {"source_id": "i1", "class/text": ["/m/b"], "class/label": [2]}


def test_create_kitti_tf_record(data: Path) -> None:
    with pytest.raises(DataError, match=r"'/data/kitti/image_2/000001\.png' leads outside .*\n.*names=basename"):
        read(data / "kitti.record")
    (sample,) = read(data / "kitti.record", names="basename")
    assert (sample.image.name, sample.image.width, sample.image.height) == ("000001.png", 40, 30)
    car, van = sample.boxes
    assert (car.coordinates, van.coordinates) == ((0, 1, 30, 20), (5.25, 2, 10, 12))
    assert (car.attributes["truncated"], car.attributes["alpha"]) == (0.88, -0.69)
    assert van.attributes["3d_bbox/height"] == 1.6
    assert "truncated" not in van.attributes
    assert boxwright.open(f"tfrecord:{data / 'kitti.record'}").info.notes == ()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_masks_of_numbers_as_in_create_pet_tf_record(tmp_path: Path, write_records: Callable[..., Path]) -> None:
    inside = np.zeros((2, 30, 40), np.float32)
    inside[0, 5:9, 10:12] = 1
    inside[1, 0, 0] = 1
    path = write_records(tmp_path / "pet.record", boxed(image__object__mask=inside.ravel().tolist()))
    (sample,) = read(path, masks="true")
    for attributes, expected in zip(sample.boxes.attributes, inside, strict=True):
        runs = coco_mask.frPyObjects(attributes["segmentation"], 30, 40)
        assert np.array_equal(coco_mask.decode(runs), expected)
    assert sample.boxes.attributes[1]["segmentation"]["counts"][0] == 0


def png(size: tuple[int, int]) -> bytes:
    buffer = io.BytesIO()
    Image.new("L", size, 1).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("masks", "says"),
    [
        ([png((40, 30))], "mask has 1 masks for 2 boxes"),
        ([png((40, 30)), png((20, 30))], "a mask is 20x30, and the image 40x30"),
        ([b"hello", b"hello"], "a mask is not a PNG image"),
        ([1.0, 0.0], "mask has 2 numbers for 2 masks of 40x30"),
    ],
)
def test_masks_that_are_none(tmp_path: Path, masks: list[Any], says: str, write_records: Callable[..., Path]) -> None:
    path = write_records(tmp_path / "x.record", boxed(image__object__mask=masks))
    with pytest.raises(DataError, match=says):
        read(path, masks="true")
    assert len(read(path)) == 1


def test_roboflow(tmp_path: Path, write_records: Callable[..., Path]) -> None:
    """Its label map is named after the records and has commas; the classes may be there by number only."""
    record = boxed(image__object__class__label=[2, 1])
    del record["image/object/class/text"]
    record["image/filename"] = [b"fig_jpg.rf.ffa23e4b5b55b523367f332af726eae8.jpg"]
    write_records(tmp_path / "fruits.tfrecord", record)
    items = "".join(
        f'item {{\n    name: "{name}",\n    id: {number},\n    display_name: "{name}"\n}}\n'
        for number, name in ((1, "Nut"), (2, "Fig"))
    )
    with pytest.raises(DataError, match=r"class id 2 and no name"):
        read(tmp_path / "fruits.tfrecord")
    (tmp_path / "fruits_label_map.pbtxt").write_text(items)
    dataset = boxwright.open(f"tfrecord:{tmp_path / 'fruits.tfrecord'}")
    (sample,) = dataset
    assert sample.boxes.labels == ("Fig", "Nut")
    assert sample.image.name == "fig_jpg.rf.ffa23e4b5b55b523367f332af726eae8.jpg"
    assert dataset.label_map.names == ("Nut", "Fig")
    (tmp_path / "fruits.tfrecord").rename(tmp_path / "fruits.tfrecord-00000-of-00001")
    assert read(tmp_path / "fruits.tfrecord")[0].boxes.labels == ("Fig", "Nut")


def test_panlabel(tmp_path: Path, encode: Callable[..., bytes]) -> None:
    """It embeds no images, and writes no source_id."""
    program = shutil.which("panlabel")
    if program is None:
        pytest.skip("panlabel is not installed")
    box = {"id": 1, "image_id": 1, "category_id": 1, "bbox": {"xmin": 1, "ymin": 2, "xmax": 30.5, "ymax": 20}}
    image = {"id": 1, "file_name": "sub/é.jpg", "width": 40, "height": 30}
    content = {"images": [image], "categories": [{"id": 1, "name": "fig"}], "annotations": [box]}
    (tmp_path / "x.json").write_text(json.dumps(content))
    target = tmp_path / "x.tfrecord"
    command = [program, "convert", "-f", "ir-json", "-t", "tfrecord", "-i", str(tmp_path / "x.json"), "-o", str(target)]
    subprocess.run([*command, "--allow-lossy"], check=True, capture_output=True)
    (sample,) = read(target)
    assert [(each.label, each.coordinates) for each in sample.boxes] == [("fig", (1, 2, 30.5, 20))]
    assert (sample.image.name, sample.attributes) == ("sub/é.jpg", {})
    (tmp_path / "photos" / "sub").mkdir(parents=True)
    (tmp_path / "photos" / "sub" / "é.jpg").write_bytes(encode(40, 30))
    (sample,) = read(target, images=str(tmp_path / "photos"))
    assert sample.image.read() == (tmp_path / "photos" / "sub" / "é.jpg").read_bytes()


def test_images_that_are_empty_strings(tmp_path: Path, write_records: Callable[..., Path]) -> None:
    (sample,) = read(write_records(tmp_path / "x.record", boxed(image__encoded=[b""])))
    assert (sample.image.data, sample.image.location) == (None, str(tmp_path / "a.jpg"))


def test_what_else_a_record_says_has_its_own_name(tmp_path: Path, write_records: Callable[..., Path]) -> None:
    record = boxed(
        image__location=[b"forest 3"],
        image__seq_frame_num=[4],
        image__exposure=[0.008],
        image__colorspace=[b"RGB"],
        image__channels=[3],
        image__object__track=[7, 8],
        image__object__weight=[1.0, 0.3],
        image__object__group_of=[1, 0],
        image__object__is_crowd=[0, 1],
        image__object__keypoint__x=[0.1, 0.2, 0.3],
        image__object__note=["é".encode(), b""],
        image__object__odd=[1, 2, 3],
        label=[1],
    )
    dataset = boxwright.open(f"tfrecord:{write_records(tmp_path / 'x.record', record)}")
    (sample,) = dataset
    assert sample.attributes == {"location": "forest 3", "seq_frame_num": 4, "exposure": 0.008}
    assert [dict(each) for each in sample.boxes.attributes] == [
        {"track": 7, "group_of": 1, "note": "é"},
        {"track": 8, "weight": 0.3, "iscrowd": 1, "note": ""},
    ]
    assert dataset.info.notes == ("keys of its records that are not read: image/object/keypoint/x, label",)


def test_text_that_is_none_names_its_key(tmp_path: Path, write_records: Callable[..., Path]) -> None:
    with pytest.raises(DataError, match=r"record 1, byte 0: note is not UTF-8"):
        read(write_records(tmp_path / "x.record", boxed(image__object__note=[b"\xe9", b""])))
    with pytest.raises(DataError, match="image/location is not UTF-8"):
        read(write_records(tmp_path / "x.record", boxed(image__location=[b"\xe9"])))
    with pytest.raises(DataError, match=r"image/filename is missing; the keys are: height, image_raw, label"):
        read(write_records(tmp_path / "mnist.record", {"label": [1], "image_raw": [b"x"], "height": [28]}))


def test_a_source_id_may_be_a_number(tmp_path: Path, write_records: Callable[..., Path]) -> None:
    (sample,) = read(write_records(tmp_path / "x.record", boxed(image__source_id=[139])))
    assert sample.attributes == {"source_id": "139"}


@pytest.mark.parametrize(
    "name", ["val-00001-of-00002.tfrecord", "val-00001-of-00002.tfrecord.gz", "val.record-00001-of-00002"]
)
def test_numbers_before_and_behind_the_ending(tmp_path: Path, name: str, write_records: Callable[..., Path]) -> None:
    first = name.replace("00001", "00000")
    write_records(tmp_path / first, boxed())
    for place in (tmp_path, tmp_path / first):
        with pytest.raises(DataError, match=r"1 of 2 shards missing: .*00001-of-00002"):
            read(place)
    write_records(tmp_path / name, boxed(image__filename=[b"b.jpg"]))
    base = name.replace("-00001-of-00002", "")
    for place in (tmp_path, tmp_path / first, tmp_path / base, tmp_path / first.replace("00000-", "*-")):
        assert [sample.image.name for sample in read(place)] == ["a.jpg", "b.jpg"]
    assert [sample.image.name for sample in read(tmp_path / name)] == ["b.jpg"]


def test_both_ways_of_numbering_in_one_folder_are_two_datasets(
    tmp_path: Path, write_records: Callable[..., Path]
) -> None:
    write_records(tmp_path / "val-00000-of-00001.tfrecord", boxed())
    write_records(tmp_path / "val.tfrecord", boxed())
    with pytest.raises(DataError, match="several datasets with this name"):
        read(tmp_path)


def test_floats_come_back_as_they_were_written() -> None:
    for number in (0.88, 0.1, 425.5, 2989.12, 1e-7, 123456.0, 0.333333, -1.57, 1e20):
        assert shortest(float(np.float32(number))) == number
    third = float(np.float32(1 / 3))
    assert np.float32(shortest(third)) == np.float32(third)


def test_keys_that_only_repeat_the_image_are_not_named() -> None:
    keys = ["image/key/sha256", "image/encoded", "image/object/bbox/xmin", "image/object/class/text", "image/x"]
    assert passed_over(keys) == []
    assert passed_over(["image/object/class/multiclass_scores"]) == ["image/object/class/multiclass_scores"]
