from __future__ import annotations

import io
import json
import random
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import boxwright
from boxwright import DataError, Sample, UsageError
from boxwright_coco.reader import CocoReader

# The fields of https://cocodataset.org/#format-data, with the values that the 2017 files have.
SPECIFIED: dict[str, Any] = {
    "info": {
        "year": 2017,
        "version": "1.0",
        "description": "COCO 2017 Dataset",
        "contributor": "COCO Consortium",
        "url": "http://cocodataset.org",
        "date_created": "2017/09/01",
    },
    "licenses": [{"id": 1, "name": "Attribution License", "url": "http://creativecommons.org/licenses/by/2.0/"}],
    "images": [
        {
            "id": 397133,
            "width": 640,
            "height": 427,
            "file_name": "000000397133.jpg",
            "license": 1,
            "flickr_url": "http://farm7.staticflickr.com/6116/6255196340_da26cf2c9e_z.jpg",
            "coco_url": "http://images.cocodataset.org/val2017/000000397133.jpg",
            "date_captured": "2013-11-14 17:02:52",
        },
        {"id": 8, "width": 20, "height": 10, "file_name": "cam 1/вишня.jpg"},
        {"id": 9, "width": 4, "height": 3, "file_name": "empty.png"},
    ],
    "annotations": [
        {
            "id": 1768,
            "image_id": 397133,
            "category_id": 18,
            "segmentation": [[510.66, 423.01, 511.72, 420.03, 510.45, 416.0]],
            "area": 702.1057499999998,
            "bbox": [473.07, 395.93, 38.65, 28.67],
            "iscrowd": 0,
        },
        {
            "id": 900100397133,
            "image_id": 397133,
            "category_id": 1,
            "segmentation": {"counts": [272, 2, 4, 4], "size": [427, 640]},
            "area": 6.0,
            "bbox": [1, 2, 3, 4],
            "iscrowd": 1,
        },
        {
            "id": 1,
            "image_id": 8,
            "category_id": 90,
            "segmentation": {"counts": "ZR1`0", "size": [10, 20]},
            "area": 12,
            "bbox": [0, 0, 3, 4],
            "iscrowd": 1,
            "attributes": {"occluded": True, "rotation": 0.5},
            "ignore": 1,
        },
    ],
    "categories": [
        {"id": 1, "name": "person", "supercategory": "person", "keypoints": ["nose"], "skeleton": [[1, 2]]},
        {"id": 18, "name": "dog", "supercategory": "animal"},
        {"id": 90, "name": "toothbrush", "supercategory": "indoor"},
    ],
}


IMAGE = io.BytesIO()
Image.new("RGB", (40, 30)).save(IMAGE, "JPEG")


def raise_it(error: DataError) -> None:
    raise error


def put(folder: Path, content: Any, name: str = "instances.json") -> str:
    (folder / name).write_text(json.dumps(content), "utf-8")
    return str(folder / name)


def read(place: str, **options: Any) -> list[Sample]:
    return list(CocoReader(place, **options).read(raise_it))


def one_box(folder: Path, box: dict[str, Any], **options: Any) -> boxwright.Box:
    """The box of an image of 40x30 with one annotation."""
    content = {
        "images": [{"id": 1, "file_name": "a.jpg", "width": 40, "height": 30}],
        "annotations": [{"id": 5, "image_id": 1, "category_id": 1} | box],
        "categories": [{"id": 1, "name": "fig"}],
    }
    (sample,) = read(put(folder, content), **options)
    return sample.boxes[0]


