"""A comparison of trainings: the settings that differ, the curves, and AP on the same images with a paired test."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from boxwright.analysis.report.page import number
from boxwright.errors import UsageError
from boxwright.models.difference import Difference
from boxwright.models.evaluation import Evaluation, evaluate
from boxwright.models.run import Run
from boxwright.plugins.options import MAX_BAD
from boxwright.plugins.registry import Registry
from boxwright.progress import LogReporter, Reporter
from boxwright.render.lines import MOST_LINES, Axis, Line, line_chart
from boxwright.render.pages import page_output, tables_page
from boxwright.text import without_secrets

if TYPE_CHECKING:
    from markupsafe import Markup

_NOT_SETTINGS = frozenset({"log", "objects"})
_METRIC = "val_AP"


@dataclass
class RunsCompared:
    """Trainings side by side.

    Attributes:
        runs: The runs.
        data: The dataset that all were measured on.
        settings: The settings, counts and versions that differ, with the value of each run by name.
        evaluations: The evaluation of each run.
        differences: The difference of each further run to the first one.
    """

    runs: list[Run]
    data: str
    settings: dict[str, list[Any]]
    evaluations: list[Evaluation]
    differences: list[Difference]

    @property
    def main(self) -> str:
        """The name of the number that is compared."""
        return self.evaluations[0].result.main

    def sentences(self) -> list[str]:
        """Returns whether each further run differs from the first one, or the images are too few to tell."""
        first, *others = self.runs
        return [
            f"{first.path} and {other.path}: {difference.sentence}"
            for other, difference in zip(others, self.differences, strict=True)
        ]

    def table_of_settings(self) -> tuple[list[str], list[list[str]]]:
        """Returns the headings and the rows of the settings that differ."""
        rows = [[name, *map(_text, values)] for name, values in self.settings.items()]
        return ["", *(str(run.path) for run in self.runs)], rows

    def table_of_numbers(self) -> tuple[list[str], list[list[str]]]:
        """Returns the headings and the rows of the numbers of all runs, with 95 % intervals."""
        names = list(dict.fromkeys(name for each in self.evaluations for name in each.values))
        return ["", *(str(run.path) for run in self.runs)], [
            [name, *(_with_interval(each, name) for each in self.evaluations)] for name in names
        ]

    def charts(self) -> dict[str, Markup]:
        """Returns the curves of all runs, the loss and the AP on their validation data, by title."""
        found = {}
        for title, name in (("Loss", "loss"), ("AP on the validation data", _METRIC)):
            lines = []
            for place, run in enumerate(self.runs):
                points = [(row["epoch"], row[name]) for row in run.metrics() if _is_finite(row.get(name))]
                marks = range(len(points)) if len(points) == 1 else ()
                xs, ys = [float(x) for x, _ in points], [float(y) for _, y in points]
                lines.append(Line(str(run.path), xs, ys, marks, style=place))
            if any(line.xs for line in lines):
                found[title] = line_chart(lines, Axis("epoch"), Axis(name, low=0), f"{title} of each run by epoch")
        return found

    def page(self) -> str:
        """Returns an HTML page."""
        tables = {"Numbers (95 % interval)": self.table_of_numbers(), "Settings that differ": self.table_of_settings()}
        notes = [f"{self.evaluations[0].samples:,} images of {self.data}", *self.sentences()]
        return tables_page("Runs compared", tables, self.charts(), notes)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        content = {
            "runs": [str(run.path) for run in self.runs],
            "data": self.data,
            "settings": self.settings,
            "curves": [run.metrics() for run in self.runs],
            "evaluations": [each.to_dict() for each in self.evaluations],
            "differences": [each.to_dict() for each in self.differences],
        }
        # The loss of a training that diverged is NaN, which JSON does not have.
        plain: dict[str, Any] = json.loads(json.dumps(content, default=str), parse_constant=lambda _: None)
        return plain


def compare_runs(
    runs: Sequence[str | Path],
    data: str | None = None,
    out: str | os.PathLike[str] | None = None,
    *,
    metric: str = "coco",
    batch_size: int = 8,
    on_error: str = MAX_BAD,
    overwrite: bool = False,
    reporter: Reporter | None = None,
    registry: Registry | None = None,
) -> RunsCompared:
    """Compares trainings.

    Args:
        runs: At least two run folders; the others are compared with the first one.
        data: The dataset to measure on; by default the validation data, if all runs have the same.
        out: A page to write.
        metric: A metric with intervals.
        batch_size: The number of images predicted at once.
        on_error: ``"fail"`` or ``"skip"`` images that cannot be read, or a limit such as ``"1%"``.
        overwrite: Whether an existing ``out`` may be replaced.
        reporter: Where progress goes.
        registry: The plugins to use, instead of the installed ones.

    Raises:
        UsageError: There are fewer than 2 or more than 8 runs, they have no common validation data and none was passed,
            or the metric has no intervals.
        RunError: A folder is not a run, or does not keep the login of its validation data.
        DataError: The data cannot be read.
    """
    if not 2 <= len(runs) <= MOST_LINES:
        raise UsageError(f"{len(runs)} runs cannot be compared", f"pass 2 to {MOST_LINES} run folders")
    found = [Run(run) for run in runs]
    configs = [run.config for run in found]
    if data is None:
        uris = {run.uri("val", "data") for run in found}
        if len(uris) > 1 or not next(iter(uris)):
            remedy = "pass --data URI with images to measure on"
            raise UsageError("the runs do not have the same validation data", remedy)
        data = str(uris.pop())
    with ExitStack() as stack:
        page = None if out is None else stack.enter_context(page_output(out, overwrite=overwrite))
        reporter = reporter or LogReporter()
        evaluations = [
            evaluate(
                run,
                data,
                metric=metric,
                batch_size=batch_size,
                on_error=on_error,
                reporter=reporter,
                registry=registry,
            )
            for run in found
        ]
        first, *others = evaluations
        differences = [Difference.between(first.result, each.result, each.samples) for each in others]
        result = RunsCompared(found, without_secrets(data), _settings(found, configs), evaluations, differences)
        if page is not None:
            with page.open() as file:
                file.write(result.page().encode())
    return result


def _settings(runs: Sequence[Run], configs: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    described = []
    for run, config in zip(runs, configs, strict=True):
        values = {name: value for name, value in _flat("", config) if name not in _NOT_SETTINGS}
        values["data (digest)"] = str(run.state["inputs"].get("data", {}).get("digest", ""))[:12]
        values |= {f"version of {name}": version for name, version in run.state.get("versions", {}).items()}
        described.append(values)
    names = dict.fromkeys(name for values in described for name in values)
    columns = {name: [values.get(name) for values in described] for name in names}
    return {name: values for name, values in columns.items() if any(value != values[0] for value in values)}


def _flat(prefix: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for name, each in value.items():
            yield from _flat(f"{prefix}.{name}" if prefix else str(name), each)
    else:
        yield prefix, value


def _is_finite(value: Any) -> bool:
    return value is not None and math.isfinite(value)


def _text(value: Any) -> str:
    return "-" if value is None else str(value)


def _with_interval(evaluation: Evaluation, name: str) -> str:
    low, high = evaluation.result.intervals.get(name, (math.nan, math.nan))
    text = number(evaluation.values.get(name, math.nan))
    return f"{text} ({number(low)} to {number(high)})" if math.isfinite(low) else text
