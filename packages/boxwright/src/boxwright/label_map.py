"""The classes of a dataset, and ``label_map.pbtxt``, the file that lists them.

A label map file is the TF Object Detection API's ``StringIntLabelMap``
(``object_detection/protos/string_int_label_map.proto``) in protobuf's text format
(https://protobuf.dev/reference/protobuf/textformat-spec/). ``id``, ``name`` and ``display_name`` are used; other fields
(``keypoints``, ``ancestor_ids``, ...) are ignored.
"""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Iterable
from functools import cache, cached_property
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, model_validator

from boxwright.errors import DataError
from boxwright.storage.filesystem import read_file
from boxwright.storage.uri import join
from boxwright.text import check_classes

MAX_ID = 2**31 - 1
"""The largest id in a label map file, where it is an int32."""


class LabelMapItem(BaseModel):
    """A class of a label map: its id in files and its name.

    Formats such as COCO allow any id from 0; a label map file only 1 (0 is the background) to 2,147,483,647.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    id: int = Field(ge=0)
    name: str = Field(min_length=1)
    display_name: str | None = None


class LabelMap(BaseModel):
    """The classes of a dataset, in a stable order.

    Files contain a class's id (1 to N unless a label map file assigns others), tensors its index (0 to N-1).

    Raises:
        ValueError: Two classes have the same name or id.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    items: tuple[LabelMapItem, ...] = ()

    @model_validator(mode="after")
    def _unique(self) -> LabelMap:
        ids: set[int] = set()
        names: set[str] = set()
        for item in self.items:
            if item.id in ids:
                raise ValueError(f"duplicate id {item.id} in the label map")
            if item.name in names:
                raise ValueError(f"duplicate name {item.name!r} in the label map")
            ids.add(item.id)
            names.add(item.name)
        return self

    @classmethod
    def from_names(cls, names: Iterable[str], *, sort: bool = True) -> LabelMap:
        """Returns a label map with the ids 1 to N, sorted by name unless ``sort`` is false.

        Raises:
            DataError: A name cannot be written as UTF-8.
        """
        unique = dict.fromkeys(names)
        check_classes(unique)
        ordered = sorted(unique) if sort else list(unique)
        return cls(items=tuple(LabelMapItem(id=i, name=name) for i, name in enumerate(ordered, start=1)))

    @classmethod
    def from_pbtxt(cls, text: str, source: str = "label_map.pbtxt") -> LabelMap:
        """Parses the text of a ``label_map.pbtxt``.

        Raises:
            DataError: The text is not a label map; the error names ``source`` and the line.
        """
        return parse_label_map(text, source)

    def to_pbtxt(self) -> str:
        """Returns the text of a ``label_map.pbtxt``.

        Raises:
            DataError: An id is not 1 to 2,147,483,647; see :meth:`for_file`.
        """
        self.check_for_file("the label map")
        return format_label_map(self)

    def for_file(self) -> LabelMap:
        """Returns a label map that can be a file: this one, or if an id is not 1 to 2,147,483,647, one with 1 to N."""
        if self._beyond_file is None:
            return self
        items = (item.model_copy(update={"id": i}) for i, item in enumerate(self.items, start=1))
        return LabelMap(items=tuple(items))

    def check_for_file(self, source: str) -> None:
        """Checks that every id can be in a label map file.

        Args:
            source: What the error names.

        Raises:
            DataError: An id is not 1 to 2,147,483,647.
        """
        if (item := self._beyond_file) is not None:
            problem = f"the class {item.name!r} has the id {item.id}; a label map file has ids from 1 to {MAX_ID}"
            raise DataError(source, problem, "number the classes from 1; 0 is the background")

    @property
    def names(self) -> tuple[str, ...]:
        """The names in order; ``names[index]`` is the inverse of :meth:`index`."""
        return tuple(item.name for item in self.items)

    def id(self, name: str) -> int:
        """Returns a class's id in files.

        Raises:
            KeyError: The class is not in the label map.
        """
        return self._by_name[name].id

    def index(self, name: str) -> int:
        """Returns a class's index in tensors, 0 to N-1.

        Raises:
            KeyError: The class is not in the label map.
        """
        return self._indices[name]

    def name(self, id: int) -> str:
        """Returns the name of a class by its id in files.

        Raises:
            KeyError: The id is not in the label map.
        """
        return self._by_id[id].name

    def __contains__(self, name: object) -> bool:
        return name in self._indices

    def __len__(self) -> int:
        return len(self.items)

    @cached_property
    def _by_name(self) -> dict[str, LabelMapItem]:
        return {item.name: item for item in self.items}

    @cached_property
    def _by_id(self) -> dict[int, LabelMapItem]:
        return {item.id: item for item in self.items}

    @cached_property
    def _beyond_file(self) -> LabelMapItem | None:
        return next((item for item in self.items if not 1 <= item.id <= MAX_ID), None)

    @cached_property
    def _indices(self) -> dict[str, int]:
        return {item.name: i for i, item in enumerate(self.items)}


