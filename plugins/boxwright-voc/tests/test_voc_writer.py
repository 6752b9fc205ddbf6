from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

import boxwright
from boxwright import Boxes, DataError, Dataset, ImageRef, Sample
from boxwright.datasets import SampleReader

pytestmark = pytest.mark.usefixtures("parser")

# As the VOC 2007 database has it, with other names and numbers; the parts are those of the person layout task.
VOC_2007 = """<annotation>
\t<folder>VOC2007</folder>
\t<filename>{name}.jpg</filename>
\t<source>
\t\t<database>The VOC2007 Database</database>
\t\t<annotation>PASCAL VOC2007</annotation>
\t\t<image>flickr</image>
\t\t<flickrid>123456789</flickrid>
\t</source>
\t<owner>
\t\t<flickrid>?</flickrid>
\t\t<name>A. Nyone</name>
\t</owner>
\t<size>
\t\t<width>40</width>
\t\t<height>30</height>
\t\t<depth>3</depth>
\t</size>
\t<segmented>1</segmented>
\t<object>
\t\t<name>person</name>
\t\t<pose>Frontal</pose>
\t\t<truncated>1</truncated>
\t\t<difficult>0</difficult>
\t\t<bndbox>
\t\t\t<xmin>1</xmin>
\t\t\t<ymin>2</ymin>
\t\t\t<xmax>40</xmax>
\t\t\t<ymax>30</ymax>
\t\t</bndbox>
\t\t<part>
\t\t\t<name>head</name>
\t\t\t<bndbox>
\t\t\t\t<xmin>11</xmin>
\t\t\t\t<ymin>2</ymin>
\t\t\t\t<xmax>21</xmax>
\t\t\t\t<ymax>12</ymax>
\t\t\t</bndbox>
\t\t</part>
\t\t<part>
\t\t\t<name>hand</name>
\t\t\t<bndbox>
\t\t\t\t<xmin>31.5</xmin>
\t\t\t\t<ymin>14.25</ymin>
\t\t\t\t<xmax>34</xmax>
\t\t\t\t<ymax>17</ymax>
\t\t\t</bndbox>
\t\t</part>
\t</object>
</annotation>
"""
# As the database has it from 2009 on.
VOC_2012 = """<annotation>
\t<filename>{name}.jpg</filename>
\t<folder>VOC2012</folder>
\t<object>
\t\t<name>person</name>
\t\t<actions>
\t\t\t<jumping>1</jumping>
\t\t\t<other>0</other>
\t\t</actions>
\t\t<bndbox>
\t\t\t<xmax>20.4</xmax>
\t\t\t<xmin>3</xmin>
\t\t\t<ymax>25</ymax>
\t\t\t<ymin>4</ymin>
\t\t</bndbox>
\t\t<difficult>1</difficult>
\t\t<occluded>1</occluded>
\t\t<pose>Unspecified</pose>
\t\t<point>
\t\t\t<x>15</x>
\t\t\t<y>11.9</y>
\t\t</point>
\t</object>
\t<segmented>0</segmented>
\t<size>
\t\t<depth>3</depth>
\t\t<height>30</height>
\t\t<width>40</width>
\t</size>
\t<source>
\t\t<annotation>PASCAL VOC2012</annotation>
\t\t<database>The VOC2012 Database</database>
\t\t<image>flickr</image>
\t</source>
</annotation>
"""


def sample_of(
    name: str = "1.jpg",
    split: str | None = None,
    labels: Sequence[str] = ("fig",),
    boxes: Sequence[dict[str, Any]] | None = None,
) -> Sample:
    image = ImageRef(name=name, width=40, height=30)
    coordinates = [(0, 1, 40, 30.5)] * len(labels)
    return Sample(image=image, boxes=Boxes(labels, coordinates, boxes), split=split, source="the source")


def write(out: Path, *samples: Sample, options: str = "") -> None:
    boxwright.convert(Dataset(SampleReader(list(samples))), f"voc:{out}?pictures=false{options}")


def lists(out: Path) -> dict[str, str]:
    return {path.name: path.read_text("utf-8") for path in sorted((out / "ImageSets" / "Main").iterdir())}


def read(out: Path, options: str = "") -> list[Sample]:
    return list(boxwright.open(f"voc:{out}{options}"))


@pytest.mark.parametrize("one_based", ["false", "true"])
def test_a_dataset_laid_out_as_voc_2007_is_restored_byte_for_byte(
    make_voc: Callable[..., Path], tmp_path: Path, one_based: str
) -> None:
    listed = {"train": "1\n", "val": "2\n3\n", "trainval": "1\n2\n3\n", "test": "4\n"}
    classes = {"train": "1  1\n", "val": "2  1\n3  1\n", "trainval": "1  1\n2  1\n3  1\n", "test": "4  1\n"}
    root = make_voc(dict.fromkeys("1234", ()), listed | {f"person_{name}": text for name, text in classes.items()})
    for name in "1234":
        (root / "Annotations" / f"{name}.xml").write_text(VOC_2007.format(name=name))
    out = tmp_path / "out"
    boxwright.convert(
        f"voc:{root}?one_based={one_based}", f"voc:{out}?one_based={one_based}&class_lists=true", strict=True
    )
    for folder in (root, out):
        files = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        assert len(files) == 16
        if folder == root:
            expected = files
    assert files == expected


