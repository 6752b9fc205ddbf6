"""Projects of version 3 of VGG Image Annotator, as the entries of version 2.

A project is an object with ``project``, ``attribute``, ``file``, ``view`` and ``metadata``. A view shows files; a
region is a member of ``metadata``: ``{"vid": "1", "z": [], "xy": [2, 82, 105, 356, 207], "av": {"1": "0"}}``, with the
view, the times in a video, the shape, and the values of the attributes by their ids. See ``_via_metadata.js``,
``_via_attribute.js`` and ``_via_file.js`` of version 3 at https://gitlab.com/vgg/via.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Any, Final, NamedTuple

from boxwright import DataError
from boxwright.storage import JsonMember, json_members

PARTS: Final = ("attribute", "file", "view", "metadata")
_MEMBERS: Final = ("project", "config", *PARTS)
_IMAGE: Final = 2
_LOCAL: Final = (1, 3)  # in the folder of the project, or with a path
_CHECKBOX: Final = 2
_NAMES: Final = {1: "point", 2: "rect", 3: "circle", 4: "ellipse", 5: "polyline", 6: "polyline", 7: "polygon"}
_KEYS: Final = {
    "point": ("cx", "cy"),
    "rect": ("x", "y", "width", "height"),
    "circle": ("cx", "cy", "r"),
    "ellipse": ("cx", "cy", "rx", "ry"),
}
_EXTREME_RECTANGLE: Final = 8
_EXTREME_CIRCLE: Final = 9


class Entry(NamedTuple):
    """An image of a project.

    Attributes:
        line: The line of its view.
        key: The name of its view.
        content: As an entry of version 2; ``None`` if the view shows anything else than one image.
    """

    line: int
    key: str
    content: dict[str, Any] | None


def is_project(location: str, first: JsonMember, remedy: str) -> bool:
    """Returns whether a file whose first member is given is a project of version 3; members may have any order."""
    if first.key not in _MEMBERS or (isinstance(first.value, dict) and "filename" in first.value):
        return False
    return any(
        member.key == "project" and isinstance(member.value, dict) and "vid_list" in member.value
        for member in chain([first], json_members(location, remedy, into=PARTS))
    )


def entries(location: str, remedy: str) -> Iterator[Entry]:
    """Yields the images of a project, in the order of its views.

    Args:
        location: The project.
        remedy: As for :func:`boxwright.storage.json_members`.

    Raises:
        DataError: It is not a JSON object, or contains something that belongs to no image; raised at the end.
    """
    parts: dict[str, dict[str, JsonMember]] = {part: {} for part in PARTS}
    unusable: list[str] = []
    for member in json_members(location, remedy, into=PARTS):
        if member.key in parts and isinstance(member.value, dict):
            parts[member.key][member.name] = member
        elif member.key in parts:
            unusable.append(f"{member.key} {member.name} is not an object")
    of_view: dict[str, list[dict[str, Any]]] = {}
    for member in parts["metadata"].values():
        of_view.setdefault(str(member.value.get("vid")), []).append(member.value)
    attributes = {name: member.value for name, member in parts["attribute"].items()}
    for view, member in parts["view"].items():
        files = member.value.get("fid_list")
        file = parts["file"].get(str(files[0])) if isinstance(files, list) and len(files) == 1 else None
        is_image = file is not None and file.value.get("type") == _IMAGE
        content = _entry(file.value, of_view.get(view, []), attributes) if file and is_image else None
        yield Entry(member.line, f"view {view}", content)
    unusable += [f"a region is in view {view}, which does not exist" for view in of_view if view not in parts["view"]]
    if unusable:
        raise DataError(location, "; ".join(each[:100] for each in unusable[:3]), "open and save the project in VIA")


def _entry(file: dict[str, Any], metadata: list[dict[str, Any]], attributes: dict[str, Any]) -> dict[str, Any]:
    source = file.get("src") if file.get("loc") in _LOCAL else None
    regions = [
        {"shape_attributes": _shape(each["xy"]), "region_attributes": _values(each.get("av"), attributes)}
        for each in metadata
        if each.get("xy")
    ]
    of_file = [_values(each.get("av"), attributes) for each in metadata if not each.get("xy")]
    return {
        "filename": source or file.get("fname"),
        "regions": regions,
        "file_attributes": {name: value for values in of_file for name, value in values.items()},
    }


def _shape(written: Any) -> dict[str, Any]:
    """Returns a shape as in version 2; one that cannot be read has its kind as its name."""
    if not isinstance(written, list):
        return {"name": written}
    kind, numbers = written[0], written[1:]
    points = {"all_points_x": numbers[::2], "all_points_y": numbers[1::2]}
    if kind in (_EXTREME_RECTANGLE, _EXTREME_CIRCLE):
        if len(numbers) % 2 or len(numbers) < 6 or not all(type(each) in (int, float) for each in numbers):
            return {"name": kind}
        return _bounds(numbers[::2], numbers[1::2]) if kind == _EXTREME_RECTANGLE else _circle(numbers, points)
    name = _NAMES.get(kind) if isinstance(kind, int) else None
    if name is None:
        return {"name": kind}
    return {"name": name, **(dict(zip(_KEYS[name], numbers, strict=False)) if name in _KEYS else points)}


def _bounds(xs: list[float], ys: list[float]) -> dict[str, Any]:
    return {"name": "rect", "x": min(xs), "y": min(ys), "width": max(xs) - min(xs), "height": max(ys) - min(ys)}


def _circle(numbers: list[float], points: dict[str, Any]) -> dict[str, Any]:
    """Returns the circle through three points; https://mathworld.wolfram.com/Circumcircle.html."""
    try:
        first, second, third = (complex(x, y) for x, y in zip(numbers[:6:2], numbers[1:6:2], strict=True))
        ratio = (third - first) / (second - first)
        center = (second - first) * (ratio - abs(ratio) ** 2) / (2j * ratio.imag) + first
        return {"name": "circle", "cx": center.real, "cy": center.imag, "r": abs(first - center)}
    except (OverflowError, ZeroDivisionError):  # on a line
        return {"name": "polyline", **points}


def _values(given: Any, attributes: dict[str, Any]) -> dict[str, Any]:
    """Returns the values of attributes by name: the text, the chosen option, or each ticked one."""
    values: dict[str, Any] = {}
    for number, value in given.items() if isinstance(given, dict) else ():
        attribute = attributes.get(number, {})
        options = attribute.get("options")
        name = str(attribute.get("aname") or number)
        if not isinstance(options, dict) or not options or not isinstance(value, str):
            values[name] = value
        elif attribute.get("type") == _CHECKBOX:
            values[name] = {str(options.get(each, each)): True for each in value.split(",") if each}
        else:
            values[name] = options.get(value, value)
    return values
