from __future__ import annotations

import os
import sys
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import boxwright
from boxwright import DataError, Sample, UsageError
from boxwright.storage import follow_links
from boxwright_yolo.detect import detect

Place = Callable[[Mapping[str, str]], Path]

BOX = "0 0.5 0.5 0.5 0.5\n"
EDGES = ((10, 7.5, 30, 22.5),)


def read(location: object, **options: str) -> list[Sample]:
    return list(boxwright.open(boxwright.DatasetURI(str(location), "yolo", options)))


def found(location: object, **options: str) -> list[tuple[str, str | None, int]]:
    return [(sample.image.name, sample.split, len(sample.boxes)) for sample in read(location, **options)]


def notes(location: object, **options: str) -> str:
    return "\n".join(boxwright.open(boxwright.DatasetURI(str(location), "yolo", options)).info.notes)


def test_ultralytics_layout(place: Place) -> None:
    # The keys as in Ultralytics' coco8.yaml, whose path is that of another machine's folder of datasets.
    folder = place(
        {
            "data.yaml": "# a comment\npath: coco8 # dataset root dir\ntrain: images/train\nval: images/val\ntest:\n\n"
            "names:\n  0: person\n  1: traffic light\n\ndownload: https://example.com/coco8.zip\n",
            "images/train/b.jpg": "40x30",
            "images/train/a.png": "40x30",
            "images/val/c.jpg": "80x60",
            "images/val/deep/er/d.jpg": "40x30",
            "labels/train/a.txt": "1 0.5 0.5 0.5 0.5\n",
            "labels/train/b.txt": "",
            "labels/val/c.txt": BOX * 2,
            "README.md": "",
        }
    )
    dataset = boxwright.open(f"yolo:{folder}")
    assert dataset.info.label_map is not None
    assert dataset.info.label_map.names == ("person", "traffic light")
    assert (dataset.info.num_samples, dataset.info.splits) == (4, ("train", "val"))
    assert dataset.info.notes == (
        "images without a label file, read as images without boxes: 1 (?unannotated=ignore leaves them out)",
    )
    one, two, three, four = dataset
    assert (one.image.name, one.split, one.boxes.labels, one.boxes.coordinates) == (
        "a.png",
        "train",
        ("traffic light",),
        EDGES,
    )
    assert (two.image.name, two.split, len(two.boxes)) == ("b.jpg", "train", 0)
    assert (three.image.name, three.split, three.boxes.coordinates[0]) == ("c.jpg", "val", (20, 15, 60, 45))
    assert (four.image.name, four.split, len(four.boxes)) == ("deep/er/d.jpg", "val", 0)
    assert one.source == f"{folder}/labels/train/a.txt"
    assert four.source == four.image.location == f"{folder}/images/val/deep/er/d.jpg"
    assert (three.image.width, three.image.height) == (80, 60)
    assert found(folder / "data.yaml") == found(folder)
    assert found(folder, split="val") == [("c.jpg", "val", 2), ("deep/er/d.jpg", "val", 0)]
    assert found(folder, unannotated="ignore", split="val") == [("c.jpg", "val", 2)]
    assert "not read: 1 (?unannotated=include" in notes(folder, unannotated="ignore")


def test_an_unknown_split_is_a_usage_error(place: Place) -> None:
    folder = place({"data.yaml": "train: images\nnames: [a]\n", "images/1.jpg": "40x30"})
    with pytest.raises(UsageError, match=r"no split 'valid' in .*data\.yaml\n.*use one of: train"):
        read(folder, split="valid")


