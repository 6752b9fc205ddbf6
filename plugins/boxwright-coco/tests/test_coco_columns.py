"""What is read from columns is the same as what Python's json module reads annotation by annotation."""

from __future__ import annotations

import json
import random
import re
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

import boxwright
from boxwright import DataError, JsonAttributes
from boxwright.datasets import Scan
from boxwright_coco import document
from boxwright_coco.annotations import AGAIN, CROWD, NO_ID, OUTLINED, WHOLE, Annotations, far_coordinates
from boxwright_coco.images import Images
from boxwright_coco.numbers import far_coordinate
from boxwright_coco.reader import CocoReader

RELAXED = settings(deadline=None, suppress_health_check=list(HealthCheck), max_examples=50)
IMAGES = [{"id": i, "file_name": f"{i}.jpg", "width": 40, "height": 30} for i in (1, 2, 3)]
CATEGORIES = [{"id": 1, "name": "class 1"}, {"id": 2, "name": "DontCare"}]
NUMBERS = st.one_of(
    st.integers(-3, 900),
    st.floats(0, 900).map(lambda number: round(number, 3)),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from([0, 2**53, 2**60, 10**30, 1e300, 0.1, 7.0, -0.0]),
)
IDS = st.one_of(st.integers(), st.sampled_from([-(2**63), 2**63 - 1, 2**64, 7.0, 7.5, "1", "é", None, True]))
ODD = st.sampled_from([None, True, "x", "é", [], [1], {}, {"a": [1, {"b": None}]}, 0, 1, 0.0, 2.5, "\ud83c", "}, {"])
OUTLINES = st.sampled_from(
    [[], {}, [[]], [[1, 2, 3, 4.5, 5, 6]], [[1, 2], [3, 4]], {"counts": "a}, {", "size": [2, 2]}, [{}, {}], "[1,2,3]"]
)


@st.composite
def an_annotation(draw: st.DrawFn) -> dict[str, Any]:
    def seldom() -> bool:
        return draw(st.integers(0, 9)) == 0

    row: dict[str, Any] = {
        "id": draw(IDS if seldom() else st.integers(1, 9)),
        "image_id": draw(IDS if seldom() else st.integers(1, 3)),
        "category_id": draw(IDS if seldom() else st.integers(1, 3)),
        "bbox": draw(st.lists(NUMBERS, min_size=4, max_size=4)) if draw(st.booleans()) else [1, 2, 3, 4],
    }
    if draw(st.booleans()):
        row["area"] = draw(st.one_of(NUMBERS, ODD)) if draw(st.booleans()) else row["bbox"][2] * row["bbox"][3]
    if draw(st.booleans()):
        row["iscrowd"] = draw(st.one_of(st.integers(-1, 2), ODD))
    if draw(st.booleans()):
        row["segmentation"] = draw(st.one_of(OUTLINES, ODD))
    for key in ("difficult", "score", "größe", "boxwright"):
        if seldom():
            row[key] = draw(ODD)
    if seldom():
        row.pop(draw(st.sampled_from(sorted(row))))
    return dict(draw(st.permutations(list(row.items()))))


def outcome(file: Path) -> tuple[list[str], list[str]]:
    """Returns the samples and the errors."""
    errors: list[str] = []
    try:
        samples = boxwright.open(f"coco:{file}?inverted=swap").reader.read(lambda error: errors.append(str(error)))
        return [repr(sample.model_dump()) for sample in samples], errors
    except DataError as error:
        return [], [str(error)]


def counted(file: Path, *, as_columns: bool) -> tuple[dict[str, Any], list[str]]:
    """Returns the counts of the dataset, from its columns or its samples, and the errors."""
    try:
        dataset = boxwright.open(f"coco:{file}", on_error="skip")
        scan = dataset.scan() if as_columns else Scan.of(dataset, dataset.known_label_map)
    except DataError as error:
        return {}, [str(error)]
    return {key: value for key, value in vars(scan).items() if key[0] != "_"}, [*map(str, dataset.problems.skipped)]


def outcome_one_by_one(file: Path) -> tuple[list[str], list[str]]:
    """The same with nothing but Python's json module."""

    def refuse(_: bytes) -> Any:
        raise msgspec.DecodeError

    with pytest.MonkeyPatch.context() as patch:
        for columns in (Annotations, Images):
            patch.setattr(columns, "take", lambda *_: False)
        patch.setattr(msgspec.json, "decode", refuse)
        return outcome(file)


