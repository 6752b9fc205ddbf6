from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import boxwright
from boxwright import Boxes, DataError, Dataset, ImageRef, OutputError, Sample
from boxwright.datasets import Problems, SampleReader
from boxwright_testing import make_sample


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "in.jpg"
    Image.new("RGB", (40, 30)).save(path)
    return path


def sample_of(
    path: Path | None,
    name: str = "1.jpg",
    labels: tuple[str, ...] = ("fig",),
    edges: tuple[float, float, float, float] = (15, 11, 25, 19),
    attributes: dict[str, Any] | None = None,
) -> Sample:
    image = ImageRef(name=name, width=40, height=30, location=None if path is None else str(path))
    boxes = Boxes(labels, [edges] * len(labels))
    return Sample(image=image, boxes=boxes, attributes=attributes or {}, source=f"the source of {name}")


def write(out: Path, *samples: Sample, options: str = "", **keywords: Any) -> Any:
    return boxwright.convert(Dataset(SampleReader(list(samples))), f"createml:{out}{options}", **keywords)


# Typed by hand: the centre of 15..25 is 20, of 11..19.5 it is 15.25.
EXPECTED = """[
{"image": "1.jpg", "annotations": [{"label": "вишня \\"x\\"",\
 "coordinates": {"x": 20, "y": 15.25, "width": 10, "height": 8.5}}]},
{"image": "cam/2.jpg", "verified": true, "annotations": []}
]
"""


def test_the_text(tmp_path: Path, image: Path) -> None:
    samples = [
        sample_of(image, labels=('вишня "x"',), edges=(15, 11, 25, 19.5)),
        sample_of(image, "cam/2.jpg", (), attributes={"verified": "yes"}),
    ]
    write(tmp_path / "out", *samples)
    assert (tmp_path / "out/annotations.json").read_text("utf-8") == EXPECTED
    assert (tmp_path / "out/cam/2.jpg").read_bytes() == image.read_bytes()
    found = sorted(str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*.*"))
    assert found == ["1.jpg", "annotations.json", "cam/2.jpg"]


def test_the_keys_of_apples_reference(tmp_path: Path, image: Path) -> None:
    write(tmp_path / "out", sample_of(image), options="?keys=imagefilename")
    content = json.loads((tmp_path / "out/annotations.json").read_bytes())
    coordinates = {"x": 20, "y": 15, "width": 10, "height": 8}
    assert content == [{"imagefilename": "1.jpg", "annotation": [{"label": "fig", "coordinates": coordinates}]}]
    (sample,) = boxwright.open(f"createml:{tmp_path / 'out'}")
    assert sample.boxes.coordinates == ((15, 11, 25, 19),)


def test_without_images(tmp_path: Path, image: Path) -> None:
    write(tmp_path / "out", sample_of(None), options="?pictures=false")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["annotations.json"]
    (sample,) = boxwright.open(f"createml:{tmp_path / 'out'}?size=40x30")
    assert (sample.image.name, sample.boxes.coordinates) == ("1.jpg", ((15, 11, 25, 19),))


@pytest.mark.parametrize("edge", [0.1, 1 / 3, 29.999999999, 63.9, 1234.56789])
def test_fractions_are_restored_to_a_billionth_of_a_pixel(tmp_path: Path, edge: float) -> None:
    edges = (-edge, 0.0, edge, 2 * edge)
    write(tmp_path / "out", sample_of(None, edges=edges), options="?pictures=false")
    (sample,) = boxwright.open(f"createml:{tmp_path / 'out'}?size=40x30")
    assert sample.boxes.coordinates == (tuple(round(edge, 9) for edge in edges),)


@pytest.mark.parametrize(
    ("sample", "message"),
    [
        (sample_of(None, "a.json"), r"an image with the name 'a\.json' would not be found"),
        (sample_of(None, ".a.jpg"), "would not be found"),
        (sample_of(None, "a//b.jpg"), "would not be found"),
        (sample_of(None, "plain.jpg"), r"duplicate image plain\.jpg"),
        (sample_of(None, labels=("\ud800",)), "unpaired surrogate, which cannot be written"),
        (sample_of(None, attributes={"verified": float("nan")}), "it cannot be written as JSON"),
        (sample_of(None, attributes={"verified": {1}}), "it cannot be written as JSON"),
    ],
)
def test_names_and_values_that_could_not_be_read_back_are_refused(tmp_path: Path, sample: Sample, message: str) -> None:
    samples = [sample_of(None, "plain.jpg"), sample]
    with pytest.raises(DataError, match=message) as caught:
        write(tmp_path / "out", *samples, options="?pictures=false")
    assert caught.value.remedy
    assert not (tmp_path / "out").exists()
    source = Dataset(SampleReader(samples), problems=Problems("skip"))
    report = boxwright.convert(source, f"createml:{tmp_path / 'out'}?pictures=false")
    assert len(report.skipped) == 1
    (back,) = boxwright.open(f"createml:{tmp_path / 'out'}?size=40x30")
    assert back.image.name == "plain.jpg"


def test_an_image_that_is_missing_is_an_error_before_anything_is_written(tmp_path: Path, image: Path) -> None:
    samples = [sample_of(tmp_path / "gone.jpg"), sample_of(image, "2.jpg")]
    with pytest.raises(DataError, match=r"gone\.jpg: file not found"):
        write(tmp_path / "out", *samples)
    boxwright.convert(Dataset(SampleReader(samples), problems=Problems("skip")), f"createml:{tmp_path / 'out'}")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["2.jpg", "annotations.json"]


@pytest.mark.parametrize("name", ["../1.jpg", "/1.jpg", "a\\1.jpg"])
@pytest.mark.parametrize("images", ["true", "false"])
def test_names_that_lead_out_of_the_folder_are_refused(tmp_path: Path, image: Path, name: str, images: str) -> None:
    with pytest.raises(OutputError, match="leads outside"):
        write(tmp_path / "out", sample_of(image, name=name), options=f"?pictures={images}")


def test_remote_folders_are_written(image: Path) -> None:
    target = "createml:memory://createml-writer/out"
    boxwright.convert(Dataset(SampleReader([sample_of(image)])), target, overwrite=True)
    (sample,) = boxwright.open(target)
    assert sample.image.read() == image.read_bytes()
    assert sample.boxes.labels == ("fig",)


def test_panlabel_reads_the_same_boxes(tmp_path: Path) -> None:
    """Another program's answer; it takes x and y for the centre, too."""
    program = shutil.which("panlabel", path=str(Path(sys.executable).parent)) or shutil.which("panlabel")
    if program is None:
        pytest.skip("panlabel is not installed")
    edges = [(3, 5, 20, 30), (30.25, 8.5, 60.75, 40), (0, 0, 64, 48)]
    write(tmp_path / "out", make_sample(tmp_path / "in", "1.jpg", (64, 48), ["b", "a", "b"], edges))
    made = tmp_path / "coco.json"
    command = [program, "convert", "--from", "create-ml", "--to", "coco", "-i", str(tmp_path / "out/annotations.json")]
    done = subprocess.run([*command, "-o", str(made), "--allow-lossy"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    coco = json.loads(made.read_bytes())
    assert [(image["file_name"], image["width"], image["height"]) for image in coco["images"]] == [("1.jpg", 64, 48)]
    names = {category["id"]: category["name"] for category in coco["categories"]}
    found = [(names[a["category_id"]], a["bbox"]) for a in coco["annotations"]]
    expected = [(label, [x1, y1, x2 - x1, y2 - y1]) for label, (x1, y1, x2, y2) in zip("bab", edges, strict=True)]
    assert sorted(found) == sorted(expected)
