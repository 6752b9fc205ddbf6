"""The backend: from a training job to a run folder, and from a run folder to a model."""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from boxwright import DataError, RunError, Task, TrainJob, WorkerDiedError
from boxwright.environments import Environment, Worker
from boxwright.models import Run
from boxwright.storage import read_file
from boxwright_tf.quiet import quiet_import
from boxwright_tfod import ENVIRONMENT
from boxwright_tfod.checkpoints import obtain
from boxwright_tfod.records import LABEL_MAP, write_records

if TYPE_CHECKING:
    from boxwright_tfod.detector import SavedModelDetector

PIPELINE = "pipeline.config"
CHECKPOINTS = "checkpoints"
SAVED_MODEL = "model/saved_model"
LOG = "worker.log"
_RECORDS = {"train": "data/train.record", "val": "data/val.record"}
_PRETRAINED = "pretrained"
_ROUNDS = 30
_KEPT = 3
_AP = {"AP50": "DetectionBoxes_Precision/mAP@.50IOU", "AP": "DetectionBoxes_Precision/mAP"}


class TFODBackend:
    """Trains the API's models in its environment, and loads exported models in this one."""

    def fit(self, job: TrainJob) -> None:
        """Trains, or resumes a training, and exports the model to the run folder.

        Raises:
            UsageError: A setting, a field or an augmentation is wrong.
            DataError: An image, the configuration or the checkpoint cannot be used.
            RunError: No checkpoint fits.
            WorkerDiedError: The worker crashed, or was killed.
        """
        environment = Environment(ENVIRONMENT)
        environment.require()
        base = _base(job)  # first, because it is quick and may be mistyped
        checkpoint = None if _has_checkpoint(job) else _pretrained(job)
        _write_data(job)
        try:
            with environment.worker(log=job.run.file(LOG), reporter=job.reporter) as worker:
                composed = _compose(job, worker, base, checkpoint)
                _train(job, worker, composed)
            # The API's training leaves the process in training mode, so the rest needs another process.
            with environment.worker(log=job.run.file(LOG), reporter=job.reporter) as worker:
                _evaluate(job, worker)
                _export(job, worker)
        except WorkerDiedError as error:
            again = f"boxwright train --out {job.run.path} --resume"
            raise WorkerDiedError(
                error.message,
                f"{error.remedy}; resume with: {again}; if out of memory, train again with a smaller --batch-size",
            ) from error

    def load(self, run: Run) -> SavedModelDetector:
        """Returns the trained model of a run, in this environment, without the API.

        Raises:
            RunError: The run has no model yet, or it cannot be loaded.
        """
        folder = run.file(SAVED_MODEL)
        if not folder.is_dir():
            raise RunError(
                f"{run.path} has no trained model yet (it is {run.status})",
                f"finish it: boxwright train --resume --out {run.path}",
            )
        with quiet_import():
            from boxwright_tfod.detector import SavedModelDetector
        return SavedModelDetector(folder, run.label_map)


def _base(job: TrainJob) -> tuple[str, str, bool]:
    """Returns the text and the name of the initial configuration, and whether it is the user's own."""
    if job.resume and job.run.file(PIPELINE).is_file():
        path = job.run.file(PIPELINE)
        return path.read_text("utf-8"), str(path), True
    own = job.settings.get("config")
    if own is None:
        return (files("boxwright_tfod") / "presets" / f"{job.preset}.config").read_text("utf-8"), job.preset, False
    content = read_file(own, "check the path")
    if content is None:
        raise DataError(own, "file not found", "check --set config=FILE")
    try:
        return content.decode("utf-8-sig"), own, True
    except UnicodeDecodeError:
        raise DataError(own, "it is not UTF-8 text", "set a pipeline.config in protobuf's text format") from None


def _has_checkpoint(job: TrainJob) -> bool:
    return job.resume and (job.run.file(CHECKPOINTS) / "checkpoint").is_file()


def _pretrained(job: TrainJob) -> Path | None:
    source = job.settings.get("checkpoint")
    if not source:
        return None
    digest = job.settings.get("checkpoint_sha256")
    return obtain(source, job.run.file(_PRETRAINED).absolute(), sha256=digest, reporter=job.reporter)


def _write_data(job: TrainJob) -> None:
    for name, data in (("train", job.data), ("val", job.val)):
        target = job.run.file(_RECORDS[name])
        # A complete file is still valid: a resumed training has the same data, by its digest.
        if data is not None and not (job.resume and target.is_file()):
            write_records(data, target, job.label_map, job.reporter)


