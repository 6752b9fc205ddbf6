"""The problems of datasets as an HTML page."""

from __future__ import annotations

from boxwright.analysis.validation import ValidationReport
from boxwright.analysis.validation.checks import Severity
from boxwright.render.pages import rendered

PROBLEMS_ON_A_PAGE = 200
"""The largest number of problems of each check on the page."""


def validation_page(report: ValidationReport) -> str:
    """Returns the page as HTML text."""
    counts = {severity.value: report.count(severity) for severity in Severity}
    checks = []
    for check, count, problems in report.by_check():
        remedies = {problem.remedy for problem in problems if problem.remedy}
        checks.append(
            {
                "severity": check.severity.value,
                "title": check.title,
                "count": count,
                "remedy": remedies.pop() if len(remedies) == 1 else "",
                "remedies": len(remedies) > 1,
                "problems": problems[:PROBLEMS_ON_A_PAGE],
                "more": count - min(len(problems), PROBLEMS_ON_A_PAGE),
            }
        )
    return rendered(
        "validation.html.jinja",
        title=" and ".join(dict.fromkeys(part.dataset for part in report.parts)),
        notes=[
            f"{part.name}: {part.images:,} {_plural(part.images, 'image')},"
            f" {part.boxes.total():,} {_plural(part.boxes.total(), 'box')}"
            for part in report.parts
        ],
        numbers=[(f"{number:,}", _plural(number, severity)) for severity, number in counts.items()],
        checks=checks,
    )


def _plural(number: int, thing: str) -> str:
    return thing if number == 1 else f"{thing}es" if thing.endswith("x") else f"{thing}s"
