"""``boxwright export``: converts a run's model for deployment."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from boxwright_cli.meanings import names, reads, writes
from boxwright_cli.session import Session
from boxwright_cli.text import amount
from boxwright_cli.values import JsonOption, OverwriteOption, parse_settings

if TYPE_CHECKING:
    from boxwright.models import Export


def export(
    context: typer.Context,
    run: Annotated[
        Path, typer.Argument(metavar="RUN", help="The run folder of a training.", autocompletion=reads("model"))
    ],
    to: Annotated[
        str,
        typer.Option(
            "--to",
            metavar="TARGET[:PRECISION]",
            autocompletion=names("exporter"),
            help="The exporter; `boxwright plugins list exporter` lists them.",
        ),
    ],
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="The folder to create.", autocompletion=writes("model"))
    ],
    data: Annotated[
        str | None,
        typer.Option(
            "--data",
            metavar="URI",
            autocompletion=reads("dataset"),
            help="Images to check it and its AP on; by default some of its training's.",
        ),
    ] = None,
    calibrate: Annotated[
        str | None,
        typer.Option(
            "--calibrate",
            metavar="URI",
            help="Images to calibrate int8 with; by default the training data.",
            autocompletion=reads("dataset"),
        ),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="NAME=VALUE",
            help="An option of the exporter, such as target=rk3566 of rknn.",
            autocompletion=names("settings"),
        ),
    ] = None,
    overwrite: OverwriteOption = False,
    as_json: JsonOption = False,
) -> None:
    """Export a trained model, checked against its run.

    DIR receives the artifact and its classes; it can be used in place of RUN in other commands. If it does not detect
    what RUN detects, the exit code is 1, the differences are reported, and the artifact is kept in DIR-rejected.

    Examples:
      boxwright export runs/first --to litert --out exported
      boxwright export runs/first --to litert:fp16 --out small --data labelimg:photos/test
      boxwright export runs/first --to openvino:int8 --out fast --data labelimg:photos/test
      boxwright predict exported photos/new --out found
    """
    session = Session.of(context)
    reporter = session.start(json=as_json)
    session.protects(out)
    chosen = parse_settings(settings or [])
    import boxwright

    exported = boxwright.export(
        run, to, out, data=data, calibrate=calibrate, settings=chosen, overwrite=overwrite, reporter=reporter
    )
    if as_json:
        session.result(exported.to_dict())
        return
    _show(session, exported)


def _show(session: Session, exported: Export) -> None:
    session.say(f"{exported.artifact}: {exported.bytes / 1e6:,.1f} MB with its classes", style="bold")
    parity = exported.parity
    if parity.total.compared:
        session.say(
            f"checked on {amount(parity.images, 'image')}: {parity.matched:.1%} of {parity.total.compared} detections"
            f" are those of the run; scores differ by {parity.largest_difference:.4f} at most"
        )
    if parity.ap is not None:
        session.say(f"AP {parity.ap[1]:.4f}, of the run {parity.ap[0]:.4f}")
    for note in exported.notes:
        session.say(note, style="yellow")
