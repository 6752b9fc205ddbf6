"""``boxwright validate``: reports the problems of a dataset, by severity, with file and remedy."""

from __future__ import annotations

from contextlib import ExitStack
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from boxwright_cli.meanings import reads, writes
from boxwright_cli.session import Session
from boxwright_cli.text import amount, duration
from boxwright_cli.values import (
    AddressOption,
    EngineOption,
    JsonOption,
    OverwriteOption,
    WorkersOption,
    engine_of,
    parse_count,
)

if TYPE_CHECKING:
    from boxwright.analysis import Check, Problem, ValidationReport

_STYLES = {"error": "red", "warning": "yellow", "note": "cyan"}


class Depth(StrEnum):
    """How thoroughly images are checked."""

    DECODE = "decode"
    HEADER = "header"
    NONE = "none"


def validate(
    context: typer.Context,
    uris: Annotated[
        list[str],
        typer.Argument(
            metavar="URI...",
            help="The dataset, or its parts such as train and test: FORMAT:LOCATION.",
            autocompletion=reads("dataset"),
        ),
    ],
    images: Annotated[
        Depth,
        typer.Option(
            "--pictures",
            metavar="decode|header|none",
            help="Decode every image and search for duplicates, read only the headers, or skip the images.",
        ),
    ] = Depth.DECODE,
    tiny: Annotated[
        float,
        typer.Option("--tiny", metavar="PIXELS", min=0.0, help="Boxes with a shorter side are tiny."),
    ] = 3.0,
    few: Annotated[int, typer.Option("--few", metavar="N", min=0, help="Classes with fewer boxes are rare.")] = 10,
    strict: Annotated[bool, typer.Option("--strict", help="Treat warnings as errors: exit with status 1.")] = (False),
    shown: Annotated[
        int, typer.Option("--shown", metavar="N", parser=parse_count, help="Number of problems of each kind to list.")
    ] = 5,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", metavar="FILE", help="Also write the problems to a page (.html).", autocompletion=writes("file")
        ),
    ] = None,
    overwrite: OverwriteOption = False,
    workers: WorkersOption = None,
    engine: EngineOption = "",
    address: AddressOption = "",
    as_json: JsonOption = False,
) -> None:
    """Check a dataset, or its parts, for problems.

    Errors, warnings and notes are listed with file and remedy, the worst first: boxes outside the image, with zero area
    or duplicates; images that are missing, damaged, rotated, or in both training and test; classes that are missing,
    rare or misspelled.

    Several datasets, or several splits of one, are parts of the same data: an image in two of them is an error. Nothing
    is changed. The exit status is 1 if there are errors.

    Examples:
      boxwright validate labelimg:photos/train
      boxwright validate labelimg:photos/train labelimg:photos/test --out problems.html
      boxwright validate coco:instances.json --pictures none --strict
    """
    session = Session.of(context)
    reporter = session.start(json=as_json)
    session.if_interrupted = "nothing was written."
    if out is not None:
        session.protects(out)
    import boxwright
    from boxwright.analysis import PROBLEMS_ON_A_PAGE, validation_page
    from boxwright.render import page_output

    keep = max(shown, PROBLEMS_ON_A_PAGE) if out else shown
    with ExitStack() as stack:
        page = stack.enter_context(page_output(out, overwrite=overwrite)) if out is not None else None
        report = boxwright.validate(
            uris,
            images=images.value,
            tiny=tiny,
            few=few,
            keep=None if as_json else keep,
            workers=workers,
            engine=engine_of(engine, address),
            reporter=reporter,
        )
        if page is not None:
            with page.open() as file:
                file.write(validation_page(report).encode())
    if as_json:
        session.result(report.to_dict() | {"page": str(out) if out is not None else None})
    else:
        _show(session, report, shown)
        if out is not None:
            session.say(f"page: {out}", style="bold")
    if not report.ok or (strict and report.count("warning")):
        session.finish()
        raise typer.Exit(1)


def _show(session: Session, report: ValidationReport, shown: int) -> None:
    for part in report.parts:
        session.say(f"{part.name}: {amount(part.images, 'image')}, {amount(part.boxes.total(), 'box')}", style="bold")
    for check, count, problems in report.by_check():
        _show_check(session, check, count, problems[:shown])
    session.say()
    counts = {severity: report.count(severity) for severity in _STYLES}
    found = ", ".join(amount(number, severity) for severity, number in counts.items() if number)
    worst = next((severity for severity, number in counts.items() if number), "")
    session.say(f"{found or 'no problems found'} in {duration(report.seconds)}", style=_STYLES.get(worst, "green"))


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
