"""Detection: panlabel is asked once, and only if it can know the answer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from boxwright import UsageError
from boxwright.datasets import detect_format
from boxwright_panlabel import detect

pytest.importorskip("panlabel")

OPENLABEL = Path(__file__).with_name("layouts") / "openlabel" / "dataset.json"


def test_panlabel_is_asked_once_for_all_formats(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "annotations.json"
    path.write_bytes(OPENLABEL.read_bytes())
    calls: list[Any] = []
    convert = detect.convert
    monkeypatch.setattr(detect, "convert", lambda *a, **k: calls.append(a) or convert(*a, **k))
    assert detect_format(str(path)) == "openlabel"
    assert detect.detect("openlabel", str(path)).reason == "panlabel detects openlabel"
    assert not detect.detect("labelbox", str(path)).matches
    assert len(calls) == 1
    path.write_text(OPENLABEL.read_text().replace("openlabel", "notes"))
    assert not detect.detect("openlabel", str(path)).matches
    assert len(calls) == 2


def test_a_format_of_another_plugin_is_not_claimed(tmp_path: Path) -> None:
    path = tmp_path / "instances.json"
    box = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4]}
    image = {"id": 1, "file_name": "a.jpg", "width": 40, "height": 30}
    path.write_text(json.dumps({"images": [image], "annotations": [box], "categories": [{"id": 1, "name": "fig"}]}))
    answer = detect.detect("ir-json", str(path))
    assert not answer.matches
    assert "panlabel detects coco, which the format coco reads" in answer.reason


def test_locations_that_panlabel_is_not_asked_about(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(detect, "convert", None)
    voc = tmp_path / "voc"
    (voc / "Annotations").mkdir(parents=True)
    (voc / "a.xml").write_text("<annotation/>")
    assert "contains no file or folder" in detect.detect("openlabel", str(voc)).reason
    (tmp_path / "a.record").write_bytes(b"x")
    assert "does not end in .json" in detect.detect("openlabel", str(tmp_path / "a.record")).reason
    large = tmp_path / "large.json"
    with open(large, "wb") as file:
        file.truncate(65 << 20)
    assert "larger than 64 MiB" in detect.detect("openlabel", str(large)).reason
    assert "No such file" in detect.detect("openlabel", str(tmp_path / "gone.json")).reason
    with pytest.raises(UsageError, match="no format was recognised"):
        detect_format(str(tmp_path / "a.record"))
