"""DOTA's label files: the example of its documentation, and oriented boxes by the rule for shapes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from PIL import Image

import boxwright
from boxwright import Boxes, DataError, Dataset, ImageRef, Sample
from boxwright.datasets import SampleReader
from boxwright_testing import BadInput
from boxwright_yolo import conformance

HEAD = "imagesource:GoogleEarth\ngsd:0.146343590398\n"
TURNED = "32 2 32 42 28 42 28 2 plane 0\n"
UPRIGHT = "1 2 21 2 21 12 1 12 small-vehicle 1\n"


def put(folder: Path, **texts: str) -> Path:
    for sub in ("labelTxt", "images"):
        (folder / sub).mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        (folder / "labelTxt" / f"{name}.txt").write_text(text)
        Image.new("RGB", (64, 48)).save(folder / "images" / f"{name}.png")
    return folder


class TestDota(conformance.TestDota):
    def bad_inputs(self, folder: Path) -> Sequence[BadInput]:
        wrong = {
            "too few": ("1 2 3 4 plane\n", r"line 3: it has 5 fields"),
            "a word": (TURNED.replace("42", "far"), r"line 3: 'far' is not a finite number"),
            "infinite": (TURNED.replace("42", "1e999"), r"line 3: '1e999' is not a finite number"),
            "difficult": (TURNED.replace(" 0\n", " yes\n"), r"line 3: difficult is 'yes'"),
        }
        inputs = []
        for what, (line, says) in wrong.items():
            place = put(folder / what, good=HEAD + UPRIGHT, wrong=HEAD + line)
            inputs.append(BadInput(what, place, rf"wrong\.txt, {says}", skipped=1, good=1))
        missing = put(folder / "missing", good=HEAD, wrong=HEAD + UPRIGHT)
        (missing / "images" / "wrong.png").unlink()
        inputs.append(BadInput("a missing image", missing, r"wrong\.png is missing", skipped=1, good=1))
        return inputs


def test_oriented_boxes_follow_the_rule(tmp_path: Path) -> None:
    folder = put(tmp_path, P0000=HEAD + TURNED + UPRIGHT)
    dataset = boxwright.open(str(folder))
    assert dataset.uri.startswith("dota:")
    (sample,) = dataset
    assert (sample.image.name, sample.image.width) == ("P0000.png", 64)
    assert sample.attributes == {"imagesource": "GoogleEarth", "gsd": "0.146343590398"}
    assert sample.boxes.labels == ("plane", "small-vehicle")
    assert sample.boxes.coordinates == ((28, 2, 32, 42), (1, 2, 21, 12))
    turned, upright = sample.boxes.attributes
    # 40 wide and 4 high about (30, 22), by a quarter: the corner that is first is at the top right.
    assert turned == {"rotation": 90.0, "segmentation": [[32, 2, 32, 42, 28, 42, 28, 2]]}
    assert upright == {"difficult": 1}
    report = boxwright.convert(f"dota:{folder}?shapes=skip", f"coco:{tmp_path}/o.json")
    assert (report.boxes, dict(report.losses.dropped)) == (1, {"shape rotated rectangle": 1})
    with pytest.raises(DataError, match=r"P0000\.txt, line 3: it is not an upright box, but a rotated rectangle"):
        list(boxwright.open(f"dota:{folder}?shapes=fail"))


def test_its_folders_are_splits(tmp_path: Path) -> None:
    put(tmp_path / "train", P0000=HEAD + TURNED)
    put(tmp_path / "val", P0001=HEAD + UPRIGHT)
    assert [sample.split for sample in boxwright.open(str(tmp_path))] == ["train", "val"]
    assert [sample.split for sample in boxwright.open(f"dota:{tmp_path}/train/labelTxt")] == [None]
    with pytest.raises(DataError, match="it contains no folder labelTxt"):
        boxwright.open(f"dota:{tmp_path}/train/images")


def test_what_was_written_is_in_the_order_of_the_documentation(tmp_path: Path) -> None:
    """``x1 y1 x2 y2 x3 y3 x4 y4 category difficult``, clockwise: https://captain-whu.github.io/DOTA/dataset.html."""
    text = HEAD + TURNED + UPRIGHT + "5.5 1 9 4 7 9 1 3 ship 0\n"
    folder = put(tmp_path / "x", P0000=text)
    boxwright.convert(f"dota:{folder}", f"dota:{tmp_path}/y")
    assert (tmp_path / "y/labelTxt/P0000.txt").read_text() == text
    assert (tmp_path / "y/images/P0000.png").read_bytes() == (folder / "images/P0000.png").read_bytes()
    (before,), (after,) = boxwright.open(f"dota:{folder}"), boxwright.open(f"dota:{tmp_path}/y")
    assert before.boxes == after.boxes
    boxwright.convert(f"dota:{folder}", f"dota:{tmp_path}/z", steps=["resize:32x24"])
    assert (tmp_path / "z/labelTxt/P0000.txt").read_text().splitlines()[
        3
    ] == "0.5 1 10.5 1 10.5 6 0.5 6 small-vehicle 1"


def test_a_class_of_several_words_needs_the_flag(tmp_path: Path) -> None:
    folder = put(tmp_path, P0000=UPRIGHT.replace("small-vehicle", "small vehicle") + "1,2,21,2,21,12,1,12,ship,0\n")
    (sample,) = boxwright.open(f"dota:{folder}")
    assert sample.boxes.labels == ("small vehicle", "ship")
    assert sample.boxes.attributes[0] == {"difficult": 1}


def test_splits_are_folders(tmp_path: Path) -> None:
    folder = put(tmp_path / "x", P0000=UPRIGHT, P0001=UPRIGHT)
    boxwright.convert(f"dota:{folder}", f"dota:{tmp_path}/y/{{split}}", steps=["split:train=0.5,val=0.5"])
    assert sorted(sample.split or "" for sample in boxwright.open(f"dota:{tmp_path}/y")) == ["train", "val"]


def test_points_are_written_clockwise(tmp_path: Path) -> None:
    """Those of the other direction have the first point in common; y points down."""
    folder = put(tmp_path / "a", P0000="1 2 1 22 31 22 31 2 ship 0\n" + TURNED)
    boxwright.convert(f"dota:{folder}", f"dota:{tmp_path}/b")
    written = (tmp_path / "b" / "labelTxt" / "P0000.txt").read_text("utf-8")
    assert written == "1 2 31 2 31 22 1 22 ship 0\n" + TURNED


@pytest.mark.parametrize("label", ["\u3000ship", "ship\u3000", "ship,", " ship"])
def test_a_class_that_would_change_is_an_error(label: str, tmp_path: Path) -> None:
    Image.new("RGB", (64, 48)).save(tmp_path / "a.png")
    image = ImageRef(name="a.png", width=64, height=48, location=f"{tmp_path}/a.png")
    sample = Sample(image=image, boxes=Boxes([label], [(1, 2, 21, 12)]))
    with pytest.raises(DataError, match="is not one line of text"):
        boxwright.convert(Dataset(SampleReader([sample])), f"dota:{tmp_path}/out")


def test_a_line_of_commas_takes_no_time(tmp_path: Path) -> None:
    """The time of a regular expression grew with the cube of their number: this took minutes."""
    folder = put(tmp_path, P0000="1 2 21 2 21 12 1 12 a" + "," * 20_000 + " b c\n1,2,21,2,21,12,1,12,ship,0,\n")
    dataset = boxwright.open(f"dota:{folder}", on_error="skip")
    assert list(dataset) == []
    assert "difficult is 'c'" in dataset.problems.skipped[0].problem
