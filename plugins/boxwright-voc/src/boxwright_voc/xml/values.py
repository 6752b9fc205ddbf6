"""Attributes as XML elements and back: what was read is written, and what was written is read.

A number or text is an element, a dict an element with children (XML attributes as ``@name``, text next to children as
``#text``), a list a repeated element. A value or key that these rules would not restore (a list of one, ``"7"`` as a
text, ``null``, a key with a space) is written as JSON instead: ``<boxwright name="KEY">JSON</boxwright>``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Set
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

JSON_TAG: Final = "boxwright"
MAX_DEPTH: Final = 30
"""How deep elements may be nested; real annotations have three levels."""

SPACE: Final = " \t\r\n"
"""The white space of XML 1.0; a no-break space is part of a name."""

NUMBER: Final = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_LENGTH = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)")
_LONGEST_LENGTH = 32
_LONGEST_SCALAR = 24
_SHIFTED = frozenset({"xmin", "ymin", "x", "y"})

# https://www.w3.org/TR/xml/#charsets: not allowed in any XML 1.0 document, not even escaped.
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_SPECIAL = re.compile("[&<>\x00-\x08\x0b-\x1f\ud800-\udfff\ufffe\uffff]")  # these, and those that are escaped
_TAG = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")


def scalar(text: str) -> int | float | str:
    """Returns a number if writing it restores the text, else the text (``"007"`` is not changed)."""
    if len(text) > _LONGEST_SCALAR or not NUMBER.fullmatch(text):
        return text
    value = number(text)
    return value if repr(value) == text else text


def number(text: str) -> int | float:
    """Returns the number of a text that :data:`NUMBER` matches."""
    return int(text) if text.lstrip("+-").isdigit() else float(text)


def each(value: Any, change: Callable[[Any], Any]) -> Any:
    """Changes an element's value, or each value of a repeated element."""
    return [change(one) for one in value] if isinstance(value, list) else change(value)


def is_length(value: object) -> bool:
    """Whether a value is the text of a number of pixels, such as ``"1.50"``, which :func:`scalar` does not change."""
    return isinstance(value, str) and len(value) <= _LONGEST_LENGTH and bool(_LENGTH.fullmatch(value))


def lengths(location: Any) -> Any:
    """Returns the value of ``<bndbox>`` or ``<point>`` with all its texts as numbers."""
    if not isinstance(location, dict):
        return location
    return {key: number(value) if is_length(value) else value for key, value in location.items()}


def with_lengths(part: Any) -> Any:
    """Returns the value of ``<part>`` with its location as numbers."""
    return _change_bndbox(part, lengths)


def shift_attributes(attributes: Mapping[str, Any], by: int) -> Mapping[str, Any]:
    """Returns a box's attributes with its parts and points shifted like its ``xmin`` and ``ymin``."""
    if "part" not in attributes and "point" not in attributes:
        return attributes

    def shift(location: Any) -> Any:
        if not isinstance(location, dict):
            return location
        return {
            key: value + by if key in _SHIFTED and type(value) in (int, float) else value
            for key, value in location.items()
        }

    shifted = dict(attributes)
    if "part" in shifted:
        shifted["part"] = each(shifted["part"], lambda part: _change_bndbox(part, shift))
    if "point" in shifted:
        shifted["point"] = each(shifted["point"], shift)
    return shifted


def _change_bndbox(part: Any, change: Callable[[Any], Any]) -> Any:
    return part | {"bndbox": change(part["bndbox"])} if isinstance(part, dict) and "bndbox" in part else part


def element_value(element: Element, depth: int = 1) -> Any:
    """Returns the value of an element that is not part of the format.

    Raises:
        ValueError: Elements are nested more than :data:`MAX_DEPTH` deep.
    """
    if depth > MAX_DEPTH:
        raise ValueError(f"elements are nested more than {MAX_DEPTH} deep")
    text = (element.text or "").strip(SPACE)
    if not len(element) and not element.attrib:
        return scalar(text)
    content = children(element, depth)
    if text:
        content["#text"] = scalar(text)
    return content


def children(element: Element, depth: int = 0, known: Set[str] = frozenset()) -> dict[str, Any]:
    """Returns an element's XML attributes and its children, except those with a ``known`` tag.

    Raises:
        ValueError: As :func:`element_value`, or an element that should contain JSON does not.
    """
    content: dict[str, Any] = {f"@{name}": value for name, value in element.attrib.items()}
    found: dict[str, list[Any]] = {}
    for child in element:
        if child.tag in known:
            continue
        if depth == 0 and child.tag == JSON_TAG and "name" in child.attrib:
            content[child.attrib["name"]] = _parsed_json(child)
        else:
            found.setdefault(child.tag, []).append(element_value(child, depth + 1))
    content.update((tag, values if len(values) > 1 else values[0]) for tag, values in found.items())
    return content


