"""``boxwright train``: trains a detector."""

from __future__ import annotations

import shlex
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from boxwright_cli.meanings import names, reads, writes
from boxwright_cli.session import Session
from boxwright_cli.text import amount, duration
from boxwright_cli.values import (
    JsonOption,
    MaxBadOption,
    OnErrorOrLimitOption,
    OverwriteOption,
    on_error_of,
    parse_count,
    parse_settings,
    parse_size,
)

if TYPE_CHECKING:
    from boxwright.datasets import Dataset
    from boxwright.models import Run

_PARTS = {
    "model": "the model",
    "label_map.pbtxt": "the classes",
    "config.json": "all settings",
    "metrics.jsonl": "losses and metrics per epoch",
    "pictures": "test images with predictions",
    "checkpoints": "saved state for --resume",
    "tensorboard": "curves: tensorboard --logdir",
}


def train(
    context: typer.Context,
    out: Annotated[
        Path, typer.Option("--out", metavar="RUN", help="The run folder to create.", autocompletion=writes("run"))
    ],
    data: Annotated[
        str | None,
        typer.Option(
            "--data",
            metavar="URI",
            help="The dataset to train on; by default that of the resumed run.",
            autocompletion=reads("dataset"),
        ),
    ] = None,
    val: Annotated[
        str | None,
        typer.Option(
            "--val",
            metavar="URI",
            help="Images for metrics during training; never trained on.",
            autocompletion=reads("dataset"),
        ),
    ] = None,
    backend: Annotated[
        str | None,
        typer.Option(
            "--backend",
            metavar="B",
            help="The kind of model.",
            show_default="kerascv",
            autocompletion=names("backend"),
        ),
    ] = None,
    preset: Annotated[
        str | None,
        typer.Option(
            "--preset",
            metavar="P",
            autocompletion=names("preset"),
            help="A ready-made configuration; `boxwright plugins show backend NAME` lists them.",
            show_default="the backend's first",
        ),
    ] = None,
    trainer: Annotated[
        str | None,
        typer.Option(
            "--trainer",
            metavar="T",
            help="Where and how the training runs, NAME or NAME:OPTIONS.",
            show_default="local, or that of the resumed run",
            autocompletion=names("trainer"),
        ),
    ] = None,
    workers: Annotated[
        str | None,
        typer.Option(
            "--workers",
            metavar="HOST:PORT,...",
            help="Train on these computers, each of which runs this command; implies --trainer multiworker.",
        ),
    ] = None,
    address: Annotated[
        str, typer.Option("--address", metavar="ADDRESS", help="The address of the cluster of --trainer ray.")
    ] = "",
    augment: Annotated[
        list[str] | None,
        typer.Option(
            "--augment",
            metavar="A",
            autocompletion=names("augmenter"),
            help="Random changes of the training images, NAME or NAME:OPTIONS; can be repeated; none for no changes.",
            show_default="the backend's",
        ),
    ] = None,
    epochs: Annotated[
        int | None,
        typer.Option(
            "--epochs",
            metavar="N",
            parser=parse_count,
            help="Number of passes over the data.",
            show_default="from the data's size",
        ),
    ] = None,
    batch_size: Annotated[
        int | None,
        typer.Option(
            "--batch-size",
            metavar="N",
            parser=parse_count,
            help="Number of images per step.",
            show_default="the backend's",
        ),
    ] = None,
    eval_every: Annotated[
        int | None,
        typer.Option(
            "--eval-every",
            metavar="N",
            parser=parse_count,
            help="Number of epochs between two evaluations of --val.",
            show_default="the backend's",
        ),
    ] = None,
    image_size: Annotated[
        str | None,
        typer.Option(
            "--image-size",
            metavar="WxH",
            help="The size that images are resized to.",
            show_default="from the data",
        ),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", metavar="S", help="The same seed results in the same model.")] = 0,
    label_map: Annotated[
        Path | None,
        typer.Option(
            "--label-map",
            metavar="F",
            help="A label_map.pbtxt with the classes and their ids.",
            exists=True,
            autocompletion=reads("file"),
        ),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Resume the interrupted run in RUN.")] = False,
    overwrite: OverwriteOption = False,
    on_error: OnErrorOrLimitOption = None,
    max_bad: MaxBadOption = None,
    allow_overlap: Annotated[
        bool, typer.Option("--allow-overlap", help="Allow images of --val that are training images.")
    ] = False,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            autocompletion=names("settings"),
            help="An option of the backend; can be repeated.",
        ),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(
            "--config",
            metavar="FILE",
            autocompletion=reads("file"),
            help="A configuration file for a backend that accepts one, such as a pipeline.config.",
            exists=True,
        ),
    ] = None,
    log: Annotated[
        list[str] | None,
        typer.Option(
            "--log",
            metavar="NAME[:OPTION=VALUE,...]",
            autocompletion=names("logger"),
            help="A logger, such as csv or mlflow; can be repeated; none for no logger.",
            show_default="tensorboard, if it is installed",
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Train a detector on annotated images.

    The folder RUN receives everything: the model, the settings, the metrics. Ctrl-C keeps it, and --resume continues
    from there. With --overwrite, the old run remains until the new one is done, which is in RUN.new until then.

    Examples:
      boxwright train --data labelimg:photos/train --val labelimg:photos/test --out runs/first
      boxwright train --data tfrecord:train.record --out runs/small --preset tiny --epochs 50
      boxwright train --out runs/first --resume
    """
    session = Session.of(context)
    reporter = session.start(json=as_json)
    chosen = parse_settings(settings or [])
    if config is not None:
        chosen["config"] = str(config)
    size = parse_size(image_size, "--image-size") if image_size else None
    import boxwright
    from boxwright import UsageError
    from boxwright.plugins import MAX_BAD

    if data is None:
        if not resume:
            raise UsageError("there is no dataset to train on", "pass --data URI, or --resume an interrupted run")
        data = boxwright.Run.resumable(out).uri("data") or ""
    before = boxwright.Run.resumable(out).config.get("on_error") if resume else None
    asked = on_error_of(on_error, max_bad) or before or MAX_BAD
    dataset = boxwright.open(data, on_error=asked)
    try:
        run = boxwright.train(
            dataset,
            out=out,
            val=val,
            backend=backend,
            preset=preset,
            trainer=_trainer(trainer, workers, address),
            augment=None if augment is None else [] if augment == ["none"] else augment,
            epochs=epochs,
            batch_size=batch_size,
            eval_every=eval_every,
            image_size=size,
            seed=seed,
            label_map=label_map,
            resume=resume,
            overwrite=overwrite,
            on_error=asked,
            allow_overlap=allow_overlap,
            settings=chosen,
            log=None if log is None else [] if log == ["none"] else log,
            reporter=reporter,
        )
    except KeyboardInterrupt:
        resumable = False
        with suppress(boxwright.RunError):
            resumable = boxwright.Run.resumable(out).status == "interrupted"
        if resumable:
            session.if_interrupted = f"resume with: boxwright train --out {shlex.quote(str(out))} --resume"
        raise
    content = _content(run, dataset)
    if as_json:
        session.result(content)
        return
    _show(session, run, content, dataset)


def _trainer(trainer: str | None, workers: str | None, address: str) -> str | None:
    """Returns the trainer with ``--workers`` and ``--address`` as its options."""
    given = []
    if workers is not None:
        trainer = trainer or "multiworker"
        given.append(f"workers={workers if workers.isdecimal() else f'[{workers}]'}")
    if address:
        if trainer is None:
            from boxwright import UsageError

            raise UsageError("--address without --trainer", "pass --trainer NAME, such as --trainer ray")
        given.append(f"address={address}")
    if trainer is None or not given:
        return trainer
    name, _, options = trainer.partition(":")
    return f"{name}:{','.join(filter(None, (*given, options)))}"


def _content(run: Run, dataset: Dataset) -> dict[str, Any]:
    config, metrics = run.config, run.metrics()
    return {
        "run": str(run.path),
        "status": run.status,
        "backend": run.backend,
        "preset": config.get("preset"),
        "data": config.get("data"),
        "val": config.get("val"),
        "seed": config.get("seed"),
        "classes": list(run.label_map.names),
        "epochs": run.state.get("epochs_done", 0),
        "seconds": run.state.get("seconds"),
        "metrics": metrics[-1] if metrics else {},
        "skipped": [str(error) for error in dataset.problems.skipped],
    }


def _show(session: Session, run: Run, content: dict[str, Any], dataset: Dataset) -> None:
    spent = f" in {duration(content['seconds'])}" if content["seconds"] is not None else ""
    session.say(f"{run.path}: {content['status']}, {amount(content['epochs'], 'epoch')}{spent}", style="bold")
    numbers = {name: value for name, value in content["metrics"].items() if name != "epoch"}
    if numbers:
        session.say("last epoch: " + ", ".join(f"{name} {value:.4g}" for name, value in numbers.items()))
    session.say(f"classes: {', '.join(content['classes'])}")
    session.say()
    session.table(
        ("", ""), [(str(run.file(name)), purpose) for name, purpose in _PARTS.items() if run.file(name).exists()]
    )
    path = shlex.quote(str(run.path))
    held_out = shlex.quote(content["val"] or "labelimg:YOUR/TEST/PHOTOS")
    session.next_steps(
        "Measure it, and see its detections:",
        [
            f"boxwright evaluate {path} --data {held_out} --report report.html",
            f"boxwright predict {path} YOUR/PHOTOS --out found",
        ],
    )
