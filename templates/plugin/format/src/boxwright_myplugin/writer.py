"""Writes a file, line by line."""

from __future__ import annotations

import json
from typing import Any

from boxwright import LabelMap, Sample
from boxwright.protocols import Output


class MyPluginWriter:
    """Writes one line a picture.

    Args:
        output: Gives the file; it gets its final name when it is whole.
        label_map: Not used: the lines hold names. A format of class numbers says ``numbered=True`` and needs it.
    """

    def __init__(self, output: Output, label_map: LabelMap | None = None) -> None:
        self._file = output.open()

    def write(self, sample: Sample) -> None:
        """Adds one picture."""
        boxes = sample.boxes
        row = {
            "picture": sample.image.name,
            "width": sample.image.width,
            "height": sample.image.height,
            "boxes": [
                _box(label, edges, attributes)
                for label, edges, attributes in zip(boxes.labels, boxes.edges, boxes.attributes, strict=True)
            ],
        }
        self._file.write(json.dumps(row).encode() + b"\n")

    def close(self) -> None:
        """Finishes the file."""
        self._file.close()


def _box(label: str, edges: Any, attributes: Any) -> dict[str, Any]:
    box = {"label": label, "edges": edges}
    return box | {"difficult": 1} if attributes.get("difficult") else box
