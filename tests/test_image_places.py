"""A dataset in one file finds its images again: it remembers their folder, or has copies."""

from __future__ import annotations

import gzip
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

import boxwright
from boxwright import Boxes, DataError, Dataset, ImageRef, OutputError, Sample
from boxwright.datasets import SampleReader
from boxwright.plugins import default_registry
from boxwright.storage import follow_links
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


@pytest.mark.parametrize("name", ["out.record", "out.record@2", "out.record.gz"])
def test_records_without_images(name: str, photos: Dataset, tmp_path: Path) -> None:
    """The keys are those of the API: https://github.com/tensorflow/models, dataset_tools/create_pascal_tf_record.py."""
    uri = f"tfrecord:{tmp_path}/x/sets/{name}"
    report = boxwright.convert(photos, f"{uri}?images=remember")
    assert not report.losses.dropped
    written = [path.read_bytes() for path in (tmp_path / "x/sets").glob("out.*[!s]")]
    content = b"".join(gzip.decompress(each) if name.endswith(".gz") else each for each in written)
    assert b"\xff\xd8\xff" not in content
    assert b"image/encoded" not in content
    assert content.count(b"image/filename") == content.count(b"image/object/bbox/xmin") == 2
    shutil.move(tmp_path / "x", tmp_path / "y")
    (first, second) = sorted(boxwright.open(f"tfrecord:{tmp_path}/y/sets/{name}"), key=lambda sample: sample.image.name)
    assert (first.image.name, second.image.name) == ("a.jpg", "cam/b.jpg")
    assert first.image.read() == (tmp_path / "y/pool/a.jpg").read_bytes()
    assert second.boxes.coordinates == ((3, 4, 20, 15),)


def test_copies_next_to_records(photos: Dataset, tmp_path: Path) -> None:
    report = boxwright.convert(photos, f"tfrecord:{tmp_path}/out.record?images=copy", steps=["resize:15x10"])
    assert not report.losses.dropped
    shutil.rmtree(tmp_path / "x")
    found = boxwright.open(f"tfrecord:{tmp_path}/out.record")
    assert {sample.image.location for sample in found} == {f"{tmp_path}/out_images/{n}" for n in ("a.jpg", "cam/b.jpg")}
    report = boxwright.convert(found, f"tfrecord:{tmp_path}/embedded.record", sidecar=True)
    assert all(sample.image.data for sample in boxwright.open(f"tfrecord:{tmp_path}/embedded.record"))
    assert not (tmp_path / "embedded.images").exists()
    boxwright.convert(photos, f"tfrecord:{tmp_path}/again.record?images=remember")
    assert (tmp_path / "again.record.images").exists()
    boxwright.convert(found, f"tfrecord:{tmp_path}/again.record", overwrite=True)
    assert not (tmp_path / "again.record.images").exists(), "the images are in the records now"


def test_records_without_images_have_the_true_sizes(photos: Dataset, tmp_path: Path) -> None:
    draw_image(20, 30).save(tmp_path / "x/pool/a.jpg")
    with pytest.raises(DataError, match=r"20x30"):
        boxwright.convert(photos, f"tfrecord:{tmp_path}/out.record?images=remember")


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


@pytest.mark.parametrize("named", ["url", "link", "link next to it"])
def test_no_note_and_no_link_leads_out_of_a_dataset(named: str, tmp_path: Path) -> None:
    secret, folder = tmp_path / "secret", tmp_path / "set" / "annotations"
    secret.mkdir()
    draw_image(30, 20).save(secret / "a.png")
    folder.mkdir(parents=True)
    image = {"id": 1, "file_name": "a.png", "width": 30, "height": 20}
    (folder / "t.json").write_text(json.dumps({"images": [image], "annotations": [], "categories": []}))
    if named == "link next to it":
        (tmp_path / "set" / "images").symlink_to(secret)
    else:
        place = secret.as_uri() if named == "url" else "pics"
        if named == "link":
            (folder / "pics").symlink_to(secret)
        (folder / "t.json.images").write_text(json.dumps({"images": place, "signature": ""}))
    if named == "link next to it":
        with pytest.raises(DataError, match="it is a link out of the dataset"):
            list(boxwright.open(f"coco:{folder}/t.json"))
    else:
        (sample,) = boxwright.open(f"coco:{folder}/t.json")
        assert sample.image.location is None
    with follow_links():
        (sample,) = boxwright.open(f"coco:{folder}/t.json")
    assert (sample.image.location is None) == (named == "url")


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("kind", ["folder", "file"])
def test_what_only_has_the_name_of_a_note_is_kept(kind: str, overwrite: bool, photos: Dataset, tmp_path: Path) -> None:
    for folder in ("sets", "x/pool"):
        other = tmp_path / folder / "out.json.images"
        mine = other / "mine.txt" if kind == "folder" else other
        mine.parent.mkdir(parents=True, exist_ok=True)
        mine.write_text("mine")
        if folder == "sets":
            with pytest.raises(OutputError, match=r"out\.json\.images"):
                boxwright.convert(photos, f"coco:{tmp_path}/sets/out.json", overwrite=overwrite)
        else:  # with the images next to it, there is nothing to remember
            boxwright.convert(photos, f"coco:{tmp_path}/x/pool/out.json", overwrite=overwrite)
        assert mine.read_text() == "mine"


def test_images_are_not_copied_over_themselves(photos: Dataset, tmp_path: Path) -> None:
    folder = tmp_path / "out_images"
    shutil.copytree(tmp_path / "x" / "pool", folder)
    draw_image(30, 20).save(folder / "unnamed.jpg")
    boxwright.convert(photos, f"csv:{tmp_path}/out.csv")
    with pytest.raises(OutputError, match="the images are in .*out_images already"):
        boxwright.convert(
            f"csv:{tmp_path}/out.csv?images={folder}", f"csv:{tmp_path}/out.csv?images=copy", overwrite=True
        )
    assert (folder / "unnamed.jpg").is_file()


def test_an_image_under_another_name_has_no_folder_to_remember(photos: Dataset, tmp_path: Path) -> None:
    (first, _) = photos
    moved = first.replace(image=first.image.model_copy(update={"name": "train/1.jpg"}))
    boxwright.convert(Dataset(SampleReader([moved])), f"coco:{tmp_path}/sets/out.json")
    assert not (tmp_path / "sets" / "out.json.images").exists()


def test_images_at_a_url_are_listed_once(photos: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    memory = pytest.importorskip("fsspec").filesystem("memory")
    rows = "".join(f"{number}.jpg,30,20,fig,1,2,3,4\n" for number in range(50))
    memory.pipe("/many/a.csv", b"filename,width,height,class,xmin,ymin,xmax,ymax\n" + rows.encode())
    for number in range(50):
        memory.pipe(f"/many/{number}.jpg", b"an image")
    asked: list[str] = []
    is_file = type(memory).isfile
    monkeypatch.setattr(type(memory), "isfile", lambda self, path: asked.append(path) or is_file(self, path))
    assert all(sample.image.location for sample in boxwright.open("csv:memory://many/a.csv"))
    assert not [path for path in asked if path.endswith(".jpg")]
    memory.rm("/many", recursive=True)
