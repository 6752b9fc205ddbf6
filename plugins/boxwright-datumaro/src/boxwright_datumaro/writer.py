"""Writes Datumaro's JSON with its images."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from typing import Any

from boxwright import Coordinates, DataError, LabelMap, Sample, is_text
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
    Skeleton,
    packed_runs,
    shape_of,
)
from boxwright.storage import safe_name
from boxwright_datumaro.items import FIELDS
from boxwright_datumaro.reader import ANNOTATIONS, DEFAULT

_HIDDEN = re.compile(r"(?:^|/)\.(?!\.?/)|//")
_NOT_IN_A_FILE_NAME = re.compile(r"[/\\\0\r\n:\ud800-\udfff]|^\.|^$")
_SKIP = "or leave it out with --on-error skip"


class DatumaroWriter:
    """Writes ``annotations/SUBSET.json`` for each split, and the images, byte for byte, to ``images/SUBSET``.

    A box whose attributes keep the shape that it was made from is written as that shape, others as ``bbox``. Datumaro's
    JSON has no rotated rectangles, which are polygons with ``rotation``, and neither rotated ellipses, nor named key
    points, nor polygons of several parts, which are boxes with attributes.

    Args:
        output: The folder.
        label_map: The classes, numbered in their order.
        pictures: Whether to copy the images; without them the samples need none.
    """

    def __init__(self, output: Output, label_map: LabelMap | None = None, pictures: bool = True) -> None:
        self._output = output
        self._images = FolderFiles(output)
        self._copies_images = pictures
        names = [name for name in (label_map.names if label_map else ()) if is_text(name)]
        self._numbers = {name: number for number, name in enumerate(names)}
        labels = [{"name": name, "parent": "", "attributes": []} for name in names]
        categories = {"label": {"labels": labels, "attributes": []}} if labels else {}
        self._head = (
            f'{{"infos": {{}}, "categories": {json.dumps(categories, ensure_ascii=False)}, "items": [\n'.encode()
        )
        self._files: dict[str, Any] = {}
        self._written: dict[tuple[str, str], str] = {}  # subset, name without suffix -> image

    def write(self, sample: Sample) -> None:
        """Adds one image and its item.

        Raises:
            DataError: The image cannot be read, its item would have the id of another, or JSON cannot represent a
                value.
            OutputError: The image's name leads out of the folder.
        """
        name = sample.image.name
        place = sample.source or name
        safe_name(name, place)
        subset, key = sample.split if sample.split is not None else DEFAULT, os.path.splitext(name)[0]
        if _HIDDEN.search(name) or name.lower().endswith(".json"):
            raise DataError(place, f"an image with the name {name!r} would not be found", f"rename it, {_SKIP}")
        if sample.split == DEFAULT or _NOT_IN_A_FILE_NAME.search(subset):
            raise DataError(place, f"the split {subset!r} cannot be the name of a file", f"rename it, {_SKIP}")
        if (subset, key) in self._written:
            problem = f"the images {self._written[subset, key]} and {name} would have the same id {key}"
            raise DataError(place, problem, f"rename one of them, {_SKIP}")
        try:
            item = json.dumps(self._item(sample, key), ensure_ascii=False, allow_nan=False).encode()
        except UnicodeEncodeError:
            raise
        except (TypeError, ValueError, RecursionError) as error:
            raise DataError(place, f"it cannot be written as JSON: {error}", f"correct it, {_SKIP}") from None
        if self._copies_images:
            self._images.copy(f"images/{subset}/{name}", sample.image)
        file = self._files.get(subset)
        if file is None:
            file = self._files[subset] = self._output.open(f"{ANNOTATIONS}/{subset}.json")
            file.write(self._head + item)
        else:
            file.write(b",\n" + item)
        self._written[subset, key] = name

    def close(self) -> None:
        """Finishes the files."""
        for file in self._files.values():
            file.write(b"\n]}\n")
            file.close()

    def _item(self, sample: Sample, key: str) -> dict[str, Any]:
        image, boxes = sample.image, sample.boxes
        rows = enumerate(zip(boxes.labels, boxes.coordinates, boxes.attributes, strict=True), start=1)
        return {
            "id": key,
            "annotations": [self._annotation(number, *row) for number, row in rows],
            "attr": dict(sample.attributes),
            "image": {"path": image.name, "size": [image.height, image.width]},
        }

    def _annotation(
        self, number: int, label: str, coordinates: Coordinates, attributes: Mapping[str, Any]
    ) -> dict[str, Any]:
        kept = shape_of(coordinates, attributes) if attributes else None
        drawn = None if kept is None else _drawn(kept[0])
        rest = dict(attributes)
        if kept is not None and drawn is not None:
            rest = {name: value for name, value in rest.items() if name not in kept[1] - {"rotation"}}
        xmin, ymin, xmax, ymax = coordinates
        rotated = drawn is None and "rotation" in rest
        if rotated:  # the rotation of a box would be taken for that of the rectangle
            drawn = {"type": "polygon", "points": [xmin, ymin, xmax, ymin, xmax, ymax, xmin, ymax]}
        fields: dict[str, Any] = {"id": number}
        for name, none in FIELDS.items():
            if type(rest.get(name)) is int and rest[name] != none:
                fields[name] = rest.pop(name)
        box = {"type": "bbox", "bbox": [xmin, ymin, xmax - xmin, ymax - ymin]}
        return {**fields, **(drawn or box), "label_id": self._numbers[label], "attributes": rest}


def _drawn(shape: Shape) -> dict[str, Any] | None:
    """Returns the type and numbers of a shape; ``None`` if Datumaro's JSON has no such shape."""
    match shape:
        case Rectangle():
            return {"type": "polygon", "points": _flat(shape.corners)}
        case Polygon(parts=(points,)):
            return {"type": "polygon", "points": _flat(points)}
        case Polyline(points=points):
            return {"type": "polyline", "points": _flat(points)}
        case Points(points=points):
            return {"type": "points", "points": _flat(points), "visibility": [2] * len(points)}
        case Skeleton(points=points, visible=visible, names=()) if set(visible) != {2}:
            return {"type": "points", "points": _flat(points), "visibility": list(visible)}
        case Ellipse(rotation=0.0):
            return {"type": "ellipse", "points": list(shape.box)}
        case Mask():
            return {"type": "mask", "rle": {"counts": packed_runs(shape.counts), "size": [shape.height, shape.width]}}
    return None


def _flat(points: tuple[tuple[float, float], ...]) -> list[float]:
    return [value for point in points for value in point]
