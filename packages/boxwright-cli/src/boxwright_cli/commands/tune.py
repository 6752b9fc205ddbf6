"""``boxwright tune``: chooses the settings of a model's decoder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from boxwright_cli.meanings import changes, reads
from boxwright_cli.session import Session
from boxwright_cli.text import amount
from boxwright_cli.values import (
    BatchSizeOption,
    JsonOption,
    MaxBadOption,
    OnErrorOrLimitOption,
    on_error_of,
    parse_settings,
)

if TYPE_CHECKING:
    from boxwright.models import Tuning


def tune(
    context: typer.Context,
    model: Annotated[
        Path,
        typer.Argument(
            metavar="MODEL",
            help="The run folder of a training, or an exported model.",
            autocompletion=changes("model"),
        ),
    ],
    data: Annotated[
        str | None,
        typer.Option(
            "--data",
            metavar="URI",
            help="Annotated images that it was not trained on.",
            autocompletion=reads("dataset"),
        ),
    ] = None,
    goal: Annotated[
        str,
        typer.Option(
            "--for",
            metavar="GOAL",
            help="What to choose for: f1, precision=0.95, recall=0.9, count (the number of objects), or map.",
        ),
    ] = "f1",
    suppression: Annotated[
        str,
        typer.Option(
            "--suppression",
            metavar="KIND,...",
            help="The kinds of suppression to try: class (by class), all (over all classes), soft, fusion.",
        ),
    ] = "class,all,soft,fusion",
    by_class: Annotated[
        bool, typer.Option("--by-class/--common", help="Whether classes may get different scores and IoU thresholds.")
    ] = True,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="Set iou_threshold, score, ... instead of searching them."),
    ] = None,
    allow_overlap: Annotated[
        bool, typer.Option("--allow-overlap", help="Allow images of --data that the model was trained on.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Write nothing.")] = False,
    reset: Annotated[bool, typer.Option("--reset", help="Restore the settings from before the first tuning.")] = False,
    batch_size: BatchSizeOption = 8,
    on_error: OnErrorOrLimitOption = None,
    max_bad: MaxBadOption = None,
    as_json: JsonOption = False,
) -> None:
    """Choose score, suppression and number of detections of a model.

    The settings are written into the folder, and predict, evaluate and export use them. Nothing is trained.

    Examples:
      boxwright tune runs/first --data labelimg:photos/val
      boxwright tune runs/first --data labelimg:photos/val --for precision=0.95
      boxwright tune runs/first --set iou_threshold=0.2 --set score=0.6
      boxwright tune runs/first --reset
    """
    session = Session.of(context)
    reporter = session.start(json=as_json)
    session.if_interrupted = "nothing was written."
    if [data is not None, reset, bool(settings)].count(True) != 1:
        raise typer.BadParameter("pass one of --data, --set and --reset", param_hint="'--data'")
    from boxwright.models import reset_tuning, set_decoder, tune as choose
    from boxwright.plugins import MAX_BAD

    if settings:
        path = set_decoder(model, parse_settings(settings))
        if as_json:
            session.result({"files": [str(path)]})
        else:
            session.say(f"written: {path}")
        return
    if data is None:
        restored = reset_tuning(model)
        if as_json:
            session.result({"reset": restored})
        else:
            session.say("The settings from before the tuning are restored." if restored else f"{model} was not tuned.")
        return
    tuning = choose(
        model,
        data,
        goal=goal,
        suppression=[kind.strip() for kind in suppression.split(",") if kind.strip()],
        by_class=by_class,
        batch_size=batch_size,
        on_error=on_error_of(on_error, max_bad) or MAX_BAD,
        allow_overlap=allow_overlap,
        write=not dry_run,
        reporter=reporter,
    )
    if as_json:
        session.result(tuning.to_dict())
        return
    _show(session, tuning)


def _show(session: Session, tuning: Tuning) -> None:
    session.say(tuning.sentence, style="bold")
    found, wrong = tuning.was
    session.say(f"before: {found:,} found, {amount(wrong, 'false alarm')}")
    if tuning.held_out == tuning.held_out:
        low, high = tuning.interval
        session.say(
            f"on images that it was not chosen on: {tuning.measure} {tuning.held_out:.3f}"
            f" (95 % interval {low:.3f} to {high:.3f})"
        )
    session.say()
    rows = [(kind, f"{value:.3f}") for kind, value in tuning.tried.items()]
    session.table(("SUPPRESSION", tuning.measure.upper()), rows)
    chosen = tuning.decoder
    kind = "Soft-NMS" if chosen.soft_nms_sigma else chosen.suppression
    session.say(f"chosen: {kind}, IoU {_of_class(chosen.iou_threshold)}, {chosen.max_detections} detections per image")
    for note in tuning.notes:
        session.say(note)
    for path in tuning.files:
        session.say(f"written: {path}")


def _of_class(value: float | tuple[float, ...]) -> str:
    return ", ".join(f"{each:g}" for each in value) if isinstance(value, tuple) else f"{value:g}"
