"""Reading keras-yolo3's text files, as its README and Roboflow's exports write them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import boxwright
from boxwright import DataError
from boxwright_testing import draw_image


def write(folder: Path, lines: str, *images: str, classes: str = "fig\nnut\ndate\nlime\n") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name in images:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        draw_image(300, 240).save(folder / name)
    (folder / "_classes.txt").write_text(classes, encoding="utf-8")
    file = folder / "_annotations.txt"
    file.write_text(lines, encoding="utf-8")
    return file


def test_the_example_of_its_readme(tmp_path: Path) -> None:
    """https://github.com/qqwweee/keras-yolo3#training; a class is numbered from 0 in ``_classes.txt``."""
    lines = "path/to/img1.jpg 50,100,150,200,0 30,50,200,120,3\npath/to/img2.jpg 120,200,250,220,2\n"
    file = write(tmp_path, lines, "path/to/img1.jpg", "path/to/img2.jpg")
    dataset = boxwright.open(str(file))
    assert dataset.uri == f"keras-yolo3:{file}"
    first, second = dataset
    assert (first.image.name, first.image.width, first.image.height) == ("path/to/img1.jpg", 300, 240)
    assert first.boxes.labels == ("fig", "lime")
    assert first.boxes.coordinates == ((50, 100, 150, 200), (30, 50, 200, 120))
    assert (second.boxes.labels, second.boxes.coordinates) == (("date",), ((120, 200, 250, 220),))
    assert dataset.info.label_map is not None
    assert [(item.id, item.name) for item in dataset.info.label_map.items] == [
        *((1, "fig"), (2, "nut"), (3, "date"), (4, "lime")),
    ]


def test_images_without_boxes_and_names_with_spaces(tmp_path: Path) -> None:
    file = write(tmp_path, "a 1,2.jpg 1,2,3,4,1\n\nb c.jpg\n", "a 1,2.jpg", "b c.jpg")
    assert [(sample.image.name, sample.boxes.labels) for sample in boxwright.open(f"keras-yolo3:{file}")] == [
        *(("a 1,2.jpg", ("nut",)), ("b c.jpg", ())),
    ]


@pytest.mark.parametrize("packed", [False, True])
def test_roboflows_export_is_one_dataset_with_splits(packed: bool, tmp_path: Path) -> None:
    for split in ("train", "valid", "test"):
        write(tmp_path / "figs" / split, f"{split}_jpg.rf.1.jpg 1,2,30,40,0\n", f"{split}_jpg.rf.1.jpg", classes="fig")
    (tmp_path / "figs" / "README.roboflow.txt").write_text("figs - v1\n")
    place = shutil.make_archive(str(tmp_path / "download"), "zip", tmp_path / "figs") if packed else tmp_path / "figs"
    dataset = boxwright.open(str(place))
    assert dataset.uri.startswith("keras-yolo3:")
    assert [(sample.split, sample.boxes.labels) for sample in dataset] == [
        *(("train", ("fig",)), ("val", ("fig",)), ("test", ("fig",))),
    ]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("a.jpg 1,2,3,4,4", "line 1, box 1: the class is '4', but the classes are 0 to 3"),
        ("a.jpg 1,2,3,4,fig", "the class is 'fig'"),
        ("a.jpg 1,2,3,4,0 5,6,7", "line 1, box 2: '5,6,7' is not XMIN,YMIN,XMAX,YMAX,CLASS"),
        ("a.jpg 1,2,3,1e9,0", "'1,2,3,1e9,0' is not XMIN"),
        ("a.jpg 1,2,3," + "9" * 5000 + ",0", "is not XMIN"),
        ("a.jpg 30,2,3,4,0", "xmin"),
        ("none.jpg 1,2,3,4,0", "none.jpg"),
    ],
)
def test_a_wrong_line_is_an_error_that_can_be_skipped(line: str, problem: str, tmp_path: Path) -> None:
    file = write(tmp_path, f"{line}\nb.jpg 1,2,3,4,1\n", "a.jpg", "b.jpg")
    with pytest.raises(DataError, match="line 1") as caught:
        list(boxwright.open(f"keras-yolo3:{file}"))
    assert problem in str(caught.value)
    assert [sample.image.name for sample in boxwright.open(f"keras-yolo3:{file}", on_error="skip")] == ["b.jpg"]


def test_coordinates_in_the_wrong_order_are_swapped_on_request(tmp_path: Path) -> None:
    file = write(tmp_path, "a.jpg 30,2,3,4,0\n", "a.jpg")
    (sample,) = boxwright.open(f"keras-yolo3:{file}?inverted=swap")
    assert sample.boxes.coordinates == ((3, 2, 30, 4),)


def test_the_same_image_twice_and_a_missing_file_of_classes(tmp_path: Path) -> None:
    file = write(tmp_path, "a.jpg 1,2,3,4,0\na.jpg 5,6,7,8,0\n", "a.jpg")
    with pytest.raises(DataError, match=r"line 2: it has the image a\.jpg, as line 1 does"):
        list(boxwright.open(f"keras-yolo3:{file}"))
    (tmp_path / "_classes.txt").rename(tmp_path / "names")
    with pytest.raises(DataError, match=r"file of the classes is missing: _classes\.txt or classes\.txt"):
        boxwright.open(f"keras-yolo3:{file}")
    assert next(iter(boxwright.open(f"keras-yolo3:{file}?classes={tmp_path}/names"))).boxes.labels == ("fig",)
    (tmp_path / "names").write_text("fig\nfig\n")
    with pytest.raises(DataError, match="line 2: duplicate class 'fig'"):
        boxwright.open(f"keras-yolo3:{file}?classes={tmp_path}/names")


@pytest.mark.parametrize("content", ["", "a.jpg\n", "0 0.5 0.5 0.5 0.5\n", "a,b,c\n1,2,3\n", "see 1,2\n"])
def test_other_text_files_are_not_detected(content: str, tmp_path: Path) -> None:
    from boxwright_csv.keras_yolo import detect

    assert not detect(str(write(tmp_path, content))).matches
