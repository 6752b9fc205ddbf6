"""Every layout that is read and written: one known dataset, as its own tool writes it, and the boxes in it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

import boxwright
from boxwright import DatasetURI
from boxwright_panlabel.table import BRIDGES
from boxwright_testing import draw_image

pytest.importorskip("panlabel")

KNOWN = Path(__file__).with_name("layouts")
"""A folder for each layout, compared with its documentation: two images of 40x32 pixels, three boxes."""

BOXES = {
    "a.jpg": [("fig", (1.0, 2.0, 30.5, 20.0)), ("nut", (0.0, 0.0, 40.0, 32.0))],
    "b.jpg": [("nut", (4.0, 8.0, 12.0, 16.0))],
}
WRITTEN = sorted(name for name, layout in BRIDGES.items() if layout.writes)


def boxes_of(uri: DatasetURI, only_label: str) -> dict[str, list[tuple[str, Any]]]:
    """The boxes by image; where a layout has one class only, its boxes count for those of the known class."""
    found = {}
    for sample in boxwright.open(uri):
        labels = [label for label, _ in BOXES[sample.image.name]] if only_label else sample.boxes.labels
        assert not only_label or set(sample.boxes.labels) == {only_label}
        assert (sample.image.width, sample.image.height) == (40, 32)
        found[sample.image.name] = sorted(
            zip(labels, sample.boxes.coordinates, strict=True), key=lambda box: BOXES[sample.image.name].index(box)
        )
    return found


def content(folder: Path) -> dict[str, Any]:
    """The annotation files of a folder by name: JSON parsed, other files as text."""
    found: dict[str, Any] = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.suffix not in (".jpg", ".images"):
            text = path.read_text("utf-8")
            try:
                found[path.relative_to(folder).as_posix()] = json.loads(text)
            except ValueError:
                found[path.relative_to(folder).as_posix()] = text
    return found


@pytest.mark.parametrize("name", WRITTEN)
def test_a_known_dataset_is_read_and_written_back(name: str, tmp_path: Path) -> None:
    layout = BRIDGES[name]
    known = tmp_path / "known"
    shutil.copytree(KNOWN / name, known)
    images = known / (layout.image_folder or "") if layout.target == "folder" else tmp_path / "images"
    images.mkdir(exist_ok=True, parents=True)
    for file in BOXES:
        draw_image(40, 32).save(images / file)
    where = known if layout.target == "folder" else known / f"dataset{layout.endings[0]}"
    options = {} if layout.target == "folder" else {"images": str(images)}
    source = DatasetURI(str(where), name, options)
    assert boxes_of(source, layout.label) == BOXES
    target = tmp_path / "written" / ("dataset" + ("" if layout.target == "folder" else layout.endings[0]))
    boxwright.convert(source, DatasetURI(str(target), name))
    assert content(target if layout.target == "folder" else target.parent) == content(KNOWN / name)
