"""The curves of a training: loss, metrics on the validation data, learning rate."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from boxwright.analysis.report.measures import Number
from boxwright.errors import BoxwrightError
from boxwright.models.manifest import RECORD, manifest_content
from boxwright.models.run import STATE, Run
from boxwright.render.lines import MOST_LINES, Axis, Line, line_chart

_MOST_POINTS = 400
_RATE = "learning_rate"


def training_of(model: str) -> dict[str, Any]:
    """Returns the metrics of each epoch of a run, one list per name; empty for other models, or if they are damaged."""
    if not (Path(model) / STATE).is_file():
        return {}
    try:
        rows = Run(model).metrics()
    except BoxwrightError:  # the numbers of the evaluation are right without the curves
        return {}
    step = max(1, math.ceil(len(rows) / _MOST_POINTS))
    rows = [row for number, row in enumerate(rows) if number % step == 0 or number == len(rows) - 1]
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: [_number(row.get(name)) for row in rows] for name in names}


def training_numbers(columns: dict[str, list[float | None]]) -> Iterator[Number]:
    """Yields the metrics of each epoch as rows."""
    epochs = columns.get("epoch", [])
    for name, values in columns.items():
        for epoch, value in zip(epochs, values, strict=True):
            if name != "epoch" and epoch is not None:
                yield Number("training", f"epoch {epoch:g}", name, value)


def training_charts(columns: dict[str, list[float | None]]) -> list[tuple[str, Any]]:
    """Returns the title and the chart of the losses, of the metrics and of the learning rate, without empty ones."""
    if not columns:
        return []
    across = "step" if all(columns.get("step", [None])) else "epoch"
    xs = [float(x) if x is not None else math.nan for x in columns[across]]
    losses = sorted((name for name in columns if name.endswith("loss")), key=lambda name: (len(name), name))
    metrics = [name for name in columns if name.startswith("val_") and name not in losses]
    metrics.sort(key=lambda name: (name not in ("val_AP", "val_AP50"), name))
    charts = []
    for title, names, axis in (
        ("Loss", losses, Axis("loss", low=0)),
        ("Metrics on the validation data", metrics, Axis("", low=0, high=1)),
        ("Learning rate", [_RATE] if _RATE in columns else [], Axis("learning rate", low=0)),
    ):
        lines = [line for line in (_line(name, xs, columns[name]) for name in names[:MOST_LINES]) if line is not None]
        if lines:
            charts.append((title, line_chart(lines, Axis(across), axis, f"{title} during the training")))
    return charts


def manifest_of(model: str) -> dict[str, Any]:
    """Returns what is known of how a model was made: the state and settings of a run, the manifest of an artifact."""
    folder = Path(model)
    try:
        if (folder / STATE).is_file():
            run = Run(folder)
            return {"run": run.state, "settings": run.config}
        record = folder / RECORD if folder.is_dir() else folder.with_name(RECORD)
        return manifest_content(record) if record.is_file() else {}
    except BoxwrightError:  # the model was loaded, and the numbers are right without it
        return {}


def _line(name: str, xs: Sequence[float], values: Sequence[float | None]) -> Line | None:
    """Returns the line of a name, without the epochs that did not measure it."""
    known = [(x, value) for x, value in zip(xs, values, strict=True) if value is not None]
    if not known:
        return None
    last = known[-1][1]
    marks = range(len(known)) if len(known) <= 1 else ()
    return Line(name, [x for x, _ in known], [value for _, value in known], list(marks), f"{last:.3g} at the end")


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None
