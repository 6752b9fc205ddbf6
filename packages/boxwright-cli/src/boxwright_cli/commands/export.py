"""``boxwright export``: a run's model in a form to deploy."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from boxwright_cli.session import Session, amount
from boxwright_cli.values import JsonOption, OverwriteOption

if TYPE_CHECKING:
    from boxwright.models import Export


def export(
    context: typer.Context,
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The run folder of a training.")],
    to: Annotated[
        str,
        typer.Option(
            "--to",
            metavar="TARGET[:PRECISION]",
            help="The form; `boxwright plugins list exporter` shows what there is.",
        ),
    ],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="The folder to make.")],
    data: Annotated[
        str | None,
        typer.Option("--data", metavar="URI", help="Pictures to check it on; those of the training by default."),
    ] = None,
    overwrite: OverwriteOption = False,
    as_json: JsonOption = False,
) -> None:
    """Export a trained model, checked against its run.

    DIR gets the artifact and its classes; it can be given wherever a model is meant.

    Example:
      boxwright export runs/first --to tfod-frozen-graph --out exported
      boxwright predict exported photos/new --out found
    """
    session = Session.of(context)
    reporter = session.start(json=as_json)
    session.if_interrupted = f"nothing half-written is left, and {out} is as it was."
    import boxwright

    made = boxwright.export(run, to, out, data=data, overwrite=overwrite, reporter=reporter)
    if as_json:
        session.result(made.to_dict())
        return
    _show(session, made)


def _show(session: Session, made: Export) -> None:
    session.say(f"{made.artifact}: {made.bytes / 1e6:,.1f} MB with its classes", style="bold")
    if made.compared:
        session.say(
            f"checked on {amount(made.pictures, 'picture')}: it finds {made.found} of the {made.compared} objects that"
            f" the run finds; scores differ by {made.largest_difference:.4f} at most"
        )
    elif made.pictures:
        session.say(f"checked on {amount(made.pictures, 'picture')}, in which the run finds nothing", style="yellow")
    for note in made.notes:
        session.say(note, style="yellow")