def test_every_field_of_the_specification_is_read(tmp_path: Path) -> None:
    reader = CocoReader(put(tmp_path, SPECIFIED))
    one, two, three = reader.read(raise_it)
    assert (one.image.name, one.image.width, one.image.height) == ("000000397133.jpg", 640, 427)
    assert one.attributes == {
        "source_id": "397133",
        "license": 1,
        "flickr_url": "http://farm7.staticflickr.com/6116/6255196340_da26cf2c9e_z.jpg",
        "coco_url": "http://images.cocodataset.org/val2017/000000397133.jpg",
        "date_captured": "2013-11-14 17:02:52",
    }
    assert one.boxes.labels == ("dog", "person")
    # Computed manually: 473.07 + 38.65 and 395.93 + 28.67, as decimals.
    assert one.boxes.coordinates == ((473.07, 395.93, 511.72, 424.6), (1.0, 2.0, 4.0, 6.0))
    assert one.boxes.attributes[0] == {
        "id": 1768,
        "area": 702.1057499999998,
        "segmentation": [[510.66, 423.01, 511.72, 420.03, 510.45, 416.0]],
    }
    assert one.boxes.attributes[1] == {
        "id": 900100397133,
        "area": 6.0,
        "iscrowd": 1,
        "segmentation": {"counts": [272, 2, 4, 4], "size": [427, 640]},
    }
    assert (two.image.name, two.attributes) == ("cam 1/вишня.jpg", {"source_id": "8"})
    assert two.boxes.attributes[0] == {
        "id": 1,
        "iscrowd": 1,
        "segmentation": {"counts": "ZR1`0", "size": [10, 20]},
        "attributes": {"occluded": True, "rotation": 0.5},
        "ignore": 1,
    }
    assert (three.image.name, len(three.boxes)) == ("empty.png", 0)
    assert one.source.endswith("instances.json, images[0] (id 397133)")
    info = reader.info
    assert info.num_samples == 3
    assert info.label_map is not None
    assert [(item.id, item.name) for item in info.label_map.items] == [(1, "person"), (18, "dog"), (90, "toothbrush")]
    assert info.attributes == {key: SPECIFIED[key] for key in ("info", "licenses", "categories")}


@pytest.mark.parametrize("indent", [None, 1])
def test_the_order_of_keys_and_of_annotations_does_not_matter(tmp_path: Path, indent: int | None) -> None:
    (tmp_path / "expected").mkdir()
    expected = read(put(tmp_path / "expected", SPECIFIED))
    for seed in range(6):
        chance = random.Random(seed)
        keys = chance.sample(sorted(SPECIFIED), len(SPECIFIED))
        boxes = [dict(chance.sample(sorted(box.items()), len(box))) for box in SPECIFIED["annotations"]]
        content = {key: SPECIFIED[key] if key != "annotations" else [boxes[i] for i in (2, 0, 1)] for key in keys}
        (tmp_path / "instances.json").write_text(json.dumps(content, indent=indent), "utf-8")
        found = read(str(tmp_path / "instances.json"))
        assert [sample.image for sample in found] == [sample.image for sample in expected]
        assert [list(sample.boxes) for sample in found] == [list(sample.boxes) for sample in expected]


def test_many_annotations_in_any_order_belong_to_their_images(tmp_path: Path) -> None:
    """More than one window, some usual and some not, compared with a dictionary."""
    chance = random.Random(7)
    images = [{"id": 3 * i, "file_name": f"{i}.jpg", "width": 500, "height": 400} for i in range(300)]
    annotations = []
    for number in range(4000):
        box = [chance.randrange(100), chance.randrange(100), chance.randrange(90), chance.randrange(90)]
        row: dict[str, Any] = {
            "id": number,
            "image_id": 3 * chance.randrange(300),
            "category_id": chance.choice([2, 7]),
            "bbox": box,
        }
        if number % 1000 < 500:
            row |= {"area": box[2] * box[3], "iscrowd": 0, "segmentation": []}
        if number % 97 == 0:
            row |= {"note": f"the {number}th, ü"}
        annotations.append(row)
    chance.shuffle(annotations)
    content = {
        "images": images,
        "annotations": annotations,
        "categories": [{"id": 7, "name": "b"}, {"id": 2, "name": "a"}],
    }
    samples = read(put(tmp_path, content))
    assert len(samples) == 300
    for image, sample in zip(images, samples, strict=True):
        mine = [row for row in annotations if row["image_id"] == image["id"]]
        assert list(sample.boxes.labels) == [{2: "a", 7: "b"}[row["category_id"]] for row in mine]
        assert list(sample.boxes.coordinates) == [(x, y, x + w, y + h) for x, y, w, h in (row["bbox"] for row in mine)]
        expected = [{"id": row["id"]} | ({"note": row["note"]} if "note" in row else {}) for row in mine]
        assert [dict(each) for each in sample.boxes.attributes] == expected


