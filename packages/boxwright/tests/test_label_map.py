"""Label map files, against protobuf's text format with the fields of the API's own label maps."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format
from hypothesis import given, strategies as st

from boxwright import DataError, LabelMap, label_map as label_map_module
from boxwright.label_map import LabelMapItem, read_label_map


def _message_class() -> Any:
    """``StringIntLabelMap``, with the fields and numbers of object_detection/protos/string_int_label_map.proto."""
    file = descriptor_pb2.FileDescriptorProto(name="label_map.proto", package="od", syntax="proto2")
    kinds = descriptor_pb2.FieldDescriptorProto

    def field(message: Any, name: str, number: int, kind: int, *, repeated: bool = False, type_name: str = "") -> None:
        label = kinds.LABEL_REPEATED if repeated else kinds.LABEL_OPTIONAL
        message.field.add(name=name, number=number, type=kind, label=label, type_name=type_name or None)

    item = file.message_type.add(name="StringIntLabelMapItem")
    field(item, "name", 1, kinds.TYPE_STRING)
    field(item, "id", 2, kinds.TYPE_INT32)
    field(item, "display_name", 3, kinds.TYPE_STRING)
    keypoint = item.nested_type.add(name="KeypointMap")
    field(keypoint, "id", 1, kinds.TYPE_INT32)
    field(keypoint, "label", 2, kinds.TYPE_STRING)
    field(item, "keypoints", 4, kinds.TYPE_MESSAGE, repeated=True, type_name=".od.StringIntLabelMapItem.KeypointMap")
    field(item, "ancestor_ids", 5, kinds.TYPE_INT32, repeated=True)
    field(item, "frequency", 7, kinds.TYPE_INT32)
    field(item, "instance_count", 8, kinds.TYPE_INT32)
    whole = file.message_type.add(name="StringIntLabelMap")
    field(whole, "item", 1, kinds.TYPE_MESSAGE, repeated=True, type_name=".od.StringIntLabelMapItem")
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("od.StringIntLabelMap"))


StringIntLabelMap = _message_class()


def by_protobuf(text: str) -> list[tuple[int, str, str | None]]:
    parsed = text_format.Parse(text, StringIntLabelMap())
    return [(i.id, i.name, i.display_name if i.HasField("display_name") else None) for i in parsed.item]


def by_us(text: str) -> list[tuple[int, str, str | None]]:
    return [(item.id, item.name, item.display_name) for item in LabelMap.from_pbtxt(text).items]


TUTORIAL = "item {\n    id: 1\n    name: 'date'\n}\n\nitem {\n    id: 2\n    name: 'fig'\n}"
"""The output of the first tutorial's ``xml_to_csv.py``: an empty line after every item, and the text stripped."""

NAMES = [
    "fig",
    "don't",
    'say "a"',
    "back\\slash",
    "line\nbreak",
    "cr\r\n",
    "tab\t",
    "Feige 🍈 無花果",
    "\\n",
    "a'\\'b",
    "\x85\x0b",
]


def test_the_tutorials_text() -> None:
    label_map = LabelMap.from_names(["fig", "date"])
    assert label_map.to_pbtxt() == TUTORIAL
    assert LabelMap.from_pbtxt(TUTORIAL) == label_map


@pytest.mark.parametrize("name", NAMES)
def test_protobuf_reads_what_we_write(name: str) -> None:
    label_map = LabelMap(items=(LabelMapItem(id=3, name=name, display_name=name + "!"), LabelMapItem(id=1, name="x")))
    assert by_protobuf(label_map.to_pbtxt()) == [(3, name, name + "!"), (1, "x", None)]
    assert LabelMap.from_pbtxt(label_map.to_pbtxt()) == label_map


