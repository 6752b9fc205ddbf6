"""Writes LabelMe's JSON with its images."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from typing import Any

from boxwright import Coordinates, DataError, LabelMap, Sample
from boxwright.datasets import (
    Ellipse,
    FolderFiles,
    Mask,
    Output,
    Points,
    Polygon,
    Polyline,
    Rectangle,
    Shape,
    pixels_of_runs,
    shape_of,
)
from boxwright.storage import safe_name
from boxwright_labelme.annotation import FILE_KEYS, OWN, SHAPE_KEYS, png_of

_VERSION = "5.5.0"
"""Of LabelMe, whose layout is written."""

_HIDDEN = re.compile(r"(?:^|/)\.(?!\.?/)|//")
_SKIP = "or leave it out with --on-error skip"


class LabelMeWriter:
    """Writes each image, byte for byte, with its JSON next to it.

    A box whose attributes keep the shape that it was made from is written as that shape, others as rectangles.
    LabelMe has neither ellipses, nor skeletons, nor polygons of several parts: these are rectangles with attributes.
    An attribute is a key of the shape, or of the file; LabelMe keeps the keys that it does not know.

    Args:
        output: The folder.
        label_map: Not used; the JSON contains names.
        pictures: Whether to copy the images; without them the samples need none.
    """

    def __init__(self, output: Output, label_map: LabelMap | None = None, pictures: bool = True) -> None:
        self._files = FolderFiles(output)
        self._copies_images = pictures
        self._written: dict[str, str] = {}  # name without suffix -> image

    def write(self, sample: Sample) -> None:
        """Adds one image and its JSON.

        Raises:
            DataError: The image cannot be read, the JSON would replace that of another image, or JSON cannot represent
                an attribute.
            OutputError: The image's name leads out of the folder.
        """
        image = sample.image.name
        place = sample.source or image
        safe_name(image, place)
        name = os.path.splitext(image)[0]
        if _HIDDEN.search(image) or image.lower().endswith(".json"):
            raise DataError(place, f"an image with the name {image!r} would not be found", f"rename it, {_SKIP}")
        if name in self._written:
            problem = f"the images {self._written[name]} and {image} would share {name}.json"
            raise DataError(place, problem, f"rename one of them, {_SKIP}")
        try:
            document = json.dumps(_document(sample), ensure_ascii=False, allow_nan=False, indent=2).encode()
        except (TypeError, ValueError, RecursionError) as error:
            if isinstance(error, UnicodeEncodeError):
                raise
            raise DataError(place, f"it cannot be written as JSON: {error}", f"correct it, {_SKIP}") from None
        if self._copies_images:
            self._files.copy(image, sample.image)
        self._files.put(f"{name}.json", document)
        self._written[name] = image

    def close(self) -> None:
        """Does nothing: all files are complete."""


def _document(sample: Sample) -> dict[str, Any]:
    image, boxes = sample.image, sample.boxes
    rest, own = _sorted(sample.attributes, FILE_KEYS)
    return {
        "version": _VERSION,
        "flags": rest.pop("flags", {}),
        "shapes": [
            _entry(label, coordinates, attributes)
            for label, coordinates, attributes in zip(boxes.labels, boxes.coordinates, boxes.attributes, strict=True)
        ],
        "imagePath": image.name.rpartition("/")[2],
        "imageData": None,
        "imageHeight": image.height,
        "imageWidth": image.width,
        **rest,
        **own,
    }


def _entry(label: str, coordinates: Coordinates, attributes: Mapping[str, Any]) -> dict[str, Any]:
    kept = shape_of(coordinates, attributes) if attributes else None
    drawn = None if kept is None else _drawn(kept[0])
    xmin, ymin, xmax, ymax = coordinates
    kind, points, mask = drawn or ("rectangle", [[xmin, ymin], [xmax, ymax]], None)
    used = kept[1] - {"rotation"} if kept is not None and drawn is not None else ()
    rest, own = _sorted({key: value for key, value in attributes.items() if key not in used}, SHAPE_KEYS)
    return {
        "label": label,
        "points": points,
        "group_id": rest.pop("group_id", None),
        "description": rest.pop("description", ""),
        "shape_type": kind,
        "flags": rest.pop("flags", {}),
        "mask": mask,
        **rest,
        **own,
    }


def _drawn(shape: Shape) -> tuple[str, list[list[float]], str | None] | None:
    """Returns the type, points and mask of a shape in LabelMe; ``None`` if LabelMe has no such shape."""
    match shape:
        case Rectangle():
            return "polygon", [list(corner) for corner in shape.corners], None
        case Polygon(parts=(points,)):
            return "polygon", [list(point) for point in points], None
        case Ellipse(cx=cx, cy=cy, rx=radius) if shape.kind == "circle":
            return "circle", [[cx, cy], [cx + radius, cy]], None
        case Polyline(points=points):
            return "line" if len(points) == 2 else "linestrip", [list(point) for point in points], None
        case Points(points=points):
            return "points", [list(point) for point in points], None
        case Mask():
            left, top, right, bottom = shape.box
            inside = pixels_of_runs(shape.counts, shape.height, shape.box)
            return "mask", [[left, top], [right - 1, bottom - 1]], png_of(inside)
    return None


def _sorted(attributes: Mapping[str, Any], keys: tuple[str, ...]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Returns the attributes that are keys of a file or shape, and the others, in a separate object."""
    rest: dict[str, Any] = {}
    own: dict[str, Any] = {}
    for name, value in attributes.items():
        match name, value:
            case "group_id", int() if not isinstance(value, bool):
                rest[name] = value
            case ("description", str()) | ("flags", dict()) if value and name in keys:
                rest[name] = value
            case _ if name == OWN or name in keys:
                own[name] = value
            case _:
                rest[name] = value
    return rest, {OWN: own} if own else {}