def test_roboflows_export(place: Place) -> None:
    # https://roboflow.com/formats/yolo: the paths begin with ../, and test is named though there may be none.
    folder = place(
        {
            "data.yaml": "train: ../train/images\nval: ../valid/images\ntest: ../test/images\n\nnc: 3\n"
            "names: ['head', 'helmet', 'person']\n\nroboflow:\n  workspace: me\n  version: 1\n",
            "README.roboflow.txt": "exported",
            "train/images/1_jpg.rf.aa.jpg": "416x416",
            "train/labels/1_jpg.rf.aa.txt": "1 0.617 0.3594420600858369 0.114 0.17381974248927037\n",
            "valid/images/2_jpg.rf.bb.jpg": "416x416",
            "valid/labels/2_jpg.rf.bb.txt": "",
        }
    )
    assert found(folder) == [("1_jpg.rf.aa.jpg", "train", 1), ("2_jpg.rf.bb.jpg", "val", 0)]
    assert "test: ../test/images is missing" in notes(folder)
    (sample,) = read(folder, split="train")
    assert sample.boxes.labels == ("helmet",)
    # 0.617 -+ 0.114/2 of 416 px: 232.96 and 280.384.
    assert sample.boxes.coordinates[0][::2] == (232.96, 280.384)


def test_nothing_outside_the_folder_is_read(place: Place) -> None:
    folder = place(
        {
            "secret/images/1.jpg": "40x30",
            "ds/data.yaml": "train: images\nval: ../secret/images\ntest: list.txt\nnames: [a]\n",
            "ds/images/2.jpg": "40x30",
            "ds/list.txt": "../secret/images/1.jpg\n",
        }
    )
    assert found(folder / "ds", split="train") == [("2.jpg", "train", 0)]
    with pytest.raises(DataError, match=r"val is '\.\./secret/images', not a folder"):
        read(folder / "ds", split="val")
    with pytest.raises(DataError, match=r"list\.txt, line 1: the image secret/images/1\.jpg is missing"):
        read(folder / "ds", split="test")
    (folder / "ds/images/link").symlink_to(folder / "secret/images")
    with pytest.raises(DataError, match=r"link: it is a link out of the dataset"):
        found(folder / "ds", split="train")
    with follow_links():
        assert found(folder / "ds", split="train") == [("2.jpg", "train", 0), ("link/1.jpg", "train", 0)]


@pytest.mark.parametrize(
    ("path", "train"),
    [
        ("", "images/train"),
        (".", "./images/train/"),
        ("./", "images\\train"),
        ("../datasets/ds", "images/train"),
        ("datasets/ds", "images/train"),
        ("/content/ds", "images/train"),
        ("C:\\data\\ds", "images\\train"),
        ("", "/home/me/other/images/train"),
        ("", "D:/photos/images/train"),
        ("images", "train"),
        ("", "../ds/images/train"),
        ("", "[images/train]"),
    ],
)
def test_where_the_images_are(place: Place, path: str, train: str) -> None:
    folder = place(
        {
            "ds/data.yaml": f"path: {path}\ntrain: {train}\nnames: [a]\n",
            "ds/images/train/1.jpg": "40x30",
            "ds/labels/train/1.txt": BOX,
        }
    )
    assert found(folder / "ds") == [("1.jpg", "train", 1)]
    absolute = train[:1] == "/" or train[1:2] == ":"
    assert ("is read from images/train" in notes(folder / "ds")) == absolute


def test_several_folders_and_lists_for_a_split(place: Place) -> None:
    folder = place(
        {
            "data.yaml": "train:\n- a/images\n- b/images\nval: lists/val.txt\nnames: [a]\n",
            "a/images/1.jpg": "40x30",
            "a/labels/1.txt": BOX,
            "b/images/2.jpg": "40x30",
            "c/images/val/9.jpg": "40x30",
            "c/images/val/8.jpg": "40x30",
            "c/labels/val/8.txt": BOX,
            "lists/val.txt": "../c/images/val/9.jpg\r\n\r\nc/images/val/8.jpg\r\n",
        }
    )
    assert found(folder) == [("1.jpg", "train", 1), ("2.jpg", "train", 0), ("9.jpg", "val", 0), ("8.jpg", "val", 1)]
    (folder / "data.yaml").write_text("train: a/images\nval: [b/images, gone]\nnames: [a]\n")
    with pytest.raises(DataError, match="val is 'gone'"):
        read(folder)


