from __future__ import annotations

import json
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
from boxwright_createml.detect import detect

Place = Callable[[Mapping[str, Any]], Path]

BOX = {"label": "fig", "coordinates": {"x": 20, "y": 15, "width": 10, "height": 8}}
EDGES = ((15, 11, 25, 19),)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """Puts files into the test's folder: text, a value as JSON, or a image of the size ``(width, height)``."""

    def make(files: Mapping[str, Any]) -> Path:
        for name, content in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, tuple):
                Image.new("RGB", content, (90, 120, 60)).save(path)
            else:
                path.write_text(content if isinstance(content, str) else json.dumps(content), "utf-8")
        return tmp_path

    return make


def read(location: object, **options: str) -> list[Sample]:
    return list(boxwright.open(boxwright.DatasetURI(str(location), "createml", options)))


def entry(name: str, *annotations: Any, **more: Any) -> dict[str, Any]:
    return {"image": name, "annotations": list(annotations), **more}


def test_apples_example(place: Place) -> None:
    # The JSON of https://developer.apple.com/documentation/createml/mlobjectdetector/datasource. x and y are the
    # centre, so that the cat reaches from 3.9 - 20/2 to 3.9 + 20/2, and from 2 - 40.1/2 to 2 + 40.1/2.
    text = """[
      {
        "imagefilename": "cat and dog.png",
        "annotation":
        [
          { "label": "cat", "coordinates": { "y": 2.0, "x": 3.9, "height": 40.1, "width": 20.0 } },
          { "label": "dog", "coordinates": { "y": 40.0, "x": 38.9, "height": 100.1, "width": 70.0 } }
        ]
      }
    ]"""
    folder = place({"annotations.json": text, "cat and dog.png": (200, 160)})
    (sample,) = read(folder)
    assert (sample.image.name, sample.image.width, sample.image.height) == ("cat and dog.png", 200, 160)
    assert sample.boxes.labels == ("cat", "dog")
    assert sample.boxes.coordinates == ((-6.1, -18.05, 13.9, 22.05), (3.9, -10.05, 73.9, 90.05))
    assert sample.image.location == str(folder / "cat and dog.png")
    assert sample.source == f"{folder}/annotations.json, image 1 (line 2)"


def test_labelimgs_file(place: Place) -> None:
    # As json.dumps of labelImg's create_ml_io.py writes it: x_min + width / 2 of QPointF's floats.
    text = (
        '[{"image": "1.jpg", "verified": true, "annotations": [{"label": "fig", "coordinates":'
        ' {"x": 20.5, "y": 15.0, "width": 11.0, "height": 8.0}}]}, {"image": "2.jpg", "verified": false,'
        ' "annotations": []}]'
    )
    folder = place({"photos.json": text, "1.jpg": (40, 30), "2.jpg": (40, 30)})
    one, two = read(folder / "photos.json")
    assert (one.boxes.coordinates, one.attributes) == (((15, 11, 26, 19),), {"verified": "yes"})
    assert not one.boxes.has_attributes
    assert (len(two.boxes), two.attributes) == (0, {})


def test_a_file_for_each_image(place: Place) -> None:
    files: dict[str, Any] = {f"{n}.jpg": (40, 30) for n in (2, 10, 1)}
    files |= {f"{n}.json": [entry(f"{n}.jpg", BOX)] for n in (2, 10, 1)}
    folder = place(files | {"cam/1.jpg": (40, 30), "cam/1.json": [entry("1.jpg")]})
    assert [(s.image.name, len(s.boxes)) for s in read(folder)] == [
        ("1.jpg", 1),
        ("10.jpg", 1),
        ("2.jpg", 1),
        ("cam/1.jpg", 0),
    ]


def test_roboflows_export(place: Place) -> None:
    name = "_annotations.createml.json"
    folder = place(
        {
            "README.roboflow.txt": "exported",
            f"train/{name}": [entry("1.jpg", BOX)],
            "train/1.jpg": (40, 30),
            f"valid/{name}": [entry("2.jpg")],
            "valid/2.jpg": (40, 30),
        }
    )
    assert [(s.image.name, s.split) for s in read(folder)] == [("train/1.jpg", "train"), ("valid/2.jpg", "val")]
    assert boxwright.open(f"createml:{folder}").info.splits == ("train", "val")
    assert [(s.image.name, s.split) for s in read(folder / "train")] == [("1.jpg", None)]
    assert detect(str(folder)).matches


