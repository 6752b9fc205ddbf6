"""``boxwright reproduce``: repeats a training, and compares the models."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from boxwright_cli.meanings import reads, writes
from boxwright_cli.session import Session
from boxwright_cli.values import JsonOption, OverwriteOption


def reproduce(
    context: typer.Context,
    run: Annotated[
        Path, typer.Argument(metavar="RUN", help="The run folder of a training.", autocompletion=reads("model"))
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="DIR",
            help="The folder of the new run.",
            show_default="RUN-reproduced",
            autocompletion=writes("run"),
        ),
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Compare only images, annotations and versions, and train nothing.")
    ] = False,
    overwrite: OverwriteOption = False,
    as_json: JsonOption = False,
) -> None:
    """Train a run again from its manifest, and compare the two.

    The manifest has the settings, and the digests of all images and annotations. If one of these changed, it is named,
    and nothing is trained. The exit status is 1 if something differs.

    Examples:
      boxwright reproduce runs/first
      boxwright reproduce runs/first --check
    """
    session = Session.of(context)
    reporter = session.start(json=as_json)
    from boxwright.models import reproduce as repeat

    result = repeat(run, out, train=not check, overwrite=overwrite, reporter=reporter)
    if as_json:
        session.result(result.to_dict())
    else:
        for line in [*result.changed, *(result.differences or ())]:
            session.say(line, style="yellow")
        for line in result.notes:
            session.say(line)
        if result.differences is None:
            compared = "images, annotations and versions are"
        else:
            session.say(f"{result.out}: trained again")
            compared = "the models are" if not result.changed else "images, annotations, versions and models are"
        different = result.changed or result.differences
        session.say(f"{run}: {compared} {'not equal' if different else 'equal'}", style="bold")
    if not result.equal:
        session.finish()
        raise typer.Exit(1)
