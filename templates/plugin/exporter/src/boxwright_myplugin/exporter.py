"""Exports runs, and loads artifacts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from boxwright import Coordinates, LabelMap, Run, RunError, UsageError

from boxwright_myplugin.model import MyPluginModel

_DIGITS = {"": 17, "full": 17, "short": 4}


class MyPluginExporter:
    """Writes classes and boxes to one file, ``model.json``."""

    def export(self, run: Run, out: Path, precision: str = "") -> Path:
        """Writes the artifact into the empty folder ``out`` and returns its path.

        Raises:
            UsageError: The precision is unknown.
        """
        if precision not in _DIGITS:
            raise UsageError(f"unknown precision {precision!r}", "use full or short")
        boxes = json.loads(run.file("model/averages.json").read_text("utf-8"))
        content = {
            "classes": run.label_map.names,
            "boxes": {label: [round(edge, _DIGITS[precision]) for edge in edges] for label, edges in boxes.items()},
        }
        artifact = out / "model.json"
        artifact.write_text(json.dumps(content), "utf-8")
        return artifact

    def load(self, artifact: Path) -> MyPluginModel:
        """Returns the artifact as a model, which boxwright compares with the run.

        Raises:
            RunError: It is not an artifact of this exporter.
        """
        try:
            content: Any = json.loads(artifact.read_text("utf-8"))
            label_map = LabelMap.from_names(content["classes"], sort=False)
            boxes = {str(label): _edges(edges) for label, edges in content["boxes"].items()}
        except (AttributeError, KeyError, OSError, RecursionError, TypeError, ValueError) as error:
            problem = f"{artifact} is not a myplugin model: {error}"
            raise RunError(problem, "export the run again") from None
        return MyPluginModel(label_map, boxes)


def _edges(numbers: Any) -> Coordinates:
    xmin, ymin, xmax, ymax = map(float, numbers)
    return (xmin, ymin, xmax, ymax)