def test_other_keys_become_attributes(place: Place) -> None:
    box = {**BOX, "uniqueIdentifier": "A-7", "coordinates": {**BOX["coordinates"], "angle": 30}}  # type: ignore[dict-item]
    folder = place({"a.json": [entry("1.jpg", box, BOX, camera="left", verified="maybe")], "1.jpg": (40, 30)})
    (sample,) = read(folder)
    assert sample.attributes == {"camera": "left", "verified": "maybe"}
    assert [dict(each) for each in sample.boxes.attributes] == [
        {"uniqueIdentifier": "A-7", "coordinates": {"angle": 30}},
        {},
    ]


@pytest.mark.parametrize(
    ("options", "coordinates"),
    [
        # The same box, 15..25 and 11..19 of a image of 40x30, in the ways of Apple's MLBoundingBox... options.
        ({}, (20, 15, 10, 8)),
        ({"anchor": "topLeft"}, (15, 11, 10, 8)),
        ({"anchor": "bottomLeft"}, (15, 19, 10, 8)),
        ({"origin": "bottomLeft"}, (20, 15, 10, 8)),
        ({"origin": "bottomLeft", "anchor": "topLeft"}, (15, 19, 10, 8)),
        ({"origin": "bottomLeft", "anchor": "bottomLeft"}, (15, 11, 10, 8)),
        ({"units": "normalized"}, (0.5, 0.5, 0.25, 8 / 30)),
        ({"units": "normalized", "anchor": "topLeft"}, (0.375, 11 / 30, 0.25, 8 / 30)),
        ({"units": "normalized", "origin": "bottomLeft", "anchor": "bottomLeft"}, (0.375, 11 / 30, 0.25, 8 / 30)),
    ],
)
def test_other_coordinates(place: Place, options: dict[str, str], coordinates: tuple[float, ...]) -> None:
    box = {"label": "fig", "coordinates": dict(zip(("x", "y", "width", "height"), coordinates, strict=True))}
    (sample,) = read(place({"a.json": [entry("1.jpg", box)], "1.jpg": (40, 30)}), **options)
    assert sample.boxes.coordinates == EDGES


def test_boxes_with_zero_area_and_outside_the_image_are_read(place: Place) -> None:
    box = {"label": "fig", "coordinates": {"x": -5, "y": 300, "width": 0, "height": 0}}
    assert read(place({"a.json": [entry("1.jpg", box)], "1.jpg": (40, 30)}))[0].boxes.coordinates == (
        (-5, 300, -5, 300),
    )


def test_a_turned_image_has_its_upright_size(place: Place) -> None:
    folder = place({"a.json": [entry("1.jpg")]})
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (40, 30)).save(folder / "1.jpg", exif=exif)
    (sample,) = read(folder)
    assert (sample.image.width, sample.image.height) == (30, 40)


def test_images_elsewhere_and_nowhere(place: Place) -> None:
    folder = place({"json/a.json": [entry("1.JPG", BOX)], "elsewhere/1.jpg": (40, 30)})
    with pytest.raises(DataError, match=r"a\.json, image 1 \(line 1\): .* 1\.JPG is missing") as caught:
        read(folder / "json")
    assert "images=FOLDER" in caught.value.remedy
    assert "size=WxH" in caught.value.remedy
    (sample,) = read(folder / "json", images=str(folder / "elsewhere"))
    assert (sample.image.name, sample.boxes.coordinates) == ("1.jpg", EDGES)
    (sample,) = read(folder / "json", size="400x300")
    assert (sample.image.name, sample.image.width, sample.image.location) == ("1.JPG", 400, None)
    for size in ("400", "0x3", "axb"):
        with pytest.raises(UsageError, match="size is"):
            read(folder / "json", size=size)


def test_a_missing_image_is_not_the_one_with_the_jsons_name(place: Place) -> None:
    folder = place({"1.json": [entry("gone.jpg"), entry("1.jpg")], "1.jpg": (40, 30)})
    with pytest.raises(DataError, match=r"gone\.jpg is missing"):
        read(folder)


