"""Writes a file, line by line."""

from __future__ import annotations

import json
from typing import Any

from boxwright import LabelMap, Sample
from boxwright.datasets import Output


class MyPluginWriter:
    """Writes one line per image.

    Args:
        output: Opens the file, which gets its final name when it is complete.
        label_map: Not used: lines contain class names. A format with class ids sets ``numbered=True``.
    """

    def __init__(self, output: Output, label_map: LabelMap | None = None) -> None:
        self._file = output.open()

    def write(self, sample: Sample) -> None:
        """Adds one image."""
        boxes = sample.boxes
        row = {
            "image": sample.image.name,
            "width": sample.image.width,
            "height": sample.image.height,
            "boxes": [
                _box(label, edges, attributes)
                for label, edges, attributes in zip(boxes.labels, boxes.coordinates, boxes.attributes, strict=True)
            ],
        }
        self._file.write(json.dumps(row).encode() + b"\n")

    def close(self) -> None:
        """Finishes the file."""
        self._file.close()


def _box(label: str, edges: Any, attributes: Any) -> dict[str, Any]:
    box = {"label": label, "box": edges}
    return box | {"difficult": 1} if attributes.get("difficult") else box