@pytest.mark.parametrize("as_utf8", [True, False])
@pytest.mark.parametrize("name", NAMES)
def test_we_read_what_protobuf_writes(name: str, as_utf8: bool) -> None:
    message = StringIntLabelMap()
    message.item.add(id=4, name=name, display_name=name)
    text = text_format.MessageToString(message, as_utf8=as_utf8)
    assert as_utf8 or text.isascii()
    assert by_us(text) == [(4, name, name)]
    assert by_us(text_format.MessageToString(message, as_utf8=as_utf8, as_one_line=True)) == [(4, name, name)]


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), min_size=1, unique=True))
def test_any_names_go_both_ways(names: list[str]) -> None:
    label_map = LabelMap.from_names(names, sort=False)
    assert [name for _, name, _ in by_protobuf(label_map.to_pbtxt())] == names
    assert LabelMap.from_pbtxt(label_map.to_pbtxt()) == label_map


@pytest.mark.parametrize(
    "text",
    [
        "item:{id:1 name:'a'}",
        'item < id: 1 name: "a" >',
        "item { name: 'a' id: 1 } item { id: 2 name: 'b' }",
        "item { id: 1, name: 'a'; };",
        "# all of it\nitem { # one\n  id: 1 # 'x' }\n  name: 'a#b' }\n#",
        "item { id: 1 name: 'a' 'b'\n \"c\" }",
        "item: [{ id: 1 name: 'a' }, { id: 2 name: 'b' }]",
        "item { id: 0x1F name: 'hexadecimal' } item { id: 010 name: 'octal' } item { id: 10 name: 'decimal' }",
        r"item { id: 1 name: '\303\244\x41\u00e4\U0001F348\"' }",
        "item {\r\n  id: 1\r\n  name: 'a'\r\n}\r\n",
        "item { id: 1 name: '/m/01g317' display_name: 'person' }",
        "item { id: 1 name: 'a' keypoints { id: 0 label: 'nose' } keypoints: [{ label: '}' }] ancestor_ids: [1, 2] }",
        "item { id: 1 name: 'aeroplane' frequency: -1 instance_count: 1207 ancestor_ids: 7 ancestor_ids: 8 }",
        "item { id: 1 name: 'tree' ancestor_ids: [] }",
    ],
)
def test_every_notation(text: str) -> None:
    assert by_us(text) == by_protobuf(text)


def test_unknown_fields_are_ignored() -> None:
    text = "version: 2 item { id: 1 name: 'a' color { rgb: [1, 2] parts: [{ rgb: [3] }] } } other < item { id: 9 } >"
    assert by_us(text) == [(1, "a", None)]


def test_a_display_name_replaces_a_missing_name() -> None:
    assert by_us("item { id: 1 display_name: 'person' }") == [(1, "person", None)]
    assert by_us("item { id: 1 name: '' display_name: 'person' }") == [(1, "person", None)]


def test_the_background_is_not_a_class() -> None:
    text = "item { id: 0 name: 'background' } item { id: 1 name: 'fig' }"
    assert by_us(text) == [(1, "fig", None)]
    assert by_us("item { id: 0 name: 'fig' } item { id: 1 name: 'background' }") == [
        (0, "fig", None),
        (1, "background", None),
    ]


