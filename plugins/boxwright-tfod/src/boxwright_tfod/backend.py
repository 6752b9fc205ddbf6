"""The backend: from a training job to a run folder, and from a run folder to a model."""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from boxwright import DataError, Task, TrainJob, WorkerDiedError
from boxwright.environments import Environment, Worker
from boxwright.models import DecoderSettings, InputSettings, Network, Run
from boxwright.storage import read_file
from boxwright_tf.quiet import quiet_import
from boxwright_tfod import ENVIRONMENT
from boxwright_tfod.pretrained import starting_point
from boxwright_tfod.records import LABEL_MAP, write_records

if TYPE_CHECKING:
    from boxwright_tfod.detector import SavedModelDetector

PIPELINE = "pipeline.config"
CHECKPOINTS = "checkpoints"
SAVED_MODEL = "model/saved_model"
LOG = "worker.log"
_RECORDS = {"train": "data/train.record", "val": "data/val.record"}
_BEST = f"{CHECKPOINTS}/best"
_EVALUATIONS = 10
_KEPT = 3
_CANDIDATES = 5000
"""The API suppresses among all predictions of a class; fewer are faster, and the others are too many to matter."""
_METRICS = {
    "AP": "DetectionBoxes_Precision/mAP",
    "AP50": "DetectionBoxes_Precision/mAP@.50IOU",
    "AR100": "DetectionBoxes_Recall/AR@100",
}
"""The API's names of the metrics that are reported; it returns -1 for what it cannot measure."""

_LOSS = "Loss/total_loss"


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
        checkpoint = None if _has_checkpoint(job) else starting_point(job)
        _write_data(job)
        try:
            with environment.worker(log=job.run.file(LOG), reporter=job.reporter) as worker:
                composed = _compose(job, worker, base, checkpoint)
                folder = _finish(job, _train(job, worker, composed, environment.gpu))
            # The API's training leaves the process in training mode, so the export needs another process.
            with environment.worker(log=job.run.file(LOG), reporter=job.reporter) as worker:
                _export(job, worker, folder)
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
        folder = saved_model_of(run)
        with quiet_import():
            from boxwright_tfod.detector import SavedModelDetector
        return SavedModelDetector(folder, run.label_map)

    def write_network(self, run: Run, folder: Path) -> Network:
        """Writes the network of an SSD as a SavedModel, for exporters, in the API's environment.

        Raises:
            MissingLibraryError: The environment of the API is not installed.
            UsageError: The model is not SSD, or does not stretch images to a fixed size.
            RunError: The run has no model yet.
        """
        model = saved_model_of(run).parent.absolute()
        request = {
            "pipeline": str(model / PIPELINE),
            "folder": str(model / "checkpoint"),
            "target": str(folder.absolute()),
            "classes": [item.id - 1 for item in run.label_map.items],  # the API counts from 1
            "source": str(run.path),
        }
        with Environment(ENVIRONMENT).worker() as worker:
            written = worker.call("network:export", request)
        inputs = InputSettings(written["width"], written["height"], resize="bilinear", jpeg="fast")
        decoder = DecoderSettings(**written["decoder"], pre_nms=_CANDIDATES, clips_first=False)
        return Network(folder, inputs, decoder, run.label_map)


def saved_model_of(run: Run) -> Path:
    """Returns the folder of a run's SavedModel.

    Raises:
        RunError: The run has no model yet.
    """
    return run.trained_file(SAVED_MODEL)


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


def _train(job: TrainJob, worker: Worker, composed: Mapping[str, Any], gpu: bool) -> dict[str, Any]:
    """Trains, and returns the worker's result."""
    steps, batch_size = composed["steps"], composed["batch_size"]
    every = job.settings.get("checkpoint_every") or max(1, math.ceil(steps / 10))
    epoch = math.ceil(job.scan.samples / batch_size)
    epochs = math.ceil(steps / epoch)
    patience = job.settings.get("early_stopping")
    job.reporter.message(
        f"Training {composed['model']} ({composed['extractor']}) on {job.scan.samples} images,"
        f" {steps} steps of {batch_size}, {epochs} epochs."
    )
    with job.reporter.task("Training", steps) as task:
        task.update(note="the first step takes longest")
        request = {
            "pipeline": _path(job, PIPELINE),
            "folder": _path(job, CHECKPOINTS),
            "tensorboard": _path(job, "tensorboard"),
            "every": every,
            "keep": _KEPT,
            "seed": job.seed,
            "evaluate_every": _evaluate_every(job, epoch, epochs),
            "patience": None if patience is None else patience * epoch,
        }
        result: dict[str, Any] = worker.call("training:train", request, _Watch(job, task, steps, epoch, gpu))
    if result["stopped"]:
        job.reporter.message(f"Stopped after step {result['step']}: {patience} epochs without a higher AP.")
    return result


