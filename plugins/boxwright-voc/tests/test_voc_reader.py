from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import boxwright
from boxwright import DataError, Sample
from boxwright_voc.readers import VocReader

pytestmark = pytest.mark.usefixtures("parser")

Make = Callable[..., Path]

# The first annotation of the VOC 2007 database, as its documentation and many others quote it.
VOC_2007 = """<annotation>
\t<folder>VOC2007</folder>
\t<filename>000001.jpg</filename>
\t<source>
\t\t<database>The VOC2007 Database</database>
\t\t<annotation>PASCAL VOC2007</annotation>
\t\t<image>flickr</image>
\t\t<flickrid>341012865</flickrid>
\t</source>
\t<owner>
\t\t<flickrid>Fried Camels</flickrid>
\t\t<name>Jinky the Fruit Bat</name>
\t</owner>
\t<size>
\t\t<width>353</width>
\t\t<height>500</height>
\t\t<depth>3</depth>
\t</size>
\t<segmented>0</segmented>
\t<object>
\t\t<name>dog</name>
\t\t<pose>Left</pose>
\t\t<truncated>1</truncated>
\t\t<difficult>0</difficult>
\t\t<bndbox>
\t\t\t<xmin>48</xmin>
\t\t\t<ymin>240</ymin>
\t\t\t<xmax>195</xmax>
\t\t\t<ymax>371</ymax>
\t\t</bndbox>
\t</object>
\t<object>
\t\t<name>person</name>
\t\t<pose>Left</pose>
\t\t<truncated>1</truncated>
\t\t<difficult>0</difficult>
\t\t<bndbox>
\t\t\t<xmin>8</xmin>
\t\t\t<ymin>12</ymin>
\t\t\t<xmax>352</xmax>
\t\t\t<ymax>498</ymax>
\t\t</bndbox>
\t</object>
</annotation>
"""


def raise_it(error: DataError) -> None:
    raise error


def read(folder: Path | str, **options: Any) -> list[Sample]:
    return list(VocReader(str(folder), **options).read(raise_it))


def names(folder: Path | str, **options: Any) -> list[tuple[str, str | None]]:
    return [(sample.image.name, sample.split) for sample in read(folder, **options)]


def test_the_first_annotation_of_voc_2007(make_voc: Make) -> None:
    root = make_voc({"000001": ()}, {"train": "000001\n"})
    (root / "Annotations" / "000001.xml").write_text(VOC_2007)
    (sample,) = read(root)
    assert (sample.image.name, sample.image.width, sample.image.height) == ("000001.jpg", 353, 500)
    assert sample.image.location == str(root / "JPEGImages" / "000001.jpg")
    assert sample.split == "train"
    assert sample.attributes == {
        "folder": "VOC2007",
        "database": "The VOC2007 Database",
        "source": {"annotation": "PASCAL VOC2007", "image": "flickr", "flickrid": 341012865},
        "owner": {"flickrid": "Fried Camels", "name": "Jinky the Fruit Bat"},
    }
    assert sample.boxes.labels == ("dog", "person")
    assert sample.boxes.coordinates == ((48, 240, 195, 371), (8, 12, 352, 498))
    assert [dict(box) for box in sample.boxes.attributes] == [{"pose": "Left", "truncated": 1}] * 2
    # Columns 48 to 195 counted from 1 are those from 47 on, up to the edge at 195, counted from 0.
    assert read(root, one_based=True)[0].boxes.coordinates == ((47, 239, 195, 371), (7, 11, 352, 498))


def test_pixels_that_count_from_one_are_noted_and_not_changed(make_voc: Make) -> None:
    root = make_voc({"000001": ()})
    (root / "Annotations" / "000001.xml").write_text(VOC_2007)
    (note,) = VocReader(str(root)).info.notes
    assert "'The VOC2007 Database' as their source, whose own files count pixels from 1" in note
    assert "?one_based=true" in note
    assert VocReader(str(root), one_based=True).info.notes == ()


def test_each_list_is_a_split_and_trainval_is_their_union(make_voc: Make) -> None:
    lists = {"train": "1\n2\n", "val": "3\n", "trainval": "1\n2\n3\n", "test": "4\n"}
    root = make_voc(dict.fromkeys("1234", ("fig",)), lists)
    assert names(root) == [("1.jpg", "train"), ("2.jpg", "train"), ("3.jpg", "val"), ("4.jpg", "test")]
    info = VocReader(str(root)).info
    assert (info.num_samples, info.splits, info.notes) == (4, ("test", "train", "val"), ())
    assert names(root, split="val") == [("3.jpg", "val")]
    assert VocReader(str(root), split="val").info.splits == ("val",)
    assert names(root, split="trainval") == [(f"{name}.jpg", "trainval") for name in "123"]
    assert VocReader(str(root), split="test").info.num_samples == 1


