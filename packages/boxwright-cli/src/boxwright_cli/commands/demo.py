"""``boxwright demo``: a drawn dataset to start from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from boxwright_cli.session import Session, amount
from boxwright_cli.values import JsonOption, OverwriteOption, parse_count, parse_size


def demo(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where DIR/train and DIR/test are made.")],
    images: Annotated[
        int,
        typer.Option(
            "--images",
            metavar="N",
            parser=parse_count,
            help="Pictures to train on; a quarter as many come for testing.",
        ),
    ] = 240,
    seed: Annotated[int, typer.Option("--seed", metavar="S", help="Another seed gives other pictures.")] = 0,
    size: Annotated[
        str | None,
        typer.Option("--size", metavar="WxH", help="Size of each picture.", show_default="192x160"),
    ] = None,
    overwrite: OverwriteOption = False,
    as_json: JsonOption = False,
) -> None:
    """Draw an annotated dataset to start from: mugs, leaves and keys.

    The pictures and their labelImg XML files go to DIR/train and DIR/test. The three classes differ by shape alone,
    so a model has something to learn. No download.

    Example:
      boxwright demo demo
    """
    session = Session.of(context)
    reporter = session.start(json=as_json)
    from boxwright.demo_dataset import DEFAULT_SIZE, write_demo

    report = write_demo(
        folder,
        images=images,
        seed=seed,
        size=parse_size(size, "--size") if size else DEFAULT_SIZE,
        overwrite=overwrite,
        reporter=reporter,
    )
    if as_json:
        session.result(report.to_dict())
        return
    for target, count in report.samples.items():
        session.say(f"{target}: {amount(count, 'picture')}")
    boxes = ", ".join(f"{label} {count:,}" for label, count in report.classes.items())
    session.say(f"{amount(report.boxes, 'box')}: {boxes}")
    train, test = list(report.targets)
    session.next_steps(
        "Look at them, train a detector, and see what it finds:",
        [
            f"boxwright view {train} --out {folder}/sheet.png",
            f"boxwright train --data {train} --val {test} --out runs/demo",
            f"boxwright evaluate runs/demo --data {test}",
            f"boxwright predict runs/demo {test.partition(':')[2]} --out found",
        ],
    )