def test_images_of_one_name_in_two_splits_are_distinguished(place: Place) -> None:
    folder = place(
        {
            "data.yaml": "train: images/train\nval: images/val\nnames: [a]\n",
            "images/train/1.jpg": "40x30",
            "images/val/1.jpg": "40x30",
            "images/val/2.jpg": "40x30",
        }
    )
    assert found(folder) == [
        ("images/train/1.jpg", "train", 0),
        ("images/val/1.jpg", "val", 0),
        ("2.jpg", "val", 0),
    ]


def test_images_of_two_splits_belong_to_none(place: Place) -> None:
    # coco128.yaml names the same folder as train and val.
    folder = place(
        {
            "data.yaml": "train: images/train2017\nval: images/train2017\nnames: [a]\n",
            "images/train2017/1.jpg": "40x30",
            "labels/train2017/1.txt": BOX,
        }
    )
    assert found(folder) == [("1.jpg", None, 1)]
    assert "several splits, read once and without a split: 1 (?split=NAME" in notes(folder)
    assert found(folder, split="val") == [("1.jpg", "val", 1)]


def test_other_splits_than_ultralytics_are_read_if_they_exist(place: Place) -> None:
    folder = place(
        {
            "data.yaml": "minival: images/mini\ntrain: images/train\nauthor: somebody\nflip_idx: [0, 1]\nnames: [a]\n",
            "images/mini/1.jpg": "40x30",
            "images/train/2.jpg": "40x30",
            "images/3.jpg": "40x30",
        }
    )
    assert found(folder) == [("2.jpg", "train", 0), ("1.jpg", "minival", 0)]
    assert "not part of the dataset, not read: 1, such as images/3.jpg" in notes(folder)


def test_class_names_are_taken_unchanged(place: Place) -> None:
    folder = place({"images/1.jpg": "40x30", "labels/1.txt": "".join(f"{i} .5 .5 .5 .5\n" for i in range(6))})
    (folder / "data.yaml").write_text("train: images\nnames: [no, 1.0, null, 0x1F, ~, 'вишня ''n'' чай']\n", "utf-8")
    (sample,) = read(folder)
    assert sample.boxes.labels == ("no", "1.0", "null", "0x1F", "~", "вишня 'n' чай")


def test_a_number_of_classes_without_names(place: Place) -> None:
    """As Ultralytics does: ``check_det_dataset`` calls them class_0, class_1."""
    folder = place(
        {"data.yaml": "train: images\nnc: 2\n", "images/1.jpg": "40x30", "labels/1.txt": "1 0.5 0.5 0.1 0.1\n"}
    )
    assert read(folder)[0].boxes.labels == ("class_1",)
    assert "data.yaml has nc and no names, so the classes are class_0, class_1, ..." in notes(folder)


def test_classes_with_gaps_and_duplicate_names(place: Place) -> None:
    folder = place(
        {
            "data.yaml": "train: images\nnames: {3: fig, 0: date, 7: fig, 9: ''}\n",
            "images/1.jpg": "40x30",
            "labels/1.txt": "7 .5 .5 .5 .5\n3 .5 .5 .5 .5\n0 .5 .5 .5 .5\n",
        }
    )
    dataset = boxwright.open(f"yolo:{folder}")
    assert [sample.boxes.labels for sample in dataset] == [("fig", "fig", "date")]
    assert dataset.info.label_map is not None
    assert [(item.id, item.name) for item in dataset.info.label_map.items] == [(1, "date"), (4, "fig")]
    assert dataset.info.notes == ("duplicate classes, read as one: fig",)
    (folder / "labels/1.txt").write_text("9 .5 .5 .5 .5\n")
    with pytest.raises(DataError, match="the class 9 has no name"):
        read(folder)


