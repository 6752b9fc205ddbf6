from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import boxwright
from boxwright import Boxes, DataError, Dataset, ImageRef, OutputError, Sample
from boxwright.datasets import SampleReader

pytestmark = pytest.mark.usefixtures("parser")

# The layout of the files that labelImg wrote for the real photos, typed by hand with other names and numbers.
EXPECTED = """<annotation verified="yes">
\t<folder>photos</folder>
\t<filename>1.jpg</filename>
\t<path>C:\\photos\\1.jpg</path>
\t<source>
\t\t<database>Unknown</database>
\t</source>
\t<size>
\t\t<width>40</width>
\t\t<height>30</height>
\t\t<depth>3</depth>
\t</size>
\t<segmented>0</segmented>
\t<object>
\t\t<name>a &amp; b</name>
\t\t<pose>Unspecified</pose>
\t\t<truncated>1</truncated>
\t\t<difficult>0</difficult>
\t\t<bndbox>
\t\t\t<xmin>1</xmin>
\t\t\t<ymin>2</ymin>
\t\t\t<xmax>30</xmax>
\t\t\t<ymax>20.25</ymax>
\t\t</bndbox>
\t</object>
</annotation>
"""


def sample_of(
    path: Path | None,
    name: str = "1.jpg",
    labels: tuple[str, ...] = ("fig",),
    box: dict[str, Any] | None = None,
    attributes: dict[str, Any] | None = None,
    coordinates: tuple[float, float, float, float] = (1, 2, 30, 20),
) -> Sample:
    image = ImageRef(name=name, width=40, height=30, location=None if path is None else str(path))
    boxes = Boxes(labels, [coordinates] * len(labels), [box or {}] * len(labels))
    return Sample(image=image, boxes=boxes, attributes=attributes or {}, source="the source")


def write(out: Path, *samples: Sample, options: str = "", **keywords: Any) -> None:
    boxwright.convert(Dataset(SampleReader(list(samples))), f"labelimg:{out}{options}", **keywords)


def read(out: Path) -> list[Sample]:
    return list(boxwright.open(f"labelimg:{out}"))


def test_the_layout_is_labelimgs(tmp_path: Path, draw: Callable[..., Path]) -> None:
    image = draw("in/1.jpg")
    attributes = {"folder": "photos", "path": "C:\\photos\\1.jpg", "verified": "yes"}
    write(
        tmp_path / "out",
        sample_of(
            image, labels=("a & b",), box={"truncated": 1}, attributes=attributes, coordinates=(1, 2.0, 30, 20.25)
        ),
    )
    assert (tmp_path / "out/1.xml").read_bytes() == EXPECTED.encode()
    assert (tmp_path / "out/1.jpg").read_bytes() == image.read_bytes()
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["1.jpg", "1.xml"]


@pytest.mark.parametrize("part", ["fruits/train", "fruits/test", "bccd/train"])
def test_real_files_are_restored_byte_for_byte(tmp_path: Path, real_photos: Path, part: str) -> None:
    report = boxwright.convert(f"labelimg:{real_photos / part}", f"labelimg:{tmp_path / 'out'}", strict=True)
    assert not report.losses
    originals = sorted(path for path in (real_photos / part).iterdir())
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [path.name for path in originals]
    for path in originals:
        assert (tmp_path / "out" / path.name).read_bytes() == path.read_bytes(), path.name


ODD_VALUES: dict[str, Any] = {
    "text": "ripe",
    "spaces": "  around ",
    "empty": "",
    "digits as text": "7",
    "zip": "007",
    "number": 7,
    "negative": -7,
    "fraction": 0.1,
    "tiny": 1e-07,
    "large": 10**40,
    "yes": True,
    "nothing": None,
    "markup": "<b>&amp;</b>",
    "return": "a\r\nb",
    "one": [1],
    "two": [1, "x"],
    "none at all": [],
    "nested": [[1, 2], [3]],
    "mapping": {"a": 1, "b": {"c": ["x", "y"]}},
    "empty mapping": {},
    "attributes": {"@id": "7", "#text": "words"},
    "only text": {"#text": "words"},
    "boxwright": 1,
    "object": 3,
    "name": "n",
    "filename": "f",
    "source": {"annotation": "x"},
    "size": {"unit": "px"},
    "bndbox": {"angle": 30},
    "name with spaces": 1,
    "ключ": "значение",
    "@lang": "en",
    "database": "mine",
    "depth": 1,
    "segmented": 1,
    "pose": "Left",
    "truncated": 1,
    "difficult": 2,
    "occluded": 1,
    "iscrowd": 0,
    "score": 0.5,
}


@pytest.mark.parametrize("key", ODD_VALUES)
def test_any_attribute_is_restored_with_its_type(tmp_path: Path, key: str) -> None:
    attributes = {key: ODD_VALUES[key]}
    write(tmp_path / "out", sample_of(None, box=attributes, attributes=attributes), options="?pictures=false")
    (sample,) = read(tmp_path / "out")
    assert repr(sample.attributes) == repr(attributes)
    assert repr(dict(sample.boxes.attributes[0])) == repr(attributes)
    assert (sample.image.name, sample.boxes.labels) == ("1.jpg", ("fig",))