def with_escaped_keys(text: str, chance: int) -> str:
    """Returns the same JSON with some keys escaped: ``"\\u0069mage_id"``."""
    for number, key in enumerate(("image_id", "id", "bbox", "area", "segmentation")):
        if chance >> number & 1:
            text = text.replace(f'"{key}"', f'"\\u{ord(key[0]):04x}{key[1:]}"', 1 + (chance >> 5))
    return text


@RELAXED
@given(
    rows=st.lists(an_annotation(), max_size=6),
    indent=st.sampled_from([None, 1]),
    ascii_only=st.booleans(),
    escaped=st.one_of(st.just(0), st.integers(0, 127)),
    window=st.sampled_from([40, 700, 1 << 18]),
    damage=st.one_of(
        st.just(None), st.tuples(st.floats(0, 1), st.sampled_from(["", "}", "]", '"', ",", "9", "x", "{"]))
    ),
)
def test_a_file_is_read_as_python_reads_it(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[Any],
    indent: int | None,
    ascii_only: bool,
    escaped: int,
    window: int,
    damage: tuple[float, str] | None,
) -> None:
    folder = tmp_path_factory.getbasetemp() / "columns"  # images are looked for in all folders below it
    folder.mkdir(exist_ok=True)
    file = folder / "instances.json"
    content = {"images": IMAGES, "annotations": rows, "categories": CATEGORIES}
    text = with_escaped_keys(json.dumps(content, indent=indent, ensure_ascii=ascii_only), escaped)
    if damage is not None:
        place = int(damage[0] * len(text))
        text = text[:place] + damage[1] + text[place + 1 :]
    file.write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(document, "_WINDOW", window)
        assert outcome(file) == outcome_one_by_one(file)
        assert counted(file, as_columns=True) == counted(file, as_columns=False)


def columns(*rows: dict[str, Any]) -> Annotations:
    images = Images()
    assert images.take(b'[{"id":7},{"id":3}]', [0, 10])
    images.finish(20)
    annotations = Annotations()
    assert annotations.take(json.dumps(rows).encode(), [*range(0, 10 * len(rows), 10)])
    annotations.group(images, 10 * len(rows))
    return annotations


def test_usual_annotations_become_columns_sorted_by_image() -> None:
    outline = [[1, 2, 3, 2.5, 3, 4]]
    found = columns(
        {"id": 5, "image_id": 3, "category_id": 8, "bbox": [1, 2.5, 3, 4], "area": 12, "iscrowd": 0},
        {"id": 6, "image_id": 7, "category_id": 9, "bbox": [16.1, 0, 44.2, 9], "area": 3.5, "segmentation": outline},
        {"image_id": 4, "category_id": 9, "bbox": [0, 0, 1, 1]},
        {"id": 9, "image_id": 7, "category_id": 9, "bbox": [0, 0, 1, 1], "area": 6, "iscrowd": 1, "segmentation": []},
    )
    assert (found.strays, found.of(0), found.of(1)) == (range(1), range(1, 3), range(3, 4))
    assert [found.in_file(number) for number in range(4)] == [2, 1, 3, 0]
    assert found.ids.tolist() == [NO_ID, 6, 9, 5]
    assert found.categories.tolist() == [9, 9, 9, 8]
    assert found.coordinates.tolist() == [[0, 0, 1, 1], [16.1, 0, 60.3, 9], [0, 0, 1, 1], [1, 2.5, 4, 6.5]]
    assert [*found.states] == [0, OUTLINED, CROWD | WHOLE, WHOLE]
    assert np.array_equal(found.areas, [np.nan, 3.5, 6, np.nan], equal_nan=True)


@pytest.mark.parametrize(
    "row",
    [
        {"bbox": [1, 2, -3, 4]},
        {"bbox": [1, 2, 3, 1e300]},
        {"iscrowd": 2},
        {"segmentation": [[]]},
        {"score": 0.5},
        {"boxwright": {"edges": [1, 2, 3, 4]}},
    ],
)
def test_unusual_annotations_are_read_again(row: dict[str, Any]) -> None:
    usual = {"id": 1, "image_id": 7, "category_id": 1, "bbox": [1, 2, 3, 4]}
    assert columns(usual | row).states[0] == AGAIN
    assert columns(usual).states[0] == 0