def test_trainval_needs_no_list_of_its_own_and_may_hold_more(make_voc: Make) -> None:
    annotations = dict.fromkeys("123", ("fig",))
    root = make_voc(annotations, {"train": "1\n", "val": "3\n"})
    assert names(root, split="trainval") == [("1.jpg", "trainval"), ("3.jpg", "trainval")]
    (root / "Annotations" / "3.xml").unlink()
    with pytest.raises(DataError, match=r"val\.txt, line 1: it lists 3"):
        read(root, split="trainval")
    root = make_voc(annotations, {"train": "1\n", "trainval": "1\n2\n", "test": "3\n"}, place="more")
    assert names(root) == [("1.jpg", "train"), ("2.jpg", "trainval"), ("3.jpg", "test")]


def test_an_image_in_two_splits_is_a_problem_unless_one_list_is_asked_for(make_voc: Make) -> None:
    root = make_voc(dict.fromkeys("12", ("fig",)), {"train": "1\n2\n", "test": "2\n"})
    with pytest.raises(DataError, match=r"train\.txt, line 2: the image 2 is also in line 1 of test\.txt"):
        read(root)
    problems: list[DataError] = []
    assert [sample.image.name for sample in VocReader(str(root)).read(problems.append)] == ["1.jpg"]
    assert len(problems) == 1
    assert names(root, split="train") == [("1.jpg", "train"), ("2.jpg", "train")]
    assert names(root, split="test") == [("2.jpg", "test")]


def test_the_lists_of_classes_are_no_splits_and_can_be_read(make_voc: Make) -> None:
    lists = {"train": "1\n2\n3\n", "fig_train": "1  1\n2 -1\n3  0\n", "my_train": "1\n"}
    root = make_voc({"1": ("fig",), "2": (), "3": ("fig",)}, lists)
    assert names(root) == [("1.jpg", "train"), ("2.jpg", "train"), ("3.jpg", "train")]
    assert VocReader(str(root)).info.notes == (
        "lists that share images with others and are not splits: my_train (?split=NAME reads one)",
    )
    assert names(root, split="fig_train") == [("1.jpg", "fig_train"), ("3.jpg", "fig_train")]
    assert names(root, split="my_train") == [("1.jpg", "my_train")]


def test_other_lists_are_splits_where_they_share_nothing(make_voc: Make) -> None:
    root = make_voc(dict.fromkeys("123", ()), {"train": "1\n", "holdout": "2\n", "default": "3\n"})
    # CVAT and Datumaro call the file of images without a split default.txt.
    assert names(root) == [("1.jpg", "train"), ("2.jpg", "holdout"), ("3.jpg", None)]
    assert VocReader(str(root)).info.splits == ("holdout", "train")
    assert names(root, split="default") == [("3.jpg", None)]


def test_annotations_in_no_list(make_voc: Make) -> None:
    root = make_voc(dict.fromkeys("123", ()), {"train": "2\n"})
    reader = VocReader(str(root))
    assert reader.info.num_samples == 1
    assert "in no list of ImageSets/Main, not read: 2 (?unlisted=include" in reader.info.notes[0]
    assert names(root, unlisted="include") == [("1.jpg", None), ("2.jpg", "train"), ("3.jpg", None)]
    assert VocReader(str(root), split="train").info.notes == ()
    # Without lists there is nothing to go by.
    assert names(make_voc({"1": ()}, place="no lists")) == [("1.jpg", None)]
    assert names(make_voc({"1": ()}, {}, place="no list")) == [("1.jpg", None)]


def test_images_without_annotation(make_voc: Make) -> None:
    root = make_voc({"1": ("fig",)}, {"train": "1\n2\n"}, ["1.jpg", "2.jpg", "3.jpg"])
    with pytest.raises(DataError, match=r"train\.txt, line 2: it lists 2, and Annotations/2\.xml is missing") as caught:
        read(root)
    assert "?unannotated=include" in caught.value.remedy
    assert "images without an XML of their name, not read: 1 " in VocReader(str(root)).info.notes[0]
    one, two = read(root, unannotated="include")
    assert (one.image.name, one.split, len(one.boxes)) == ("1.jpg", "train", 1)
    assert (two.image.name, two.split, len(two.boxes)) == ("2.jpg", "train", 0)
    assert (two.image.width, two.image.height) == (40, 30)
    every = names(root, unannotated="include", unlisted="include")
    assert every == [("1.jpg", "train"), ("2.jpg", "train"), ("3.jpg", None)]


def test_several_years(make_voc: Make) -> None:
    make_voc({"2": ("fig",)}, {"train": "2\n"}, place="VOCdevkit/VOC2012")
    place = make_voc({"1": (), "2": ("date",)}, {"train": "1\n", "test": "2\n"}, place="VOCdevkit/VOC2007").parent
    expected = [("VOC2007/1.jpg", "train"), ("VOC2007/2.jpg", "test"), ("VOC2012/2.jpg", "train")]
    assert names(place) == names(place.parent) == expected
    assert names(place, split="test") == [("VOC2007/2.jpg", "test")]
    assert [sample.boxes.labels for sample in read(place)] == [(), ("date",), ("fig",)]
    assert read(place)[2].image.location == str(place / "VOC2012" / "JPEGImages" / "2.jpg")