_REMEDY = "write: item { id: 1 name: 'fig' }"
_LONGEST = 200

# A FileDescriptorProto, as in the modules that protoc generates; test_label_map.py builds it from names and compares.
# An item inside an item is not in the API's file: it is there to be reported, as the braces do not match.
_MESSAGES = (
    b"\n\x0flabel_map.proto"
    b'"K\n\x04Item\x12\x0c\n\x04name\x18\x01 \x01(\t\x12\n\n\x02id\x18\x02 \x01(\x05'
    b"\x12\x14\n\x0cdisplay_name\x18\x03 \x01(\t\x12\x13\n\x04item\x18\x04 \x03(\x0b2\x05.Item"
    b'"\x1f\n\x08LabelMap\x12\x13\n\x04item\x18\x01 \x03(\x0b2\x05.Item'
)
_TEXT = r"(?:'[^'\\\n]*'|\"[^\"\\\n]*\")"
_USUAL = re.compile(
    rf"""[ \t\r\n]*item[ ]?:?[ ]?\{{[ \t\r\n]*
    (?:name:[ ]*(?P<first>{_TEXT})[ \t\r\n]+)?
    id:[ ]*(?P<id>[1-9]\d{{0,8}})[ \t\r\n]*
    (?:name:[ ]*(?P<name>{_TEXT})[ \t\r\n]*)?
    (?:display_name:[ ]*(?P<display>{_TEXT})[ \t\r\n]*)?\}}[ \t\r\n]*""",
    re.VERBOSE | re.ASCII,
)
_TOKENS = re.compile(
    r"""(?:"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|\#[^\n]*)|(?P<word>\w+)|(?P<open>[{<])|(?P<close>[}>])"""
)


def format_label_map(label_map: LabelMap) -> str:
    """Returns the text of a label map, in the layout of the first tutorial's ``xml_to_csv.py``.

    Four spaces, single quotes, and no newline at the end.
    """
    return "\n\n".join(
        "item {\n"
        + f"    id: {item.id}\n    name: {_quote(item.name)}\n"
        + (f"    display_name: {_quote(item.display_name)}\n" if item.display_name is not None else "")
        + "}"
        for item in label_map.items
    )