def test_fields_of_a_wrong_type_are_restored(tmp_path: Path) -> None:
    image = {"folder": 5, "path": " x ", "database": ["a"], "depth": [3], "verified": True, "source": "s", "size": 1}
    box = {"pose": 3, "truncated": 0.5, "difficult": "maybe", "bndbox": {"xmin": 9}}
    write(tmp_path / "out", sample_of(None, box=box, attributes=image), options="?pictures=false")
    (sample,) = read(tmp_path / "out")
    assert sample.attributes == image
    assert sample.boxes.attributes[0] == box
    assert sample.boxes.coordinates == ((1, 2, 30, 20),)


@pytest.mark.parametrize("value", [0.1, 1 / 3, 29.999999999999996, 1e-9, 12345678.9, 5e-324])
def test_sub_pixel_coordinates_are_restored_exactly(tmp_path: Path, value: float) -> None:
    coordinates = (-value, 0.0, value, value)
    write(tmp_path / "out", sample_of(None, coordinates=coordinates), options="?pictures=false")
    assert read(tmp_path / "out")[0].boxes.coordinates == (coordinates,)


def test_one_based_writing(tmp_path: Path) -> None:
    write(tmp_path / "out", sample_of(None, coordinates=(0, 0, 40, 30)), options="?pictures=false&one_based=true")
    # The whole of a 40x30 image, as the PASCAL VOC development kit counts.
    assert read(tmp_path / "out")[0].boxes.coordinates == ((1, 1, 40, 30),)
    assert next(iter(boxwright.open(f"labelimg:{tmp_path / 'out'}?one_based=1"))).boxes.coordinates == ((0, 0, 40, 30),)


def test_an_image_without_boxes_is_written(tmp_path: Path, draw: Callable[..., Path]) -> None:
    write(tmp_path / "out", sample_of(draw("1.jpg"), labels=()))
    (sample,) = read(tmp_path / "out")
    assert len(sample.boxes) == 0
    assert sample.image.location is not None


def test_names_with_folders_and_in_other_scripts(tmp_path: Path, draw: Callable[..., Path]) -> None:
    names = ["cam1/1.jpg", "cam2/1.jpg", "вишня ß 无.jpg"]
    write(tmp_path / "out", *(sample_of(draw("in.jpg"), name=name) for name in names))
    assert [sample.image.name for sample in read(tmp_path / "out")] == names
    assert "<filename>1.jpg</filename>" in (tmp_path / "out/cam1/1.xml").read_text("utf-8")


@pytest.mark.parametrize(
    ("second", "message"),
    [("1.jpg", "1.jpg and 1.jpg"), ("1.png", "1.jpg and 1.png"), ("a.xml", "name of an annotation")],
)
def test_a_second_image_for_one_xml_is_refused(
    tmp_path: Path, draw: Callable[..., Path], second: str, message: str
) -> None:
    image = draw("in.jpg")
    with pytest.raises(DataError, match=message):
        write(tmp_path / "out", sample_of(image), sample_of(image, name=second))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("sample", "message"),
    [
        (sample_of(None, labels=("a\0b",)), r"'a\\x00b' contains the character '\\x00', which XML cannot represent"),
        (sample_of(None, labels=("\x08",)), "which XML cannot"),
        (sample_of(None, labels=("\ud800",)), "unpaired surrogate, which cannot be written"),
        (sample_of(None, labels=(" fig",)), "begins or ends with white space"),
        (sample_of(None, name="a\x01.jpg"), "which XML cannot"),
        (sample_of(None, box={"raw": b"bytes"}), "'raw' is a bytes"),
        (sample_of(None, attributes={"when": {1, 2}}), "'when' is a set"),
        (sample_of(None, attributes={"pair": (1, 2)}), "'pair' is a tuple"),
    ],
)
def test_what_xml_cannot_represent_is_an_error(tmp_path: Path, sample: Sample, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        write(tmp_path / "out", sample, options="?pictures=false")
    assert caught.value.file == "the source"
    assert caught.value.remedy
    assert not (tmp_path / "out").exists()


def test_an_image_that_is_missing_is_an_error_before_anything_is_written(
    tmp_path: Path, draw: Callable[..., Path]
) -> None:
    with pytest.raises(DataError, match=r"gone\.jpg: file not found") as caught:
        write(tmp_path / "out", sample_of(tmp_path / "gone.jpg"))
    assert caught.value.remedy
    good = sample_of(draw("2.jpg"), name="2.jpg")
    report = boxwright.convert(
        Dataset(SampleReader([sample_of(None), good]), problems=boxwright.datasets.problems.Problems("skip")),
        f"labelimg:{tmp_path / 'out'}",
    )
    assert len(report.skipped) == 1
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["2.jpg", "2.xml"]


@pytest.mark.parametrize("name", ["../1.jpg", "/1.jpg", "a\\1.jpg"])
def test_names_that_lead_out_of_the_folder_are_refused(tmp_path: Path, draw: Callable[..., Path], name: str) -> None:
    with pytest.raises(OutputError, match="leads outside"):
        write(tmp_path / "out", sample_of(draw("in.jpg"), name=name))


def test_remote_folders_are_written(draw: Callable[..., Path]) -> None:
    image = draw("1.jpg")
    target = "labelimg:memory://labelimg-writer/out"
    boxwright.convert(Dataset(SampleReader([sample_of(image)])), target, overwrite=True)
    (sample,) = boxwright.open(target)
    assert sample.image.read() == image.read_bytes()
    assert sample.boxes.labels == ("fig",)