def _parsed_json(element: Element) -> Any:
    try:
        return json.loads(element.text or "")
    except (ValueError, RecursionError) as error:
        raise ValueError(f"<{JSON_TAG} name={element.attrib['name']!r}> does not contain JSON: {error}") from None


def escaped(text: str) -> str:
    """Returns a text as the content of an element.

    Raises:
        ValueError: XML cannot represent one of its characters.
    """
    if not _SPECIAL.search(text):
        return text
    if forbidden := _FORBIDDEN.search(text):
        raise ValueError(f"{text!r} contains the character {forbidden.group()!r}, which XML cannot represent")
    from xml.sax.saxutils import escape  # imports urllib and http, which most texts do not need

    return escape(text, {"\r": "&#13;"})  # a parser replaces a bare carriage return by a line feed


def in_quotes(text: str) -> str:
    """Returns a text as the value of an XML attribute, with quotes."""
    if _TAG.fullmatch(text):
        return f'"{text}"'
    from xml.sax.saxutils import quoteattr

    return quoteattr(text)


def is_text(value: object) -> bool:
    """Whether a value is a text that an element restores unchanged, unless :func:`scalar` reads it as a number."""
    return isinstance(value, str) and value == value.strip(SPACE) and not _FORBIDDEN.search(value)


def is_scalar(value: object) -> bool:
    """Whether an element's text restores the value unchanged."""
    if isinstance(value, str):
        return is_text(value) and scalar(value) == value
    if type(value) not in (int, float):
        return False
    read = scalar(repr(value))
    return type(read) is type(value) and read == value


def attribute_lines(key: str, value: Any, indent: str) -> str:
    """Returns one attribute as lines of XML.

    Raises:
        ValueError: Neither XML nor JSON can represent it.
    """
    lines = element_lines(key, value, indent) if key != JSON_TAG else None
    return lines if lines is not None else json_line(key, value, indent)


def json_line(key: str, value: Any, indent: str) -> str:
    """Returns one attribute as an element that contains JSON.

    Raises:
        ValueError: JSON would not restore the value.
    """
    try:
        text = json.dumps(value)
        same = type(value) is str or repr(json.loads(text)) == repr(value)
    except (TypeError, ValueError, RecursionError):
        same = False
    if not same:
        raise ValueError(f"the attribute {key!r} is a {type(value).__name__} that neither XML nor JSON can represent")
    return f"{indent}{_json_start(key)}{escaped(text)}</{JSON_TAG}>\n"


@lru_cache(256)
def _json_start(key: str) -> str:
    escaped(key)
    return f"<{JSON_TAG} name={in_quotes(key)}>"


def child_lines(content: Any, indent: str, known: Set[str]) -> str | None:
    """Returns a dict as children next to the ``known`` ones, or ``None`` if reading would not restore it."""
    if not isinstance(content, dict) or not content:
        return None
    lines = [element_lines(key, value, indent) if key not in known else None for key, value in content.items()]
    if JSON_TAG in content or None in lines:
        return None
    return "".join(line for line in lines if line)


def element_lines(key: Any, value: Any, indent: str, depth: int = 1) -> str | None:
    """Returns a value as elements named ``key``, or ``None`` if reading would not restore it."""
    if not isinstance(key, str) or not _TAG.fullmatch(key) or depth > MAX_DEPTH:
        return None
    if is_scalar(value):
        return f"{indent}<{key}>{escaped(str(value))}</{key}>\n" if value != "" else f"{indent}<{key}/>\n"
    if isinstance(value, list) and len(value) > 1 and not any(isinstance(item, list) for item in value):
        lines = [element_lines(key, item, indent, depth) for item in value]
        return None if None in lines else "".join(line for line in lines if line)
    if isinstance(value, dict):
        return _nested(key, value, indent, depth)
    return None


def _nested(key: str, content: Mapping[Any, Any], indent: str, depth: int) -> str | None:
    attributes, inside, text = "", "", ""
    for name, value in content.items():
        if isinstance(name, str) and name.startswith("@"):
            if not isinstance(value, str) or not _TAG.fullmatch(name[1:]) or _FORBIDDEN.search(value):
                return None
            attributes += f" {name[1:]}={in_quotes(value)}"
        elif name == "#text":
            if not is_scalar(value) or value == "":
                return None
            text = escaped(str(value))
        else:
            lines = element_lines(name, value, f"{indent}\t", depth + 1)
            if lines is None:
                return None
            inside += lines
    if inside:
        return f"{indent}<{key}{attributes}>{text}\n{inside}{indent}</{key}>\n"
    return f"{indent}<{key}{attributes}>{text}</{key}>\n" if attributes else None
