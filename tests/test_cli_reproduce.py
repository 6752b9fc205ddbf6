"""``boxwright reproduce`` with the backend ``average`` of the tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Lines = Callable[..., str]
Program = Any


@pytest.fixture
def trained(boxwright: Program, lines: Lines, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    lines("a.png 64 48 mug 8 8 32 40", "b.png 64 48 mug 8 8 40 40", name="train.lines")
    lines("c.png 32 48 mug 8 8 32 40", name="test.lines")
    data = ("--data", "lines:photos/train.lines", "--val", "lines:photos/test.lines", "--backend", "average")
    result = boxwright("train", *data, "--set", "rate=0.25", "--seed", "3", "--out", "run")
    assert result.exit_code == 0, result.output


def flip(path: Path, place: int) -> None:
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)


def test_an_unchanged_run_is_equal(boxwright: Program, trained: None) -> None:
    content = boxwright.json("reproduce", "run")
    assert content["equal"] is True
    assert content["differences"] == []
    assert Path("run-reproduced/model/average.json").read_bytes() == Path("run/model/average.json").read_bytes()
    assert "contains a run already" in boxwright("reproduce", "run").stderr


@pytest.mark.parametrize(("name", "part"), [("b.png", "train"), ("c.png", "test")])
def test_one_flipped_byte_names_the_image(boxwright: Program, trained: None, name: str, part: str) -> None:
    flip(Path("photos") / name, -1)
    result = boxwright("reproduce", "run")
    assert result.exit_code == 1
    assert f"lines:photos/{part}.lines: the image {name} changed" in result.stdout
    assert result.stdout.count("changed") == 1
    assert not Path("run-reproduced").exists()


def test_annotations_missing_and_new_images_are_named(boxwright: Program, trained: None) -> None:
    path = Path("photos/train.lines")
    Path("photos/d.png").write_bytes(Path("photos/a.png").read_bytes())
    path.write_text(path.read_text().replace("8 8 40 40", "8 9 40 40").replace("a.png", "d.png"))
    shown = boxwright("reproduce", "run", "--check").stdout
    assert "a.png is missing" in shown
    assert "d.png is new" in shown
    assert "the annotation of b.png changed" in shown
    Path("photos/b.png").unlink()
    assert "the image b.png cannot be read" in boxwright("reproduce", "run", "--check").stdout


def test_another_model_and_another_version_are_named(boxwright: Program, trained: None) -> None:
    path = Path("run/model/average.json")
    path.write_text("[0.0, 0.0, 0.5, 0.5]")
    content = Path("run/run.json")
    content.write_text(content.read_text().replace('"boxwright": "', '"boxwright": "0.0.'))
    result = boxwright("reproduce", "run")
    assert result.exit_code == 1
    assert "boxwright: version 0.0." in result.stdout
    assert "model/average.json differs" in result.stdout
    assert "the detections on 1 of 1 images, such as c.png differ" in result.stdout
    path.write_bytes(Path("run-reproduced/model/average.json").read_bytes() + b" ")
    shown = boxwright("reproduce", "run", "--overwrite").stdout
    assert "model/average.json: other bytes, and the same detections on 1 images" in shown


def test_a_changed_attribute_of_a_box_is_a_changed_annotation(tmp_path: Path) -> None:
    from boxwright import Boxes, ImageRef, Sample
    from boxwright.models.fingerprints import _fingerprint

    def digest(**attributes: object) -> str:
        image = ImageRef(name="a.png", width=64, height=48, location=str(tmp_path / "a.png"))
        boxes = Boxes(["mug"], [(8, 8, 32, 40)], [attributes])
        return _fingerprint(Sample(image=image, boxes=boxes))[1].annotation

    assert len({digest(), digest(iscrowd=1), digest(iscrowd=0)}) == 3
    assert digest(a=1, b=2) == digest(b=2, a=1)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ('{"boxwright_manifest": 1, "config": {}}', "is damaged"),
        ('{"boxwright_manifest": 2}', "was made by a newer boxwright"),
        ('{"boxwright_manifest": 1, "config": {"objects": ["model"]}}', "was trained with Python objects"),
    ],
)
def test_a_manifest_that_cannot_be_used(boxwright: Program, trained: None, content: str, problem: str) -> None:
    Path("run/manifest.json").write_text(content)
    result = boxwright("reproduce", "run")
    assert result.exit_code == 1
    assert problem in result.stderr


def test_the_log_of_the_first_run_is_unchanged(boxwright: Program, trained: None, tmp_path: Path) -> None:
    pytest.importorskip("boxwright_loggers", reason="the loggers csv and jsonl")
    data = ("--data", "lines:photos/train.lines", "--backend", "average", "--out", "logged")
    assert boxwright("train", *data, "--log", "csv:log.csv", "--log", "jsonl:log.jsonl").exit_code == 0
    before = [Path(name).read_bytes() for name in ("log.csv", "log.jsonl")]
    assert boxwright.json("reproduce", "logged")["equal"] is True
    assert [Path(name).read_bytes() for name in ("log.csv", "log.jsonl")] == before


def test_the_current_folder_can_be_the_run(
    boxwright: Program, trained: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = ("--data", f"lines:{tmp_path}/photos/train.lines", "--backend", "average")
    assert boxwright("train", *data, "--out", "second").exit_code == 0
    monkeypatch.chdir("second")
    assert boxwright.json("reproduce", ".")["equal"] is True
    assert (tmp_path / "second-reproduced" / "run.json").is_file()


def test_regions_that_are_not_trained_on_are_recorded(boxwright: Program, lines: Lines, tmp_path: Path) -> None:
    """A box with ``iscrowd`` is left out of the training, and not out of the comparison."""
    import json

    pytest.importorskip("boxwright_coco")
    lines("a.png 64 48 mug 8 8 32 40", "b.png 64 48 mug 8 8 40 40", name="train.lines")
    photos = tmp_path / "photos"
    assert boxwright("convert", f"lines:{photos}/train.lines", f"coco:{photos}/train.json").exit_code == 0
    content = json.loads((photos / "train.json").read_text())
    content["annotations"][1]["iscrowd"] = 1
    (photos / "train.json").write_text(json.dumps(content))
    run = str(tmp_path / "run")
    result = boxwright("train", "--data", f"coco:{photos}/train.json", "--backend", "average", "--out", run)
    assert result.exit_code == 0, result.output
    assert boxwright.json("reproduce", run, "--check")["changed"] == []
    content["annotations"][1]["bbox"][0] += 1
    (photos / "train.json").write_text(json.dumps(content))
    assert "the annotation of b.png changed" in boxwright("reproduce", run, "--check").stdout
