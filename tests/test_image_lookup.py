"""Every reader finds the image of an annotation in the same way, whatever its name became on the way."""

from __future__ import annotations

import json
import re
import shutil
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest

import boxwright
from boxwright import Boxes, DataError, Dataset, DatasetURI, ImageRef, Sample
from boxwright.datasets import SampleReader
from boxwright.images import ImageLookup
from boxwright.plugins import default_registry
from boxwright_testing import draw_image

FILES = {
    **dict.fromkeys(("coco", "label-studio"), "dataset.json"),
    **dict.fromkeys(("csv", "openimages", "retinanet", "via"), "dataset.csv"),
    **dict.fromkeys(("createml", "datumaro", "labelimg", "labelme", "voc"), "dataset"),
    "cvat": "annotations.xml",
}
"""The formats that name images, and what they write."""
NAMING = sorted({*FILES} & {*default_registry().names("format")})
ALL = sorted({*FILES, "yolo", "kitti"} & {*default_registry().names("format")})

WRITTEN = {
    "without an ending": "a",
    "in capitals": "A.JPG",
    "with a backslash": "cam\\a.jpg",
    "from Windows": "C:\\photos\\cam\\a.jpg",
    "from elsewhere": "/home/me/cam/a.jpg",
    "above": "..\\..\\upload\\a.jpg",
    "as a URL": "file:///home/me/cam/a.jpg",
}


def samples(folder: Path, *names: str) -> Dataset:
    found = []
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        draw_image(30, 20).save(folder / name)
        image = ImageRef(name=name, width=30, height=20, location=str(folder / name))
        found.append(Sample(image=image, boxes=Boxes(["fig"], [(3, 4, 20, 15)]), source=name))
    return Dataset(SampleReader(found))


def written(format: str, tmp_path: Path, *names: str) -> tuple[Path, Path, dict[str, str]]:
    """Returns a dataset, the folder with its images, and the options to read it."""
    target = tmp_path / FILES.get(format, "dataset")
    boxwright.convert(samples(tmp_path / "photos", *names), DatasetURI(str(target), format))
    inside = next((path.parent for path in target.rglob(names[0])), None) if target.is_dir() else None
    return target, inside or tmp_path / "photos", {} if inside else {"images": str(tmp_path / "photos")}


def rename_in(path: Path, old: str, new: str) -> None:
    for file in [path] if path.is_file() else path.rglob("*"):
        if file.suffix in (".json", ".csv", ".xml"):
            text = file.read_text("utf-8")
            changed = json.dumps(new)[1:-1] if file.suffix == ".json" else new
            file.write_text(changed.join(re.split(rf"(?<![/\w]){re.escape(old)}", text)), "utf-8")


@pytest.mark.parametrize("change", WRITTEN)
@pytest.mark.parametrize("format", NAMING)
def test_the_last_parts_of_a_name_are_the_image(format: str, change: str, tmp_path: Path) -> None:
    target, folder, options = written(format, tmp_path, "a.jpg", "b.jpg")
    old = "a" if format == "openimages" else "a.jpg"
    new = WRITTEN[change]
    if format == "openimages":
        new = new.rpartition(".")[0] or new
        rename_in(target, "\na,", f"\n{new},")
    else:
        rename_in(target, old, new)
    found = list(boxwright.open(DatasetURI(str(target), format, options)))
    assert {sample.image.location for sample in found} == {str(folder / "a.jpg"), str(folder / "b.jpg")}
    assert all(sample.image.name.lower().endswith(("a.jpg", "b.jpg")) for sample in found)


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("a.jpg", "A.JPG"),
        ("a.jpg", "a.JPEG"),
        ("ü.jpg", unicodedata.normalize("NFD", "ü.jpg")),
        (unicodedata.normalize("NFD", "ü.jpg"), "ü.jpg"),
    ],
)
@pytest.mark.parametrize("format", ALL)
def test_a_renamed_file_is_the_image(format: str, name: str, other: str, tmp_path: Path) -> None:
    if other == "a.JPEG" and format not in ("kitti", "labelimg", "labelme", "voc", "yolo", "openimages"):
        pytest.skip("one file has all annotations, so that no image can have its name")
    target, folder, options = written(format, tmp_path, name)
    (folder / name).rename(folder / other)
    (sample,) = boxwright.open(DatasetURI(str(target), format, options))
    assert sample.image.location == str(folder / other)
    assert len(sample.boxes) == 1


def test_names_quoted_as_in_a_url(tmp_path: Path) -> None:
    for format in ("coco", "csv", "createml", "labelimg", "labelme"):
        target, folder, options = written(format, tmp_path / format, "b two.jpg")
        rename_in(target, "b two.jpg", "b%20two.jpg")
        (sample,) = boxwright.open(DatasetURI(str(target), format, options))
        assert sample.image.location == str(folder / "b two.jpg")


