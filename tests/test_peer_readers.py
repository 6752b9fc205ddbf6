"""What other programs read in the files that boxwright writes: Datumaro, and Label Studio's SDK.

Both are installed in a separate environment, whose Python is set as ``BOXWRIGHT_PEERS_PYTHON``::

    uv venv peers && uv pip install -p peers/bin/python datumaro==1.13.12 label-studio-sdk==2.1.2
"""

from __future__ import annotations

import functools
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

import boxwright
from boxwright import Boxes, Dataset, ImageRef, Sample
from boxwright.datasets import Ellipse, Mask, Polygon, Polyline, Rectangle, SampleReader
from boxwright_testing import draw_image

PYTHON = os.environ.get("BOXWRIGHT_PEERS_PYTHON", sys.executable)
SCRIPTS = Path(__file__).parent / "peers"

NAMES = (
    *("plain.jpg", "two words.png", "фото-3.jpg", "a,b.jpg", "a;b #1.jpg", "a%20b.jpg", "a&b<c>.jpg", "a'b.jpg"),
    *("UPPER.JPG", "two.endings.png.jpg", "-dash.jpg", "\U0001f34e.jpg", "\u0627.jpg", "e\u0301.jpg", "cam1/plain.jpg"),
)
LABELS = ("apple", "red, ripe", 'the "big" one', "вишня", "a<b & c", "date palm", "1", "background")
SHAPES = (
    Polygon.of([(1.0, 2.0), (20.0, 3.0), (9.0, 30.0)]),
    Rectangle(10.0, 20.0, 50.0, 24.0, 90.0),
    Rectangle(10.0, 12.0, 40.0, 30.0, 33.5),
    Ellipse(32.0, 24.0, 16.0, 12.0, 30.0),
    Ellipse(32.0, 24.0, 16.0, 12.0),
    Polyline(((16.0, 12.0), (32.0, 24.0))),
    Mask(64, 48, (501, 1, 46, 1, 47, 1, 64 * 48 - 597)),
)
ATTRIBUTES = {"difficult": 1, "truncated": 1, "occluded": 1, "pose": "Left", "score": 0.75, "digits": "007", "n": 0.1}

pytestmark = pytest.mark.slow


@functools.cache
def installed(library: str) -> bool:
    return subprocess.run([PYTHON, "-c", f"import {library}"], capture_output=True, check=False).returncode == 0