def test_labelimgs_folder(place: Place) -> None:
    folder = place(
        {
            "classes.txt": "fig\nred, ripe\n",
            "1.jpg": "40x30",
            "1.txt": "1 0.500000 0.500000 0.500000 0.500000\n",
            "10.png": "40x30",
            "cam/1.jpg": "40x30",
            "cam/1.txt": BOX,
            "notes.txt": "to be annotated again: 10.png\n",
            "LICENSE.txt": "mine",
        }
    )
    assert found(folder) == [("1.jpg", None, 1), ("10.png", None, 0), ("cam/1.jpg", None, 1)]
    assert read(folder)[0].boxes.labels == ("red, ripe",)
    assert "not label files, not read: LICENSE.txt, notes.txt" in notes(folder)
    assert "without a label file, read as images without boxes: 1" in notes(folder)


def test_labelimgs_labels_in_a_separate_folder(place: Place) -> None:
    folder = place(
        {
            "labels/classes.txt": "fig\n",
            "labels/1.txt": BOX,
            "labels/gone.txt": BOX,
            "photos/1.jpg": "40x30",
            "photos/2.jpg": "40x30",
        }
    )
    photos = str(folder / "photos")
    with pytest.raises(DataError, match=r"gone\.txt: its image gone is missing"):
        read(folder / "labels", images=photos)
    (folder / "labels/gone.txt").unlink()
    assert found(folder / "labels", images=photos) == [("1.jpg", None, 1), ("2.jpg", None, 0)]
    assert read(folder / "labels", images=photos)[0].image.location == f"{photos}/1.jpg"
    assert found(folder, images=photos) == [("1.jpg", None, 1), ("2.jpg", None, 0)]
    with pytest.raises(DataError, match="folder not found"):
        read(folder / "labels", images=str(folder / "pictures"))


@pytest.mark.parametrize("classes", ["classes.txt", "labels/classes.txt", "my.names"])
def test_images_and_labels_without_a_yaml(place: Place, classes: str) -> None:
    # What Label Studio exports: classes.txt, images, labels, and a notes.json.
    folder = place({classes: "fig\n", "images/1.jpg": "40x30", "labels/1.txt": BOX, "notes.json": "{}"})
    assert found(folder) == [("1.jpg", None, 1)]
    assert detect(str(folder)).matches or classes == "labels/classes.txt"


def test_class_names_from_elsewhere(place: Place) -> None:
    folder = place({"ds/1.jpg": "40x30", "ds/1.txt": BOX, "my names": "\ufefffig\r\n", "other.yaml": "names: [date]\n"})
    assert read(folder / "ds", classes=str(folder / "my names"))[0].boxes.labels == ("fig",)
    assert read(folder / "ds", classes=str(folder / "other.yaml"))[0].boxes.labels == ("date",)
    with pytest.raises(DataError, match=r"gone\.txt: file not found"):
        read(folder / "ds", classes=str(folder / "gone.txt"))
    (folder / "my names").write_text("\n \n")
    with pytest.raises(DataError, match="the class 0 has no name in .*my names, which names none"):
        read(folder / "ds", classes=str(folder / "my names"))


def test_darknets_files_as_cvat_exports_them(place: Place) -> None:
    # https://docs.cvat.ai/docs/dataset_management/formats/format-yolo/: paths begin with data/, the image folder
    # has the label files.
    folder = place(
        {
            "obj.data": "classes = 2\ntrain = data/train.txt\nvalid = data/valid.txt\nnames = data/obj.names\n"
            "backup = backup/\n",
            "obj.names": "fig\ndate\n",
            "train.txt": "data/obj_train_data/b.jpg\ndata/obj_train_data/a.jpg\n",
            "valid.txt": "data/obj_valid_data/c.jpg\n",
            "obj_train_data/a.jpg": "40x30",
            "obj_train_data/a.txt": "1 0.5 0.5 0.5 0.5\n",
            "obj_train_data/b.txt": BOX,
            "obj_valid_data/c.txt": BOX,
        }
    )
    with pytest.raises(DataError, match=r"train\.txt, line 1: the image obj_train_data/b\.jpg is missing"):
        read(folder)
    assert found(folder, size="40x30") == [
        ("obj_train_data/b.jpg", "train", 1),
        ("obj_train_data/a.jpg", "train", 1),
        ("obj_valid_data/c.jpg", "val", 1),
    ]
    assert found(folder / "obj.data", size="40x30", split="val") == [("obj_valid_data/c.jpg", "val", 1)]
    (folder / "obj.names").unlink()
    with pytest.raises(DataError, match=r"obj\.data: the file of the class names, 'data/obj\.names', is not in"):
        read(folder)


