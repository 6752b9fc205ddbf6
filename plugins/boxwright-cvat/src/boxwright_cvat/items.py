"""The annotated objects of CVAT: their labels, shapes and attributes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any, Final, NamedTuple

from boxwright import Boxes
from boxwright.datasets import DrawnShape, ItemError, ShapeError, ShapeRule
from boxwright_cvat.shapes import Drawn, drawn, value_of
from boxwright_cvat.stream import Node

MANUAL: Final = "manual"


class Item(NamedTuple):
    """One object.

    Attributes:
        place: Its place, for messages.
        label: Its label.
        drawn: Its shape.
        attributes: Its attributes.
    """

    place: str
    label: str
    drawn: Drawn
    attributes: Mapping[str, Any]


def item(node: Node, place: str, label: str | None = None) -> Item:
    """Returns the object of an element.

    Args:
        node: The element.
        place: Its place, for messages.
        label: The label of its track.

    Raises:
        ItemError: It has no label, or its shape is not complete.
    """
    label = node.attributes.get("label", "") if label is None else label
    if not label:
        raise ItemError("it has no label", 'write label="car"', place)
    place = f"{place} ({label})"
    try:
        shape = drawn(node)
    except ShapeError as error:
        raise ItemError(str(error), "draw it again", place) from None
    return Item(place, label, shape, _attributes(node))


def boxes_of(items: Iterable[Item], rule: ShapeRule, width: int, height: int) -> Boxes:
    """Returns the boxes of objects in an image of that size.

    Raises:
        ItemError: A shape is invalid, or refused by the rule.
    """
    return rule.boxes(
        DrawnShape(each.place, each.label, partial(each.drawn.shape, width, height), each.attributes) for each in items
    )


def tag_of(node: Node) -> Any:
    """Returns a tag of an image: its label, or an object with its label and attributes."""
    found = _attributes(node)
    label = node.attributes.get("label", "")
    return {"label": label, "attributes": found} if found else label


def _attributes(node: Node) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, default in (("occluded", 0), ("z_order", 0), ("group_id", None)):
        text = node.attributes.get(name)
        if text and (value := value_of(text)) != default:
            found[name] = value
    if (source := node.attributes.get("source", MANUAL)) != MANUAL:
        found["source"] = source
    for child in node.children:
        if child.tag == "attribute":
            found[child.attributes.get("name", "")] = value_of(child.text)
    return found
