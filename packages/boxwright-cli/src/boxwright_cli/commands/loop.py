"""``boxwright loop``: annotates and trains in turns."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from boxwright_cli.meanings import reads, writes
from boxwright_cli.session import Session
from boxwright_cli.values import (
    FirstClassesOption,
    JsonOption,
    NoBrowserOption,
    PagePortOption,
    UriArgument,
    parse_count,
    parse_settings,
)

if TYPE_CHECKING:
    from boxwright.annotation import Round


def loop(
    context: typer.Context,
    uri: UriArgument,
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="The folder of the runs.", autocompletion=writes("folder"))
    ],
    rounds: Annotated[
        int,
        typer.Option("--rounds", metavar="N", parser=parse_count, help="Number of rounds, with those done already."),
    ] = 3,
    val: Annotated[
        str | None,
        typer.Option(
            "--val",
            metavar="URI",
            help="Annotated images that each model is measured on; never trained on.",
            autocompletion=reads("dataset"),
        ),
    ] = None,
    classes: FirstClassesOption = "",
    backend: Annotated[
        str | None,
        typer.Option("--backend", metavar="B", help="The kind of model.", show_default="kerascv"),
    ] = None,
    preset: Annotated[
        str | None,
        typer.Option("--preset", metavar="P", help="A ready-made configuration.", show_default="the backend's first"),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="An option of the backend; can be repeated."),
    ] = None,
    port: PagePortOption = 0,
    no_browser: NoBrowserOption = False,
    as_json: JsonOption = False,
) -> None:
    """Annotate and train in turns.

    A round begins with the page of `boxwright annotate`, with the proposals of the last model. Its button Train saves
    and trains on the images with boxes and on those that you marked as checked, from the weights of the last round.
    Without --val, a model is measured on the images that you annotate after it.

    Examples:
      boxwright loop photos/train --val labelimg:photos/test --out runs/loop --rounds 3
    """
    session = Session.of(context)
    reporter = session.start(json=as_json)
    session.if_interrupted = "edits and finished rounds are kept; the same command continues with them."
    from boxwright.annotation import annotation_loop

    def ended(this: Round, last: Round | None) -> None:
        if not as_json:
            session.say(_line(this, last), style="bold")

    done = annotation_loop(
        uri,
        out,
        rounds=rounds,
        val=val,
        classes=[name for name in classes.split(",") if name.strip()],
        backend=backend,
        preset=preset,
        settings=parse_settings(settings or []),
        options={"port": port, "browser": not no_browser},
        ended=ended,
        reporter=reporter,
    )
    if as_json:
        from dataclasses import asdict

        session.result({"rounds": [asdict(each) for each in done]})
        return
    session.next_steps("Next:", [f"boxwright predict {done[-1].run} PHOTOS --out found"])


def _line(this: Round, last: Round | None) -> str:
    parts = [f"Round {this.number}: {this.images} images ({this.added} new)"]
    for name, value in this.values.items():
        before = "" if last is None or name not in last.values else f" ({value - last.values[name]:+.3f})"
        parts.append(f"{name} {value:.3f}{before}")
    if this.unseen:
        found = ", ".join(f"{name} {value:.3f}" for name, value in this.unseen.items())
        parts.append(f"the model before on the new images: {found}")
    return ", ".join(parts)