def test_darknets_list_of_another_machine(place: Place) -> None:
    folder = place(
        {
            "coco.data": "# mine\nclasses=1\ntrain=/home/me/darknet/data/coco/train.txt\nnames=data/coco.names\n",
            "coco.names": "fig\n",
            "train.txt": "/home/me/darknet/data/coco/JPEGImages/1.jpg\n",
            "JPEGImages/1.jpg": "40x30",
            "labels/1.txt": BOX,
        }
    )
    assert found(folder) == [("JPEGImages/1.jpg", "train", 1)]


def test_sizes_are_given_instead_of_measured(place: Place) -> None:
    folder = place({"classes.txt": "fig\n", "1.jpg": "40x30", "1.txt": BOX})
    (folder / "1.jpg").write_bytes(b"never read")
    (sample,) = read(folder, size="400x300")
    assert (sample.image.width, sample.image.height) == (400, 300)
    assert sample.boxes.coordinates == ((100, 75, 300, 225),)
    (folder / "1.jpg").unlink()
    assert found(folder, size="400X300") == [("1", None, 1)]
    for size in ("400", "0x3", "4x3x2", "-4x3", "a"):
        with pytest.raises(UsageError, match=r"size is '.*\n.*size=640x480"):
            read(folder, size=size)
    with pytest.raises(UsageError, match="decimals is 13"):
        read(folder, decimals="13")


def test_a_turned_image_has_its_upright_size(tmp_path: Path, place: Place) -> None:
    folder = place({"classes.txt": "fig\n", "1.txt": "0 0.5 0.5 1 1\n"})
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (40, 30)).save(folder / "1.jpg", exif=exif)
    (sample,) = read(folder)
    assert (sample.image.width, sample.image.height, sample.boxes.coordinates) == (30, 40, ((0, 0, 30, 40),))


def test_the_images_of_a_dataset_may_be_elsewhere(place: Place) -> None:
    folder = place(
        {
            "ds/data.yaml": "train: images/train\nval: images/val\nnames: [a]\n",
            "ds/labels/train/1.txt": BOX,
            "ds/labels/val/2.txt": BOX,
            "flat/1.jpg": "40x30",
            "flat/2.jpg": "40x30",
            "flat/3.jpg": "40x30",
            "parted/train/1.jpg": "40x30",
            "parted/val/2.png": "40x30",
            "duplicates/1.jpg": "40x30",
            "duplicates/1.png": "40x30",
            "duplicates/2.png": "40x30",
        }
    )
    assert found(folder / "ds", images=str(folder / "flat")) == [("1.jpg", "train", 1), ("2.jpg", "val", 1)]
    assert found(folder / "ds", images=str(folder / "parted")) == [("1.jpg", "train", 1), ("2.png", "val", 1)]
    with pytest.raises(DataError, match=r"labels/train/1\.txt: it could belong to 1\.jpg or 1\.png"):
        read(folder / "ds", images=str(folder / "duplicates"))


def test_one_image_for_two_label_files_is_an_error(place: Place) -> None:
    folder = place(
        {
            "ds/data.yaml": "train: images/train\nval: images/val\nnames: [a]\n",
            "ds/labels/train/1.txt": BOX,
            "ds/labels/val/1.txt": BOX,
            "flat/1.jpg": "40x30",
        }
    )
    with pytest.raises(DataError, match=r"labels/val/1\.txt: its image 1\.jpg already has the label file labels/train"):
        read(folder / "ds", images=str(folder / "flat"))


