"""``boxwright predict``: detects objects in images."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from boxwright_cli.meanings import reads, writes
from boxwright_cli.session import Session, show_skipped
from boxwright_cli.text import amount
from boxwright_cli.values import (
    AddressOption,
    BatchSizeOption,
    ClassesOption,
    DeviceOption,
    EngineOption,
    JsonOption,
    MaxBadOption,
    ModelArgument,
    OnErrorOrLimitOption,
    OverwriteOption,
    SliceOption,
    engine_of,
    on_error_of,
    parse_count,
)

if TYPE_CHECKING:
    from boxwright import Detections
    from boxwright.models import Prediction

_SHOWN = 20


def predict(
    context: typer.Context,
    model: ModelArgument,
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="IMAGE|FOLDER|VIDEO|URI...",
            autocompletion=reads("inputs"),
            help="Images, folders of images, or one dataset; or videos, a camera such as 0, or rtsp://...",
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", metavar="DIR", help="The folder for the images with boxes.", autocompletion=writes("folder")
        ),
    ] = None,
    to: Annotated[
        str | None,
        typer.Option(
            "--to",
            metavar="FORMAT[:PLACE]",
            autocompletion=writes("dataset"),
            help="Write the detections as annotations to correct; without PLACE into DIR.",
        ),
    ] = None,
    only_new: Annotated[
        bool,
        typer.Option("--only-new", help="Add to the dataset of --to, and leave the images that it contains unchanged."),
    ] = False,
    score: Annotated[
        float | None,
        typer.Option("--score", metavar="X", help="Lowest score of a detection.", show_default="as tuned, or else 0.3"),
    ] = None,
    batch_size: BatchSizeOption = 8,
    tiles: SliceOption = "",
    frames: Annotated[
        int | None,
        typer.Option("--frames", metavar="N", parser=parse_count, help="Read N frames of each video, instead of all."),
    ] = None,
    label_map: ClassesOption = None,
    device: DeviceOption = "",
    engine: EngineOption = "",
    address: AddressOption = "",
    overwrite: OverwriteOption = False,
    on_error: OnErrorOrLimitOption = None,
    max_bad: MaxBadOption = None,
    as_json: JsonOption = False,
) -> None:
    """Detect objects in images and videos, and draw or annotate them.

    DIR receives every image with its boxes, and detections.json; for videos MP4 files, and detections.jsonl with one
    line per frame. Ctrl-C ends a camera or a stream. --to writes a dataset to correct with boxwright
    annotate or another tool, with the class ids of the model.

    Examples:
      boxwright predict runs/first photos/new --out found
      boxwright predict runs/first photos/new --to labelimg:photos/to-correct --score 0.5 --only-new
      boxwright predict runs/first clip.mp4 --out found
      boxwright predict runs/first aerial --out found --slice 512x512:overlap=0.2
      boxwright predict frozen_inference_graph.pb photos/new --out found --label-map label_map.pbtxt
    """
    session = Session.of(context)
    reporter = session.start(json=as_json)
    if out is not None:
        session.protects(out)
    import boxwright
    from boxwright.plugins import MAX_BAD

    if out is None and to is None:
        raise boxwright.UsageError("nothing would be written", "pass --out DIR, or --to FORMAT:PLACE")

    prediction = boxwright.predict(
        model,
        inputs,
        out=out,
        to=to,
        score=score,
        batch_size=batch_size,
        on_error=on_error_of(on_error, max_bad) or MAX_BAD,
        overwrite=overwrite,
        only_new=only_new,
        slicing=tiles,
        frames=frames or 0,
        label_map=label_map,
        device=device,
        engine=engine_of(engine, address),
        reporter=reporter,
    )
    if as_json:
        session.result(prediction.to_dict())
        return
    _show(session, prediction, out)


def _show(session: Session, prediction: Prediction, out: Path | None) -> None:
    if prediction.videos:
        _show_videos(session, prediction, out)
        return
    shown = prediction.detections[:_SHOWN]
    session.table(("IMAGE", "DETECTIONS"), [(found.image.name, _found(found)) for found in shown])
    if len(prediction.detections) > _SHOWN:
        session.say(f"... and {amount(len(prediction.detections) - _SHOWN, 'image')} more")
    total = sum(len(found.boxes) for found in prediction.detections)
    session.say()
    score = prediction.score
    least = f"{score:g} or more" if isinstance(score, float | int) else "as tuned for each class"
    session.say(f"{amount(total, 'object')} in {amount(len(prediction.detections), 'image')}, score {least}")
    if prediction.kept:
        session.say(f"{amount(prediction.kept, 'image')} annotated already, left unchanged")
    if out is not None:
        session.say(f"images with boxes: {out}", style="bold")
    for file in prediction.files:
        session.say(f"detections: {file}")
    show_skipped(session, prediction.skipped)


def _show_videos(session: Session, prediction: Prediction, out: Path | None) -> None:
    rows = [(video.name, f"{video.frames:,}", f"{video.detections:,}", video.note) for video in prediction.videos]
    session.table(("VIDEO", "FRAMES", "DETECTIONS", ""), rows)
    session.say()
    if out is not None:
        session.say(f"videos with boxes: {out}", style="bold")
    for file in prediction.files:
        session.say(f"detections: {file}")
    show_skipped(session, prediction.skipped)


def _found(found: Detections) -> str:
    """Returns ``2 mug (98 %, 71 %), 1 key (55 %)``, the class with the highest score first."""
    if not found.boxes:
        return "nothing"
    counts = Counter(found.boxes.labels)
    parts = []
    for label, number in counts.items():
        scores = [s for name, s in zip(found.boxes.labels, found.scores, strict=True) if name == label]
        percents = ", ".join(f"{s:.0%}" for s in scores[:3]) + (", ..." if number > 3 else "")
        parts.append(f"{number} {label} ({percents})")
    return ", ".join(parts)
