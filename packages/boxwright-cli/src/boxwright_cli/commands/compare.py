"""``boxwright compare``: compares trainings."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from boxwright_cli.meanings import names, reads, writes
from boxwright_cli.session import Session
from boxwright_cli.values import (
    BatchSizeOption,
    JsonOption,
    MaxBadOption,
    OnErrorOrLimitOption,
    OverwriteOption,
    on_error_of,
)


def compare(
    context: typer.Context,
    runs: Annotated[
        list[Path],
        typer.Argument(
            metavar="RUN...",
            help="Run folders; the first one is compared with the others.",
            autocompletion=reads("model"),
        ),
    ],
    data: Annotated[
        str | None,
        typer.Option(
            "--data",
            metavar="URI",
            help="Annotated images to measure on.",
            show_default="the validation data",
            autocompletion=reads("dataset"),
        ),
    ] = None,
    metric: Annotated[
        str,
        typer.Option(
            "--metric",
            metavar="NAME",
            help="A metric with intervals: coco, voc, f1 or count.",
            autocompletion=names("metric"),
        ),
    ] = "coco",
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", metavar="FILE", help="Also write a .html page with the curves.", autocompletion=writes("file")
        ),
    ] = None,
    batch_size: BatchSizeOption = 8,
    overwrite: OverwriteOption = False,
    on_error: OnErrorOrLimitOption = None,
    max_bad: MaxBadOption = None,
    as_json: JsonOption = False,
) -> None:
    """Compare trainings: settings that differ, curves and AP.

    The images are resampled in pairs (bootstrap), which shows whether one model is better, or the images are too few to
    tell.

    Examples:
      boxwright compare runs/first runs/second --out compared.html
      boxwright compare runs/first runs/second --data labelimg:photos/test
    """
    session = Session.of(context)
    reporter = session.start(json=as_json)
    from boxwright.analysis import compare_runs
    from boxwright.plugins import MAX_BAD

    compared = compare_runs(
        runs,
        data,
        out,
        metric=metric,
        batch_size=batch_size,
        on_error=on_error_of(on_error, max_bad) or MAX_BAD,
        overwrite=overwrite,
        reporter=reporter,
    )
    if as_json:
        session.result(compared.to_dict() | {"page": str(out) if out else None})
        return
    session.table(*compared.table_of_settings(), title="Settings that differ")
    session.say()
    session.table(*compared.table_of_numbers(), title=f"On {compared.data} (95 % interval)")
    session.say()
    for sentence in compared.sentences():
        session.say(sentence, style="bold")
    if out is not None:
        session.say(f"page: {out}", style="bold")
