"""Class ids from file to file: a label map file never has an id that the TF Object Detection API cannot use."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path

import pytest

import boxwright
from boxwright import DataError, LabelMap, LabelMapItem
from boxwright_testing import draw_image, encode_image


def coco_file(folder: Path, ids: Sequence[int]) -> str:
    folder.mkdir()
    (folder / "a.jpg").write_bytes(encode_image(draw_image(64, 48), "a.jpg"))
    content = {
        "images": [{"id": 1, "file_name": "a.jpg", "width": 64, "height": 48}],
        "annotations": [
            {"id": i, "image_id": 1, "category_id": number, "bbox": [i, 2, 3, 4]} for i, number in enumerate(ids)
        ],
        "categories": [{"id": number, "name": "yxz"[i]} for i, number in enumerate(ids)],
    }
    (folder / "i.json").write_text(json.dumps(content))
    return f"coco:{folder / 'i.json'}"


def ids_in(path: Path) -> list[tuple[int, str]]:
    return [(int(id), name) for id, name in re.findall(r"id: (\d+)\s+name: '(\w+)'", path.read_text())]


@pytest.mark.parametrize(
    ("ids", "written"),
    [
        ((0, 1, 2), (1, 2, 3)),
        ((7, 0, 3), (1, 2, 3)),
        ((1, 2**31, 5), (1, 2, 3)),
        ((7, 2**31 - 1, 3), (7, 2**31 - 1, 3)),
    ],
)
@pytest.mark.parametrize("target", ["tfrecord:t.record", "csv:t.csv"])
def test_a_label_map_file_has_ids_from_1_within_int32(
    ids: tuple[int, ...], written: tuple[int, ...], target: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = coco_file(tmp_path / "data", ids)
    monkeypatch.chdir(tmp_path)
    report = boxwright.convert(source, target, sidecar=True)
    assert ids_in(tmp_path / "label_map.pbtxt") == list(zip(written, "yxz", strict=True))
    changed = ids != written
    assert [note for note in report.notes if "numbered from 1" in note] == (
        [f"classes numbered from 1: a label map file cannot have the ids {min(ids)} to {max(ids)}"] if changed else []
    )
    # The sidecar restores the ids of the source.
    assert [item.id for item in boxwright.open(target).label_map.items] == list(ids)
    boxwright.convert(f"{target}?images=data", "coco:back.json")
    back = json.loads((tmp_path / "back.json").read_text())
    assert [category["id"] for category in back["categories"]] == list(ids)


def test_records_have_the_new_ids(tmp_path: Path) -> None:
    boxwright.convert(coco_file(tmp_path / "data", (0, 1, 2)), f"tfrecord:{tmp_path}/t.record")
    content = (tmp_path / "t.record").read_bytes()
    # The feature's key, the tags and lengths of Feature, int64_list and its packed values, and 1, 2, 3 as varints.
    assert re.search(rb"image/object/class/label\x12.\x1a.\n\x03\x01\x02\x03", content, re.DOTALL)


def test_a_changed_label_map_file_has_priority_over_the_sidecar(tmp_path: Path) -> None:
    boxwright.convert(coco_file(tmp_path / "data", (0, 1, 2)), f"tfrecord:{tmp_path}/t.record", sidecar=True)
    text = "".join(f"item {{ id: {id} name: '{name}' }}\n" for id, name in [(4, "y"), (5, "x"), (6, "z")])
    (tmp_path / "label_map.pbtxt").write_text(text)
    assert [item.id for item in boxwright.open(f"tfrecord:{tmp_path}/t.record").label_map.items] == [4, 5, 6]


def test_a_given_label_map_is_never_renumbered(tmp_path: Path) -> None:
    source = coco_file(tmp_path / "data", (0, 1, 2))
    given = tmp_path / "own.pbtxt"
    given.write_text("item { id: 0 name: 'x' } item { id: 1 name: 'y' } item { id: 2 name: 'z' }")
    for label_map in (given, LabelMap(items=tuple(LabelMapItem(id=i, name=n) for i, n in enumerate("xyz")))):
        with pytest.raises(DataError, match="'x' has the id 0") as caught:
            boxwright.convert(source, f"tfrecord:{tmp_path}/t.record", label_map=label_map)
        assert caught.value.remedy == "number the classes from 1; 0 is the background"
    assert not (tmp_path / "t.record").exists()
    boxwright.convert(source, f"coco:{tmp_path}/o.json", label_map=given)  # which has no label map file
    assert [c["id"] for c in json.loads((tmp_path / "o.json").read_text())["categories"]] == [0, 1, 2]


def test_display_names_are_suggested(tmp_path: Path) -> None:
    given = tmp_path / "openimages.pbtxt"
    given.write_text("".join(f"item {{ id: {i} name: '/m/{n}' display_name: '{n}' }}" for i, n in enumerate("xyz", 1)))
    source = coco_file(tmp_path / "data", (0, 1, 2))
    with pytest.raises(DataError) as caught:
        boxwright.convert(source, f"tfrecord:{tmp_path}/t.record", label_map=given)
    assert caught.value.remedy.startswith("use its name: --with remap:y=/m/y")
    boxwright.convert(source, f"tfrecord:{tmp_path}/t.record", label_map=given, steps=["remap:x=/m/x,y=/m/y,z=/m/z"])