def answer(script: str, library: str, *arguments: object) -> Any:
    """Returns what a file of ``peers`` prints; skips without its library."""
    if not installed(library):
        pytest.skip(f"{library} is not installed for {PYTHON}; set BOXWRIGHT_PEERS_PYTHON")
    command = [PYTHON, str(SCRIPTS / script), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> list[Sample]:
    """An image of 64 x 48 for each name, with a box with attributes, a box without, and a shape; one without boxes."""
    folder = tmp_path_factory.mktemp("images")
    made = []
    for number, name in enumerate((*NAMES, "empty.jpg")):
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        draw_image(64, 48, [(3, 4, 20, 15)]).save(path)
        shape = SHAPES[number % len(SHAPES)]
        labels = [LABELS[(number + step) % len(LABELS)] for step in (0, 3, 5)]
        coordinates = [(3.25, 2.5, 20.75, 30.5), (0.0, 0.0, 64.0, 48.0), shape.box]
        boxes = Boxes() if name == "empty.jpg" else Boxes(labels, coordinates, [ATTRIBUTES, {}, shape.attributes])
        image = ImageRef(name=name, width=64, height=48, location=str(path))
        made.append(Sample(image=image, boxes=boxes, split=("train", "val")[number % 2], attributes={"n": number}))
    return made


def stem(name: str) -> str:
    return os.path.splitext(name)[0]


def score(attributes: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in attributes.items() if name == "score"}


def none(attributes: Mapping[str, Any]) -> dict[str, Any]:
    return {}


def flags(attributes: Mapping[str, Any]) -> dict[str, Any]:
    flag = {name: bool(attributes.get(name)) for name in ("difficult", "truncated", "occluded")}
    return {**flag, "pose": attributes.get("pose", "Unspecified")}


def texts(attributes: Mapping[str, Any]) -> dict[str, Any]:
    others = {name: str(value) for name, value in attributes.items() if name not in ("occluded", *KEPT)}
    return {**others, "occluded": bool(attributes.get("occluded"))}


def all_but_shapes(attributes: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in attributes.items() if name not in KEPT}


KEPT = ("segmentation", "shape", "rotation")

DATUMARO: dict[str, tuple[str, Callable[[Mapping[str, Any]], dict[str, Any]]]] = {
    "datumaro": ("", all_but_shapes),
    "coco": ("/annotations/instances_{split}.json", score),
    "voc": ("?labelmap=true", flags),
    "yolo": ("", none),
    "cvat": ("/{split}.xml", texts),
}
"""By format: the end of the location, and the attributes of a box that Datumaro finds."""


@pytest.mark.parametrize("name", DATUMARO)
def test_datumaro_reads_what_boxwright_writes(name: str, samples: list[Sample], tmp_path: Path) -> None:
    ending, attributes_of = DATUMARO[name]
    if name == "yolo":  # Datumaro looks for the images of YOLO in one folder
        samples = [sample for sample in samples if "/" not in sample.image.name]
    boxwright.convert(Dataset(SampleReader(samples)), f"{name}:{tmp_path}/out{ending}")
    if name in ("coco", "cvat"):  # which contain no images
        for sample in samples:
            place = tmp_path / "out" / "images" / sample.image.name
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(sample.image.location or "", place)
    items = answer("read_datumaro.py", "datumaro", name, tmp_path / "out")
    found = {(item["id"], item["subset"]): item for item in items if item["subset"] != "trainval"}
    assert set(found) == {(stem(sample.image.name), sample.split) for sample in samples}
    compared = 0
    for sample in samples:
        item = found[stem(sample.image.name), sample.split]
        assert (item["size"], item["exists"]) == ([48, 64], True)
        if name == "datumaro":
            assert item["attributes"] == sample.attributes
        annotations = [each for each in item["annotations"] if name != "coco" or each["type"] == "bbox"]
        rows = [
            (label, coordinates, attributes)
            for label, coordinates, attributes in zip(*map(tuple, columns(sample)), strict=True)
            if name != "cvat" or "shape" not in attributes or "ellipse" not in str(attributes["shape"])
        ]  # Datumaro reads no ellipses of CVAT
        assert len(annotations) == len(rows)
        for label, coordinates, attributes in rows:
            (match,) = [each for each in annotations if each["label"] == label]
            x, y, width, height = match["bbox"]
            assert (x, y, x + width, y + height) == pytest.approx(coordinates, abs=0.01)  # Datumaro's digits
            assert attributes_of(attributes).items() <= match["attributes"].items()
            if "rotation" in attributes and name == "cvat":
                assert match["points"][4] == attributes["rotation"]
            compared += 1
    assert compared > 35


def columns(sample: Sample) -> tuple[Any, ...]:
    return sample.boxes.labels, sample.boxes.coordinates, sample.boxes.attributes


@pytest.mark.parametrize("into", ["predictions", "annotations"])
def test_label_studio_accepts_and_reads_what_boxwright_writes(into: str, samples: list[Sample], tmp_path: Path) -> None:
    boxwright.convert(Dataset(SampleReader(samples)), f"label-studio:{tmp_path}/tasks.json?into={into}")
    tasks = answer("read_labelstudio.py", "label_studio_sdk", tmp_path / "tasks.json")
    assert [task["image"] for task in tasks] == [sample.image.name for sample in samples]
    for sample, task in zip(samples, tasks, strict=True):
        assert task["errors"] == []
        assert task["valid"]
        for label, coordinates, attributes, region in zip(*columns(sample), task["regions"], strict=True):
            assert region["labels"] == [label]
            assert region["score"] == attributes.get("score")
            if region["kind"] == "rectanglelabels":
                corners = region["numbers"]
                xs, ys = zip(*corners, strict=True)
                assert (min(xs), min(ys), max(xs), max(ys)) == pytest.approx(coordinates, abs=1e-6)
                if "rotation" in attributes:
                    assert [value for corner in corners for value in corner] == pytest.approx(
                        attributes["segmentation"][0], abs=1e-6
                    )
            elif (
                region["kind"] == "brushlabels"
            ):  # row and column of pixels 501, 548 and 596, counted down columns of 48
                assert region["numbers"] == [[20, 11], [20, 12], [21, 10]]
