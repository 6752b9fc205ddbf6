"""Writes tasks for Label Studio to import."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from boxwright import Coordinates, DataError, LabelMap, Sample
from boxwright.datasets import Ellipse, Mask, Output, Polygon, Rectangle, Shape, rotated, shape_of
from boxwright_labelstudio.brush import encoded
from boxwright_labelstudio.regions import OWN

_SKIP = "or leave it out with --on-error skip"
_OWN_KEYS = frozenset({"image", "width", "height", OWN})


class LabelStudioWriter:
    """Writes one task per image, whose boxes are pre-annotations (predictions), or annotations.

    A box whose attributes keep the shape that it was made from is written as that shape, others as rectangles. Label
    Studio has neither lines, nor skeletons, nor polygons of several parts: these are rectangles with attributes.
    A ``score`` is that of the result; other attributes are in its ``meta``, those of an image in the task's ``data``.

    Args:
        output: The file.
        label_map: Not used; the tasks contain names.
        into: ``"predictions"`` or ``"annotations"``.
        prefix: What the names of the images begin with; they are then quoted as in a URL.
        from_name: The name of the control of rectangles; those of the other shapes are ``polygon``, ``ellipse`` and
            ``brush``.
        to_name: The name of the image object.
        model_version: The name of the predictions.
    """

    def __init__(
        self,
        output: Output,
        label_map: LabelMap | None = None,
        into: str = "predictions",
        prefix: str = "",
        from_name: str = "label",
        to_name: str = "image",
        model_version: str = "boxwright",
    ) -> None:
        self._into = into
        self._prefix = prefix
        self._from_name = from_name
        self._to_name = to_name
        self._model_version = model_version
        self._names: set[str] = set()
        self._file = output.open()
        self._file.write(b"[")

    def write(self, sample: Sample) -> None:
        """Adds one task.

        Raises:
            DataError: JSON cannot represent an attribute, or the image is a duplicate.
        """
        name = sample.image.name
        place = sample.source or name
        if name in self._names:
            raise DataError(place, f"duplicate image {name}", f"rename one of them, {_SKIP}")
        if not self._prefix and (name.startswith(("/data/", "data:image/")) or "\\" in name or "://" in name):
            raise DataError(place, f"the name {name!r:.80} would be read as an address", f"rename it, {_SKIP}")
        try:
            task = json.dumps(self._task(sample), ensure_ascii=False, allow_nan=False).encode()
        except UnicodeEncodeError:
            raise
        except (TypeError, ValueError, RecursionError) as error:
            raise DataError(place, f"it cannot be written as JSON: {error}", f"correct it, {_SKIP}") from None
        self._file.write((b",\n" if self._names else b"\n") + task)
        self._names.add(name)

    def close(self) -> None:
        """Finishes the list."""
        self._file.write(b"\n]\n")
        self._file.close()

    def _task(self, sample: Sample) -> dict[str, Any]:
        image, boxes = sample.image, sample.boxes
        path = f"{self._prefix}{quote(image.name)}" if self._prefix else image.name
        data: dict[str, Any] = {"image": path, "width": image.width, "height": image.height}
        data |= {name: value for name, value in sample.attributes.items() if name not in _OWN_KEYS}
        if own := {name: value for name, value in sample.attributes.items() if name in _OWN_KEYS}:
            data[OWN] = own
        results = [
            self._result(sample, number, *row)
            for number, row in enumerate(zip(boxes.labels, boxes.coordinates, boxes.attributes, strict=True))
        ]
        given: dict[str, Any] = {"result": results}
        if self._into == "predictions":
            scores = [result["score"] for result in results if "score" in result]
            given = {"model_version": self._model_version, **given}
            if scores:
                given["score"] = sum(scores) / len(scores)
        return {"id": len(self._names) + 1, "data": data, self._into: [given]}

    def _result(
        self, sample: Sample, number: int, label: str, box: Coordinates, attributes: Mapping[str, Any]
    ) -> dict[str, Any]:
        width, height = sample.image.width, sample.image.height
        kept = shape_of(box, attributes) if attributes else None
        drawn = None if kept is None else _drawn(kept[0], width, height)
        kind, value = drawn or ("rectangle", _rectangle(box, width, height, 0.0))
        used = kept[1] if kept is not None and drawn is not None else frozenset()
        rest = {name: v for name, v in attributes.items() if name not in used}
        key = rest.get("id")
        if isinstance(key, str) and key:
            del rest["id"]
        else:
            digest = hashlib.blake2b(f"{sample.image.name}\0{number}".encode(errors="surrogatepass"), digest_size=5)
            key = digest.hexdigest()
        result: dict[str, Any] = {
            "id": key,
            "type": f"{kind}labels",
            "from_name": self._from_name if kind == "rectangle" else kind,
            "to_name": self._to_name,
            "original_width": width,
            "original_height": height,
            "image_rotation": 0,
            "value": {**value, f"{kind}labels": [label]},
        }
        score = rest.get("score")
        if isinstance(score, int | float) and not isinstance(score, bool):
            result["score"] = rest.pop("score")
        if rest:
            result["meta"] = {OWN: rest}
        return result


def _drawn(shape: Shape, width: int, height: int) -> tuple[str, dict[str, Any]] | None:
    """Returns the kind and the value of a shape; ``None`` if Label Studio has no such shape."""
    match shape:
        case Rectangle():
            # Label Studio rotates about the top left corner of the rectangle, which is where the first corner goes.
            center = ((shape.xmin + shape.xmax) / 2, (shape.ymin + shape.ymax) / 2)
            left, top = rotated((shape.xmin, shape.ymin), center, shape.rotation)
            box = (left, top, left + shape.xmax - shape.xmin, top + shape.ymax - shape.ymin)
            return "rectangle", _rectangle(box, width, height, shape.rotation)
        case Ellipse():
            radii = {"radiusX": shape.rx * 100 / width, "radiusY": shape.ry * 100 / height}
            center_of = {"x": shape.cx * 100 / width, "y": shape.cy * 100 / height}
            return "ellipse", {**center_of, **radii, "rotation": shape.rotation}
        case Polygon(parts=(points,)):
            return "polygon", {"points": [[x * 100 / width, y * 100 / height] for x, y in points], "closed": True}
        case Mask() if (shape.width, shape.height) == (width, height):
            import numpy as np

            inside = np.repeat(np.arange(len(shape.counts)) % 2 == 1, shape.counts)
            whole = np.zeros(width * height, dtype=bool)
            whole[: inside.size] = inside
            return "brush", {"format": "rle", "rle": encoded(whole.reshape(width, height).T)}
    return None


def _rectangle(box: Coordinates, width: int, height: int, rotation: float) -> dict[str, Any]:
    xmin, ymin, xmax, ymax = box
    return {
        "x": xmin * 100 / width,
        "y": ymin * 100 / height,
        "width": (xmax - xmin) * 100 / width,
        "height": (ymax - ymin) * 100 / height,
        "rotation": rotation,
    }