def _quote(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n").replace("\r", "\\r")
    return f"'{escaped}'"


def parse_label_map(text: str, source: str) -> LabelMap:
    """Parses a ``StringIntLabelMap``.

    A class without a ``name`` takes its ``display_name``, as in the API's own ``label_map_util``. An item with id 0 and
    the name ``background`` is not a class, and is ignored as there; any other class may have id 0 here, although the
    API reserves it for the background.

    Raises:
        DataError: The text is not in the text format, it has no items, an item has no id or name, or an id or a name is
            duplicate.
    """
    items: list[LabelMapItem] = []
    ids: set[int] = set()
    names: set[str] = set()
    text = text.removeprefix("\ufeff")
    parsed = _usual_items(text) or _parse(text, source)
    for index, item in enumerate(parsed):
        name = item.name or item.display_name
        if item.nested:
            line = _line(text, index, nested=True)
            raise DataError(source, "an item inside an item", "close the item before it with }", line)
        if item.id is None or item.id < 0 or not name:
            raise DataError(source, "an item needs an id (0 or more) and a name", _REMEDY, _line(text, index))
        if (item.id, name) == (0, "background"):
            continue
        if item.id in ids:
            raise DataError(source, f"duplicate id {item.id}", "give each item its own id", _line(text, index))
        if name in names:
            raise DataError(source, f"duplicate name {name!r}", "give each item its own name", _line(text, index))
        ids.add(item.id)
        names.add(name)
        display_name = item.display_name if item.name else None
        items.append(LabelMapItem(id=item.id, name=name, display_name=display_name))
    if not parsed and text.strip():  # a dataset without boxes has an empty label map
        raise DataError(source, "no item { id: ... name: ... } in it", "is this a label map?")
    return LabelMap(items=tuple(items))


class _Item(NamedTuple):
    """An item of a file: its fields, as far as it has them, and whether it contains another item."""

    id: int | None
    name: str
    display_name: str | None
    nested: bool = False


def _usual_items(text: str) -> list[_Item]:
    """Returns the items of a file in the notation of all common programs; empty for any other notation.

    protobuf's parser needs a minute for a million items.
    """
    items, end = [], 0
    for match in _USUAL.finditer(text):
        first, id, name, display = match.groups()
        if match.start() != end or (first and name):
            return []
        end = match.end()
        items.append(_Item(int(id), (first or name or "  ")[1:-1], display and display[1:-1]))
    return items if end == len(text) else []


def _parse(text: str, source: str) -> list[_Item]:
    from google.protobuf import text_format  # it takes as long to import as all of boxwright

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # an unknown escape such as \, remains as it is
            message = text_format.Parse(text, _message_class()(), allow_unknown_field=True)
        return [
            _Item(
                item.id if item.HasField("id") else None,
                item.name,
                item.display_name if item.HasField("display_name") else None,
                bool(item.item),
            )
            for item in message.item
        ]
    except text_format.ParseError as error:
        line: int | None = error.GetLine()  # unknown for a value of a field that the message does not have
        problem = str(error)
        if line is not None:  # the message is "LINE:COLUMN : 'THE WHOLE LINE': Expected ..."
            problem = problem.partition(" : ")[2].removeprefix(f"'{text.split(chr(10))[line - 1]}': ")
        problem, place = problem.rstrip("."), "" if line is None else f"line {line}"
        raise DataError(source, problem[:1].lower() + problem[1:_LONGEST], _REMEDY, place) from None
    except RecursionError:
        raise DataError(source, "it is nested too deeply", "is this a label map?") from None


@cache
def _message_class() -> Any:
    from google.protobuf.descriptor_pool import DescriptorPool
    from google.protobuf.message_factory import GetMessageClass

    pool = DescriptorPool()
    pool.AddSerializedFile(_MESSAGES)
    return GetMessageClass(pool.FindMessageTypeByName("LabelMap"))


def _line(text: str, index: int, *, nested: bool = False) -> str:
    """Returns the line of an item, or of the first item nested in it."""
    depth, found, field = 0, -1, ""
    for token in _TOKENS.finditer(text):
        if token["open"]:
            found += depth == 0 and field == "item"
            depth += 1
        elif token["close"]:
            depth -= 1
        elif token["word"] and (depth == 0 or nested):
            field = token["word"]
        if found == index and (not nested or (token["word"] == "item" and depth)):
            return f"line {text.count(chr(10), 0, token.start()) + 1}"
    return ""


def read_label_map(path: str) -> LabelMap | None:
    """Reads a label map file; ``None`` if it does not exist.

    Args:
        path: A path or URL.

    Raises:
        DataError: The file cannot be read, is not UTF-8, or is not a label map.
    """
    content = read_file(path, "give another label map")
    if content is None:
        return None
    try:
        return parse_label_map(content.decode("utf-8-sig"), path)
    except UnicodeDecodeError:
        raise DataError(path, "it is not UTF-8 text", "save the label map as UTF-8") from None


def resolve_label_map(given: LabelMap | str | os.PathLike[str] | None) -> LabelMap | None:
    """Returns a label map; one that is passed as a path or URL is read.

    Raises:
        DataError: The file does not exist; or as :func:`read_label_map`.
    """
    if given is None or isinstance(given, LabelMap):
        return given
    found = read_label_map(str(given))
    if found is None:
        raise DataError(given, "file not found", "check the path of the label map")
    return found


def find_label_map(given: str | None, folder: str) -> tuple[LabelMap | None, str]:
    """Returns the label map of a dataset and its file: the one that was passed, else ``label_map.pbtxt`` in a folder.

    Args:
        given: The reader's option ``label_map``.
        folder: Where else to look.

    Returns:
        ``(None, "")`` if none was passed and none exists.

    Raises:
        DataError: The file that was passed does not exist; or as :func:`read_label_map`.
    """
    if given is not None:
        return resolve_label_map(given), given
    path = join(folder, "label_map.pbtxt")
    found = read_label_map(path)
    return found, path if found is not None else ""