def _evaluate_every(job: TrainJob, epoch: int, epochs: int) -> int | None:
    """Returns the steps between evaluations: whole epochs, unless the user decides."""
    if job.val is None:
        return None
    if "eval_steps" in job.settings:
        return int(job.settings["eval_steps"])
    each = job.eval_every or math.ceil(epochs / _EVALUATIONS)
    return epoch * min(each, int(job.settings.get("early_stopping", each)))


class _Watch:
    """Reports the worker's events during training.

    Args:
        job: The training.
        task: The progress bar.
        steps: Number of steps.
        epoch: Steps per epoch.
        gpu: Whether a GPU is expected.
    """

    def __init__(self, job: TrainJob, task: Task, steps: int, epoch: int, gpu: bool) -> None:
        self._job, self._task, self._steps, self._epoch = job, task, steps, epoch
        self._gpu = gpu
        self._reported = 0
        self._measured: dict[str, float] = {}
        self._note = ""

    def __call__(self, event: str, values: Mapping[str, Any]) -> None:
        step = int(values["step"])
        if event == "start":
            if self._gpu and not values["gpus"]:
                self._job.reporter.warning("no GPU found, so the CPU is used: check the driver with nvidia-smi")
            if step:
                self._job.reporter.message(f"Resuming after step {step} of {self._steps}.")
            self._task.advance(step)
            self._reported = step // self._epoch
        elif event == "step":
            self._step(step, values)
        elif event == "checkpoint":
            self._job.checkpoint_written(Path(str(values["path"])), step // self._epoch)

    def _step(self, step: int, values: Mapping[str, Any]) -> None:
        losses = {name.removeprefix("Loss/"): float(value) for name, value in values["losses"].items()}
        losses = {"loss": losses.pop("total_loss"), **losses}
        if values["evaluation"] is not None:
            self._measured = {f"val_{name}": value for name, value in _measured(values["evaluation"]).items()}
            self._note = f", val AP {self._measured['val_AP']:.3f}" if "val_AP" in self._measured else ""
        self._task.advance()
        self._task.update(note=f"loss {losses['loss']:.3f}{self._note}")
        done = step // self._epoch + (1 if step == self._steps and step % self._epoch else 0)
        # The same epochs after a resume as before it, so that a repeated epoch replaces its line.
        if done > self._reported:
            self._reported = done
            rate = float(values["learning_rate"])
            metrics = {"step": float(step), **losses, "learning_rate": rate, "seconds_per_step": values["seconds"]}
            self._job.epoch_ended(done, metrics | self._measured)
            self._measured = {}


def _measured(values: Mapping[str, float]) -> dict[str, float]:
    """Returns what was measured, by boxwright's names."""
    found = {name: values[api] for name, api in _METRICS.items() if values.get(api, -1.0) >= 0}
    return {"loss": values[_LOSS], **found}


def _finish(job: TrainJob, result: Mapping[str, Any]) -> str:
    """Reports the API's own metrics, and returns the folder of the checkpoint that becomes the model."""
    if job.val is None:
        return CHECKPOINTS
    last, best = result["last"], result["best"]
    if best is None:
        job.reporter.message("No AP was measured on the held-out images, so the last checkpoint becomes the model.")
    use_best = best is not None and job.settings.get("final_weights", "best") == "best"
    chosen = best if use_best else last
    if best is not None and best["step"] != last["step"]:
        ap = {"best": _measured(best["values"])["AP"], "last": _measured(last["values"])["AP"]}
        other, this = ("last", "best") if use_best else ("best", "last")
        job.reporter.message(
            f"Step {best['step']} was the best on the held-out images: AP {ap['best']:.3f}, and {ap['last']:.3f} after"
            f" the last step. The {this} one becomes the model; --set final_weights={other} chooses the other."
        )
    job.run.write_json("evaluation/api.json", {"data": job.val.uri, **chosen})
    found = _measured(chosen["values"])
    if "AP" in found:
        numbers = ", ".join(f"{name} {found[name]:.3f}" for name in _METRICS)
        job.reporter.message(f"The API's own COCO metric on the held-out images: {numbers}.")
    return _BEST if use_best else CHECKPOINTS


def _export(job: TrainJob, worker: Worker, folder: str) -> None:
    """Exports the checkpoint in a folder to ``model/``, in the layout of the model zoo, completely or not at all."""
    temporary = Path(_path(job, ".model-in-the-making"))
    shutil.rmtree(temporary, ignore_errors=True)
    request = {"pipeline": _path(job, PIPELINE), "folder": _path(job, folder), "out": str(temporary)}
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
