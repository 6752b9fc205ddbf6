"""A dataset in one file finds its images again: it remembers their folder, or has copies."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

import boxwright
from boxwright import Boxes, DataError, Dataset, ImageRef, OutputError, Sample
from boxwright.datasets import SampleReader
from boxwright.plugins import default_registry
from boxwright_testing import draw_image

FILES = {
    **dict.fromkeys(("coco", "label-studio", "openlabel", "scale-ai", "via-json"), "out.json"),
    **dict.fromkeys(("csv", "openimages", "retinanet", "tfod", "via"), "out.csv"),
    "cvat": "out.xml",
}
INSTALLED = sorted({*FILES} & {*default_registry().names("format")})


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BOXWRIGHT_HOME", str(tmp_path / "home"))


@pytest.fixture
def photos(tmp_path: Path) -> Dataset:
    samples = []
    for name in ("a.jpg", "cam/b.jpg"):
        path = tmp_path / "x" / "pool" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        draw_image(30, 20).save(path)
        image = ImageRef(name=name, width=30, height=20, location=str(path))
        samples.append(Sample(image=image, boxes=Boxes(["fig"], [(3, 4, 20, 15)]), source=name))
    return Dataset(SampleReader(samples))


def locations(uri: str) -> list[str]:
    return sorted(sample.image.location or "" for sample in boxwright.open(uri))


@pytest.mark.parametrize("format", INSTALLED)
def test_the_folder_of_the_images_is_remembered(format: str, photos: Dataset, tmp_path: Path) -> None:
    boxwright.convert(photos, f"{format}:{tmp_path}/x/sets/{FILES[format]}")
    found = locations(f"{format}:{tmp_path}/x/sets/{FILES[format]}")
    assert [Path(place).resolve() for place in found] == [tmp_path / "x/pool/a.jpg", tmp_path / "x/pool/cam/b.jpg"]
    shutil.move(tmp_path / "x", tmp_path / "y")
    found = locations(f"{format}:{tmp_path}/y/sets/{FILES[format]}")
    assert [Path(place).resolve() for place in found] == [tmp_path / "y/pool/a.jpg", tmp_path / "y/pool/cam/b.jpg"]


@pytest.mark.parametrize("format", INSTALLED)
def test_images_are_copied_on_request(format: str, photos: Dataset, tmp_path: Path) -> None:
    uri = f"{format}:{tmp_path}/sets/{FILES[format]}"
    report = boxwright.convert(photos, f"{uri}?images=copy")
    assert not report.losses.dropped
    shutil.rmtree(tmp_path / "x")
    assert locations(uri) == [f"{tmp_path}/sets/out_images/a.jpg", f"{tmp_path}/sets/out_images/cam/b.jpg"]
    for sample in boxwright.open(uri):
        assert sample.image.read().startswith(b"\xff\xd8\xff")


def test_images_of_steps_are_lost_or_copied(photos: Dataset, tmp_path: Path) -> None:
    report = boxwright.convert(photos, f"coco:{tmp_path}/o.json", steps=["resize:15x10"])
    assert report.losses.dropped == {"embedded images": 2}
    assert not (tmp_path / "o.json.images").exists()
    report = boxwright.convert(photos, f"coco:{tmp_path}/c.json?images=copy", steps=["resize:15x10"])
    assert not report.losses.dropped
    assert {sample.image.width for sample in boxwright.open(f"coco:{tmp_path}/c.json")} == {15}


def test_a_dataset_from_elsewhere_cannot_name_a_folder_of_this_computer(photos: Dataset, tmp_path: Path) -> None:
    boxwright.convert(photos, f"coco:{tmp_path}/x/sets/o.json")
    note = tmp_path / "x/sets/o.json.images"
    known = json.loads(note.read_text())
    (tmp_path / "home" / "images.key").unlink()  # as on another computer
    assert locations(f"coco:{tmp_path}/x/sets/o.json") == ["", ""]
    boxwright.convert(photos, f"coco:{tmp_path}/x/sets/p.json")
    forgeries: list[Any] = [
        {**known, "images": "../../x/pool"},
        {**known, "signature": ""},
        {"images": 3},
        [],
        "x" * 99999,
    ]
    for forged in forgeries:
        note.write_text(json.dumps(forged))
        assert locations(f"coco:{tmp_path}/x/sets/o.json") == ["", ""]


def test_a_note_is_replaced_with_its_file(photos: Dataset, tmp_path: Path) -> None:
    target = f"coco:{tmp_path}/x/pool/cam/o.json"
    boxwright.convert(photos, target)
    assert json.loads((tmp_path / "x/pool/cam/o.json.images").read_text())["images"] == ".."
    inside = Dataset(
        SampleReader([sample.replace(image=sample.image.model_copy(update={"name": "b.jpg"})) for sample in photos][1:])
    )
    boxwright.convert(inside, target, overwrite=True)
    assert not (tmp_path / "x/pool/cam/o.json.images").exists()
    assert locations(target) == [f"{tmp_path}/x/pool/cam/b.jpg"]


def test_copies_are_complete_or_not_there(photos: Dataset, tmp_path: Path) -> None:
    (tmp_path / "x/pool/cam/b.jpg").unlink()
    with pytest.raises(DataError):
        boxwright.convert(photos, f"csv:{tmp_path}/o.csv?images=copy")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x"]
    (tmp_path / "o_images").mkdir()
    (tmp_path / "o_images" / "mine.txt").write_text("x")
    with pytest.raises(OutputError, match="o_images exists already"):
        boxwright.convert(photos, f"csv:{tmp_path}/o.csv?images=copy")