def _compose(job: TrainJob, worker: Worker, base: tuple[str, str, bool], checkpoint: Path | None) -> dict[str, Any]:
    """Lets the worker write ``pipeline.config``, and returns the settings in it."""
    text, source, own = base
    resumed = own and job.resume
    fields = {} if resumed else {name: value for name, value in job.settings.items() if "." in name}
    request: dict[str, Any] = {
        "text": text,
        "source": source,
        "own": own,
        "target": _path(job, PIPELINE),
        "label_map": str(Path(_path(job, _RECORDS["train"])).with_name(LABEL_MAP)),
        "train_records": _path(job, _RECORDS["train"]),
        "val_records": _path(job, _RECORDS["val"]) if job.val is not None else None,
        "num_classes": max(item.id for item in job.label_map.items),
        "most_boxes": job.scan.most_boxes,
        "most_detections": job.most_detections,
        "images": job.scan.samples,
        "settings": fields,
    }
    if not resumed:
        request |= {
            "augment": None if job.augment is None else list(job.augment),
            "batch_size": job.batch_size,
            "image_size": job.image_size,
            "epochs": job.epochs,
            "steps": job.settings.get("steps"),
            "checkpoint": None if checkpoint is None else str(checkpoint),
        }
    composed: dict[str, Any] = worker.call("pipeline:compose", request)
    job.run.update_config({"pipeline": composed})
    return composed


def _train(job: TrainJob, worker: Worker, composed: Mapping[str, Any]) -> None:
    steps, batch_size = composed["steps"], composed["batch_size"]
    every = job.settings.get("checkpoint_every") or max(1, math.ceil(steps / 10))
    epoch = math.ceil(job.scan.samples / batch_size)
    job.reporter.message(
        f"Training {composed['model']} ({composed['extractor']}) on {job.scan.samples} images,"
        f" {steps} steps of {batch_size}, {math.ceil(steps / epoch)} epochs."
    )
    with job.reporter.task("Training", steps) as task:
        task.update(note="the first step takes longest")
        request = {
            "pipeline": _path(job, PIPELINE),
            "folder": _path(job, CHECKPOINTS),
            "tensorboard": _path(job, "tensorboard/train"),
            "every": every,
            "keep": _KEPT,
            "seed": job.seed,
        }
        worker.call("training:train", request, _Watch(job, task, steps, epoch))


class _Watch:
    """Reports the worker's events during training.

    Args:
        job: The training.
        task: The progress bar.
        steps: Number of steps.
        epoch: Steps per epoch.
    """

    def __init__(self, job: TrainJob, task: Task, steps: int, epoch: int) -> None:
        self._job, self._task, self._steps, self._epoch = job, task, steps, epoch
        self._reported = 0
        self._every = max(1, math.ceil(steps / epoch / _ROUNDS))

    def __call__(self, event: str, values: Mapping[str, Any]) -> None:
        step = int(values["step"])
        if event == "start":
            if step:
                self._job.reporter.message(f"Resuming after step {step} of {self._steps}.")
            self._task.advance(step)
            self._reported = step // self._epoch
        elif event == "step":
            self._step(step, values)
        elif event == "checkpoint":
            self._job.checkpoint_written(Path(str(values["path"])), step // self._epoch)

    def _step(self, step: int, values: Mapping[str, Any]) -> None:
        losses = {name.replace("total_loss", "loss"): float(value) for name, value in values["losses"].items()}
        self._task.advance()
        self._task.update(note=f"loss {losses['loss']:.3f}")
        done = step // self._epoch + (1 if step == self._steps and step % self._epoch else 0)
        # The same epochs after a resume as before it, so that a repeated epoch replaces its line.
        if done > self._reported and (done % self._every == 0 or step == self._steps):
            self._reported = done
            rate = float(values["learning_rate"])
            metrics = {"step": float(step), **losses, "learning_rate": rate, "seconds_per_step": values["seconds"]}
            self._job.epoch_ended(done, metrics)


def _evaluate(job: TrainJob, worker: Worker) -> None:
    """Computes the API's own metrics on the held-out images, in addition to boxwright's."""
    if job.val is None:
        return
    request = {
        "pipeline": _path(job, PIPELINE),
        "folder": _path(job, CHECKPOINTS),
        "tensorboard": _path(job, "tensorboard/eval"),
    }
    with job.reporter.task("Evaluating with the API"):
        found: dict[str, float] = worker.call("finishing:evaluate", request)
    job.run.write_json("evaluation/api.json", {"data": job.val.uri, "values": found})
    if all(name in found for name in _AP.values()):
        numbers = ", ".join(f"{short} {found[name]:.3f}" for short, name in _AP.items())
        job.reporter.message(f"The API's own COCO metric on the held-out images: {numbers}.")


def _export(job: TrainJob, worker: Worker) -> None:
    """Exports the model to ``model/``, in the layout of the model zoo, completely or not at all."""
    temporary = Path(_path(job, ".model-in-the-making"))
    shutil.rmtree(temporary, ignore_errors=True)
    request = {"pipeline": _path(job, PIPELINE), "folder": _path(job, CHECKPOINTS), "out": str(temporary)}
    try:
        with job.reporter.task("Exporting"):
            worker.call("finishing:export", request)
        shutil.rmtree(job.run.file("model"), ignore_errors=True)
        os.rename(temporary, job.run.file("model"))
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _path(job: TrainJob, name: str) -> str:
    """Returns the absolute path of a file in the run folder, for the worker and the files that it writes."""
    return str(job.run.file(name).absolute())