def test_lists_as_others_write_them(make_voc: Make) -> None:
    root = make_voc(dict.fromkeys(("1", "2", "two words", "a -1"), ()), {})
    path = root / "ImageSets" / "Main" / "train.txt"
    path.write_bytes("\ufeff1\r\n  2  \r\n\r\ntwo words.jpg\r\na -1".encode())
    assert [name for name, _ in names(root)] == ["1.jpg", "2.jpg", "a -1.jpg", "two words.jpg"]
    path.write_bytes("Ärger".encode("latin-1"))
    with pytest.raises(DataError, match=r"train\.txt: it is not UTF-8 text"):
        VocReader(str(root))


def test_annotations_and_lists_may_have_folders(make_voc: Make) -> None:
    root = make_voc({"1": ()}, {"train": "cam1/1\n", "test": "1\n"})
    for folder in ("Annotations", "JPEGImages"):
        (root / folder / "cam1").mkdir()
        for file in (root / folder).glob("1.*"):
            (root / folder / "cam1" / file.name).write_bytes(file.read_bytes())
    assert names(root) == [("1.jpg", "test"), ("cam1/1.jpg", "train")]


def test_images_may_be_elsewhere_or_nowhere(make_voc: Make, tmp_path: Path) -> None:
    root = make_voc({"1": ("fig",)})
    (root / "JPEGImages").rename(tmp_path / "images")
    assert read(root)[0].image.location is None
    assert read(root, images=str(tmp_path / "images"))[0].image.location == str(tmp_path / "images" / "1.jpg")


def test_places_that_are_no_voc_dataset(make_voc: Make, tmp_path: Path) -> None:
    root = make_voc({"1": ()}, {"train": "1\n"})
    with pytest.raises(DataError, match="folder not found"):
        VocReader(str(tmp_path / "missing"))
    with pytest.raises(DataError, match="it is a file"):
        VocReader(str(root / "ImageSets" / "Main" / "train.txt"))
    with pytest.raises(DataError, match="no folder Annotations in it") as caught:
        VocReader(str(root / "Annotations"))
    assert "the folder above it" in caught.value.remedy
    with pytest.raises(DataError, match=r"no list ImageSets/Main/val\.txt") as caught:
        VocReader(str(root), split="val")
    assert caught.value.remedy == "use one of: train"
    with pytest.raises(DataError, match="no list") as caught:
        VocReader(str(root), split="../../train")
    with pytest.raises(DataError, match="no list") as caught:
        VocReader(str(make_voc({"1": ()}, place="bare")), split="train")
    assert "leave out ?split" in caught.value.remedy


def test_the_work_can_be_shared(make_voc: Make) -> None:
    lists = {"train": "1\n2\n", "test": "2\n3\n4\n"}
    root = make_voc({"1": ("fig",), "2": ("fig",), "3": ("date", "fig")}, lists, ["4.jpg"])
    reader = VocReader(str(root), unannotated="include")
    assert reader.parts == 4
    problems: list[DataError] = []
    whole = list(reader.read(problems.append))
    assert [sample.image.name for sample in whole] == ["1.jpg", "3.jpg", "4.jpg"]
    parts = [sample for start in (0, 2) for sample in reader.read_part(start, start + 2, problems.append)]
    assert parts == whole
    assert len(problems) == 2
    (root / "ImageSets" / "Main" / "test.txt").write_text("3\n4\n")
    reader = VocReader(str(root), unannotated="include")
    assert [list(labels) for labels in reader.labels()] == [["fig"], ["fig"], ["date", "fig"], []]
    assert [list(labels) for labels in reader.labels_part(2, 3)] == [["date", "fig"]]


def test_remote_and_packed_datasets_are_read(make_voc: Make, tmp_path: Path) -> None:
    import shutil

    import fsspec

    root = make_voc({"1": ("fig",)}, {"train": "1\n"}, place="kit/VOC2007")
    fsspec.filesystem("memory").put(str(root), "/voc-test", recursive=True)
    shutil.make_archive(str(tmp_path / "kit"), "zip", tmp_path / "kit")
    for place, name in (("memory://voc-test", "1.jpg"), (f"zip://::{tmp_path}/kit.zip", "VOC2007/1.jpg")):
        (sample,) = read(place)
        assert (sample.image.name, sample.split) == (name, "train")
        assert sample.image.read() == (root / "JPEGImages" / "1.jpg").read_bytes()
    with pytest.raises(DataError, match="folder not found"):
        read("memory://voc-missing")


def test_a_folder_is_recognized_and_no_other_format_takes_it(make_voc: Make) -> None:
    from boxwright_voc.detect import detect_voc

    root = make_voc({"1": ("fig",)}, {"train": "1\n"}, place="kit/VOC2007")
    assert boxwright.open(str(root)).uri.startswith("voc:")
    assert boxwright.open(str(root.parent)).uri.startswith("voc:")
    (root / "Annotations" / "1.xml").write_text("<config/>")
    assert "Annotations/1.xml is not an <annotation>" in detect_voc(str(root)).reason
    (root / "Annotations" / "1.xml").unlink()
    assert "no .xml file" in detect_voc(str(root)).reason
