"""Several datasets as one, and one whose splits are in several places."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

import boxwright
from boxwright import BoxwrightError, DataError, Dataset, Sample, UsageError
from boxwright.datasets import SampleReader
from boxwright_testing import draw_image, encode_image, labelimg_xml

Edges = list[tuple[int, int, int, int]]
RED: Edges = [(0, 0, 20, 20)]
BLUE: Edges = [(30, 20, 60, 40)]


def draw(path: Path, boxes: Edges = RED) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode_image(draw_image(64, 48, boxes), path.name))


def coco(folder: Path, name: str, classes: Sequence[str], boxes: Edges = RED, **more: object) -> str:
    draw(folder / name, boxes)
    content = {
        "images": [{"id": 1, "file_name": name, "width": 64, "height": 48}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4]}],
        "categories": [{"id": i, "name": label, "supercategory": "x"} for i, label in enumerate(classes, 1)],
    }
    (folder / "i.json").write_text(json.dumps(content | more))
    return f"coco:{folder / 'i.json'}"


def rows(uri: object) -> list[tuple[str, str | None, tuple[str, ...]]]:
    return [(s.image.name, s.split, s.boxes.labels) for s in boxwright.open(uri)]  # type: ignore[arg-type]


def labelimg(folder: Path, name: str, label: str = "fig", boxes: Edges = RED) -> None:
    draw(folder / name, boxes)
    text = labelimg_xml(name, [label], size=(64, 48), folder=folder.name)
    (folder / name).with_suffix(".xml").write_text(text)


class TestSeveral:
    def test_classes_are_joined_by_name_and_equal_names_get_a_folder(self, tmp_path: Path) -> None:
        one = coco(tmp_path / "a", "frame.jpg", ["cat", "cow"])
        two = coco(tmp_path / "b", "frame.jpg", ["dog", "cow"], BLUE)
        report = boxwright.convert([one, two], f"coco:{tmp_path / 'o.json'}")
        content = json.loads((tmp_path / "o.json").read_text())
        ids = {category["id"]: category["name"] for category in content["categories"]}
        assert ids == {1: "cat", 2: "cow", 3: "dog"}
        assert [image["file_name"] for image in content["images"]] == ["a/frame.jpg", "b/frame.jpg"]
        assert len({image["id"] for image in content["images"]}) == 2
        assert len({each["id"] for each in content["annotations"]}) == 2
        assert [ids[each["category_id"]] for each in content["annotations"]] == ["cat", "dog"]
        assert {category["supercategory"] for category in content["categories"]} == {"x"}
        assert report.notes == [
            f"{one}: 1 image, 1 box",
            f"{two}: 1 image, 1 box",
            "1 name is used by several images, which get the name of their dataset or split in front: frame.jpg",
        ]
        assert rows(f"coco:{tmp_path}/o.json?images={tmp_path}") == [
            ("a/frame.jpg", None, ("cat",)),
            ("b/frame.jpg", None, ("dog",)),
        ]

    def test_other_names_are_kept_and_formats_may_differ(self, tmp_path: Path) -> None:
        labelimg(tmp_path / "photos", "1.jpg", "cat")
        one = coco(tmp_path / "a", "2.jpg", ["cat"])
        expected = [("2.jpg", None, ("cat",)), ("1.jpg", None, ("cat",))]
        assert rows([one, f"labelimg:{tmp_path / 'photos'}"]) == expected
        assert rows([boxwright.open(one), tmp_path / "photos"]) == expected

    def test_copies_are_found_by_their_bytes(self, tmp_path: Path) -> None:
        one = coco(tmp_path / "a", "1.jpg", ["cat"])
        two = coco(tmp_path / "b", "2.jpg", ["cat"])
        three = coco(tmp_path / "c", "3.jpg", ["cat"], BLUE)
        report = boxwright.convert([one, two, three], f"csv:{tmp_path / 'o.csv'}")
        found = [note for note in report.notes if "a copy of" in note]
        assert found == ["1 image is a copy of another, such as b/2.jpg and a/1.jpg; --with dedupe keeps one of each"]
        report = boxwright.convert([one, two, three], f"csv:{tmp_path / 'd.csv'}", steps=["dedupe"])
        assert report.samples == {f"csv:{tmp_path / 'd.csv'}": 2}

    def test_fields_of_the_dataset_that_differ_are_reported(self, tmp_path: Path) -> None:
        one = coco(tmp_path / "a", "1.jpg", ["cat"], info={"year": 1}, licenses=[{"id": 1}])
        two = coco(tmp_path / "b", "2.jpg", ["cat"], info={"year": 2}, licenses=[{"id": 1}])
        merged = boxwright.open([one, two])
        assert "fields of the datasets that differ, left out: info" in merged.notes
        assert merged.info.attributes["licenses"] == [{"id": 1}]

    def test_skipped_items_and_counts_are_those_of_all(self, tmp_path: Path) -> None:
        for name in "ab":
            labelimg(tmp_path / name, "1.jpg")
            (tmp_path / name / "bad.xml").write_text("<annotation>")
        merged = boxwright.open([f"labelimg:{tmp_path / name}" for name in "ab"], on_error="skip")
        assert [sample.image.name for sample in merged] == ["a/1.jpg", "b/1.jpg"]
        assert [Path(error.file).parts[-2:] for error in merged.problems.skipped] == [
            ("a", "bad.xml"),
            ("b", "bad.xml"),
        ]

    def test_what_cannot_be_merged(self, tmp_path: Path) -> None:
        one = coco(tmp_path / "a", "1.jpg", ["cat"])
        for given in ([one, one], []):
            with pytest.raises(UsageError):
                boxwright.open(given)
        labelimg(tmp_path / "photos" / "x", "1.jpg")
        target = f"labelimg:{tmp_path / 'photos'}"
        with pytest.raises(UsageError, match="contains the source"):
            boxwright.convert([one, f"labelimg:{tmp_path / 'photos' / 'x'}"], target, overwrite=True)


class TestCommandLine:
    def test_the_last_location_is_the_target(self, boxwright: Any, tmp_path: Path) -> None:
        one, two = coco(tmp_path / "a", "f.jpg", ["cat"]), coco(tmp_path / "b", "f.jpg", ["dog"], BLUE)
        content = boxwright.json("convert", one, two, f"csv:{tmp_path / 'o.csv'}")
        assert content["samples"] == {f"csv:{tmp_path / 'o.csv'}": 2}
        assert content["classes"] == {"cat": 1, "dog": 1}

    def test_a_target_alone_is_wrong_usage(self, boxwright: Any) -> None:
        result = boxwright("convert", "csv:o.csv")
        assert result.exit_code == 2
        assert "Missing argument 'SRC...'" in result.stderr


class TestSplits:
    @pytest.fixture
    def data(self, tmp_path: Path) -> Path:
        for split, name, boxes in [("train", "1.jpg", RED), ("test", "1.jpg", BLUE), ("train", "2.jpg", BLUE)]:
            labelimg(tmp_path / "photos" / split, name, "fig", boxes)
        return tmp_path

    EXPECTED = (("train/1.jpg", "train", ("fig",)), ("2.jpg", "train", ("fig",)), ("test/1.jpg", "test", ("fig",)))

    @pytest.mark.parametrize("uri", ["labelimg:{}/photos", "labelimg:{}/photos/{{split}}", "{}/photos"])
    def test_folders_that_are_splits(self, data: Path, uri: str) -> None:
        assert sorted(rows(uri.format(data))) == sorted(self.EXPECTED)

    def test_they_pass_into_formats_with_splits(self, data: Path) -> None:
        boxwright.convert(f"labelimg:{data}/photos", f"yolo:{data}/yolo")
        found = sorted(path.relative_to(data / "yolo").as_posix() for path in (data / "yolo").rglob("*.txt"))
        assert found == ["labels/test/test/1.txt", "labels/train/2.txt", "labels/train/train/1.txt"]

    def test_a_folder_next_to_them_has_no_split(self, data: Path) -> None:
        labelimg(data / "photos" / "more", "9.jpg")
        assert ("more/9.jpg", None, ("fig",)) in rows(f"labelimg:{data}/photos")

    def test_files_and_options_of_each_split(self, data: Path) -> None:
        boxwright.convert(f"labelimg:{data}/photos", f"coco:{data}/ann/instances_{{split}}.json")
        uri = f"coco:{data}/ann/instances_{{split}}.json?images={data}/photos/{{split}}"
        found = boxwright.open(uri)
        assert found.info.splits == ("test", "train")
        assert found.uri == uri
        assert rows(found.uri) == rows(uri)
        assert len(rows(uri)) == 3

    def test_below_a_folder_and_as_shards(self, data: Path) -> None:
        boxwright.convert(f"labelimg:{data}/photos", f"tfrecord:{data}/records/{{split}}.record@2")
        assert sorted(rows(f"tfrecord:{data}/records/{{split}}.record@2")) == sorted(self.EXPECTED)
        for split in ("train", "test"):
            coco(data / "export" / split, f"{split}.jpg", ["fig"])
        (data / "export" / "empty").mkdir()
        found = rows(f"coco:{data}/export/{{split}}/i.json")
        assert found == [("test.jpg", "test", ("fig",)), ("train.jpg", "train", ("fig",))]

    def test_inside_an_archive(self, data: Path) -> None:
        import shutil

        archive = shutil.make_archive(str(data / "photos"), "zip", data / "photos")
        assert sorted(rows(f"labelimg:zip://{{split}}::{archive}")) == sorted(self.EXPECTED)

    @pytest.mark.parametrize(
        "uri", ["labelimg:{0}/no/{{split}}", "csv:{0}/{{split}}.csv", "csv:{0}/{{split}}/{{split}}"]
    )
    def test_no_split_at_all(self, tmp_path: Path, uri: str) -> None:
        with pytest.raises(BoxwrightError) as caught:
            boxwright.open(uri.format(tmp_path))
        assert isinstance(caught.value, DataError | UsageError)
        assert "{split}" in caught.value.message


def test_the_counts_of_several_steps_add_up(tmp_path: Path) -> None:
    for number in range(10):
        labelimg(tmp_path / "photos", f"{number}.jpg", "fig", [(number, 5, 40, 40)])
        if number < 5:
            labelimg(tmp_path / "photos", f"copy{number}.jpg", "fig", [(number, 5, 40, 40)])
    steps = ["split:train=0.8,test=0.2", "dedupe"]
    report = boxwright.convert(f"labelimg:{tmp_path / 'photos'}", f"yolo:{tmp_path / 'y'}", steps=steps)
    written = {split: len(list((tmp_path / "y/images" / split).iterdir())) for split in ("train", "test")}
    assert report.splits == written
    assert sum(written.values()) == 10
    assert [note.partition(" (")[0] for note in report.notes[:2]] == [
        "split: train: 12 images",
        "split: test: 3 images",
    ]
    note = report.notes[2]
    assert note.startswith("dedupe: 5 images of 15 dropped (")
    dropped = {split: int(count) for split, count in re.findall(r"(\w+) (\d+)[,)]", note.partition(" in favor")[0])}
    assert {split: before - dropped.get(split, 0) for split, before in (("train", 12), ("test", 3))} == written


def test_a_target_that_contains_opened_sources_is_refused(tmp_path: Path) -> None:
    folders = [tmp_path / "set" / name for name in ("a", "b")]
    for number, folder in enumerate(folders):
        labelimg(folder, f"{number}.jpg")
        draw(folder / "unannotated.jpg")
    opened = [boxwright.open(f"labelimg:{folder}") for folder in folders]
    merged = boxwright.open(opened)
    for sources in (opened, [f"labelimg:{folder}" for folder in folders], [merged], [boxwright.from_samples(merged)]):
        with pytest.raises(UsageError, match="contains the source|would be replaced"):
            boxwright.convert(sources, f"labelimg:{tmp_path}/set", overwrite=True)
    assert all((folder / "unannotated.jpg").is_file() for folder in folders)


def test_datasets_in_memory_are_merged(tmp_path: Path) -> None:
    labelimg(tmp_path / "a", "1.jpg")
    labelimg(tmp_path / "b", "2.jpg")
    several = [boxwright.from_samples(boxwright.open(f"labelimg:{tmp_path}/{name}")) for name in "ab"]
    assert [name for name, *_ in rows(several)] == ["1.jpg", "2.jpg"]


def test_shapes_and_swapped_boxes_of_a_merged_dataset_are_counted_once(tmp_path: Path) -> None:
    uris = []
    for name in ("a", "b"):
        row = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [9, 8, -3, -4]}
        rotated = {"id": 2, "image_id": 1, "category_id": 1, "bbox": [9, 8, 3, 4], "attributes": {"rotation": 30}}
        uris.append(coco(tmp_path / name, f"{name}.jpg", ["fig"], annotations=[row, rotated]) + "?inverted=swap")
    data = boxwright.open(uris)
    reader: Any = data.reader
    list(data)
    first = (data.shape_notes, reader.swapped.count)
    assert first[1] == 2
    list(data)  # without the survey for equal names
    assert data.shape_notes == first[0]


def test_each_dataset_is_read_for_names_and_classes_together_and_once_more(tmp_path: Path) -> None:
    class Counting(SampleReader):
        def read(self, on_problem: Any) -> Iterator[Sample]:
            starts.append(self)
            return super().read(on_problem)

    starts: list[Counting] = []
    for name in ("a", "b"):
        labelimg(tmp_path / name, f"{name}.jpg")
    several = [Dataset(Counting(list(boxwright.open(f"labelimg:{tmp_path}/{name}")))) for name in "ab"]
    boxwright.convert(boxwright.open(several), f"yolo:{tmp_path}/out")
    assert len(starts) == 4


def test_an_item_that_cannot_be_read_is_an_error_when_classes_are_collected(tmp_path: Path) -> None:
    for name in ("a", "b"):
        labelimg(tmp_path / name, f"{name}.jpg")
    (tmp_path / "b/bad.xml").write_text("<annotation>")
    uris = [f"labelimg:{tmp_path}/{name}" for name in "ab"]
    with pytest.raises(DataError, match=r"bad\.xml"):
        boxwright.convert(uris, f"yolo:{tmp_path}/out")
    report = boxwright.convert(uris, f"yolo:{tmp_path}/out", on_error="skip")
    assert (sum(report.samples.values()), len(report.skipped)) == (2, 1)


def test_each_image_counts_when_classes_are_collected(tmp_path: Path) -> None:
    for folder, names in {"a": "123", "b": "45"}.items():
        for name in names:
            labelimg(tmp_path / folder, f"{name}.jpg", folder)
    counts: list[int] = []
    merged = boxwright.open([f"labelimg:{tmp_path / 'a'}", f"labelimg:{tmp_path / 'b'}"])
    assert sorted(merged.labels(counts.append)) == ["a", "b"]
    assert sum(counts) == 5