@pytest.fixture
def lookup(tmp_path: Path) -> Callable[..., ImageLookup]:
    def make(*names: str, besides: tuple[str, ...] = ()) -> ImageLookup:
        for name in (*names, *besides):
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_bytes(b"x")
        return ImageLookup(str(tmp_path), besides=besides)

    return make


def test_the_longest_part_decides_and_two_images_are_a_question(lookup: Callable[..., ImageLookup]) -> None:
    images = lookup("x/train/1.jpg", "x/val/1.jpg", "x/val/2.jpg")
    assert images.find("/home/me/val/1.jpg", "", "a")[0] == "x/val/1.jpg"
    assert images.find("2.jpg", "", "a")[0] == "x/val/2.jpg"
    with pytest.raises(DataError, match=r"image C:\\1\.jpg could be x/train/1\.jpg or x/val/1\.jpg"):
        images.find("C:\\1.jpg", "", "a")
    # There is a folder "train", and its image 2 is missing: it is not that of "val".
    assert images.find("train/2.jpg", "", "a") == ("train/2.jpg", None)


def test_of_a_whole_path_the_highest_folder_counts(lookup: Callable[..., ImageLookup]) -> None:
    images = lookup("pictures/1.jpg", "pictures/cam/1.jpg")
    assert images.find("1.jpg", "", "a")[0] == "pictures/1.jpg"
    assert images.find("cam/1.jpg", "", "a")[0] == "pictures/cam/1.jpg"
    with pytest.raises(DataError, match="could be"):
        images.find("/home/me/1.jpg", "", "a")


def test_an_image_of_another_annotation_is_not_taken(lookup: Callable[..., ImageLookup]) -> None:
    images = lookup("train/1.jpg", "train/2.jpg", "photos/3.jpg", besides=("train/1.xml", "test/1.xml", "train/3.xml"))
    assert images.find("1.jpg", "test/1.xml", "a") == ("test/1.jpg", None)
    # Next to the annotation there are images, so that its own is missing.
    assert images.find("3.jpg", "train/3.xml", "a") == ("train/3.jpg", None)


@pytest.mark.parametrize(
    ("images", "annotations"), [("images", "annots"), ("JPEGImages", "Annotations"), ("image", "label")]
)
@pytest.mark.parametrize("format", ["labelimg", "labelme"])
def test_sibling_folders_are_paired_by_name(format: str, images: str, annotations: str, tmp_path: Path) -> None:
    source, _, _ = written(format, tmp_path, "a.jpg", "b.jpg")
    for folder, suffix in ((images, ".jpg"), (annotations, ".xml" if format == "labelimg" else ".json")):
        (tmp_path / "data" / folder).mkdir(parents=True)
        for file in source.rglob(f"*{suffix}"):
            shutil.copy(file, tmp_path / "data" / folder / file.name)
    (tmp_path / "data" / images / "a.jpg").rename(tmp_path / "data" / images / "a.png")
    for place in ("data", f"data/{annotations}"):
        dataset = boxwright.open(f"{format}:{tmp_path}/{place}")
        assert sorted(sample.image.location or "" for sample in dataset) == [
            f"{tmp_path}/data/{images}/a.png",
            f"{tmp_path}/data/{images}/b.jpg",
        ]
        assert any(images in note and "paired by name" in note for note in dataset.notes)
    shutil.copytree(tmp_path / "data" / images, tmp_path / "data" / "photos")
    dataset = boxwright.open(f"{format}:{tmp_path}/data/{annotations}")
    assert {sample.image.location for sample in dataset} == {None}
    assert f"{format}:{tmp_path}/data/{annotations}?images={tmp_path}/data/photos" in " ".join(dataset.notes)
    if format == "labelimg":
        with pytest.raises(DataError, match=f"labelimg:{tmp_path}/data/{annotations}.images={tmp_path}/data/{images}"):
            boxwright.open(f"labelimg:{tmp_path}/data/{images}")


def test_lvis_names_images_by_their_address(tmp_path: Path) -> None:
    """As in LVIS v1's files, which have no file_name (https://www.lvisdataset.org/dataset)."""
    (tmp_path / "val2017").mkdir()
    draw_image(30, 20).save(tmp_path / "val2017" / "000000000139.jpg")
    image = {"id": 139, "width": 30, "height": 20, "coco_url": "http://images.cocodataset.org/val2017/000000000139.jpg"}
    annotation = {"id": 1, "image_id": 139, "category_id": 1, "bbox": [1, 2, 3, 4]}
    content = {"images": [image], "annotations": [annotation], "categories": [{"id": 1, "name": "a"}]}
    (tmp_path / "lvis.json").write_text(json.dumps(content))
    assert repr(boxwright.open(f"{tmp_path}/lvis.json")).startswith("<Dataset coco:")
    (sample,) = boxwright.open(f"coco:{tmp_path}/lvis.json")
    assert sample.image.name == "000000000139.jpg"
    assert sample.image.location == f"{tmp_path}/val2017/000000000139.jpg"