def test_everything_that_voc_says_of_a_box_is_kept_and_counted_alike(
    make_voc: Callable[..., Path], tmp_path: Path
) -> None:
    root = make_voc(dict.fromkeys("12", ()))
    (root / "Annotations" / "1.xml").write_text(VOC_2007.format(name="1"))
    (root / "Annotations" / "2.xml").write_text(VOC_2012.format(name="2"))
    one, two = read(root, "?one_based=true")
    assert one.attributes["segmented"] == 1
    head, hand = one.boxes.attributes[0]["part"]
    assert head == {"name": "head", "bndbox": {"xmin": 10, "ymin": 1, "xmax": 21, "ymax": 12}}
    assert hand == {"name": "hand", "bndbox": {"xmin": 30.5, "ymin": 13.25, "xmax": 34, "ymax": 17}}
    assert two.attributes["source"] == {"annotation": "PASCAL VOC2012", "image": "flickr"}
    assert two.boxes.coordinates == ((2, 3, 20.4, 25),)
    assert two.boxes.attributes[0] == {
        "actions": {"jumping": 1, "other": 0},
        "difficult": 1,
        "occluded": 1,
        "point": {"x": 14, "y": 10.9},
    }
    assert read(root)[1].boxes.attributes[0]["point"] == {"x": 15, "y": 11.9}
    boxwright.convert(f"voc:{root}?one_based=true", f"voc:{tmp_path / 'out'}?one_based=true")
    again = read(tmp_path / "out", "?one_based=true")
    assert [sample.boxes for sample in again] == [one.boxes, two.boxes]
    assert [sample.attributes for sample in again] == [one.attributes, two.attributes]


def test_splits_become_lists(tmp_path: Path) -> None:
    samples = [
        sample_of(f"{name}.jpg", split) for name, split in zip("3124", ("val", "train", "test", "val"), strict=True)
    ]
    write(tmp_path / "out", *samples)
    assert lists(tmp_path / "out") == {
        "test.txt": "2\n",
        "train.txt": "1\n",
        "trainval.txt": "3\n1\n4\n",
        "val.txt": "3\n4\n",
    }
    write(tmp_path / "two", *samples[1:3])
    assert lists(tmp_path / "two") == {"test.txt": "2\n", "train.txt": "1\n"}


def test_images_without_a_split_have_a_their_own_list(tmp_path: Path) -> None:
    write(tmp_path / "out", sample_of("1.jpg"), sample_of("two words.png", "holdout"), sample_of("cam/1.jpg"))
    assert lists(tmp_path / "out") == {"default.txt": "1\ncam/1\n", "holdout.txt": "two words\n"}
    assert {sample.image.name: sample.split for sample in read(tmp_path / "out")} == {
        "1.jpg": None,
        "cam/1.jpg": None,
        "two words.png": "holdout",
    }


def test_a_separate_trainval_next_to_train_and_val(tmp_path: Path) -> None:
    splits = ("train", "val", "trainval")
    write(tmp_path / "out", *(sample_of(f"{split}.jpg", split) for split in splits))
    assert lists(tmp_path / "out")["trainval.txt"] == "train\nval\ntrainval\n"
    assert {sample.image.name: sample.split for sample in read(tmp_path / "out")} == {f"{s}.jpg": s for s in splits}


def test_the_lists_of_classes_are_the_development_kits(tmp_path: Path) -> None:
    hard, easy = {"difficult": 1}, dict[str, int]()
    samples = [
        sample_of("1.jpg", "train", ("fig", "fig", "date"), (hard, easy, hard)),
        sample_of("2.jpg", "train", ("fig", "date", "date"), (easy, easy, hard)),
        sample_of("3.jpg", "train", ()),
        sample_of("4.jpg", "test", ("fig",), (hard,)),
    ]
    write(tmp_path / "out", *samples, options="&class_lists=true")
    # 1: there is one, -1: there is none, 0: all that are there are difficult; written as by fprintf('%s %2d').
    assert lists(tmp_path / "out") == {
        "date_test.txt": "4 -1\n",
        "date_train.txt": "1  0\n2  1\n3 -1\n",
        "fig_test.txt": "4  0\n",
        "fig_train.txt": "1  1\n2  1\n3 -1\n",
        "test.txt": "4\n",
        "train.txt": "1\n2\n3\n",
    }
    assert [sample.split for sample in read(tmp_path / "out")] == ["train", "train", "train", "test"]


def test_the_classes_as_datumaro_reads_them(tmp_path: Path) -> None:
    """Four fields a line, parted by colons: datumaro/plugins/data_formats/voc/format.py of Datumaro 1.13."""
    write(tmp_path / "out", sample_of(labels=("fig", "date palm")), sample_of("2.jpg"), options="&labelmap=true")
    assert (tmp_path / "out" / "labelmap.txt").read_text("utf-8") == (
        "# label:color_rgb:parts:actions\nfig:::\ndate palm:::\n"
    )
    assert {sample.image.name for sample in read(tmp_path / "out")} == {"1.jpg", "2.jpg"}