@pytest.mark.parametrize(
    ("text", "place", "problem"),
    [
        ("version: 1", "", "no item"),
        ("item {\n id: 1\n name: 'a'\n", "line 3", 'expected "}"'),
        ("item {\n id: 1\n name: 'a\n}", "line 3", 'string missing ending quote: "\'a"'),
        ("item {\n id 1\n name: 'a'\n}", "line 2", 'expected ":"'),
        ("item {\n id: }", "line 2", "couldn't parse integer: }"),
        ("item {\n id: 1\n name: 'a' }\n}", "line 4", "expected identifier or number, got }"),
        ("item { id: 1\n name: 'a' >", "line 2", "expected identifier or number, got >"),
        ("\n\nitem { id: 1 }", "line 3", "needs an id (0 or more) and a name"),
        ("item { name: 'a' }", "line 1", "needs an id"),
        ("item { id: -1 name: 'a' }", "line 1", "needs an id"),
        ("item { id: 1.5 name: 'a' }", "line 1", "couldn't parse integer: 1.5"),
        ("item { id: '1' name: 'a' }", "line 1", "couldn't parse integer: '1'"),
        ("item { id: 1 name: fig }", "line 1", "expected string but found: 'fig'"),
        ("item: 3", "line 1", 'expected "{"'),
        ("item { id: 1\n id: 2 name: 'a' }", "line 2", 'should not have multiple "id" fields'),
        ("item { id: 1\n id: 1 name: 'a' }", "line 2", 'should not have multiple "id" fields'),
        ("item { id: 1 name: 'a' }\nitem { id: 1 name: 'b' }", "line 2", "duplicate id 1"),
        ("item { id: 1 name: 'a' }\n\nitem { id: 2 name: 'a' }", "line 3", "duplicate name 'a'"),
        ("item: [{ id: 1 name: 'a' },\n { id: 1 name: 'b' }]", "line 2", "duplicate id 1"),
        (
            "# item {\nother { item { } }\nitem { id: 1 name: 'item {' }\nitem { id: 1 name: 'b' }",
            "line 4",
            "duplicate",
        ),
        ("item { id: 1\n name: 'a'\n item { id: 2\n name: 'b' } }", "line 3", "an item inside an item"),
        ("item { id: " + "9" * 5000 + " name: 'a' }", "line 1", "couldn't parse integer: 999"),
        ("item { id: 2147483648 name: 'a' }", "line 1", "out of range: 2147483648"),
        ("item { id: 9223372036854775808 name: 'a' }", "line 1", "out of range: 9223372036854775808"),
        (r"item { id: 1 name: '\377' }", "line 1", "couldn't parse string: 'utf-8' codec can't decode"),
        (r"item { id: 1 name: '\ud83d' }", "line 1", "surrogates not allowed"),
        (r"item { id: 1 name: '\U00110000' }", "line 1", "out of range"),
        ("item {\n d:: 1\n}", "", "invalid field value: :"),  # protobuf has no line for it
        ("a {" * 100_000, "", "nested too deeply"),
        ("<annotation><name>fig</name></annotation>", "line 1", "expected"),
        ('{"fig": 1}', "line 1", "expected"),
    ],
)
def test_invalid_label_maps(text: str, place: str, problem: str) -> None:
    with pytest.raises(DataError) as caught:
        LabelMap.from_pbtxt(text, "maps/fruits.pbtxt")
    assert caught.value.file == "maps/fruits.pbtxt"
    assert caught.value.place == place
    assert problem in caught.value.problem
    assert len(caught.value.problem) <= 200
    assert caught.value.remedy


def test_files(tmp_path: Path) -> None:
    path = tmp_path / "map.pbtxt"
    assert read_label_map(str(path)) is None
    path.write_bytes(b"\xef\xbb\xbf" + TUTORIAL.encode())  # as Windows editors save it
    found = read_label_map(str(path))
    assert found is not None
    assert found.names == ("date", "fig")
    path.write_bytes("item { id: 1 name: 'fig' }".encode("utf-16"))
    with pytest.raises(DataError, match="not UTF-8"):
        read_label_map(str(path))
    with pytest.raises(DataError, match="directory"):
        read_label_map(str(tmp_path))


def test_remote_files() -> None:
    import fsspec

    files = fsspec.filesystem("memory")
    files.pipe("/maps/map.pbtxt", TUTORIAL.encode())
    found = read_label_map("memory://maps/map.pbtxt")
    assert found is not None
    assert found.names == ("date", "fig")
    assert read_label_map("memory://maps/none.pbtxt") is None
    files.rm("/maps", recursive=True)