@given(st.lists(st.tuples(NUMBERS, NUMBERS.map(abs)), min_size=1, max_size=20))
def test_coordinates_are_added_as_decimals(pairs: list[tuple[float, float]]) -> None:
    near, spans = np.array(pairs, np.float64).T
    with np.errstate(all="ignore"):
        found = far_coordinates(near, spans).tolist()
    assert found == [far_coordinate(*pair) for pair in zip(near.tolist(), spans.tolist(), strict=True)]


def test_outlines_are_read_when_they_are_used(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    rows = [{"id": 4, "image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4], "segmentation": [[1, 2, 3, 4, 5, 6.50]]}]
    file.write_text(json.dumps({"images": IMAGES, "annotations": rows, "categories": CATEGORIES}))
    first, *_ = [*boxwright.open(f"coco:{file}")]
    (attributes,) = first.boxes.attributes
    assert isinstance(attributes, JsonAttributes)
    assert [*attributes] == ["id", "segmentation"]
    file.unlink()  # the sample has the open file
    assert attributes.text("segmentation") == b"[[1, 2, 3, 4, 5, 6.5]]"
    assert attributes.text("id") is None
    assert attributes["segmentation"] == [[1, 2, 3, 4, 5, 6.5]]
    assert first.boxes[0].attributes == {"id": 4, "segmentation": [[1, 2, 3, 4, 5, 6.5]]}


@pytest.mark.parametrize(
    ("outline", "problem"),
    [
        (b'{"counts": "abc\xff"}', "segmentation is not UTF-8"),
        (b"[[1, 2, 3, 1e999]]", "segmentation contains NaN or infinity"),
        (b"[[1, 2, 3, %s.0]]" % (b"9" * 400), "segmentation contains NaN or infinity"),
    ],
)
def test_an_invalid_outline_is_an_error_when_it_is_used(tmp_path: Path, outline: bytes, problem: str) -> None:
    file = tmp_path / "a.json"
    row = {"id": 4, "image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4], "segmentation": "here"}
    content = json.dumps({"images": IMAGES, "annotations": [row], "categories": CATEGORIES}).encode()
    file.write_bytes(content.replace(b'"here"', outline))
    with pytest.raises(DataError, match=rf"annotations\[0\] \(id 4\): {problem}"):
        boxwright.convert(f"coco:{file}", f"coco:{tmp_path / 'out.json'}")
    assert boxwright.convert(f"coco:{file}", f"csv:{tmp_path / 'out.csv'}").boxes == 1


def test_attributes_stay_with_their_boxes_in_a_long_file(tmp_path: Path) -> None:
    """The annotations are indexed in windows; those of unusual rows are read again."""
    chance = random.Random(5)
    rows: list[dict[str, Any]] = []
    for number in range(1, 4_001):
        row: dict[str, Any] = {"id": number, "image_id": 1, "category_id": 1, "bbox": [number, 2, 3, 4]}
        if chance.random() < 0.6:
            row["pose"] = f"pose {chance.randrange(50)}"
        if chance.random() < 0.01:
            row["bbox"] = [number, 2, 3.5, -4]
        rows.append(row)
    content = {
        "images": [{"id": 1, "file_name": "a.jpg", "width": 5_000, "height": 30}],
        "annotations": rows,
        "categories": [{"id": 1, "name": "fig"}],
    }
    (tmp_path / "long.json").write_text(json.dumps(content))
    (sample,) = boxwright.open(f"coco:{tmp_path / 'long.json'}?inverted=swap")
    found = [(box.xmin, box.attributes.get("id"), box.attributes.get("pose")) for box in sample.boxes]
    assert found == [(float(row["id"]), row["id"], row.get("pose")) for row in rows]


def test_the_first_of_duplicate_names_is_named(tmp_path: Path) -> None:
    images = [{"id": number, "file_name": f"{number % 300}.jpg", "width": 9, "height": 9} for number in range(900)]
    (tmp_path / "a.json").write_text(json.dumps({"images": images, "annotations": [], "categories": []}))
    problems: list[str] = []
    reader = CocoReader(str(tmp_path / "a.json"))
    assert len(list(reader.read(lambda error: problems.append(str(error))))) == 300
    assert [int(re.findall(r"same as images\[(\d+)\]", problem)[0]) for problem in problems] == [*range(300)] * 2
