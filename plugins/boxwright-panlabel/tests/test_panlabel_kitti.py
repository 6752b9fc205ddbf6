"""KITTI, read and written without the program."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

import boxwright
from boxwright import Boxes, DataError, ImageRef, Sample
from boxwright.datasets import open_dataset
from boxwright.storage import AtomicOutput
from boxwright_panlabel.kitti import KittiWriter, detect
from boxwright_testing import make_sample

# Frames 000001 and 000008 of the benchmark, shortened.
TRUCK = "Truck 0.00 0 -1.57 599.41 156.40 629.75 189.25 2.85 2.63 12.34 0.47 1.49 69.44 -1.56\n"
REGION = "DontCare -1 -1 -10 503.89 169.71 590.61 190.13 -1 -1 -1 -1000 -1000 -1000 -10\n"
CAR = "Car 0.88 3 -0.69 0.00 192.37 402.31 374.00 1.60 1.57 3.23 -2.70 1.74 3.68 -1.29\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    labels = tmp_path / "kitti" / "training" / "label_2"
    labels.mkdir(parents=True)
    (labels / "000001.txt").write_text(TRUCK + REGION)
    (labels / "000008.txt").write_text(CAR)
    for name in ("000001", "000008"):
        make_sample(tmp_path / "kitti" / "training" / "image_2", f"{name}.png", (1242, 375))
    return tmp_path / "kitti"


def test_the_benchmarks_own_files(folder: Path) -> None:
    one, two = boxwright.open(f"kitti:{folder}")
    assert (one.image.name, one.image.width, one.image.height) == ("000001.png", 1242, 375)
    truck, region = one.boxes
    assert (truck.label, truck.coordinates) == ("Truck", (599.41, 156.40, 629.75, 189.25))
    assert truck.attributes == {
        "alpha": -1.57,
        "dimensions": [2.85, 2.63, 12.34],
        "location": [0.47, 1.49, 69.44],
        "rotation_y": -1.56,
    }
    assert (region.label, region.attributes) == ("DontCare", {"truncated": -1, "occluded": -1})
    assert boxwright.are_regions(one.boxes) == [False, True]
    assert (two.boxes[0].attributes["truncated"], two.boxes[0].attributes["occluded"]) == (0.88, 3)
    for place in (folder, folder / "training", folder / "training" / "label_2"):
        assert detect(str(place)).matches
        assert len(list(boxwright.open(f"kitti:{place}"))) == 2


def test_the_files_are_reproduced_byte_for_byte(folder: Path, tmp_path: Path) -> None:
    (folder / "training" / "label_2" / "000001.txt").write_text(TRUCK)
    boxwright.convert(f"kitti:{folder}", f"kitti:{tmp_path / 'again'}")
    assert (tmp_path / "again" / "label_2" / "000001.txt").read_text() == TRUCK
    assert (tmp_path / "again" / "label_2" / "000008.txt").read_text() == CAR
    original = folder / "training" / "image_2" / "000001.png"
    assert (tmp_path / "again" / "image_2" / "000001.png").read_bytes() == original.read_bytes()


def test_panlabel_reads_the_same(folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("panlabel")
    from boxwright_panlabel.program import find_program

    (folder / "training" / "label_2" / "000001.txt").write_text(TRUCK)
    target = tmp_path / "x.json"
    command = [
        find_program(),
        "convert",
        "-f",
        "kitti",
        "-t",
        "ir-json",
        "-i",
        str(folder / "training"),
        "-o",
        str(target),
    ]
    subprocess.run(command, check=True, capture_output=True)
    for ours, theirs in zip(boxwright.open(f"kitti:{folder}"), boxwright.open(f"ir-json:{target}"), strict=True):
        assert (ours.image.name, ours.image.width) == (theirs.image.name, theirs.image.width)
        assert (ours.boxes.labels, ours.boxes.coordinates) == (theirs.boxes.labels, theirs.boxes.coordinates)


def test_coordinates_that_include_the_last_pixel(folder: Path, tmp_path: Path) -> None:
    (sample,) = list(boxwright.open(f"kitti:{folder}?inclusive=true"))[1:]
    assert sample.boxes.coordinates == ((0, 192.37, 403.31, 375),)
    boxwright.convert(f"kitti:{folder}?inclusive=true", f"kitti:{tmp_path / 'again'}?inclusive=true")
    assert (tmp_path / "again" / "label_2" / "000008.txt").read_text() == CAR


def test_scores_and_swapped_coordinates(folder: Path) -> None:
    file = folder / "training" / "label_2" / "000001.txt"
    file.write_text("Car -1 -1 -10 90 20 10 80 -1 -1 -1 -1000 -1000 -1000 -10 0.9125\n")
    with pytest.raises(DataError, match=r"line 1 \(Car\): xmin 90 is greater than xmax 10\n.*inverted=swap"):
        list(boxwright.open(f"kitti:{folder}"))
    sample = next(iter(boxwright.open(f"kitti:{folder}?inverted=swap")))
    assert sample.boxes.coordinates == ((10, 20, 90, 80),)
    assert sample.boxes[0].attributes["score"] == 0.9125


BAD = {
    "too few fields": (TRUCK[:-6], "line 2: it has 14 fields, but an object has 15, or 16 with a score"),
    "a class of two words": (
        TRUCK.replace("Truck", "Big truck") + "",
        r"line 2 \(Big\): 'truck' is not a finite number",
    ),
    "not a number": (TRUCK.replace("599.41", "nan"), r"line 2 \(Truck\): 'nan' is not a finite number"),
    "infinity": (TRUCK.replace("599.41", "1e999"), "'1e999' is not a finite number"),
    "other digits": (TRUCK.replace("599.41", "٣"), "'٣' is not a finite number"),
    "half hidden": (TRUCK.replace(" 0 ", " 0.5 ", 1), "occluded is '0.5', not an integer"),
}


def test_a_note_on_regions_that_are_not_annotated(folder: Path) -> None:
    """The readme of the benchmark: DontCare labels denote regions in which objects have not been labeled."""
    (note,) = boxwright.open(f"kitti:{folder}").notes
    assert note.startswith("DontCare marks regions")
    assert "--with remap:DontCare=" in note
    for file in (folder / "training" / "label_2").iterdir():
        file.write_text(CAR)
    assert boxwright.open(f"kitti:{folder}").notes == []


@pytest.mark.parametrize("case", BAD)
def test_bad_lines_name_their_place_and_the_others_are_read(folder: Path, case: str) -> None:
    line, says = BAD[case]
    (folder / "training" / "label_2" / "000001.txt").write_text(REGION + line)
    dataset = open_dataset(f"kitti:{folder}", on_error="skip")
    assert [sample.image.name for sample in dataset] == ["000008.png"]
    (error,) = dataset.problems.skipped
    with pytest.raises(DataError, match=rf"000001\.txt, {says}" if says.startswith("line") else says):
        raise error


def test_missing_files(folder: Path, tmp_path: Path) -> None:
    (folder / "training" / "image_2" / "000001.png").unlink()
    with pytest.raises(DataError, match=r"000001\.txt: it does not contain the image's size, and the"):
        list(boxwright.open(f"kitti:{folder}"))
    make_sample(tmp_path / "elsewhere", "000001.jpg", (40, 30))
    sample = next(iter(boxwright.open(f"kitti:{folder}?images={tmp_path / 'elsewhere'}")))
    assert (sample.image.name, sample.image.width) == ("000001.jpg", 40)
    with pytest.raises(DataError, match="contains no folder label_2"):
        boxwright.open(f"kitti:{tmp_path / 'elsewhere'}")
    (tmp_path / "empty" / "label_2").mkdir(parents=True)
    with pytest.raises(DataError, match=r"folder label_2 contains no \.txt file"):
        boxwright.open(f"kitti:{tmp_path / 'empty'}")
    (folder / "training" / "label_2" / "000008.txt").write_bytes(b"Caf\xe9 0\n")
    with pytest.raises(DataError, match=r"000008\.txt: it is not UTF-8"):
        list(open_dataset(f"kitti:{folder}?images={tmp_path / 'elsewhere'}"))[1:]


@pytest.mark.parametrize(
    ("name", "label", "attributes", "says"),
    [
        ("a/b.png", "car", {}, "KITTI has no subfolders"),
        ("b", "car", {}, "requires an image suffix"),
        ("a.jpg", "car", {}, "duplicate image 'a'"),
        ("b.png", "big car", {}, "the class 'big car' contains white space"),
        ("b.png", "car", {"truncated": "very"}, "'very' is not a finite number"),
        ("b.png", "car", {"occluded": 0.5}, "occluded is 0.5"),
        ("b.png", "car", {"location": [1, 2]}, r"location is \[1, 2\], not three numbers"),
    ],
)
def test_what_cannot_be_written(
    tmp_path: Path, name: str, label: str, attributes: dict[str, object], says: str
) -> None:
    good = make_sample(tmp_path / "images", "a.png", (40, 30), ["car"], [(1, 2, 3, 4)])
    image = ImageRef(name=name, width=40, height=30, location=good.image.location)
    bad = Sample(image=image, boxes=Boxes([label], [(1, 2, 3, 4)], [attributes]), source="x.xml")
    with AtomicOutput(str(tmp_path / "out"), "folder") as output:
        writer = KittiWriter(output)
        writer.write(good)
        with pytest.raises(DataError, match=says):
            writer.write(bad)
        writer.close()
    assert sorted(path.name for path in (tmp_path / "out").rglob("*.*")) == ["a.png", "a.txt"]
