from __future__ import annotations

import io
import json
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, strategies as st

from boxwright import DataError
from boxwright_coco import document
from boxwright_coco.document import Document, Elements, Scanner

SMALL = 32  # bytes per window, so that every position of a file is at the end of one

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)
layouts = st.sampled_from(
    [{}, {"indent": 2}, {"separators": (",", ":")}, {"ensure_ascii": False}, {"indent": "\t\r\n"}]
)


@pytest.fixture(autouse=True)
def small_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(document, "_WINDOW", SMALL)


def whole(text: str | bytes) -> tuple[list[Any], list[Any]]:
    """The elements of a list as the scanner returns them, and decoded from their offsets."""
    content = text if isinstance(text, bytes) else text.encode("utf-8", "backslashreplace")
    file = Document("x.json", content)
    found: list[Any] = []
    starts: list[int] = []
    with file.open() as opened:
        scanner = Scanner(opened)
        for rows, places in scanner.elements():
            found += rows
            starts += places
        scanner.finish()
        places = [*starts, scanner.offset]
        return found, [opened.decode(start, end) for start, end in pairwise(places)]


@given(st.lists(values, max_size=12), layouts, st.sampled_from(["", " ", "\r\n\t "]))
def test_a_list_is_read_as_the_json_module_reads_it(content: list[Any], layout: dict[str, Any], space: str) -> None:
    text = space + json.dumps(content, **layout) + space
    found, decoded = whole(text)
    assert decoded == content
    if text.isascii():
        assert found == content


@given(st.dictionaries(st.text(max_size=5), values, max_size=6), layouts)
def test_an_object_is_read_as_the_json_module_reads_it(content: dict[str, Any], layout: dict[str, Any]) -> None:
    file = Document("x.json", json.dumps(content, **layout).encode("utf-8", "backslashreplace"))
    found = {}
    with file.open() as opened:
        scanner = Scanner(opened)
        for key in scanner.members():
            _, start, end = scanner.value()
            found[key] = scanner.decoded(start, end)
        scanner.finish()
    assert found == content


@given(st.lists(values, min_size=1, max_size=5), layouts, st.data())
def test_what_the_json_module_rejects_is_rejected(
    content: list[Any], layout: dict[str, Any], data: st.DataObject
) -> None:
    text = json.dumps(content, **layout)
    place = data.draw(st.integers(0, len(text) - 1))
    spoiled = text[:place] + data.draw(st.sampled_from(["", "]", "}", '"', ",", "\\", "\0", "x"])) + text[place + 1 :]
    try:
        expected = json.loads(spoiled)
    except ValueError:
        expected = None
    try:
        found = whole(spoiled)[1]
    except DataError:
        found = None
    assert found == (expected if isinstance(expected, list) else None)


@given(st.lists(values, min_size=1, max_size=5), layouts, st.data())
def test_a_truncated_file_is_an_error(content: list[Any], layout: dict[str, Any], data: st.DataObject) -> None:
    text = json.dumps(content, **layout)
    with pytest.raises(DataError) as caught:
        whole(text[: data.draw(st.integers(1, len(text) - 1))])
    assert caught.value.place.startswith("line ")


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("[1,\n2,\n\n x]", "line 4 column 2"),
        ('["' + "a" * 200 + '",\n"вишня", x]', "line 2 column 10"),
        ("[" + "1,\n" * 5000 + "x]", "line 5001 column 1"),
    ],
)
def test_places_are_counted_as_in_an_editor(text: str, place: str) -> None:
    with pytest.raises(DataError, match="expected a value") as caught:
        whole(text)
    assert caught.value.place == place
    with pytest.raises(json.JSONDecodeError) as judge:
        json.loads(text)
    assert f"line {judge.value.lineno} column {judge.value.colno}" == place


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_encodings(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "x.json").write_bytes('{"вишня": ["ü"]}'.encode(encoding))
    with Document(str(tmp_path / "x.json")).open() as opened:
        scanner = Scanner(opened)
        (found,) = [(key, scanner.decoded(*scanner.value()[1:])) for key in scanner.members()]
        assert found == ("вишня", ["ü"])


def test_a_file_that_changes_while_it_is_in_use_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text("[1, 2]")
    file = Document(str(path))
    file.open().__exit__(None, None, None)
    path.write_text("[1, 2, 3]")
    with pytest.raises(DataError, match=r"x\.json: the file changed while it was in use\n.*open the dataset again"):
        file.open()


def test_a_long_file_is_never_completely_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import tracemalloc

    monkeypatch.setattr(document, "_WINDOW", 1 << 12)
    path = tmp_path / "x.json"
    path.write_text(json.dumps([{"number": i, "text": "x" * 50} for i in range(5_000)]))
    tracemalloc.start()
    try:
        with Document(str(path)).open() as opened:
            count = sum(len(rows) for rows, _ in Scanner(opened).elements())
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert count == 5_000
    assert peak < path.stat().st_size / 4


def test_a_file_is_read_whatever_a_read_returns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A network or user-space file system may return fewer bytes than requested."""

    class ShortReads(io.FileIO):
        def read(self, size: int | None = -1, /) -> bytes:
            return super().read(min(size, 7)) if size is not None and size >= 0 else super().read()

    rows = [{"id": number, "name": "größe"} for number in range(300)]
    (tmp_path / "x.json").write_text(json.dumps(rows, ensure_ascii=False), "utf-8")
    monkeypatch.setattr(Document, "_opened", lambda self: ShortReads(self.location))
    with Document(str(tmp_path / "x.json")).open() as opened:
        scanner = Scanner(opened)
        starts = [start for _, starts in scanner.elements() for start in starts]
        scanner.finish()
        ends = [*starts[1:], scanner.offset]
        assert [opened.decode(*place) for place in zip(starts, ends, strict=True)] == rows


@pytest.mark.parametrize("first", [0, 100])
def test_elements_are_decoded_many_at_a_time(first: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also from the middle, where another process may begin, and after one that must be decoded alone."""
    monkeypatch.setattr(document, "_WINDOW", 1 << 16)
    rows = [b'{"id": %d}' % number for number in range(300)]
    rows[150] = b'{"id": 150, "x": "\\ud800"}'  # an unpaired surrogate, which a strict decoder refuses
    content = b", ".join(rows)
    starts = [*(content.index(row) for row in rows), len(content)]
    file = SimpleNamespace(read=lambda start, count: content[start : start + count])
    elements = Elements(file, starts)  # type: ignore[arg-type]
    alone: list[int] = []
    text = elements.text
    monkeypatch.setattr(elements, "text", lambda number: alone.append(number) or text(number))
    assert [elements[number]["id"] for number in range(first, 300)] == [*range(first, 300)]
    assert len(alone) < 80, "of 200 or 300"