@pytest.mark.parametrize(
    ("text", "fast"),
    [
        ("item {\n  id: 1\n  name: 'a'\n}\nitem {\n  name: \"b\"\n  id: 2\n  display_name: 'c'\n}\n", True),
        ("item {\r\n id:1\r\n name:'a#{}'\r\n}\r\n\r\nitem { id: 20 display_name: 'x' }", True),
        ("item { id: 010 name: 'octal' }", False),
        ("item { id: 3000000000 name: 'a' }", False),
        ("item { id: 1 name: 'a' 'b' }", False),
        (r"item { id: 1 name: 'a\n' }", False),
        ("item { name: 'a' id: 1 name: 'b' }", False),
        ("item { id: 1 name: 'a' } other: 2", False),
        ("item { id: 1 name: 'a' frequency: 3 }", False),
        ("# one\nitem { id: 1 name: 'a' }", False),
    ],
)
def test_the_usual_notation_is_read_without_protobuf(text: str, fast: bool) -> None:
    usual = label_map_module._usual_items(text)
    assert bool(usual) == fast
    assert not fast or usual == label_map_module._parse(text, "")


@pytest.mark.slow  # protobuf's parser alone would take a minute
def test_a_million_items_are_read_in_seconds() -> None:
    text = LabelMap.from_names(f"class {number}" for number in range(1_000_000)).to_pbtxt()
    started = time.process_time()
    assert len(LabelMap.from_pbtxt(text)) == 1_000_000
    assert time.process_time() - started < 40


@pytest.mark.parametrize("id", [0, 2**31, 10**40])
def test_ids_that_a_label_map_file_cannot_have(id: int) -> None:
    items = [LabelMapItem(id=id, name="a"), LabelMapItem(id=5, name="b", display_name="B")]
    label_map = LabelMap(items=tuple(items))
    with pytest.raises(DataError, match=f"the class 'a' has the id {id}"):
        label_map.to_pbtxt()
    assert by_protobuf(label_map.for_file().to_pbtxt()) == [(1, "a", None), (2, "b", "B")]


def test_ids_that_a_label_map_file_can_have_are_kept() -> None:
    label_map = LabelMap(items=(LabelMapItem(id=2**31 - 1, name="a"), LabelMapItem(id=1, name="b")))
    assert label_map.for_file() is label_map
    assert by_protobuf(label_map.to_pbtxt()) == [(2**31 - 1, "a", None), (1, "b", None)]


def test_a_blank_file_is_the_label_map_of_a_dataset_without_boxes() -> None:
    assert LabelMap.from_pbtxt("") == LabelMap.from_pbtxt(" \n") == LabelMap()
    assert LabelMap.from_pbtxt(LabelMap().to_pbtxt()) == LabelMap()


def test_the_descriptor_has_the_fields_of_the_api() -> None:
    kinds = descriptor_pb2.FieldDescriptorProto
    optional = {"label": kinds.LABEL_OPTIONAL}
    items = {"type": kinds.TYPE_MESSAGE, "type_name": ".Item", "label": kinds.LABEL_REPEATED}
    file = descriptor_pb2.FileDescriptorProto(name="label_map.proto")
    item = file.message_type.add(name="Item")
    item.field.add(name="name", number=1, type=kinds.TYPE_STRING, **optional)
    item.field.add(name="id", number=2, type=kinds.TYPE_INT32, **optional)
    item.field.add(name="display_name", number=3, type=kinds.TYPE_STRING, **optional)
    item.field.add(name="item", number=4, **items)
    file.message_type.add(name="LabelMap").field.add(name="item", number=1, **items)
    assert descriptor_pb2.FileDescriptorProto.FromString(label_map_module._MESSAGES) == file


def test_protobuf_is_imported_only_to_parse() -> None:
    code = (
        "import sys; from boxwright import LabelMap; text = LabelMap.from_names(['fig']).to_pbtxt();"
        "assert 'google.protobuf' not in sys.modules; assert LabelMap.from_pbtxt(text).names == ('fig',)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_an_unknown_escape_remains_as_it_is() -> None:
    text = r"item { id: 1 name: 'a\,b' }"
    with pytest.warns(DeprecationWarning, match="invalid escape"):
        expected = by_protobuf(text)
    assert by_us(text) == expected == [(1, r"a\,b", None)]