@pytest.mark.parametrize("label", ["images/a/images/b/1.txt", "images/a/labels/b/1.txt"])
def test_the_last_folder_images_decides(place: Place, label: str) -> None:
    folder = place({"data.yaml": "train: images\nnames: [a]\n", "images/a/images/b/1.jpg": "40x30", label: BOX})
    assert found(folder) == [("a/images/b/1.jpg", "train", 1)]


def test_two_images_without_a_label_file_share_none(place: Place) -> None:
    folder = place({"classes.txt": "fig\n", "1.jpg": "40x30", "1.png": "40x30"})
    assert found(folder) == [("1.jpg", None, 0), ("1.png", None, 0)]


def test_hidden_files_are_not_part_of_the_dataset(place: Place) -> None:
    folder = place({"classes.txt": "fig\n", "1.jpg": "40x30", "._1.txt": "\0", ".cache/2.jpg": "40x30"})
    assert found(folder) == [("1.jpg", None, 0)]


def test_remote_folders_and_zip_files(place: Place) -> None:
    import fsspec

    files = {"data.yaml": "train: images/train\nnames: [a]\n", "images/train/1.jpg": "40x30", "labels/train/1.txt": BOX}
    folder = place(files)
    content = (folder / "images/train/1.jpg").read_bytes()
    memory = fsspec.filesystem("memory")
    with zipfile.ZipFile(folder / "ds.zip", "w") as archive:
        for name in files:
            memory.pipe(f"/yolo-reader/{name}", (folder / name).read_bytes())
            archive.write(folder / name, name)
    for location in (
        "memory://yolo-reader",
        "memory://yolo-reader/data.yaml",
        f"zip://::{folder}/ds.zip",
        f"zip://data.yaml::{folder}/ds.zip",
    ):
        (sample,) = read(location)
        assert (sample.image.name, sample.split, sample.boxes.coordinates) == ("1.jpg", "train", EDGES)
        assert sample.image.read() == content
        assert detect(location).matches, location
    for location in ("memory://yolo-missing", "memory://yolo-reader/gone.yaml"):
        assert not detect(location).matches
        with pytest.raises(DataError, match="folder not found|file not found"):
            read(location)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems' file names are always Unicode")
def test_file_names_that_are_not_utf8_are_an_error(place: Place) -> None:
    folder = place({"classes.txt": "fig\n", "1.jpg": "40x30"})
    (folder / "1.jpg").rename(folder / os.fsdecode(b"\xff.jpg"))
    with pytest.raises(DataError, match=r"\.jpg: its path is not UTF-8") as caught:
        read(folder)
    assert str(caught.value).encode()  # can be printed


# What supervision 0.31 wrote (as_yolo) for three images; it names no split, and rounds to five decimals.
SUPERVISION = {
    "data.yaml": "nc: 3\nnames: [fig, 'red, ripe', date]\n",
    "labels/1.txt": "0 0.17969 0.36458 0.26562 0.52083\n1 0.71094 0.50521 0.47656 0.65625\n",
    "labels/2.txt": "2 0.50000 0.50000 1.00000 1.00000\n0 0.03153 0.08200 0.00300 0.00400\n",
    "labels/3.txt": "",
    "images/1.jpg": "64x48",
    "images/2.png": "333x250",
    "images/3.jpg": "40x30",
}


def test_supervisions_files(place: Place) -> None:
    folder = place(SUPERVISION)
    one, two, three = read(folder)
    assert one.boxes.labels == ("fig", "red, ripe")
    for coordinates, given in zip(one.boxes.coordinates, ((3, 5, 20, 30), (30.25, 8.5, 60.75, 40)), strict=True):
        assert coordinates == pytest.approx(given, abs=1e-3)
    assert two.boxes.coordinates[0] == (0, 0, 333, 250)
    assert two.boxes.coordinates[1] == pytest.approx((10, 20, 11, 21), abs=2e-3)
    assert len(three.boxes) == 0
    assert detect(str(folder)).matches


