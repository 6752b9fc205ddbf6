"""``boxwright validate``: what is wrong with a dataset, by severity, with file and remedy."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from boxwright_cli.session import Session, amount, duration
from boxwright_cli.values import JsonOption, parse_count

if TYPE_CHECKING:
    from boxwright.analysis import Check, Problem, ValidationReport

_STYLES = {"error": "red", "warning": "yellow", "note": "cyan"}


class Pictures(StrEnum):
    """How far pictures are looked at."""

    DECODE = "decode"
    HEADER = "header"
    NONE = "none"


def validate(
    context: typer.Context,
    uris: Annotated[
        list[str],
        typer.Argument(metavar="URI...", help="The dataset, or its parts such as train and test: FORMAT:PLACE."),
    ],
    pictures: Annotated[
        Pictures,
        typer.Option(
            "--pictures",
            metavar="decode|header|none",
            help="Decode every picture and look for duplicates, or read their headers alone, or leave them alone.",
        ),
    ] = Pictures.DECODE,
    tiny: Annotated[
        float,
        typer.Option("--tiny", metavar="PIXELS", min=0.0, help="A box is tiny if its shorter side is below this."),
    ] = 3.0,
    few: Annotated[
        int, typer.Option("--few", metavar="N", min=0, help="A class with fewer boxes than this is rare.")
    ] = 10,
    strict: Annotated[bool, typer.Option("--strict", help="Take warnings for errors: exit 1 where there are any.")] = (
        False
    ),
    shown: Annotated[
        int, typer.Option("--shown", metavar="N", parser=parse_count, help="How many problems of a kind are listed.")
    ] = 5,
    workers: Annotated[
        int | None,
        typer.Option(
            "--workers",
            metavar="N",
            parser=parse_count,
            help="Threads that look at the pictures.",
            show_default="one a processor",
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Look for what is wrong with a dataset, or with its parts.

    Errors, warnings and notes come with file and remedy, the worst first: boxes outside their picture, without area or
    there twice; pictures missing, damaged, turned, or in training and test at once; classes missing, rare or misspelt.

    Several datasets, or several splits of one, are taken for parts of the same data: a picture in two of them is an
    error. Nothing is changed. The exit code is 1 where there are errors.

    Examples:
      boxwright validate labelimg:photos/train
      boxwright validate labelimg:photos/train labelimg:photos/test --json
      boxwright validate coco:instances.json --pictures none --strict
    """
    session = Session.of(context)
    reporter = session.start(json=as_json)
    session.if_interrupted = "nothing was written."
    import boxwright

    report = boxwright.validate(
        uris,
        pictures=pictures.value,
        tiny=tiny,
        few=few,
        keep=None if as_json else shown,
        workers=workers,
        reporter=reporter,
    )
    if as_json:
        session.result(report.to_dict())
    else:
        _show(session, report)
    if not report.ok or (strict and report.count("warning")):
        session.finish()
        raise typer.Exit(1)


def _show(session: Session, report: ValidationReport) -> None:
    for part in report.parts:
        session.say(
            f"{part.name}: {amount(part.pictures, 'picture')}, {amount(part.boxes.total(), 'box')}", style="bold"
        )
    for check, count, problems in report.by_check():
        _show_check(session, check, count, problems)
    session.say()
    counts = {severity: report.count(severity) for severity in _STYLES}
    found = ", ".join(amount(number, severity) for severity, number in counts.items() if number)
    worst = next((severity for severity, number in counts.items() if number), "")
    session.say(f"{found or 'nothing found'} in {duration(report.seconds)}", style=_STYLES.get(worst, "green"))


def _show_check(session: Session, check: Check, count: int, problems: list[Problem]) -> None:
    severity = check.severity.value
    session.say()
    session.say(f"{severity}: {check.title} ({count:,})", style=_STYLES[severity])
    remedies = {problem.remedy for problem in problems}
    for problem in problems:
        place = f", {problem.place}" if problem.place else ""
        session.say(f"  {problem.file}{place}: {problem.problem}")
        if len(remedies) > 1 and problem.remedy:
            session.say(f"    -> {problem.remedy}")
    if count > len(problems):
        session.say(f"  ... and {count - len(problems):,} more; --json lists all")
    if len(remedies) == 1 and problems[0].remedy:
        session.say(f"  -> {problems[0].remedy}")
