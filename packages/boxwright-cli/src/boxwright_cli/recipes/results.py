"""The results of a recipe: one table and one chart over its matrix."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from boxwright.render import Axis, Line, line_chart, tables_page
from boxwright_cli.recipes.plan import Plan
from boxwright_cli.recipes.running import Outcome

SEED: Final = "seed"
"""The variable over which means are calculated."""
_MOST_LINES: Final = 8


@dataclass(frozen=True)
class Row:
    """One combination of the matrix: its values by variable, and its numbers by name."""

    matrix: dict[str, Any]
    numbers: dict[str, float | None]


@dataclass(frozen=True)
class Mean:
    """The mean of a number over the seeds, with the lowest and the highest value."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.4f} ({self.low:.4f} to {self.high:.4f})"


@dataclass(frozen=True)
class Results:
    """The numbers of all combinations.

    Attributes:
        variables: The variables of the matrix.
        names: The names of the numbers, with the step in front if several steps have numbers.
        rows: One row per combination of the variables that a step with numbers uses.
        means: The means over the seeds by name, for each combination of the other variables; empty without seeds.
    """

    variables: list[str]
    names: list[str]
    rows: list[Row]
    means: list[tuple[dict[str, Any], dict[str, Mean]]]

    @classmethod
    def of(cls, plan: Plan, outcomes: Sequence[Outcome]) -> Results:
        """Collects the numbers of the steps that have some."""
        measured = [outcome for outcome in outcomes if outcome.result]
        several = len({outcome.step.name for outcome in measured}) > 1
        variables = {  # those that no measured step uses would only repeat the numbers
            name: values
            for name, values in plan.variables.items()
            if not measured or any(name in outcome.step.matrix for outcome in measured)
        }
        rows = []
        for values in itertools.product(*variables.values()):
            matrix = dict(zip(variables, values, strict=True))
            numbers: dict[str, float | None] = {}
            for outcome in measured:
                if all(matrix[name] == value for name, value in outcome.step.matrix.items()):
                    prefix = f"{outcome.step.name}." if several else ""
                    numbers |= {f"{prefix}{name}": value for name, value in (outcome.result or {}).items()}
            rows.append(Row(matrix, numbers))
        names = list(dict.fromkeys(name for row in rows for name in row.numbers))
        return cls(list(variables), names, rows, _means(rows))

    def table(self, names: Sequence[str]) -> tuple[list[str], list[list[str]]]:
        """Returns the headings and the cells of a table with some of the numbers."""
        cells = [
            [*(str(row.matrix[name]) for name in self.variables), *(_shown(row.numbers.get(name)) for name in names)]
            for row in self.rows
        ]
        return [*self.variables, *names], cells

    def table_of_means(self, names: Sequence[str]) -> tuple[list[str], list[list[str]]]:
        """Returns the headings and the cells of a table of the means over the seeds."""
        others = [name for name in self.variables if name != SEED]
        cells = [
            [*(str(matrix[name]) for name in others), *(str(means[name]) if name in means else "-" for name in names)]
            for matrix, means in self.means
        ]
        return [*others, *names], cells

    def page(self, title: str) -> str:
        """Returns an HTML page with the tables and a chart of the first number."""
        tables = {"Results": self.table(self.names)}
        if self.means:
            tables["Mean over the seeds (lowest to highest)"] = self.table_of_means(self.names)
        notes = [] if self.names else ["No step of the recipe measures a model."]
        charts = {self.names[0]: self._chart(self.names[0])} if self.names and len(self.rows) > 1 else {}
        return tables_page(title, tables, charts, notes)

    def _chart(self, name: str) -> Any:
        across = next((each for each in self.variables if self._is_numeric(each)), "")
        lines: dict[str, list[tuple[float, float]]] = {}
        for number, row in enumerate(self.rows, start=1):
            others = ", ".join(f"{key}={value}" for key, value in row.matrix.items() if key != across) if across else ""
            value = row.numbers.get(name)
            x = float(row.matrix[across]) if across else float(number)
            lines.setdefault(others or name, []).append((x, math.nan if value is None else value))
        drawn = [
            Line(text, [x for x, _ in sorted(points)], [y for _, y in sorted(points)], range(len(points)))
            for text, points in itertools.islice(lines.items(), _MOST_LINES)
        ]
        axis = Axis(across or "combination, in the order of the table")
        return line_chart(drawn, axis, Axis(name), f"{name} over the combinations of the matrix")

    def _is_numeric(self, variable: str) -> bool:
        values = {row.matrix[variable] for row in self.rows}
        return len(values) > 1 and all(type(value) in (int, float) for value in values)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "rows": [row.matrix | {"numbers": row.numbers} for row in self.rows],
            "means": [
                matrix | {"numbers": {name: [m.value, m.low, m.high] for name, m in means.items()}}
                for matrix, means in self.means
            ],
        }


def _means(rows: Sequence[Row]) -> list[tuple[dict[str, Any], dict[str, Mean]]]:
    if not rows or len({row.matrix.get(SEED) for row in rows}) < 2:
        return []
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(repr([value for name, value in row.matrix.items() if name != SEED]), []).append(row)
    found = []
    for group in groups.values():
        means = {}
        for name in group[0].numbers:
            values = [value for row in group if (value := row.numbers.get(name)) is not None]
            if values:
                means[name] = Mean(sum(values) / len(values), min(values), max(values))
        found.append(({name: value for name, value in group[0].matrix.items() if name != SEED}, means))
    return found


def _shown(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def shown_names(names: Sequence[str], most: int = 3) -> list[str]:
    """Returns the first numbers of each step, for a terminal."""
    counts: dict[str, int] = {}
    found = []
    for name in names:
        step = name.rpartition(".")[0]
        counts[step] = counts.get(step, 0) + 1
        if counts[step] <= most:
            found.append(name)
    return found