def test_default_values_are_not_attributes(tmp_path: Path) -> None:
    plain = {"area": 12, "iscrowd": 0, "segmentation": []}
    for more in ({}, plain, {"area": 12.0, "iscrowd": False, "segmentation": None}, {"area": None, "iscrowd": None}):
        assert one_box(tmp_path, {"bbox": [1, 2, 3, 4]} | more).attributes == {"id": 5}
    assert one_box(tmp_path, {"bbox": [1, 2, 3, 4], "area": 11}).attributes == {"id": 5, "area": 11}
    assert one_box(tmp_path, {"bbox": [1.5, 2, 3.1, 4.7], "area": 3.1 * 4.7}).attributes == {"id": 5}


def test_ids_can_be_ignored(tmp_path: Path) -> None:
    (one, two, _) = read(put(tmp_path, SPECIFIED), ids=False)
    assert "source_id" not in one.attributes
    assert two.attributes == {}
    assert "id" not in one.boxes.attributes[0]
    duplicates = SPECIFIED | {"annotations": [row | {"id": 1} for row in SPECIFIED["annotations"]]}
    assert len(read(put(tmp_path, duplicates), ids=False)) == 3


@pytest.mark.parametrize(
    ("box", "coordinates"),
    [
        ([1, 2, 3, 4], (1, 2, 4, 6)),
        ([0.5, 0.25, 10, 20.5], (0.5, 0.25, 10.5, 20.75)),
        ([16.1, 0.1, 44.2, 0.2], (16.1, 0.1, 60.3, 0.3)),  # in binary 60.300000000000004 and 0.30000000000000004
        ([-4, -3.5, 100, 0], (-4, -3.5, 96, -3.5)),  # outside, and without area
        ([1e9, 0, 1e-3, 1e18], (1e9, 0, 1e9 + 1e-3, 1e18)),
    ],
)
def test_coordinates_are_computed(tmp_path: Path, box: list[float], coordinates: tuple[float, ...]) -> None:
    assert one_box(tmp_path, {"bbox": box}).coordinates == coordinates


def test_a_negative_width_extends_to_the_left_on_request(tmp_path: Path) -> None:
    found = one_box(tmp_path, {"bbox": [10, 20, -4, -5], "area": 20}, inverted="swap")
    assert (found.coordinates, found.attributes) == ((6, 15, 10, 20), {"id": 5})


def test_swapped_boxes_are_counted(tmp_path: Path) -> None:
    boxes = [[10, 20, -4, -5], [1, 2, 3, 4], [9, 9, -1, 2], [9, 9, 1, -2], [5, 5, 0, 0]]
    content = {
        "images": [{"id": 1, "file_name": "a.jpg", "width": 40, "height": 30}],
        "annotations": [{"id": n, "image_id": 1, "category_id": 1, "bbox": box} for n, box in enumerate(boxes)],
        "categories": [{"id": 1, "name": "fig"}],
    }
    place = put(tmp_path, content)
    assert boxwright.convert(f"coco:{place}?inverted=swap", f"csv:{tmp_path}/a.csv").swapped == 3
    assert boxwright.convert(f"coco:{place}", f"csv:{tmp_path}/b.csv", steps=["fix:flat=keep"]).swapped == 3


@pytest.mark.parametrize(
    ("segmentation", "coordinates"),
    [
        ([[1, 2, 10, 2.5, 7, 8.5]], (1, 2, 10, 8.5)),
        ([[1, 2, 10, 2, 7, 8], [20, 1, 25, 1, 25, 3]], (1, 1, 25, 8)),
        # Two runs in an image of 10 rows: rows 2..3 of column 1, row 1 of column 2.
        ({"size": [10, 20], "counts": [12, 2, 7, 1, 178]}, (1, 1, 3, 4)),
        # A run over the end of a column fills both from top to bottom, as far as the box is concerned.
        ({"size": [10, 20], "counts": [18, 4]}, (1, 0, 3, 10)),
    ],
)
def test_a_missing_box_is_the_bounding_box_of_the_segmentation(
    tmp_path: Path, segmentation: Any, coordinates: tuple[float, ...]
) -> None:
    assert one_box(tmp_path, {"segmentation": segmentation}).coordinates == coordinates
    assert one_box(tmp_path, {"segmentation": segmentation, "bbox": []}).coordinates == coordinates