def test_globox_reads_the_same_boxes(place: Place) -> None:
    globox = pytest.importorskip("globox")
    folder = place(SUPERVISION)
    (folder / "images/2.png").rename(folder / "images/2.jpg")
    (folder / "labels/1.txt").write_text(SUPERVISION["labels/1.txt"].replace("0.65625", "0.65625 0.5"))
    truth = globox.AnnotationSet.from_yolo_v5(folder / "labels", image_folder=folder / "images")
    for sample in read(folder):
        theirs = truth[sample.image.name]
        assert theirs.image_size == (sample.image.width, sample.image.height)
        assert [int(box.label) for box in theirs.boxes] == [
            ["fig", "red, ripe", "date"].index(n) for n in sample.boxes.labels
        ]
        for box, coordinates in zip(theirs.boxes, sample.boxes.coordinates, strict=True):
            assert (box.xmin, box.ymin, box.xmax, box.ymax) == pytest.approx(coordinates, abs=1e-6)
        assert [box.confidence for box in theirs.boxes] == [a.get("score") for a in sample.boxes.attributes]


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({"1.xml": "<annotation/>", "1.jpg": "4x3"}, "no data.yaml, obj.data or classes.txt in it"),
        ({"Annotations/1.xml": "<annotation/>", "JPEGImages/1.jpg": "4x3", "classes.txt": "a"}, "Pascal VOC"),
        ({"annotations/instances.json": "{}", "images/1.jpg": "4x3"}, "no data.yaml"),
        ({"_annotations.coco.json": "{}", "1.jpg": "4x3"}, "no data.yaml"),
        ({"config.yaml": "lr: 0.1\n"}, "config.yaml: it has no names"),
        ({"data.yaml": "names: [a"}, "data.yaml: it is not valid YAML"),
        ({"hyp.yaml": "names: [a]\nlr: 0.1\n"}, "hyp.yaml does not name train, val or test"),
        ({"classes.txt": "fig\n", "1.xml": "<annotation/>", "1.jpg": "4x3"}, "classes.txt, but no label file"),
        ({"classes.txt": "fig\n", "notes.txt": "5 figs and 3 dates\n"}, "classes.txt, but no label file"),
        ({"obj.data": "classes = 2\n"}, "obj.data"),
    ],
)
def test_other_folders_are_refused(place: Place, files: Mapping[str, str], reason: str) -> None:
    answer = detect(str(place(files)))
    assert not answer.matches
    assert reason in answer.reason


@pytest.mark.parametrize(
    ("files", "name", "reason"),
    [
        ({"data.yaml": "train: a\nnames: [x, y]\n"}, "", "data.yaml names 2 classes; train"),
        ({"coco8.yaml": "val: a\nnames: [x, y]\n"}, "", "coco8.yaml names 2 classes; val"),
        ({"coco8.yaml": "val: a\nnames: [x, y]\n"}, "coco8.yaml", "coco8.yaml names 2 classes; val"),
        ({"obj.data": "names = a\n"}, "", "obj.data names the classes"),
        ({"obj.data": "names = a\n"}, "obj.data", "obj.data names the classes"),
        ({"classes.txt": "x", "1.jpg": "4x3", "1.txt": ""}, "", "1 .txt files next to images of the same name"),
        ({"classes.txt": "x", "1.txt": BOX}, "", "1 .txt files with a class and four numbers per line"),
    ],
)
def test_own_folders_are_recognized(place: Place, files: Mapping[str, str], name: str, reason: str) -> None:
    answer = detect(str(place(files) / name))
    assert answer.matches
    assert reason in answer.reason


def test_the_reader_says_what_the_command_line_needs(place: Place) -> None:
    folder = place({"data.yaml": "train: images\nnames: [fig]\n", "images/1.jpg": "40x30", "labels/1.txt": BOX})
    dataset: Any = boxwright.open(str(folder))  # detected, without yolo:
    assert repr(dataset).startswith("<Dataset yolo:")
    report = boxwright.convert(dataset, f"csv:{folder / 'out.csv'}")
    assert report.boxes == 1
    assert "1.jpg,40,30,fig,10,7.5,30,22.5" in (folder / "out.csv").read_text()
