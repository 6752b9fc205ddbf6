"""``read_labelstudio.py FILE``: checks tasks with Label Studio's SDK, and prints what its converter reads, as JSON."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

from label_studio_sdk.converter.brush import decode_rle  # type: ignore[import-not-found,unused-ignore]
from label_studio_sdk.converter.utils import (  # type: ignore[import-not-found,unused-ignore]
    convert_annotation_to_yolo_obb,
)
from label_studio_sdk.label_interface import LabelInterface  # type: ignore[import-not-found,unused-ignore]

CONTROLS = {
    "label": "RectangleLabels",
    "polygon": "PolygonLabels",
    "ellipse": "EllipseLabels",
    "brush": "BrushLabels",
}


def configuration(classes: list[str]) -> str:
    """The labeling configuration of the plugin's README, for some classes."""
    labels = "".join(f"<Label value={quoteattr(name)}/>" for name in classes)
    controls = "".join(f'<{tag} name="{name}" toName="image">{labels}</{tag}>' for name, tag in CONTROLS.items())
    return f'<View><Image name="image" value="$image"/>{controls}</View>'


def region(result: dict[str, Any]) -> dict[str, Any]:
    """The class and the numbers of a result, in pixels: corners of a rectangle, pixels of a brush."""
    value, kind = result["value"], result["type"]
    numbers: Any = None
    if kind == "rectanglelabels":
        numbers = convert_annotation_to_yolo_obb({**result, **value}, normalize=False)
    elif kind == "brushlabels":
        size = result["original_height"], result["original_width"], 4
        inside = decode_rle(value["rle"]).reshape(size)[..., 3]
        numbers = [list(map(int, place)) for place in zip(*inside.nonzero(), strict=True)]
    return {"kind": kind, "labels": value[kind], "numbers": numbers, "score": result.get("score")}


def main() -> None:
    """Checks and reads the file."""
    tasks = json.loads(Path(sys.argv[1]).read_text("utf-8"))
    kinds = ("predictions", "annotations")
    groups = [(task, key, each) for task in tasks for key in kinds for each in task.get(key, [])]
    classes = {name for *_, each in groups for result in each["result"] for name in result["value"][result["type"]]}
    interface = LabelInterface(configuration(sorted(classes)))
    interface.validate()
    answers = []
    for task, key, each in groups:
        errors = interface.validate_prediction(each, return_errors=True) if key == "predictions" else []
        valid = interface.validate_prediction(each) if key == "predictions" else interface.validate_annotation(each)
        answers.append(
            {
                "image": task["data"]["image"],
                "valid": valid,
                "errors": errors,
                "regions": [region(result) for result in each["result"]],
            }
        )
    print(json.dumps(answers))


main()