@pytest.mark.parametrize(
    "segmentation",
    [
        [[1, 2, 3]],
        [["a", 2]],
        [[]],
        {"size": [10, 20]},
        {"size": [0, 20], "counts": [1]},
        {"size": [10, 20], "counts": [12, -2]},
        {"size": [10, 20], "counts": [300, 2]},
        {"size": [10, 20], "counts": [200]},
        {"size": [10, 20], "counts": "\u00e9"},
        {"size": [10, 20], "counts": "}~"},
        "polygon",
        5,
    ],
)
def test_a_segmentation_without_a_bounding_box_is_an_error(tmp_path: Path, segmentation: Any) -> None:
    with pytest.raises(
        DataError, match=r"annotations\[0\] \(id 5\): bbox is missing, and segmentation has no bounding box"
    ):
        one_box(tmp_path, {"segmentation": segmentation})


def test_numbers_as_other_tools_write_them(tmp_path: Path) -> None:
    """pandas writes 7.0 if another row has none; some tools use the names of images as ids."""
    content = {
        "images": [
            {"id": 7.0, "file_name": "a.jpg", "width": 40.0, "height": 30},
            {"id": "bü", "file_name": "b.jpg", "width": 40, "height": 30},
        ],
        "annotations": [
            {"id": 1.0, "image_id": 7, "category_id": 1.0, "bbox": [1, 2, 3, 4]},
            {"id": "x-1", "image_id": "bü", "category_id": 1, "bbox": [1, 2, 3, 4]},
            {"image_id": "bü", "category_id": 1, "bbox": [5, 6, 7, 8]},
        ],
        "categories": [{"id": 1.0, "name": "fig"}],
    }
    for ascii_only in (True, False):
        (tmp_path / "x.json").write_text(json.dumps(content, ensure_ascii=ascii_only), "utf-8")
        one, two = read(str(tmp_path / "x.json"))
        assert (one.image.width, one.attributes, one.boxes.labels) == (40, {"source_id": "7"}, ("fig",))
        assert repr(one.boxes.attributes[0]["id"]) == "1"
        assert two.attributes == {"source_id": "bü"}
        assert [dict(each) for each in two.boxes.attributes] == [{"id": "x-1"}, {}]


def test_an_unused_class_with_a_duplicate_name_is_ignored(tmp_path: Path) -> None:
    """Roboflow's exports begin with a class for the project, which often has the name of a real class."""
    content = {
        "images": [{"id": 0, "file_name": "a.jpg", "width": 40, "height": 30}],
        "categories": [
            {"id": 0, "name": "fig", "supercategory": "none"},
            {"id": 1, "name": "date", "supercategory": "fig"},
            {"id": 2, "name": "fig", "supercategory": "fig"},
        ],
        "annotations": [{"id": 0, "image_id": 0, "category_id": 2, "bbox": [1, 2, 3, 4]}],
    }
    reader = CocoReader(put(tmp_path, content))
    assert [sample.boxes.labels for sample in reader.read(raise_it)] == [("fig",)]
    assert reader.info.label_map is not None
    assert [(item.id, item.name) for item in reader.info.label_map.items] == [(1, "date"), (2, "fig")]
    assert reader.info.notes == ("the class 0 (fig) is not used and was replaced by 2",)


def test_a_file_without_annotations_has_a_note(tmp_path: Path) -> None:
    """COCO's own image_info_test2017.json is such a file."""
    content = {key: SPECIFIED[key] for key in ("images", "categories")}
    reader = CocoReader(put(tmp_path, content))
    assert [len(sample.boxes) for sample in reader.read(raise_it)] == [0, 0, 0]
    assert reader.info.notes == ("the file contains no annotations: all images are without boxes",)


