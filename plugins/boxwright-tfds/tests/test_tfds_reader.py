"""Prepared datasets, with the features of the builders of TFDS."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import boxwright
from boxwright import DataError, Sample, UsageError
from boxwright.datasets import open_dataset
from boxwright_tfds.prepared import detect

pytestmark = pytest.mark.tensorflow
tfds = pytest.importorskip("tensorflow_datasets")
pytest.importorskip("tensorflow")

F = tfds.features
BBox = F.BBox


def read(uri: str, **options: Any) -> list[Sample]:
    return list(open_dataset(uri, **options))


def voc_features() -> dict[str, Any]:
    return {
        "image": F.Image(),
        "image/filename": F.Text(),
        "objects": F.Sequence(
            {
                "label": F.ClassLabel(names=["cat", "dog"]),
                "bbox": F.BBoxFeature(),
                "pose": F.ClassLabel(names=["frontal", "unspecified"]),
                "is_truncated": np.bool_,
                "is_difficult": np.bool_,
            }
        ),
        "labels": F.Sequence(F.ClassLabel(names=["cat", "dog"])),
    }


def voc_example(image: bytes, name: str = "a.jpg", *boxes: tuple[int, tuple[float, ...], int, bool, bool]) -> Any:
    objects = [
        {"label": label, "bbox": BBox(*coordinates), "pose": pose, "is_truncated": truncated, "is_difficult": difficult}
        for label, coordinates, pose, truncated, difficult in boxes
    ]
    return {"image": image, "image/filename": name, "objects": objects, "labels": [0]}


@pytest.fixture
def voc(prepare: Callable[..., Path], encode: Callable[..., bytes]) -> Path:
    one = (1, (48 / 375, 240 / 500, 371 / 375, 499 / 500), 0, True, False)
    two = (0, (0.1, 0.25, 1.0, 1.0), 1, False, True)
    splits = {
        "train": [voc_example(encode(500, 375), "000005.jpg", one, two), voc_example(encode(40, 30), "000007.jpg")],
        "test": [voc_example(encode(64, 48, "JPEG"), "000001.jpg", two)],
    }
    return prepare("data/voc/2007/5.0.0", voc_features(), splits)


def test_the_features_of_voc(voc: Path, encode: Callable[..., bytes]) -> None:
    dataset = boxwright.open(f"tfds:{voc}?split=train")
    one, empty = dataset
    assert (one.image.name, one.image.width, one.image.height, one.image.format) == ("000005.jpg", 500, 375, "png")
    assert one.image.read() == encode(500, 375)
    dog, cat = one.boxes
    assert (dog.label, dog.coordinates, dog.attributes) == (
        "dog",
        (240, 48, 499, 371),
        {"pose": "frontal", "truncated": 1},
    )
    assert (cat.label, cat.coordinates, cat.attributes) == ("cat", (125, 37.5, 500, 375), {"difficult": 1})
    assert (empty.image.name, len(empty.boxes), empty.attributes) == ("000007.jpg", 0, {})
    assert one.source == f"{voc}, train, example 0"
    assert (dataset.label_map.names, dataset.info.num_samples) == (("cat", "dog"), 2)
    assert dataset.info.notes == ("features that are not read: labels",)
    first = next(iter(boxwright.open(f"tfds:{voc}?split=train&one_based=true")))
    assert first.boxes[0].coordinates == (239, 47, 499, 371)


def test_splits(voc: Path) -> None:
    def names(split: str) -> list[tuple[str, str | None]]:
        query = f"?split={split}" if split else ""
        return [(sample.image.name, sample.split) for sample in read(f"tfds:{voc}{query}")]

    assert names("") == [("000005.jpg", "train"), ("000007.jpg", "train"), ("000001.jpg", "test")]
    assert names("all") == names("")
    assert names("test+train[1:]") == names("test%2Btrain[1:]") == [("000001.jpg", "test"), ("000007.jpg", "train")]
    assert names("train[:50%]") == [("000005.jpg", "train")]
    assert boxwright.open(f"tfds:{voc}").info.splits == ("train", "test")
    for split in ("val", "train[", "", "train[1:2:3]", "all[:1]"):
        with pytest.raises(DataError, match=r"no split .*\n.*train, test|invalid split"):
            boxwright.open(f"tfds:{voc}?split={split}")


def test_names_of_datasets(voc: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = tmp_path / "data"
    for name in ("voc/2007", "voc", "voc/2007:5.0.0"):
        assert len(read(f"tfds:{name}?data_dir={data}&split=test")) == 1
    assert len(read(f"tfds:{data / 'voc' / '2007'}?split=test")) == 1
    monkeypatch.setenv("TFDS_DATA_DIR", str(data))
    assert len(read("tfds:voc/2007?split=test")) == 1
    with pytest.raises(DataError, match=rf"voc/2012: the dataset is not prepared in {data}\n.*data_dir.*download=true"):
        read("tfds:voc/2012")
    (data / "voc" / "2012").mkdir()
    (voc.rename(data / "voc" / "2012" / "4.9.0") / "x").touch()
    assert len(read("tfds:voc?split=test")) == 1
    newer = data / "voc" / "2012" / "4.10.0"
    newer.mkdir()
    for name in ("dataset_info.json", "features.json"):
        (newer / name).write_text("[]")
    with pytest.raises(DataError, match=r"4\.10\.0/dataset_info\.json: the file does not contain a JSON object"):
        read("tfds:voc/2012")
    (data / "voc" / "1999" / "1.0.0").mkdir(parents=True)
    (data / "voc" / "1999" / "1.0.0" / "dataset_info.json").touch()
    with pytest.raises(UsageError, match=r"contains several datasets: 1999, 2012\n.*name one: tfds:.*1999"):
        read("tfds:voc")


def test_coco_and_open_images(prepare: Callable[..., Path], encode: Callable[..., bytes]) -> None:
    coco = {
        "image": F.Image(encoding_format="jpeg"),
        "image/filename": F.Text(),
        "image/id": np.int64,
        "objects": F.Sequence(
            {
                "id": np.int64,
                "area": np.int64,
                "bbox": F.BBoxFeature(),
                "label": F.ClassLabel(num_classes=3),
                "is_crowd": np.bool_,
                "segmentation": F.Image(shape=(None, None, 1)),
            }
        ),
    }
    box = {"id": 900100, "area": 4231, "bbox": BBox(0.0, 0.5, 0.5, 1.0), "label": 2, "is_crowd": True}
    mask = np.zeros((4, 4, 1), np.uint8)
    example = {"image": encode(40, 30, "JPEG"), "image/filename": "a.jpg", "image/id": 139}
    folder = prepare("coco", coco, {"train": [example | {"objects": [box | {"segmentation": mask}]}]})
    dataset = boxwright.open(f"tfds:{folder}")
    (sample,) = dataset
    assert sample.attributes == {"source_id": "139"}
    assert dict(sample.boxes[0].attributes) == {"id": 900100, "area": 4231, "iscrowd": 1}
    assert (sample.boxes[0].label, sample.boxes[0].coordinates) == ("2", (20, 0, 40, 15))
    assert dataset.info.notes == ("features that are not read: objects/segmentation",)
    open_images = {
        "image": F.Image(),
        "objects": F.Sequence({"label": F.ClassLabel(names=["a"]), "confidence": np.int32}),
        "bobjects": F.Sequence(
            {
                "label": F.ClassLabel(names=["cat", "dog"]),
                "source": F.ClassLabel(names=["xclick", "verification"]),
                "bbox": F.BBoxFeature(),
                "is_occluded": np.int8,
                "is_group_of": np.int8,
                "is_depiction": np.int8,
            }
        ),
    }
    flags = {"is_occluded": -1, "is_group_of": 1, "is_depiction": 0, "source": 1}
    boxed = {
        "image": encode(40, 30),
        "objects": [],
        "bobjects": [{"label": 1, "bbox": BBox(0.0, 0.0, 1.0, 1.0)} | flags],
    }
    dataset = boxwright.open(f"tfds:{prepare('oid', open_images, {'train': [boxed]})}")
    (sample,) = dataset
    assert sample.image.name == "train-000000.png"
    assert sample.boxes.labels == ("dog",)
    assert dict(sample.boxes[0].attributes) == {"iscrowd": 1, "source": "verification", "is_depiction": 0}
    assert dataset.info.notes == ("features that are not read: objects",)


def test_kitti_and_faces_without_a_class(prepare: Callable[..., Path], encode: Callable[..., bytes]) -> None:
    kitti = {
        "image": F.Image(),
        "image/file_name": F.Text(),
        "objects": F.Sequence(
            {
                "type": F.ClassLabel(names=["Car", "Van"]),
                "truncated": np.float32,
                "occluded": F.ClassLabel(names=["fully visible", "partly occluded", "largely occluded", "unknown"]),
                "alpha": F.Tensor(shape=(), dtype=np.float32),
                "bbox": F.BBoxFeature(),
                "dimensions": F.Tensor(shape=(3,), dtype=np.float32),
            }
        ),
    }
    car = {"type": 0, "truncated": 0.88, "occluded": 2, "alpha": -1.57, "bbox": BBox(0.0, 0.0, 0.5, 0.25)}
    example = {"image": encode(40, 30), "image/file_name": "000001.png"}
    car["dimensions"] = [1.52, 1.63, 3.89]
    unspecified = car | {"type": 1, "truncated": 0.0, "occluded": 0, "alpha": np.nan}
    folder = prepare("kitti", kitti, {"train": [example | {"objects": [car, unspecified]}]})
    (sample,) = read(f"tfds:{folder}")
    assert (sample.image.name, sample.boxes.labels, sample.boxes[0].coordinates) == (
        "000001.png",
        ("Car", "Van"),
        (0, 0, 10, 15),
    )
    assert dict(sample.boxes[0].attributes) == {
        "truncated": 0.88,
        "occluded": 2,
        "alpha": -1.57,
        "dimensions": [1.52, 1.63, 3.89],
    }
    assert dict(sample.boxes[1].attributes) == {"dimensions": [1.52, 1.63, 3.89]}
    faces = {
        "image": F.Image(),
        "faces": F.Sequence({"bbox": F.BBoxFeature(), "blur": np.uint8, "occlusion": np.uint8}),
    }
    face = {"bbox": BBox(0.0, 0.0, 0.5, 0.25), "blur": 2, "occlusion": 1}
    (sample,) = read(f"tfds:{prepare('faces', faces, {'val': [{'image': encode(40, 30), 'faces': [face]}]})}")
    assert sample.boxes.labels == ("face",)
    assert dict(sample.boxes[0].attributes) == {"blur": 2, "occluded": 1}


def test_single_boxes_and_other_formats(prepare: Callable[..., Path], encode: Callable[..., bytes]) -> None:
    birds = {
        "image": F.Image(),
        "label": F.ClassLabel(names=["tit", "wren"]),
        "bbox": F.BBoxFeature(),
        "note": F.Text(),
    }
    example = {"image": encode(40, 30), "label": 1, "bbox": BBox(0.0, 0.25, 0.5, 1.0), "note": "é"}
    (sample,) = read(f"tfds:{prepare('birds', birds, {'train': [example]})}")
    assert [(box.label, box.coordinates) for box in sample.boxes] == [("wren", (10, 0, 40, 15))]
    assert sample.attributes == {"note": "é"}
    for name, numbers in (("XYXY", (1, 2, 30, 20)), ("XYWH", (1, 2, 29, 18)), ("YXYX", (2, 1, 20, 30))):
        features = {
            "image": F.Image(),
            "things": F.Sequence({"bbox": F.BBoxFeature(bbox_format=name), "kind": F.ClassLabel(names=["fig"])}),
        }
        box = {"bbox": np.array(numbers, np.float64), "kind": 0}
        (sample,) = read(f"tfds:{prepare(name, features, {'train': [{'image': encode(40, 30), 'things': [box]}]})}")
        assert [(each.label, each.coordinates) for each in sample.boxes] == [("fig", (1, 2, 30, 20))]
    features["things"] = F.Sequence({"bbox": F.BBoxFeature(bbox_format=None)})
    nothing = [{"image": encode(40, 30), "things": []}]
    folder = prepare("unspecified", features, {"train": nothing})
    with pytest.raises(DataError, match="the format of its boxes is unknown"):
        read(f"tfds:{folder}")


def test_the_y_axis_of_kitti_points_up(prepare: Callable[..., Path], encode: Callable[..., bytes]) -> None:
    from tensorflow_datasets.datasets.kitti import kitti_dataset_builder as kitti

    raw = kitti.RawBoundingBox(left=712.40, top=143.00, right=810.73, bottom=307.92)  # example of the development kit
    bbox = kitti._build_bounding_box(raw, 370, 1224)
    features = {
        "image": F.Image(),
        "objects": F.Sequence({"type": F.ClassLabel(names=["Pedestrian"]), "bbox": F.BBoxFeature()}),
    }
    examples = {"train": [{"image": encode(1224, 370), "objects": [{"type": 0, "bbox": bbox}]}]}
    kitti_folder, other_folder = (
        prepare("kitti", features, examples, name="kitti"),
        prepare("another", features, examples),
    )
    upright, upside_down = (712.4, 143, 810.73, 307.92), (712.4, 62.08, 810.73, 227)
    for uri, expected in (
        (f"tfds:{kitti_folder}", upright),
        (f"tfds:{other_folder}?y_axis=up", upright),
        (f"tfds:{other_folder}", upside_down),
        (f"tfds:{kitti_folder}?y_axis=down", upside_down),
    ):
        assert read(uri)[0].boxes[0].coordinates == pytest.approx(expected, abs=1e-9)


def test_boxes_without_a_class_get_that_of_the_image(
    prepare: Callable[..., Path], encode: Callable[..., bytes]
) -> None:
    """As in ``stanford_dogs`` and ``oxford_iiit_pet``."""
    dogs = {
        "image": F.Image(),
        "label": F.ClassLabel(names=["pug", "collie"]),
        "objects": F.Sequence({"bbox": F.BBoxFeature()}),
    }
    box = {"bbox": BBox(0.0, 0.25, 0.5, 1.0)}
    examples = [{"image": encode(40, 30), "label": 1, "objects": [box] * count} for count in (2, 0)]
    two, none = read(f"tfds:{prepare('dogs', dogs, {'train': examples})}")
    assert (two.boxes.labels, two.attributes, len(none.boxes)) == (("collie", "collie"), {}, 0)
    pets = {
        "image": F.Image(),
        "label": F.ClassLabel(names=["pug", "collie"]),
        "species": F.ClassLabel(names=["Cat", "Dog"]),
        "head_bbox": F.BBoxFeature(),
    }
    boxes = [BBox(0.0, 0.25, 0.5, 1.0), BBox(0.0, 0.0, 0.0, 0.0)]
    examples = [{"image": encode(40, 30), "label": 0, "species": 1, "head_bbox": box} for box in boxes]
    one, none = read(f"tfds:{prepare('pets', pets, {'train': examples})}")
    assert [(each.label, each.coordinates) for each in one.boxes] == [("pug", (10, 0, 40, 15))]
    assert (one.attributes, len(none.boxes)) == ({"species": "Dog"}, 0)


def test_damaged_records(voc: Path) -> None:
    (records,) = voc.glob("tiny-train*")
    whole = records.read_bytes()
    for damaged, problem in (
        (whole[:-5], "truncated record at"),
        (whole[:50] + b"?" + whole[51:], "corrupted record at"),
    ):
        records.write_bytes(damaged)
        with pytest.raises(DataError, match=f"train: TFDS cannot read its records: {problem}") as caught:
            read(f"tfds:{voc}?split=train")
        assert "{{" not in str(caught.value)
        assert "[Op" not in str(caught.value)


def test_ambiguous_features_must_be_set(prepare: Callable[..., Path], encode: Callable[..., bytes]) -> None:
    inner = {"bbox": F.BBoxFeature(), "kind": F.ClassLabel(names=["a"]), "colour": F.ClassLabel(names=["red"])}
    features = {"image": F.Image(), "one": F.Sequence(dict(inner)), "two": F.Sequence(dict(inner))}
    box = {"bbox": BBox(0.0, 0.0, 1.0, 1.0), "kind": 0, "colour": 0}
    folder = prepare("x", features, {"train": [{"image": encode(40, 30), "one": [], "two": [box]}]})
    with pytest.raises(DataError, match=r"several features contain boxes: one, two\n.*objects=one"):
        read(f"tfds:{folder}")
    with pytest.raises(DataError, match=r"several features contain classes: colour, kind\n.*label=colour"):
        read(f"tfds:{folder}?objects=two")
    with pytest.raises(DataError, match=r"no feature 'three' with boxes\n.*one, two"):
        read(f"tfds:{folder}?objects=three")
    (sample,) = read(f"tfds:{folder}?objects=two&label=colour")
    assert [(each.label, dict(each.attributes)) for each in sample.boxes] == [("red", {"kind": "a"})]
    digits = {"image": F.Image(), "label": F.ClassLabel(num_classes=10)}
    folder = prepare("mnist", digits, {"train": [{"image": encode(40, 30), "label": 3}]})
    assert not detect(str(folder)).matches
    with pytest.raises(DataError, match="no feature contains boxes: it is not a detection dataset"):
        read(f"tfds:{folder}")


def test_invalid_and_duplicate_names(prepare: Callable[..., Path], encode: Callable[..., bytes]) -> None:
    image = encode(40, 30)
    examples = [voc_example(image, name) for name in ("../a.jpg", "a.jpg", "a.jpg", "", "b.jpg")]
    folder = prepare("x", voc_features(), {"train": examples})
    dataset = open_dataset(f"tfds:{folder}", on_error="skip")
    assert [sample.image.name for sample in dataset] == ["a.jpg", "b.jpg"]
    problems = [str(problem) for problem in dataset.problems.skipped]
    assert "train, example 0: the file name is '../a.jpg'" in problems[0]
    assert "train, example 2: duplicate image name 'a.jpg'" in problems[1]
    assert "names=number" in problems[2]
    assert [sample.image.name for sample in read(f"tfds:{folder}?names=number")][:2] == [
        "train-000000.png",
        "train-000001.png",
    ]


def test_invalid_examples(prepare: Callable[..., Path], encode: Callable[..., bytes]) -> None:
    features = voc_features()
    features["objects"] = F.Sequence({"label": np.int64, "bbox": F.Tensor(shape=(4,), dtype=np.float32)})
    good = {"label": 0, "bbox": [0.0, 0.0, 1.0, 1.0]}
    bad: list[dict[str, Any]] = [{"bbox": [0.5, 0, 0.25, 1]}, {"bbox": [np.nan, 0, 1, 1]}, {"label": 7}, {"label": -1}]
    examples = [{"image": b"hello", "image/filename": "x", "objects": [], "labels": []}]
    for number, changes in enumerate([{}, *bad]):
        name = f"{number}.jpg"
        examples.append({"image": encode(40, 30), "image/filename": name, "objects": [good | changes], "labels": []})
    folder = prepare("x", features, {"train": examples})
    declared = voc_features()
    declared["objects"] = F.Sequence({"label": F.ClassLabel(names=["cat", "dog"]), "bbox": F.BBoxFeature()})
    F.FeaturesDict(declared).save_config(str(folder))
    dataset = open_dataset(f"tfds:{folder}", on_error="skip")
    assert [sample.image.name for sample in dataset] == ["0.jpg"]
    problems = "\n".join(str(problem) for problem in dataset.problems.skipped)
    for text in (
        "example 0: ",
        "example 2: box 1 (cat): ymin 15 is greater than ymax 7.5",
        "example 3: box 1 (cat): a coordinate is not a finite number",
        "example 4: its boxes have the class numbers [7], but there are 2 classes",
        "example 5: its boxes have the class numbers [-1]",
    ):
        assert text in problems


def test_many_shards_keep_their_order(prepare: Callable[..., Path], encode: Callable[..., bytes]) -> None:
    examples = [voc_example(encode(40, 30), f"{number}.jpg") for number in range(7)]
    folder = prepare("x", voc_features(), {"train": examples}, shards=3)
    names = [sample.image.name for sample in read(f"tfds:{folder}")]
    assert names == [f"{number}.jpg" for number in (0, 3, 6, 1, 4, 2, 5)]


def test_invalid_locations(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"tfds reads local folders, not gs://b/voc"):
        read("tfds:gs://b/voc")
    with pytest.raises(DataError, match=r"it contains no prepared dataset"):
        read(f"tfds:{tmp_path}")
    with pytest.raises(DataError, match=r"TFDS cannot prepare it: .*\n.*downloads/manual"):
        read(f"tfds:no_such_dataset?data_dir={tmp_path}&download=true")
