"""Prepared datasets are found and detected without TensorFlow."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from boxwright import DataError, UsageError
from boxwright_tfds.prepared import check_files, data_folder, detect, find_prepared

BOXES = {"objects": {"pythonClassName": "tensorflow_datasets.core.features.bounding_boxes.BBoxFeature"}}


def prepare(folder: Path, features: object = BOXES) -> Path:
    """Writes the two files that identify a prepared version."""
    folder.mkdir(parents=True)
    (folder / "dataset_info.json").write_text("{}")
    (folder / "features.json").write_text(json.dumps(features))
    return folder


def test_the_newest_version_of_a_name(tmp_path: Path) -> None:
    old = prepare(tmp_path / "coco" / "2017" / "1.9.0")
    new = prepare(tmp_path / "coco" / "2017" / "1.10.0")
    (tmp_path / "coco" / "2017" / "2.0.0").mkdir()  # not prepared
    (tmp_path / "coco" / "2017" / "2.0.0.incompleteABC").mkdir()
    data = str(tmp_path)
    for name in ("coco/2017", "coco", "coco/2017:1.10.0", str(tmp_path / "coco"), str(new)):
        assert find_prepared(name, data) == str(new)
    assert find_prepared("coco/2017:1.9.0", data) == str(old)
    for name in ("coco/2014", "coco/2017:3.0.0", "voc", "../coco", "coco/../coco", "coco/.", "Coco!", ""):
        assert find_prepared(name, data) is None
    prepare(tmp_path / "coco" / "2014" / "1.1.0")
    with pytest.raises(UsageError, match=r"/coco contains several datasets: 2014, 2017\n.*name one"):
        find_prepared("coco", data)
    with pytest.raises(UsageError, match=r"tfds reads local folders, not s3://"):
        find_prepared("s3://bucket/coco", data)


def test_the_folder_of_prepared_datasets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.delenv("TFDS_DATA_DIR", raising=False)
    assert data_folder(None) == "/home/me/tensorflow_datasets"
    monkeypatch.setenv("TFDS_DATA_DIR", "~/data")
    assert data_folder(None) == "/home/me/data"
    assert data_folder("here") == "here"


def test_detection(tmp_path: Path) -> None:
    version = prepare(tmp_path / "boxes" / "fruit" / "1.0.0")
    for folder in (version, version.parent):
        assert detect(str(folder)).matches
    digits = prepare(tmp_path / "digits", {"image": {"pythonClassName": "Image"}})
    several = prepare(tmp_path / "several" / "a" / "1.0.0").parents[1]
    prepare(tmp_path / "several" / "b" / "1.0.0")
    broken = prepare(tmp_path / "broken")
    (broken / "features.json").write_bytes(b"\xff\xfe{")
    deep = prepare(tmp_path / "deep")
    (deep / "features.json").write_text("[" * 100_000)
    (tmp_path / "empty").mkdir()
    reasons = {
        digits: "no BBoxFeature",
        several: "several datasets",
        broken: "invalid JSON",
        deep: "invalid JSON",
        tmp_path / "empty": "no dataset_info.json",
        tmp_path / "nothing": "not a local folder",
        "https://example.com/voc": "not a local folder",
    }
    for place, reason in reasons.items():
        found = detect(str(place))
        assert not found.matches
        assert reason in found.reason


def test_invalid_files(tmp_path: Path) -> None:
    folder = prepare(tmp_path / "x")
    check_files(str(folder))
    (folder / "features.json").write_text("[1]")
    with pytest.raises(DataError, match=r"features\.json: the file does not contain a JSON object"):
        check_files(str(folder))
    with (folder / "features.json").open("wb") as file:
        file.truncate(65 << 20)
    with pytest.raises(DataError, match=r"features\.json: the file is larger than 64 MiB"):
        check_files(str(folder))
    (folder / "features.json").unlink()
    with pytest.raises(DataError, match=r"features\.json: file not found\n.*TFDS 4 or newer"):
        check_files(str(folder))