@pytest.mark.parametrize(
    ("file", "image"),
    [
        ("x.json", "a.jpg"),  # next to it
        ("_annotations.coco.json", "a.jpg"),  # Roboflow
        ("x.json", "images/a.jpg"),
        ("train.json", "train/a.jpg"),
        ("annotations/instances_train2017.json", "train2017/a.jpg"),  # COCO
        ("annotations/instances_default.json", "images/a.jpg"),  # CVAT
        ("annotations/instances_default.json", "images/default/a.jpg"),  # CVAT
        ("labels.json", "data/a.jpg"),  # FiftyOne
        ("annotations/x.json", "a.jpg"),
    ],
)
@pytest.mark.parametrize("remote", [False, True])
def test_images_are_found_in_the_usual_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str, image: str, remote: bool
) -> None:
    import fsspec

    content = json.dumps(
        {"images": [{"id": i, "file_name": f"{n}.jpg"} for i, n in enumerate("ab")], "annotations": []}
    )
    for name, data in ((file, content.encode()), (image, IMAGE.getvalue())):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(data)
    if remote:
        base = f"memory://{tmp_path.name}"
        fsspec.filesystem("memory").put(f"{tmp_path}/", f"/{tmp_path.name}/", recursive=True)
    else:
        base = str(tmp_path)
    errors: list[DataError] = []
    (found,) = CocoReader(f"{base}/{file}").read(errors.append)
    assert found.image.location == f"{base}/{image}"
    assert (found.image.width, found.image.height) == (40, 30)  # measured, because the file has no size
    assert len(errors) == 1
    if not remote:
        monkeypatch.chdir((tmp_path / file).parent)
        (found,) = CocoReader(Path(file).name).read(errors.append)
        assert Path(found.image.location or "").resolve() == (tmp_path / image).resolve()


def test_the_folder_of_the_images_can_be_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = put(tmp_path, {"images": [{"id": 1, "file_name": "cam/a.jpg"}], "annotations": []})
    (tmp_path / "photos" / "cam").mkdir(parents=True)
    exif = Image.Exif()
    exif[0x0112] = 6  # rotated by 90 degrees: 30 wide, 40 high
    Image.new("RGB", (40, 30)).save(tmp_path / "photos" / "cam" / "a.jpg", exif=exif)
    for images in (str(tmp_path / "photos"), "photos"):  # the second is relative to the JSON file
        (sample,) = read(place, images=images)
        assert Path(sample.image.location or "") == tmp_path / "photos" / "cam" / "a.jpg"
        assert (sample.image.width, sample.image.height) == (30, 40)
    with pytest.raises(DataError, match=r"nowhere: folder not found, neither here nor next to .*instances\.json"):
        read(place, images="nowhere")


def test_the_parent_is_searched_only_for_a_folder_called_annotations(tmp_path: Path) -> None:
    (tmp_path / "downloads").mkdir()
    (tmp_path / "a.jpg").write_bytes(IMAGE.getvalue())
    content = {"images": [{"id": 1, "file_name": "a.jpg", "width": 40, "height": 30}], "annotations": []}
    (sample,) = read(put(tmp_path / "downloads", content))
    assert sample.image.location is None


def detections(folder: Path, rows: Any) -> str:
    return put(folder, rows, "detections.json")


RESULTS = [
    {"image_id": 8, "category_id": 90, "bbox": [1.5, 2, 3, 4], "score": 0.25},
    {"image_id": 397133, "category_id": 18, "bbox": [1, 2, 3, 4], "score": 0.75},
    {"image_id": 8, "category_id": 1, "bbox": [1, 2, 3, 4.25], "score": 1},
]


def test_detections_are_read_with_their_instances_file(tmp_path: Path) -> None:
    reader = CocoReader(detections(tmp_path, RESULTS), truth=put(tmp_path, SPECIFIED))
    one, two, three = reader.read(raise_it)
    assert [sample.image.name for sample in (one, two, three)] == ["000000397133.jpg", "cam 1/вишня.jpg", "empty.png"]
    assert (one.boxes.labels, one.boxes.coordinates) == (("dog",), ((1, 2, 4, 6),))
    assert one.boxes.attributes[0] == {"score": 0.75}
    assert two.boxes.labels == ("toothbrush", "person")
    assert [dict(each) for each in two.boxes.attributes] == [{"score": 0.25}, {"score": 1}]
    assert len(three.boxes) == 0
    assert one.source.endswith("detections.json, image_id 397133")
    assert reader.info.num_samples == 3
    assert reader.info.attributes == {}


