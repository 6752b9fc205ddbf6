"""Attributes as XML elements and back, so that what was read is written and what was written is read.

A number or text is an element, a dict an element with children (XML attributes under ``@name``, text beside children
under ``#text``), a list an element that stands several times. A value or key for which that does not give the same
value again (a list of one, ``"7"`` as a text, ``null``, a key with a space) is kept as JSON instead:
``<boxwright name="KEY">JSON</boxwright>``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Set
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from boxwright_voc.xml.annotation import SPACE
from boxwright_voc.xml.scalars import scalar

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

JSON_TAG: Final = "boxwright"
DEEPEST: Final = 30
"""How deep elements may be nested; real annotations have three levels."""

# https://www.w3.org/TR/xml/#charsets: what no XML 1.0 document can hold, not even escaped.
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_SPECIAL = re.compile("[&<>\x00-\x08\x0b-\x1f\ud800-\udfff\ufffe\uffff]")  # these, and what is escaped
_TAG = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")


def element_value(element: Element, depth: int = 1) -> Any:
    """What an element that the format does not know says.

    Raises:
        ValueError: Elements are nested more than :data:`DEEPEST` deep.
    """
    if depth > DEEPEST:
        raise ValueError(f"elements are nested more than {DEEPEST} deep")
    text = (element.text or "").strip(SPACE)
    if not len(element) and not element.attrib:
        return scalar(text)
    content = children(element, depth)
    if text:
        content["#text"] = scalar(text)
    return content


def children(element: Element, depth: int = 0, known: Set[str] = frozenset()) -> dict[str, Any]:
    """An element's XML attributes and its children but for those of a ``known`` tag.

    Raises:
        ValueError: As :func:`element_value`, or an element that should hold JSON does not.
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
        raise ValueError(f"<{JSON_TAG} name={element.attrib['name']!r}> holds no JSON: {error}") from None


def escaped(text: str) -> str:
    """Text for the inside of an element.

    Raises:
        ValueError: It holds a character that XML cannot.
    """
    if not _SPECIAL.search(text):
        return text
    if forbidden := _FORBIDDEN.search(text):
        raise ValueError(f"{text!r} holds the character {forbidden.group()!r}, which XML cannot")
    from xml.sax.saxutils import escape  # brings urllib and http along, and most texts need none of it

    return escape(text, {"\r": "&#13;"})  # a parser makes a bare carriage return a line feed


def in_quotes(text: str) -> str:
    """Text as the value of an XML attribute, with the quotes around it."""
    if _TAG.fullmatch(text):
        return f'"{text}"'
    from xml.sax.saxutils import quoteattr

    return quoteattr(text)


def is_text(value: object) -> bool:
    """Whether a value is a text that an element gives back as it is, but for the numbers that :func:`scalar` sees."""
    return isinstance(value, str) and value == value.strip(SPACE) and not _FORBIDDEN.search(value)


def is_scalar(value: object) -> bool:
    """Whether an element's text gives the value back as it is."""
    if isinstance(value, str):
        return is_text(value) and scalar(value) == value
    if type(value) not in (int, float):
        return False
    read = scalar(repr(value))
    return type(read) is type(value) and read == value


def attribute_lines(key: str, value: Any, indent: str) -> str:
    """One attribute as lines of XML.

    Raises:
        ValueError: It is nothing that JSON could hold either.
    """
    lines = element_lines(key, value, indent) if key != JSON_TAG else None
    return lines if lines is not None else json_line(key, value, indent)


def json_line(key: str, value: Any, indent: str) -> str:
    """One attribute as an element that holds JSON.

    Raises:
        ValueError: JSON would not give the same value again.
    """
    try:
        text = json.dumps(value)
        same = type(value) is str or repr(json.loads(text)) == repr(value)
    except (TypeError, ValueError, RecursionError):
        same = False
    if not same:
        raise ValueError(f"the attribute {key!r} is a {type(value).__name__} that neither XML nor JSON can hold")
    return f"{indent}{_json_start(key)}{escaped(text)}</{JSON_TAG}>\n"


@lru_cache(256)
def _json_start(key: str) -> str:
    escaped(key)
    return f"<{JSON_TAG} name={in_quotes(key)}>"


def child_lines(content: Any, indent: str, known: Set[str]) -> str | None:
    """A dict as the children that stand beside the ``known`` ones; ``None`` where it would not come back the same."""
    if not isinstance(content, dict) or not content:
        return None
    lines = [element_lines(key, value, indent) if key not in known else None for key, value in content.items()]
    if JSON_TAG in content or None in lines:
        return None
    return "".join(line for line in lines if line)


def element_lines(key: Any, value: Any, indent: str, depth: int = 1) -> str | None:
    """A value as elements named ``key``; ``None`` where it would not come back the same."""
    if not isinstance(key, str) or not _TAG.fullmatch(key) or depth > DEEPEST:
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
