"""``boxwright convert``: converts a dataset to another format."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from boxwright_cli.meanings import names, reads, writes
from boxwright_cli.session import Session, show_skipped
from boxwright_cli.text import amount, duration
from boxwright_cli.values import (
    AddressOption,
    EngineOption,
    JsonOption,
    MaxBadOption,
    OnErrorOrLimitOption,
    OverwriteOption,
    WorkersOption,
    engine_of,
    on_error_of,
)

if TYPE_CHECKING:
    from boxwright.datasets import ConversionReport


def convert(
    context: typer.Context,
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="SRC...",
            help="The datasets to read, which are merged: FORMAT:LOCATION.",
            autocompletion=reads("dataset"),
        ),
    ],
    target: Annotated[
        str,
        typer.Argument(
            metavar="DST",
            help="The dataset to write: FORMAT:LOCATION; {split} in it is each split.",
            autocompletion=writes("dataset"),
        ),
    ],
    steps: Annotated[
        list[str] | None,
        typer.Option(
            "--with",
            metavar="STEP",
            autocompletion=names("transform"),
            help="A step, NAME or NAME:OPTIONS, such as resize:800x600 or split:train=0.8,test=0.2; can be repeated.",
        ),
    ] = None,
    label_map: Annotated[
        Path | None,
        typer.Option(
            "--label-map",
            metavar="F",
            autocompletion=reads("file"),
            help="A label_map.pbtxt with the classes and their ids, created if missing; by default next to DST.",
        ),
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Write nothing if the target format cannot represent everything.")
    ] = False,
    sidecar: Annotated[
        bool,
        typer.Option(
            "--sidecar",
            help="Keep what the target format cannot represent in a file next to DST, and restore it when DST is read.",
        ),
    ] = False,
    on_error: OnErrorOrLimitOption = None,
    max_bad: MaxBadOption = None,
    overwrite: OverwriteOption = False,
    workers: WorkersOption = None,
    engine: EngineOption = "",
    address: AddressOption = "",
    as_json: JsonOption = False,
) -> None:
    """Convert a dataset to another format, with optional steps.

    DST is written completely or not at all. The report lists what the target format could not represent. Several
    datasets become one: classes by name, and images with the same name in a folder for each dataset.

    Examples:
      boxwright convert labelimg:photos/train csv:train_labels.csv
      boxwright convert coco:a.json voc:b labelimg:c yolo:all
      boxwright convert labelimg:photos tfrecord:data/{split}.record --with split:train=0.8,test=0.2
    """
    session = Session.of(context)
    reporter = session.start(json=as_json)
    session.protects(target)
    import boxwright
    from boxwright.datasets import available_cores

    report = boxwright.convert(
        sources if len(sources) > 1 else sources[0],
        target,
        steps=steps or (),
        label_map=label_map,
        strict=strict,
        sidecar=sidecar,
        on_error=on_error_of(on_error, max_bad),
        overwrite=overwrite,
        workers=workers or available_cores(),
        engine=engine_of(engine, address),
        reporter=reporter,
    )
    if as_json:
        session.result(report.to_dict())
        return
    _show(session, report)


def _show(session: Session, report: ConversionReport) -> None:
    for target, images in report.samples.items():
        session.say(f"{target}: {amount(images, 'image')}", style="bold")
    if report.splits:
        session.say("splits: " + ", ".join(f"{name} {n:,}" for name, n in report.splits.items()))
    session.say(f"{amount(report.boxes, 'box')} in {duration(report.seconds)}")
    session.say()
    session.table(("CLASS", "BOXES"), [(name, f"{n:,}") for name, n in report.classes.items()], numbers=1)
    if report.label_map:
        session.say(f"label map: {report.label_map} ({'unchanged' if report.label_map_reused else 'new'})")
    if report.swapped:
        session.say(f"{amount(report.swapped, 'box')} had coordinates in the wrong order, which were swapped")
    for note in report.notes:
        session.say(note)
    rows = report.losses.rows()
    if rows:
        session.say()
        session.table(("", "WHAT", "HOW OFTEN"), [(how, what, f"{n:,} {unit}") for how, what, n, unit in rows])
    if report.sidecars:
        session.say(f"what {_target_format(report)} cannot represent is kept in {', '.join(report.sidecars)}")
    elif report.losses:
        session.say(
            f"{_target_format(report)} cannot represent everything: --sidecar keeps it, --strict makes it an error",
            style="yellow",
        )
    show_skipped(session, report.skipped)


def _target_format(report: ConversionReport) -> str:
    return report.targets[0].partition(":")[0]