def test_the_labels_are_known_without_the_images(place: Place) -> None:
    folder = place({"a.json": [entry("gone.jpg", BOX, {**BOX, "label": "date"}), entry("2.jpg")]})
    reader: Any = boxwright.open(f"createml:{folder}").reader
    assert [list(labels) for labels in reader.labels()] == [["fig", "date"], []]


def test_images_that_no_json_names(place: Place) -> None:
    folder = place({"a.json": [entry("2.jpg", BOX)], "1.jpg": (40, 30), "2.jpg": (40, 30), "3.jpg": "no image"})
    assert [s.image.name for s in read(folder)] == ["2.jpg"]
    dataset = boxwright.open(f"createml:{folder}?unannotated=include", on_error="skip")
    assert [(s.image.name, len(s.boxes)) for s in dataset] == [("2.jpg", 1), ("1.jpg", 0)]
    (skipped,) = dataset.problems.skipped
    assert "3.jpg: it cannot be read as an image" in skipped.message


def test_an_empty_list_has_no_images(place: Place) -> None:
    assert read(place({"a.json": " [ ] "})) == []
    with pytest.raises(DataError, match=r"b\.json: file not found"):
        read(place({}) / "b.json")


def test_remote_folders_and_zip_files(place: Place) -> None:
    import fsspec

    folder = place({"a.json": [entry("1.jpg", BOX)], "1.jpg": (40, 30)})
    memory = fsspec.filesystem("memory")
    with zipfile.ZipFile(folder / "ds.zip", "w") as archive:
        for name in ("a.json", "1.jpg"):
            memory.pipe(f"/createml-reader/{name}", (folder / name).read_bytes())
            memory.pipe(f"/createml-folder/called.json/{name}", (folder / name).read_bytes())
            archive.write(folder / name, name)
    for location in (
        "memory://createml-reader",
        "memory://createml-reader/a.json",
        "memory://createml-folder/called.json",
        f"zip://::{folder}/ds.zip",
        f"zip://a.json::{folder}/ds.zip",
    ):
        (sample,) = read(location)
        assert (sample.image.name, sample.boxes.coordinates) == ("1.jpg", EDGES)
        assert sample.image.read() == (folder / "1.jpg").read_bytes()
    assert detect("memory://createml-reader").matches
    assert detect("memory://createml-reader/a.json").matches
    assert not detect("memory://createml-missing").matches


@pytest.mark.skipif(sys.platform != "linux", reason="other systems' file names are always Unicode")
def test_file_names_that_are_not_utf8_are_an_error(place: Place) -> None:
    folder = place({"a.json": [], "1.jpg": (40, 30)})
    (folder / "1.jpg").rename(folder / os.fsdecode(b"\xff.jpg"))
    dataset = boxwright.open(f"createml:{folder}?unannotated=include")
    with pytest.raises(DataError, match="its path is not UTF-8") as caught:
        list(dataset)
    assert str(caught.value).encode()  # can be printed


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ('{"images": [], "annotations": []}', "it is not a list"),
        ("[]", "a.json is an empty list"),
        ("[1]", "is not a list of objects"),
        ("[" * 100_000, "nested too deeply"),
        ("", "it is empty"),
        ([{"data": {"image": "1.jpg"}, "annotations": []}], "objects without image"),
        ([{"image": "1.jpg"}], "objects without annotations"),
        ([{"image": "1.jpg", "annotations": [{"label": "a", "bbox": [1, 2, 3, 4]}]}], "have no coordinates"),
        ([{"image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4], "score": 0.5}], "objects without image"),
    ],
)
def test_other_files_are_refused(place: Place, content: Any, reason: str) -> None:
    folder = place({"a.json": content, "1.jpg": (4, 3)})
    for location in (folder, folder / "a.json"):
        answer = detect(str(location))
        assert not answer.matches
        assert reason.replace("a.json", "it" if location != folder else "a.json") in answer.reason


def test_own_files_are_recognized(place: Place) -> None:
    folder = place({"a.json": [entry("1.jpg", BOX)], "1.jpg": (40, 30), "b/x.json": "{}"})
    assert detect(str(folder)).reason == "a.json is a list of objects with image and annotations"
    assert detect(str(folder / "a.json")).matches
    assert not detect(str(folder / "1.jpg")).matches
    assert repr(boxwright.open(str(folder / "a.json"))).startswith("<Dataset createml:")
