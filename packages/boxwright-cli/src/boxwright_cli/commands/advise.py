"""``boxwright advise``: says what would make a model better."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from boxwright_cli.session import Session
from boxwright_cli.text import amount
from boxwright_cli.values import (
    BatchSizeOption,
    HeldOutOption,
    JsonOption,
    MaxBadOption,
    ModelArgument,
    OnErrorOrLimitOption,
    on_error_of,
)

if TYPE_CHECKING:
    from boxwright.analysis import Advice


def advise(
    context: typer.Context,
    model: ModelArgument,
    data: HeldOutOption,
    curve: Annotated[
        bool,
        typer.Option("--curve", help="Train on parts of the training images, to forecast what more of them bring."),
    ] = False,
    trainings: Annotated[
        int | None,
        typer.Option("--trainings", metavar="N", min=2, help="Number of trainings of --curve.", show_default="3"),
    ] = None,
    batch_size: BatchSizeOption = 8,
    on_error: OnErrorOrLimitOption = None,
    max_bad: MaxBadOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say what would make a model better, the most promising first.

    Each piece of advice has its evidence and the command to type. With --curve, the model is trained on parts of its
    images with the same settings, which takes about as long as that many trainings.

    Examples:
      boxwright advise runs/first --data labelimg:photos/test
      boxwright advise runs/first --data labelimg:photos/test --curve
    """
    if trainings is not None and not curve:
        raise typer.BadParameter("it is the number of trainings of --curve; add --curve", param_hint="'--trainings'")
    session = Session.of(context)
    reporter = session.start(json=as_json)
    session.if_interrupted = "finished trainings are kept in the folder curve of the run." if curve else ""
    from boxwright.analysis import advise as look
    from boxwright.plugins import MAX_BAD

    advice = look(
        model,
        data,
        curve=(trainings or 3) if curve else 0,
        batch_size=batch_size,
        on_error=on_error_of(on_error, max_bad) or MAX_BAD,
        reporter=reporter,
    )
    if as_json:
        session.result(advice.to_dict())
        return
    _show(session, advice)


def _show(session: Session, advice: Advice) -> None:
    measures = advice.report.measures
    session.say(f"{measures.model} on {measures.evaluation.data}", style="bold")
    if not advice.tips:
        session.say("No advice: nothing stands out.")
    for number, tip in enumerate(advice.tips, 1):
        session.say()
        session.say(f"{number}. {tip.advice}", style="bold")
        session.say(f"   {tip.evidence}")
        if tip.command:
            session.say(f"   {tip.command}")
    session.say()
    session.say(f"From {amount(measures.evaluation.samples, 'image')}. The order is a rough estimate of the gain.")
    for note in advice.notes:
        session.say(note)
