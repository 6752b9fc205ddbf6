from __future__ import annotations

import csv
import io
import os
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

import boxwright
from boxwright import Boxes, DataError, Dataset, ImageRef, Sample
from boxwright.datasets import SampleReader

COLUMNS = ["filename", "width", "height", "class", "xmin", "ymin", "xmax", "ymax"]
NAMES = ("fig", "red, ripe", 'the "big" one', "two\nlines", "re\rturn", "вишня", " around ", "=1+1", "'q'", "a;b", "")


def sample_of(name: str, labels: list[str], edges: list[Any]) -> Sample:
    return Sample(image=ImageRef(name=name, width=40, height=30), boxes=Boxes(labels, edges), source="the source")


def write(path: Path, *samples: Sample, options: str = "") -> bytes:
    boxwright.convert(Dataset(SampleReader(list(samples))), f"csv:{path}{options}")
    return path.read_bytes()


def data_folder() -> Path:
    default = Path(__file__).resolve().parents[4] / "shared" / "data"
    return Path(os.environ.get("BOXWRIGHT_SHARED_DATA", default))


def as_the_tutorial(folder: Path) -> tuple[str, str]:
    """The rows and the label map of the first tutorial's ``xml_to_csv.py``, files sorted by name.

    It reads eight values of each object with ElementTree, writes them with pandas' ``to_csv(index=None)``, and numbers
    the sorted class names from 1.
    """
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(COLUMNS)
    classes = set()
    for file in sorted(folder.glob("*.xml"), key=lambda path: path.name):
        root = ElementTree.parse(file).getroot()
        for element in root.iter("object"):
            edges = [int(element.findtext(f"bndbox/{edge}") or "") for edge in COLUMNS[4:]]
            size = [int(root.findtext(f"size/{side}") or "") for side in ("width", "height")]
            classes.add(element.findtext("name", ""))
            table.writerow([root.findtext("filename"), *size, element.findtext("name"), *edges])
    items = [f"item {{\n    id: {number}\n    name: '{name}'\n}}" for number, name in enumerate(sorted(classes), 1)]
    return text.getvalue(), "\n\n".join(items)


@pytest.mark.parametrize("part", ["fruits/train", "fruits/test", "bccd/train"])
def test_real_photos_have_the_tutorials_rows_and_label_map(tmp_path: Path, part: str) -> None:
    folder = data_folder() / part
    if not folder.is_dir():
        pytest.skip("the real photos are not here (BOXWRIGHT_SHARED_DATA)")
    boxwright.convert(f"labelimg:{folder}", f"csv:{tmp_path / 'labels.csv'}")
    rows, label_map = as_the_tutorial(folder)
    written = (tmp_path / "labels.csv").read_text("utf-8")
    assert written == rows
    assert (tmp_path / "label_map.pbtxt").read_text("utf-8") == label_map
    if part == "fruits/train":
        # Read off the first object of 1.xml by eye.
        assert "1.jpg,800,600,fig,390,61,513,196" in written.splitlines()
        assert len(written.splitlines()) == 1 + 152
        assert label_map.startswith("item {\n    id: 1\n    name: 'date'\n}\n\nitem {\n    id: 2\n    name: 'fig'")


def test_bytes_are_as_expected(tmp_path: Path) -> None:
    written = write(
        tmp_path / "labels.csv",
        sample_of("a, b.jpg", ["fig", 'a "b"'], [(1, 2.0, 30, 20), (0.1, 2, 30.25, 20)]),
        sample_of("cam/c.jpg", ["вишня"], [(-1, 0, 123456789012, 0)]),
    )
    assert written.decode() == (
        "filename,width,height,class,xmin,ymin,xmax,ymax\n"
        '"a, b.jpg",40,30,fig,1,2,30,20\n'
        '"a, b.jpg",40,30,"a ""b""",0.1,2,30.25,20\n'
        "cam/c.jpg,40,30,вишня,-1,0,123456789012,0\n"
    )


def test_quotes_are_those_of_the_csv_module(tmp_path: Path) -> None:
    names = [name for name in NAMES if name and "\r" not in name and name == name.strip()]
    written = write(tmp_path / "labels.csv", sample_of("a.jpg", names, [(1, 2, 30, 20)] * len(names)))
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(
        [COLUMNS, *(["a.jpg", 40, 30, name, 1, 2, 30, 20] for name in names)]
    )
    assert written.decode() == text.getvalue()


def test_rows_are_those_of_pandas(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    names = [name for name in NAMES if name and "\r" not in name and name == name.strip()]
    written = write(tmp_path / "labels.csv", sample_of("a.jpg", names, [(1, 2, 30, 20)] * len(names)))
    frame = pandas.DataFrame([("a.jpg", 40, 30, name, 1, 2, 30, 20) for name in names], columns=COLUMNS)
    assert written.decode() == frame.to_csv(index=None, lineterminator="\n")


@pytest.mark.parametrize("name", [name for name in NAMES if name.strip() == name and name])
def test_names_are_restored(tmp_path: Path, name: str) -> None:
    write(tmp_path / "labels.csv", sample_of(f"{name}.jpg", [name], [(1, 2, 30, 20)]))
    (sample,) = boxwright.open(f"csv:{tmp_path / 'labels.csv'}")
    assert (sample.image.name, sample.boxes.labels) == (f"{name}.jpg", (name,))


@pytest.mark.parametrize("edge", [0.1, 1 / 3, 29.999999999999996, 1e-9, 5e-324, 1e22])
def test_fractional_coordinates_are_restored_exactly(tmp_path: Path, edge: float) -> None:
    edges = (-edge, 0.0, edge, edge)
    write(tmp_path / "labels.csv", sample_of("a.jpg", ["fig"], [edges]))
    assert next(iter(boxwright.open(f"csv:{tmp_path / 'labels.csv'}"))).boxes.coordinates == (edges,)


def test_one_based_writing(tmp_path: Path) -> None:
    written = write(tmp_path / "labels.csv", sample_of("a.jpg", ["fig"], [(0, 0, 40, 30)]), options="?one_based=true")
    assert written.splitlines()[1] == b"a.jpg,40,30,fig,1,1,40,30"


def test_images_without_boxes_and_attributes_are_counted_as_lost(tmp_path: Path) -> None:
    boxes = Boxes(["fig"], [(1, 2, 30, 20)], [{"difficult": 1}])
    samples = [Sample(image=ImageRef(name="a.jpg", width=40, height=30), boxes=boxes), sample_of("b.jpg", [], [])]
    report = boxwright.convert(Dataset(SampleReader(samples)), f"csv:{tmp_path / 'labels.csv'}")
    assert dict(report.losses.dropped) == {"difficult": 1, "images without boxes": 1}
    assert (tmp_path / "labels.csv").read_text().count("\n") == 2


def test_a_class_with_leading_white_space_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"the source: ' around ' begins or ends with white space") as caught:
        write(tmp_path / "labels.csv", sample_of("a.jpg", [" around "], [(1, 2, 30, 20)]))
    assert caught.value.remedy
    assert list(tmp_path.iterdir()) == []


def test_an_unpaired_surrogate_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"the source, box 1: .* cannot be written as UTF-8"):
        write(tmp_path / "labels.csv", sample_of("a.jpg", ["\udcff"], [(1, 2, 30, 20)]))
    assert list(tmp_path.iterdir()) == []
