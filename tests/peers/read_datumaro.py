"""``read_datumaro.py FORMAT FOLDER``: prints what Datumaro reads in a folder, as JSON."""

from __future__ import annotations

import json
import os
import sys
from typing import Any

import datumaro  # type: ignore[import-not-found,unused-ignore]


def annotation_of(annotation: Any, names: list[str]) -> dict[str, Any]:
    """Its type, class, attributes, box (x, y, width, height) and numbers."""
    return {
        "type": annotation.type.name,
        "label": names[annotation.label],
        "attributes": annotation.attributes,
        "bbox": list(map(float, annotation.get_bbox())),
        "points": list(map(float, getattr(annotation, "points", ()))),
    }


def main() -> None:
    """Reads the folder."""
    dataset = datumaro.Dataset.import_from(sys.argv[2], sys.argv[1])
    names = [label.name for label in dataset.categories()[datumaro.AnnotationType.label]]
    items = [
        {
            "id": item.id,
            "subset": item.subset,
            "attributes": item.attributes,
            "size": item.media.size,
            "exists": os.path.isfile(item.media.path),
            "annotations": [annotation_of(annotation, names) for annotation in item.annotations],
        }
        for item in dataset
    ]
    print(json.dumps(items, default=str))


main()
