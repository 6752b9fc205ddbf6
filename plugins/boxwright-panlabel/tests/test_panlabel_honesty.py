"""What panlabel cannot carry is reported or refused, and its formats are recognized without the images."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import boxwright
from boxwright import DataError

VOTT_ASSET = {"asset": {"id": "1", "name": "a.jpg", "path": "file:/x/a.jpg", "size": {"width": 64, "height": 48}}}
BOX = {"left": 1, "top": 2, "width": 5, "height": 6}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    Image.new("RGB", (64, 48)).save(tmp_path / "a.jpg")
    return tmp_path


def put(folder: Path, name: str, content: Any) -> str:
    (folder / name).write_text(content if isinstance(content, str) else json.dumps(content))
    return str(folder / name)


def vott(*regions: dict[str, Any]) -> dict[str, Any]:
    drawn = [{"id": str(i), "type": "RECTANGLE", "boundingBox": BOX, "points": []} | r for i, r in enumerate(regions)]
    return {"name": "p", "tags": [], "assets": {"1": {**VOTT_ASSET, "regions": drawn, "version": "2.2.0"}}}


@pytest.mark.parametrize(
    ("format", "name", "content"),
    [
        ("vott-json", "export.json", vott({"tags": ["fig"]})),
        ("vott-csv", "export.csv", '"image","xmin","ymin","xmax","ymax","label"\n"gone.jpg",3,4,30,20,"fig"\n'),
        ("automl-vision", "all.csv", "TRAIN,gs://bucket/a.jpg,fig,0.1,0.1,,,0.5,0.5,,\n"),
        ("automl-vision", "all.csv", "a.jpg,fig,0.1,0.1,0.5,0.1,0.5,0.5,0.1,0.5\n"),
        ("wider-face", "wider_face_train_bbx_gt.txt", "0--Parade/a.jpg\n1\n449 330 122 149 0 0 0 0 0 0\n"),
    ],
)
def test_files_are_recognized_by_their_beginning(folder: Path, format: str, name: str, content: Any) -> None:
    """The examples of the formats' own documentation; the images are elsewhere."""
    from boxwright.datasets import detect_format

    assert detect_format(put(folder, name, content)) == format


def test_reading_and_writing_say_that_panlabel_does_it(folder: Path) -> None:
    source = put(folder, "export.json", vott({"tags": ["fig"]}))
    report = boxwright.convert(f"vott-json:{source}", f"openlabel:{folder}/o.json")
    assert "vott-json is read through panlabel, which ignores states of assets" in report.notes
    assert "openlabel was written through panlabel" in report.notes


def test_regions_without_a_tag_are_a_problem(folder: Path) -> None:
    source = f"vott-json:{put(folder, 'export.json', vott({'tags': ['fig']}, {'tags': []}, {}))}"
    with pytest.raises(DataError, match=r"panlabel does not read regions without a tag: 2\n.*on-error skip"):
        list(boxwright.open(source))
    assert len(list(boxwright.open(source, on_error="skip"))) == 1


def test_rotated_boxes_are_a_problem(folder: Path) -> None:
    """ASAM OpenLABEL 1.0.0, section 7.8: ``rbbox`` is a rotated rectangle, with the angle in radians."""
    data = {"rbbox": [{"name": "s", "val": [30, 22, 40, 4, 1.57]}], "bbox": [{"name": "b", "val": [30, 22, 40, 4]}]}
    frame = {"frame_properties": {"streams": {"cam": {"uri": "a.jpg"}}}, "objects": {"0": {"object_data": data}}}
    content = {
        "openlabel": {
            "metadata": {"schema_version": "1.0.0"},
            "objects": {"0": {"name": "x", "type": "fig"}},
            "frames": {"0": frame},
        }
    }
    source = f"openlabel:{put(folder, 'o.json', content)}?guessed=accept"
    with pytest.raises(DataError, match=r"o\.json: panlabel does not read rotated boxes \(rbbox\): 1"):
        list(boxwright.open(source))


def test_polygons_follow_the_rule(folder: Path) -> None:
    polygon = {"type": "POLYGON", "points": [{"x": 1, "y": 2}, {"x": 6, "y": 3}, {"x": 4, "y": 8}]}
    source = f"vott-json:{put(folder, 'export.json', vott({'tags': ['fig']}, {'tags': ['fig'], **polygon}))}"
    report = boxwright.convert(source, f"coco:{folder}/o.json")
    assert report.boxes == 2
    assert any("boxes around them" in note and "1 polygon" in note for note in report.notes)
    report = boxwright.convert(f"{source}?shapes=skip", f"coco:{folder}/p.json")
    assert (report.boxes, dict(report.losses.dropped)) == (1, {"shape polygon": 1})
    with pytest.raises(DataError, match=r"a\.jpg \(fig\): it is not an upright box, but a polygon"):
        list(boxwright.open(f"{source}?shapes=fail"))


def test_a_reader_that_cannot_skip_says_so_first(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING), pytest.raises(DataError):
        boxwright.open(f"labelbox:{put(folder, 'x.json', 'hello')}", on_error="skip")
    assert "labelbox: panlabel reads a dataset completely or not at all" in caplog.text
    caplog.clear()
    boxwright.open(f"vott-json:{put(folder, 'export.json', vott({'tags': ['fig']}))}")
    assert not caplog.text
