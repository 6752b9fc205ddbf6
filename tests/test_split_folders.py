"""Exports as they are downloaded: a part of the dataset in each of train, valid and test, in a folder or a zip file."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

import boxwright
from boxwright import Boxes, DataError, Dataset, ImageRef, Sample, UsageError
from boxwright.datasets import SampleReader
from boxwright_testing import draw_image

# The names of Roboflow's exports, which https://docs.roboflow.com/datasets/exporting-data links to.
EXPORTS = {
    "coco": "_annotations.coco.json",
    "csv": "_annotations.csv",
    "createml": "_annotations.createml.json",
    "tfrecord": "figs.tfrecord",
    "labelimg": "",
}


def export(folder: Path, format: str) -> None:
    """Writes train, valid and test, each with its own image and one of the same name."""
    for number, split in enumerate(("train", "valid", "test")):
        samples = []
        for name in (f"{split}.jpg", "same.jpg"):
            path = folder / "sources" / split / name
            path.parent.mkdir(parents=True, exist_ok=True)
            draw_image(30 + number, 20).save(path)
            image = ImageRef(name=name, width=30 + number, height=20, location=str(path))
            samples.append(Sample(image=image, boxes=Boxes(["fig"], [(3, 4, 20, 15)])))
        made = folder / "made" / split
        target = made / (EXPORTS[format] or "all") if format != "createml" else made
        boxwright.convert(Dataset(SampleReader(samples)), f"{format}:{target}")
        out = folder / "figs" / split
        out.mkdir(parents=True)
        if format in ("coco", "csv"):
            for file in (folder / "sources" / split).iterdir():
                shutil.copy(file, out / file.name)
            shutil.copy(target, out / target.name)
        elif format == "tfrecord":
            shutil.copy(target, out / target.name)
            shutil.copy(made / "label_map.pbtxt", out / "figs_label_map.pbtxt")
        else:
            for file in (target if format == "labelimg" else made).iterdir():
                name = EXPORTS[format] if file.suffix == ".json" else file.name
                shutil.copy(file, out / name)
    (folder / "figs" / "README.roboflow.txt").write_text("figs - v1\n")


@pytest.mark.parametrize("packed", ["folder", "zip", "zip with a folder"])
@pytest.mark.parametrize("format", EXPORTS)
def test_an_export_is_one_dataset_with_splits(format: str, packed: str, tmp_path: Path) -> None:
    export(tmp_path, format)
    place = tmp_path / "figs"
    if packed != "folder":
        root, base = (place, None) if packed == "zip" else (tmp_path, "figs")
        place = Path(shutil.make_archive(str(tmp_path / "download"), "zip", root, base))
    dataset = boxwright.open(str(place))
    assert dataset.uri.startswith(f"{format}:")
    samples = list(dataset)
    expected = ["train", "train", "val", "val", "test", "test"]
    if format == "createml":  # it reads splits itself
        expected = ["test", "test", "train", "train", "val", "val"]
    assert [sample.split for sample in samples] == expected
    assert len({sample.image.name for sample in samples}) == 6
    widths = {"train": 30, "val": 31, "test": 32}
    for sample in samples:
        assert sample.image.width == widths[sample.split or ""]
        assert len(sample.image.read()) > 100
    assert [sample.split for sample in boxwright.open(f"{format}:{place}")] == [sample.split for sample in samples]
    report = boxwright.convert(f"{format}:{place}", f"yolo:{tmp_path}/yolo")
    assert (report.boxes, report.classes) == (6, {"fig": 6})


def test_the_only_file_in_a_folder_is_the_dataset(tmp_path: Path) -> None:
    """As FiftyOne writes COCO: data/ and labels.json (https://docs.voxel51.com)."""
    export(tmp_path, "coco")
    (tmp_path / "fo").mkdir()
    shutil.move(tmp_path / "figs" / "train" / "_annotations.coco.json", tmp_path / "fo" / "labels.json")
    shutil.move(tmp_path / "figs" / "train", tmp_path / "fo" / "data")
    for uri in (f"{tmp_path}/fo", f"coco:{tmp_path}/fo"):
        dataset = boxwright.open(uri)
        assert dataset.uri == f"coco:{tmp_path}/fo/labels.json"
        assert {sample.split for sample in dataset} == {None}
        assert all(sample.image.location for sample in dataset)


def test_the_only_file_in_a_folder_of_annotations_is_the_dataset(tmp_path: Path) -> None:
    """As CVAT exports COCO: https://docs.cvat.ai/docs/manual/advanced/formats/format-coco/."""
    export(tmp_path, "coco")
    for folder in ("annotations", "images"):
        (tmp_path / "cvat" / folder).mkdir(parents=True)
    train = tmp_path / "figs" / "train"
    shutil.move(train / "_annotations.coco.json", tmp_path / "cvat" / "annotations" / "instances_default.json")
    shutil.move(train, tmp_path / "cvat" / "images" / "default")
    for place in (f"{tmp_path}/cvat", shutil.make_archive(str(tmp_path / "download"), "zip", tmp_path / "cvat")):
        dataset = boxwright.open(place)
        assert dataset.uri.startswith("coco:")
        assert [len(sample.image.read()) > 100 for sample in dataset] == [True, True]


def test_a_json_file_in_a_zip_file_is_found_by_its_own_name(tmp_path: Path) -> None:
    export(tmp_path, "coco")
    boxwright.convert(f"coco:{tmp_path}/figs/train", f"label-studio:{tmp_path}/project/project-1-at-2024.json")
    shutil.copy(tmp_path / "figs/train/same.jpg", tmp_path / "project")
    assert boxwright.open(shutil.make_archive(str(tmp_path / "p"), "zip", tmp_path / "project")).uri.startswith(
        "label-"
    )


def test_a_dataset_one_folder_below_is_named_in_the_message(tmp_path: Path) -> None:
    export(tmp_path, "csv")
    shutil.rmtree(tmp_path / "made")
    shutil.rmtree(tmp_path / "sources")
    (tmp_path / "__MACOSX" / "figs").mkdir(parents=True)
    with pytest.raises(UsageError) as caught:
        boxwright.open(str(tmp_path))
    assert f"name what is in it: csv:{tmp_path}/figs;" in caught.value.remedy


def test_two_files_of_a_split_are_a_question(tmp_path: Path) -> None:
    export(tmp_path, "coco")
    train = tmp_path / "figs" / "train"
    shutil.copy(train / "_annotations.coco.json", train / "other.json")
    with pytest.raises(DataError) as caught:
        boxwright.open(f"coco:{tmp_path}/figs")
    assert caught.value.remedy == "pass the JSON file in it"


def test_classes_of_the_splits_are_joined_by_name(tmp_path: Path) -> None:
    export(tmp_path, "coco")
    file = tmp_path / "figs" / "valid" / "_annotations.coco.json"
    content = json.loads(file.read_text())
    content["categories"] = [{"id": 1, "name": "nut"}, {"id": 2, "name": "fig"}]
    file.write_text(json.dumps(content))
    dataset = boxwright.open(f"coco:{tmp_path}/figs")
    assert dataset.label_map.names == ("fig", "nut")
    assert [sample.boxes.labels for sample in dataset][2] == ("nut",)


def test_a_folder_without_splits_of_its_own_keeps_its_names(tmp_path: Path) -> None:
    """Annotations that are in no split are not passed over."""
    export(tmp_path, "labelimg")
    shutil.copy(tmp_path / "figs" / "train" / "train.xml", tmp_path / "figs" / "more.xml")
    samples = list(boxwright.open(f"labelimg:{tmp_path}/figs"))
    assert {sample.split for sample in samples} == {None}
    found = {f"{folder}/{name}.jpg" for folder in ("train", "valid", "test") for name in (folder, "same")}
    assert {sample.image.name for sample in samples} == {"train.jpg", *found}


def test_a_damaged_zip(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(b"PK\3\4 and no more")
    for uri in (f"{tmp_path}/a.zip", f"coco:{tmp_path}/a.zip"):
        with pytest.raises(DataError, match=r"a\.zip: it cannot be read as a zip file"):
            boxwright.open(uri)
