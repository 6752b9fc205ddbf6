from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from boxwright import DataError
from boxwright.storage import json_members, json_stream as module, parse_json
from boxwright.storage.json_stream import json_elements

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def elements(location: str) -> Iterator[tuple[int, Any]]:
    return json_elements(location, "name a list")


def read(folder: Path, content: str | bytes) -> list[tuple[int, Any]]:
    path = folder / "a.json"
    path.write_bytes(content if isinstance(content, bytes) else content.encode(errors="surrogatepass"))
    return list(elements(str(path)))


@settings(deadline=None)  # each example writes a file
@given(values=st.lists(VALUES, max_size=6), chunk=st.integers(1, 40), indent=st.sampled_from([None, 0, 2]))
def test_the_same_as_json_whatever_the_chunks(
    tmp_path_factory: pytest.TempPathFactory, values: list[Any], chunk: int, indent: int | None
) -> None:
    folder = tmp_path_factory.mktemp("elements")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_CHUNK", chunk)
        assert [value for _, value in read(folder, json.dumps(values, indent=indent))] == values


@settings(deadline=None)  # each example writes a file
@given(content=st.text(alphabet='[]{}",:0123456789.eE+-\\u truefalsnNI\n', max_size=60), chunk=st.integers(1, 20))
def test_any_text_is_read_as_json_does_or_refused(
    tmp_path_factory: pytest.TempPathFactory, content: str, chunk: int
) -> None:
    folder = tmp_path_factory.mktemp("elements")
    try:
        expected = json.loads(content, parse_constant=lambda name: int(name))
    except ValueError:
        expected = None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_CHUNK", chunk)
        if isinstance(expected, list):
            assert [value for _, value in read(folder, content)] == expected
        else:
            with pytest.raises(DataError, match=r"a\.json, line \d+: it "):
                read(folder, content)


def test_lines_are_counted(tmp_path: Path) -> None:
    content = '\n[\n{"a":\n1},\n\n{"b": 2}, {"c":\r\n3},\n4\n]\n'
    assert read(tmp_path, content) == [(3, {"a": 1}), (6, {"b": 2}), (6, {"c": 3}), (8, 4)]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_encodings(tmp_path: Path, encoding: str) -> None:
    assert read(tmp_path, '["вишня 🍒"]'.encode(encoding)) == [(1, "вишня 🍒")]


def test_elements_longer_than_what_is_read_at_once(tmp_path: Path) -> None:
    values = [{"a": "x" * 100_000}, list(range(50_000)), "y" * 70_000]
    assert [value for _, value in read(tmp_path, json.dumps(values))] == values


def test_an_element_without_an_end_is_not_read_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_LARGEST", 100_000)
    with pytest.raises(DataError, match="line 1: it is not valid JSON: Unterminated string"):
        read(tmp_path, '["' + "x" * 10_000_000)


def test_a_fault_is_noticed_where_it_is(tmp_path: Path) -> None:
    read_on = elements(str(tmp_path / "a.json"))
    (tmp_path / "a.json").write_text('[\n{"a": 1},\n{"b": [1 2]},\n' + "x" * 10_000_000)
    assert next(read_on) == (2, {"a": 1})
    with pytest.raises(DataError, match="line 3: it is not valid JSON: Expecting ',' delimiter"):
        next(read_on)


def test_files_elsewhere(tmp_path: Path) -> None:
    import fsspec

    fsspec.filesystem("memory").pipe("/json-elements/a.json", b"[1, 2]")
    assert list(elements("memory://json-elements/a.json")) == [(1, 1), (1, 2)]
    for location in ("memory://json-elements/b.json", str(tmp_path / "b.json")):
        with pytest.raises(DataError, match=r"b\.json: file not found"):
            list(elements(location))
    with pytest.raises(DataError, match="it cannot be read"):
        list(elements(str(tmp_path)))


@settings(deadline=None)  # each example writes a file
@given(
    content=st.dictionaries(st.sampled_from(["a", "items", "other"]), VALUES, max_size=3),
    chunk=st.integers(1, 40),
    indent=st.sampled_from([None, 2]),
)
def test_members_are_those_of_json(
    tmp_path_factory: pytest.TempPathFactory, content: dict[str, Any], chunk: int, indent: int | None
) -> None:
    path = tmp_path_factory.mktemp("members") / "a.json"
    path.write_text(json.dumps(content, indent=indent))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_CHUNK", chunk)
        found = [(part.key, part.name, part.value) for part in json_members(str(path), "name an object", ("items",))]
    expected = []
    for key, value in content.items():
        if key == "items" and isinstance(value, list):
            expected += [(key, "", each) for each in value]
        elif key == "items" and isinstance(value, dict):
            expected += [(key, name, each) for name, each in value.items()]
        else:
            expected.append((key, "", value))
    assert found == expected


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("[]", "line 1: it is not an object: it begins with '\\['"),
        ("", "line 1: it is empty"),
        ('{"a": 1', "line 1: it is not valid JSON: the object is incomplete"),
        ('{"a": 1} 2', "there is '2' after the object"),
        ('{"a" 1}', "'a' is not a key with a colon"),
        ("{1: 2}", "1 is not a key with a colon"),
        ('{"items": [1 2]}', "there is '2' after an element, not a comma"),
        ('{\n"items": {"a": 1 "b": 2}}', "line 2: .* there is '\"' after a member, not a comma"),
    ],
)
def test_objects_that_are_not_valid(tmp_path: Path, content: str, problem: str) -> None:
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(DataError, match=problem):
        list(json_members(str(tmp_path / "a.json"), "name an object", ("items",)))


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b" ", r"a\.json: the file is empty"),
        (b'{\n"a": }', r"a\.json, line 2: it is not valid JSON: Expecting value"),
        (b'{"a": NaN}', "NaN is not a JSON number"),
        (b'{"a": "\xff"}', "it is not UTF-8 text"),
        (b"[" * 100_000, "it is nested too deeply"),
        (b"1" * 5000, "it is not valid JSON: .*digits"),
    ],
)
def test_a_whole_file(content: bytes, problem: str) -> None:
    with pytest.raises(DataError, match=problem):
        parse_json(content, "a.json")
    for encoding in ("utf-8", "utf-8-sig", "utf-16", "utf-32"):
        assert parse_json('{"a": "вишня"}'.encode(encoding), "a.json") == {"a": "вишня"}
