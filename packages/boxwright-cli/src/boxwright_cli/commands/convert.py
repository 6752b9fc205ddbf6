"""``boxwright convert``: a dataset into another format."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from boxwright_cli.session import Session, amount, duration, show_skipped
from boxwright_cli.values import JsonOption, OnError, OnErrorOption, OverwriteOption, parse_count

if TYPE_CHECKING:
    from boxwright.datasets import ConversionReport


def convert(
    context: typer.Context,
    source: Annotated[str, typer.Argument(metavar="SRC", help="The dataset to read: FORMAT:PLACE.")],
    target: Annotated[
        str,
        typer.Argument(metavar="DST", help="The dataset to write: FORMAT:PLACE; {split} in it is filled in."),
    ],
    steps: Annotated[
        list[str] | None,
        typer.Option(
            "--with",
            metavar="STEP",
            help="A step in between, NAME or NAME:OPTIONS, such as resize:800x600 or split:train=0.8,test=0.2; may be"
            " given several times.",
        ),
    ] = None,
    label_map: Annotated[
        Path | None,
        typer.Option(
            "--label-map",
            metavar="F",
            help="The classes and their numbers, a label_map.pbtxt; made if it is not there. Without it, the label map"
            " file beside DST is used or made.",
        ),
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Write nothing if the target format cannot hold everything.")
    ] = False,
    sidecar: Annotated[
        bool,
        typer.Option(
            "--sidecar",
            help="Keep what the target format cannot hold in a file beside it; it comes back when DST is read.",
        ),
    ] = False,
    on_error: OnErrorOption = OnError.FAIL,
    overwrite: OverwriteOption = False,
    workers: Annotated[
        int | None,
        typer.Option(
            "--workers",
            metavar="N",
            parser=parse_count,
            help="Threads or processes that share the work; as many as there are cores by default, 1 for none.",
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Convert a dataset to another format, with steps in between.

    DST appears whole or not at all. The report at the end says what the target format could not hold.

    Examples:
      boxwright convert labelimg:photos/train csv:train_labels.csv
      boxwright convert labelimg:photos tfrecord:data/{split}.record --with split:train=0.8,test=0.2
    """
    session = Session.of(context)
    reporter = session.start(json=as_json)
    session.if_interrupted = f"nothing half-written is left, and {target} is as it was."
    import boxwright
    from boxwright.datasets import available_cores

    report = boxwright.convert(
        source,
        target,
        steps=steps or (),
        label_map=label_map,
        strict=strict,
        sidecar=sidecar,
        on_error=on_error.value,
        overwrite=overwrite,
        workers=workers or available_cores(),
        reporter=reporter,
    )
    if as_json:
        session.result(report.to_dict())
        return
    _show(session, report)


def _show(session: Session, report: ConversionReport) -> None:
    for target, pictures in report.samples.items():
        session.say(f"{target}: {amount(pictures, 'picture')}", style="bold")
    session.say(f"{amount(report.boxes, 'box')} in {duration(report.seconds)}")
    session.say()
    session.table(("CLASS", "BOXES"), [(name, f"{n:,}") for name, n in report.classes.items()], numbers=1)
    if report.label_map:
        session.say(f"label map: {report.label_map} ({'as it was there' if report.label_map_reused else 'new'})")
    if report.swapped:
        session.say(f"{amount(report.swapped, 'box')} had coordinates in the wrong order, which were swapped")
    for note in report.notes:
        session.say(note)
    rows = report.losses.rows()
    if rows:
        session.say()
        session.table(("", "WHAT", "HOW OFTEN"), [(how, what, f"{n:,} {unit}") for how, what, n, unit in rows])
    if report.sidecars:
        session.say(f"what {_target_format(report)} cannot hold is kept in {', '.join(report.sidecars)}")
    elif report.losses:
        session.say(
            f"{_target_format(report)} cannot hold all of it: --sidecar keeps it, --strict refuses", style="yellow"
        )
    show_skipped(session, report.skipped)


def _target_format(report: ConversionReport) -> str:
    return report.targets[0].partition(":")[0]