def test_detections_of_another_dataset_are_errors(tmp_path: Path) -> None:
    rows = [*RESULTS, {"image_id": 5, "category_id": 1, "bbox": [1, 2, 3, 4], "score": 0.5}]
    with pytest.raises(DataError, match=r"detections\.json, \[3\]: image_id is 5, but no image has this id") as caught:
        read(detections(tmp_path, rows), truth=put(tmp_path, SPECIFIED))
    assert "instances.json" in caught.value.remedy
    rows = [RESULTS[0] | {"category_id": 5}]
    with pytest.raises(DataError, match=r"\[0\]: category_id is 5, but the classes are: 1 person, 18 dog"):
        read(detections(tmp_path, rows), truth=put(tmp_path, SPECIFIED))


def test_detections_without_truth_and_truth_without_detections(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"does not define images and classes\n.*\?truth=instances\.json"):
        read(detections(tmp_path, RESULTS))
    with pytest.raises(UsageError, match="not a list of detections"):
        read(put(tmp_path, SPECIFIED), truth=put(tmp_path, SPECIFIED, "truth.json"))
    with pytest.raises(DataError, match=r"nowhere\.json: file not found"):
        read(detections(tmp_path, RESULTS), truth=str(tmp_path / "nowhere.json"))


def test_a_folder_is_not_a_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read: Is a directory") as caught:
        CocoReader(str(tmp_path))
    assert caught.value.remedy == "pass the JSON file in it"


def test_invalid_exact_coordinates_are_ignored(tmp_path: Path) -> None:
    """The box takes precedence if the two disagree."""
    for coordinates in ([1, 2, 3.9, 6], [1, 2, 4], "x", [1, 2, float("inf"), 6], [1, 2, "4", 6], [4, 2, 1, 6]):
        assert one_box(tmp_path, {"bbox": [1, 2, 3, 4], "boxwright": {"edges": coordinates}}).coordinates == (
            1,
            2,
            4,
            6,
        )
    near = 4 + 1e-9
    assert one_box(tmp_path, {"bbox": [1, 2, 3, 4], "boxwright": {"edges": [1, 2, near, 6]}}).coordinates == (
        1,
        2,
        near,
        6,
    )


@pytest.mark.parametrize(
    ("file_name", "actual"),
    [("caf\u00e9.jpg", "cafe\u0301.jpg"), ("cafe\u0301.jpg", "caf\u00e9.jpg"), ("a%20b.jpg", "a b.jpg")],
)
def test_an_image_is_found_by_another_spelling(tmp_path: Path, file_name: str, actual: str) -> None:
    """macOS normalizes names with accents, and Label Studio quotes them as in a URL."""
    (tmp_path / actual).write_bytes(IMAGE.getvalue())
    content = {
        "images": [{"id": 1, "file_name": file_name, "width": 40, "height": 30}],
        "annotations": [],
        "categories": [],
    }
    (sample,) = read(put(tmp_path, content))
    assert (sample.image.name, sample.image.location) == (file_name, str(tmp_path / actual))


@pytest.mark.parametrize("file_name", ["/home/me/a.jpg", "D:\\photos\\a.jpg"])
def test_an_absolute_path_means_the_image_with_its_last_part(tmp_path: Path, file_name: str) -> None:
    image = {"id": 1, "file_name": file_name, "width": 40, "height": 30}
    place = put(tmp_path, {"images": [image], "annotations": [], "categories": []})
    with pytest.raises(DataError, match="leads out of the folder") as caught:
        read(place)
    assert "put an image with that name into the folder" in caught.value.remedy
    (tmp_path / "a.jpg").write_bytes(IMAGE.getvalue())
    (sample,) = read(place)
    assert (sample.image.name, sample.image.location) == ("a.jpg", str(tmp_path / "a.jpg"))


