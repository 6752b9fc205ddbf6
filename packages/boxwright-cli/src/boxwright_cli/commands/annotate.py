"""``boxwright annotate``: draws and corrects boxes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from boxwright_cli.meanings import names, reads, writes
from boxwright_cli.session import Session
from boxwright_cli.text import amount
from boxwright_cli.values import FirstClassesOption, JsonOption, NoBrowserOption, PagePortOption, UriArgument

if TYPE_CHECKING:
    from boxwright import Reporter


def annotate(
    context: typer.Context,
    uri: UriArgument,
    to: Annotated[
        str,
        typer.Option(
            "--to",
            metavar="URI",
            help="Annotate a copy in this format, which is made unless it exists.",
            autocompletion=writes("dataset"),
        ),
    ] = "",
    model: Annotated[
        Path | None,
        typer.Option(
            "--model",
            metavar="RUN|ARTIFACT",
            help="A model that proposes boxes, which you accept or reject.",
            autocompletion=reads("model"),
        ),
    ] = None,
    classes: FirstClassesOption = "",
    port: PagePortOption = 0,
    no_browser: NoBrowserOption = False,
    simulate: Annotated[
        bool,
        typer.Option(
            "--simulate",
            help="Count the edits that the model saves a simulated annotator who knows the labels of URI, and end.",
        ),
    ] = False,
    as_json: JsonOption = False,
    annotator: Annotated[
        str,
        typer.Option("--with", metavar="NAME", help="Another annotator.", autocompletion=names("annotator")),
    ] = "page",
) -> None:
    """Draw and correct boxes in a page in the browser.

    Only this computer can open the page. Photos without annotations are annotated in the format of labelImg, as XML
    next to each. Edits survive a crash, and are written to the dataset when you save.

    Examples:
      boxwright annotate photos
      boxwright annotate yolo:dataset --classes apple,pear
      boxwright annotate photos --model runs/first
      boxwright annotate photos --to coco:photos.json
      boxwright annotate labelimg:photos/test --model runs/first --simulate
    """
    session = Session.of(context)
    reporter = session.start(json=as_json)
    if simulate:
        _simulate(session, uri, model, reporter)
        return
    session.if_interrupted = "edits that were not saved are kept, and are there again next time."
    from boxwright.annotation import annotate as run

    options = {"port": port, "browser": not no_browser} if annotator == "page" else {}
    left = run(
        uri,
        to=to,
        model=model,
        classes=[name for name in classes.split(",") if name.strip()],
        annotator=annotator,
        options=options,
        reporter=reporter,
    )
    if left:
        session.say(f"{amount(left, 'image')} with edits that are not saved: the same command continues with them.")


def _simulate(session: Session, uri: str, model: Path | None, reporter: Reporter) -> None:
    import boxwright
    from boxwright.annotation import simulate
    from boxwright.models import predicted_pairs

    if model is None:
        raise boxwright.UsageError("--simulate needs a model", "pass --model RUN")
    data = boxwright.open(uri)
    loaded = boxwright.load_model(model)
    with reporter.task("Annotating", data.info.num_samples) as task:
        result = simulate(loaded, predicted_pairs(loaded, data), advance=task.advance)
    if session.json:
        session.result(result.to_dict())
        return
    names = ("boxes", "accepted", "drawn", "moved", "relabeled", "deleted")
    session.table(("", "COUNT"), [(name, f"{getattr(result, name):,}") for name in names], numbers=1)
    session.say()
    edits = amount(result.edits, "edit")
    session.say(f"{edits} with proposals instead of {result.boxes:,}: {result.saved:.0%} saved", style="bold")
    if result.deleted:
        saved = 1 - result.one_by_one / max(result.boxes, 1)
        way = "if you accept or reject one by one until only wrong ones are left"
        session.say(f"{amount(result.one_by_one, 'edit')} {way}: {saved:.0%} saved")
    if result.deleted > result.edits / 2:
        session.say(f"Most edits delete wrong proposals. boxwright tune {model} --data URI chooses better scores.")