@pytest.mark.parametrize(
    ("samples", "options", "message"),
    [
        ((sample_of("1.jpg"), sample_of("1.png")), "", "the images 1.jpg and 1.png would share 1.xml"),
        ((sample_of("1.jpg", "default"),), "", "the split is named 'default', which means"),
        ((sample_of("1.jpg", "a/b"),), "", "the split 'a/b' cannot be part of a file name"),
        ((sample_of("1.jpg", ""),), "", "the split '' cannot be part of a file name"),
        ((sample_of("1.jpg", "../x"),), "", "cannot be part of a file name"),
        ((sample_of("a\nb.jpg"),), "", "has more than one line"),
        ((sample_of(labels=("a/b",)),), "&class_lists=true", "the class 'a/b' cannot be part of a file name"),
        ((sample_of(labels=("a:b",)),), "&labelmap=true", "the class 'a:b' cannot be a line of labelmap.txt"),
        ((sample_of(labels=("# a",)),), "&labelmap=true", "the class '# a' cannot be a line of labelmap.txt"),
        ((sample_of(labels=("a\0b",)),), "", "which XML cannot"),
    ],
)
def test_what_the_layout_cannot_represent_is_an_error(
    tmp_path: Path, samples: tuple[Sample, ...], options: str, message: str
) -> None:
    with pytest.raises(DataError, match=re.escape(message)) as caught:
        write(tmp_path / "out", *samples, options=options)
    assert caught.value.file == "the source"
    assert caught.value.remedy
    assert not (tmp_path / "out").exists()


def test_a_class_with_a_slash_is_written_where_no_list_is_called_after_it(tmp_path: Path) -> None:
    write(tmp_path / "out", sample_of(labels=("a/b",)))
    assert read(tmp_path / "out")[0].boxes.labels == ("a/b",)


def test_images_are_copied_byte_for_byte(make_voc: Callable[..., Path], tmp_path: Path) -> None:
    root = make_voc({"1": ("fig",)}, {"train": "1\n"})
    boxwright.convert(f"voc:{root}", f"voc:{tmp_path / 'out'}")
    assert (tmp_path / "out/JPEGImages/1.jpg").read_bytes() == (root / "JPEGImages/1.jpg").read_bytes()
    boxwright.convert(f"voc:{root}", f"voc:{tmp_path / 'bare'}?pictures=false")
    assert sorted(path.name for path in (tmp_path / "bare").iterdir()) == ["Annotations", "ImageSets"]
    (root / "JPEGImages/1.jpg").unlink()
    with pytest.raises(DataError, match=r"1\.jpg"):
        boxwright.convert(f"voc:{root}", f"voc:{tmp_path / 'gone'}")


def test_remote_datasets_are_written(make_voc: Callable[..., Path]) -> None:
    root = make_voc({"1": ("fig",)}, {"train": "1\n"})
    boxwright.convert(f"voc:{root}", "voc:memory://voc-writer/out", overwrite=True)
    (sample,) = boxwright.open("voc:memory://voc-writer/out")
    assert (sample.image.name, sample.split) == ("1.jpg", "train")
    assert sample.image.read() == (root / "JPEGImages/1.jpg").read_bytes()


def test_torchvision_and_tfds_find_what_they_look_for(tmp_path: Path) -> None:
    """``torchvision.datasets.VOCDetection`` and TFDS' ``voc`` go from the list to the files by the names in it.

    Both take the lines of ``ImageSets/Main/{set}.txt`` without white space at their ends, and open
    ``JPEGImages/{line}.jpg`` and ``Annotations/{line}.xml``. TFDS then takes these elements of every object, lower
    case, ``"1"`` for true, coordinates divided by the size and not shifted.
    """
    write(
        tmp_path / "out",
        sample_of("1.jpg", "train", ("fig", "Date"), ({}, {"truncated": 1, "difficult": 1, "pose": "Left"})),
        sample_of("2.jpg", "test"),
    )
    (line,) = (tmp_path / "out/ImageSets/Main/train.txt").read_text().splitlines()
    root = ElementTree.parse(tmp_path / "out" / "Annotations" / f"{line.strip()}.xml").getroot()
    width, height = (float(root.findtext(f"size/{side}", "")) for side in ("width", "height"))
    found = []
    for element in root.findall("object"):
        frame = element.find("bndbox")
        assert frame is not None
        ymin, xmin, ymax, xmax = (float(frame.findtext(edge, "")) for edge in ("ymin", "xmin", "ymax", "xmax"))
        found.append(
            (
                element.find("name").text.lower(),
                element.find("pose").text.lower(),
                element.find("truncated").text == "1",
                element.find("difficult").text == "1",
                (ymin / height, xmin / width, ymax / height, xmax / width),
            )
        )
    box = (1 / 30, 0.0, 30.5 / 30, 1.0)
    assert found == [("fig", "unspecified", False, False, box), ("date", "left", True, True, box)]
