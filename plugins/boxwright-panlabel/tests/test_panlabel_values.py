"""Attributes as panlabel's texts, and its JSON in parts."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from boxwright_panlabel import document
from boxwright_panlabel.bridges import ANY, Field
from boxwright_panlabel.document import Document, parts
from boxwright_panlabel.table import BRIDGES
from boxwright_panlabel.values import decode, encode, is_plain, read_attributes, write_attributes

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3)
)


@given(VALUES)
def test_any_plain_value_is_restored(value: Any) -> None:
    text = encode(value)
    assert is_plain(text)
    back = decode(text)
    assert back == value
    assert type(back) is type(value)


@pytest.mark.parametrize(
    ("text", "value"),
    [("42", 42), ("1e2", 100.0), ("true", True), ("null", None), ("[1, 2]", [1, 2])],
)
def test_what_other_tools_wrote(text: str, value: object) -> None:
    assert decode(text) == value


@pytest.mark.parametrize(
    "text",
    ["0042", "True", "nan", "1e999", "-Infinity", "[1,", "no", "", "9" * 5000, "[" * 10**5],
    ids=lambda text: text[:9],
)
def test_text_that_only_looks_like_json_is_unchanged(text: str) -> None:
    assert decode(text) == text


@pytest.mark.parametrize("value", [float("nan"), float("inf"), object(), {1, 2}])
def test_what_json_cannot_represent(value: object) -> None:
    with pytest.raises(ValueError, match="JSON"):
        encode(value)


CVAT = (
    Field("occluded", "occluded", "flag", 0, written=True),
    Field("z_order", "z_order", "int", 0, written=True),
    Field("source", "source", "text", "manual", written=True),
    Field("cvat_attr_", ANY, "value", written=True),
)


def test_values_that_do_not_match_a_field_become_other_attributes() -> None:
    given = {"occluded": 2, "source": 7, "z_order": "top", "difficult": 1}
    written = write_attributes(given, CVAT)
    assert written == {
        "cvat_attr_occluded": "2",
        "cvat_attr_source": "7",
        "cvat_attr_z_order": "top",
        "cvat_attr_difficult": "1",
    }
    assert read_attributes(written, CVAT) == given
    own = {"occluded": 1, "source": "auto", "z_order": -3}
    assert write_attributes(own, CVAT) == {"occluded": "1", "source": "auto", "z_order": "-3"}
    assert read_attributes(write_attributes(own, CVAT), CVAT) == own
    with pytest.raises(ValueError, match="depth is 'deep', not an integer"):
        write_attributes({"depth": "deep"}, BRIDGES["sagemaker"].image)
    with pytest.raises(ValueError, match="attribute ' a' has surrounding white space"):
        write_attributes({" a": 1}, CVAT)


def test_defaults_and_generated_values_are_omitted() -> None:
    fields = (Field("id", "id", "int"), Field("kind"), Field("u", "uuid"), Field("x_", ANY, "value"))
    given = {"id": "12", "kind": "bbox", "u": "panlabel-ann-3", "x_occluded": "no", "x_truncated": "yes", "new": "1"}
    assert read_attributes(given, fields) == {"id": 12, "truncated": 1, "new": 1}
    assert read_attributes({"id": "b7-uuid"}, fields) == {}


TEXTS = st.text(min_size=1)
IMAGES = st.lists(st.tuples(st.integers(0, 2**64 - 1), TEXTS), unique_by=lambda each: each[0], min_size=1, max_size=6)


@settings(deadline=None)
@given(IMAGES, st.lists(st.tuples(st.integers(0, 5), TEXTS), max_size=12), st.integers(1, 40), st.booleans())
def test_images_get_their_own_boxes(
    images: list[tuple[int, str]], boxes: list[tuple[int, str]], chunk: int, pretty: bool
) -> None:
    boxes = [(number % len(images), text) for number, text in boxes]
    content = {
        "info": {"name": "é"},
        "images": [{"id": number, "file_name": name} for number, name in images],
        "categories": [{"id": 3, "name": "вишня"}],
        "annotations": [{"id": i, "image_id": images[n][0], "text": text} for i, (n, text) in enumerate(boxes)],
    }
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(document, "_CHUNK", chunk)
        path = Path(folder, "x.json")
        path.write_text(json.dumps(content, ensure_ascii=False, indent=2 if pretty else None), "utf-8", "surrogatepass")
        found = Document(str(path))
        assert (len(found), found.orphans, found.categories) == (len(images), 0, {3: "вишня"})
        read = [(image["file_name"], [each["text"] for each in own]) for image, own in found.images()]
        assert found.info == {"name": "é"}
    assert read == [(name, [text for n, text in boxes if n == i]) for i, (_, name) in enumerate(images)]


@pytest.mark.parametrize("text", ["", "[", '{"images": [{"id": 1}', "hello", '{"images": [1 2', '{"a"'])
def test_truncated_json(tmp_path: Path, text: str) -> None:
    path = tmp_path / "x.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"too early|Expecting|expected"):
        list(parts(str(path)))