def test_a_url_is_not_a_file_name(tmp_path: Path) -> None:
    image = {"id": 1, "file_name": "https://x.org/a.jpg", "width": 40, "height": 30}
    with pytest.raises(DataError, match=r"images\[0\] \(id 1\).*'https://x\.org/a\.jpg', an address on the network"):
        read(put(tmp_path, {"images": [image], "annotations": [], "categories": []}))


def test_the_file_in_a_folder_of_splits_is_found(tmp_path: Path) -> None:
    """As Roboflow exports COCO: train/_annotations.coco.json, and the same in valid."""
    (tmp_path / "train").mkdir()
    put(tmp_path / "train", SPECIFIED, "_annotations.coco.json")
    (tmp_path / "train" / "other.json").write_text("[]")
    dataset = boxwright.open(str(tmp_path))
    assert {sample.split for sample in dataset} == {"train"}
    assert dataset.info.format == "coco"


def test_rectangles_that_cvat_exported_without_their_rotation(tmp_path: Path) -> None:
    """40 x 4 about (30, 22) by 90 degrees; as CVAT writes it, with the box before the rotation."""
    box = {"image_id": 1, "category_id": 1, "bbox": [10, 20, 40, 4], "area": 160, "segmentation": []}
    turned = {"id": 1, **box, "attributes": {"occluded": False, "rotation": 90.0}}
    upright = {"id": 2, **box, "attributes": {"occluded": False, "rotation": 0.0}}
    image = {"id": 1, "file_name": "a.jpg", "width": 64, "height": 48}
    classes = [{"id": 1, "name": "fig"}]
    path = put(tmp_path, {"images": [image], "annotations": [turned, upright], "categories": classes})
    (sample,) = read(path)
    assert sample.boxes.coordinates == ((28, 2, 32, 42), (10, 20, 50, 24))
    assert {**sample.boxes.attributes[0], "id": None} == {
        "id": None,
        "attributes": {"occluded": False},
        "rotation": 90,
        "segmentation": [[32, 2, 32, 42, 28, 42, 28, 2]],
    }
    report = boxwright.convert(f"coco:{path}?shapes=skip", f"coco:{tmp_path}/o.json")
    assert (report.boxes, dict(report.losses.dropped)) == (1, {"shape rotated rectangle": 1})
    with pytest.raises(DataError, match=r"annotations\[0\] .*not an upright box, but a rotated rectangle"):
        list(boxwright.open(f"coco:{path}?shapes=fail"))
    boxwright.convert(f"coco:{path}", f"coco:{tmp_path}/again.json")
    assert read(f"{tmp_path}/again.json")[0].boxes == sample.boxes


def test_paths_of_the_computer_that_wrote_the_file(tmp_path: Path) -> None:
    """As Label Studio writes them on Windows: the last parts count."""
    names = ("images\\1/90f-a.jpg", "..\\..\\media\\upload\\4\\cb0-b.jpg")
    rows = [{"id": i, "file_name": name, "width": 64, "height": 48} for i, name in enumerate(names)]
    path = put(tmp_path, {"images": rows, "annotations": [], "categories": []})
    (tmp_path / "images").mkdir()
    for name in ("90f-a.jpg", "cb0-b.jpg"):
        (tmp_path / "images" / name).write_bytes(b"x")
    for options in ({}, {"images": f"{tmp_path}/images"}):
        assert [(sample.image.name, sample.image.location) for sample in read(path, **options)] == [
            ("90f-a.jpg", f"{tmp_path}/images/90f-a.jpg"),
            ("cb0-b.jpg", f"{tmp_path}/images/cb0-b.jpg"),
        ]


def test_two_images_are_never_the_same_file(tmp_path: Path) -> None:
    names = ("train/c.jpg", "val/c.jpg", "val/d.jpg")
    rows = [{"id": i, "file_name": name, "width": 64, "height": 48} for i, name in enumerate(names)]
    path = put(tmp_path, {"images": rows, "annotations": [], "categories": []})
    for name in ("c.jpg", "d.jpg"):
        (tmp_path / name).write_bytes(b"x")
    assert [sample.image.location for sample in read(path)] == [f"{tmp_path}/c.jpg", None, f"{tmp_path}/d.jpg"]
