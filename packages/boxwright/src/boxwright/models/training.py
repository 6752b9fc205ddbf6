"""Training, from two dataset URIs to a run folder."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from boxwright.datasets.dataset import Dataset, empty_dataset_error, open_dataset
from boxwright.datasets.scan import Scan
from boxwright.errors import DataError, RunError, UsageError
from boxwright.label_map import LabelMap, resolve_label_map
from boxwright.models.evaluation import NO_BOXES, evaluate
from boxwright.models.job import TrainJob
from boxwright.models.protocols import Backend, Trainer
from boxwright.models.run import Run
from boxwright.models.weights import default_preset
from boxwright.plugins.options import convert_options
from boxwright.plugins.registry import Registry, default_registry, require
from boxwright.plugins.specs import BackendSpec
from boxwright.progress import LogReporter, Reporter

DEFAULT_BACKEND = "kerascv"
FINAL_METRIC = "coco"


class LocalTrainer:
    """Trains in this process."""

    def train(self, backend: Backend, job: TrainJob) -> None:
        """Calls the backend's ``fit``."""
        backend.fit(job)


def train(
    data: str | Dataset,
    *,
    out: str | Path,
    val: str | Dataset | None = None,
    backend: str | None = None,
    preset: str | None = None,
    trainer: str = "local",
    augment: Sequence[str] | None = None,
    epochs: int | None = None,
    batch_size: int | None = None,
    eval_every: int | None = None,
    image_size: tuple[int, int] | None = None,
    seed: int = 0,
    label_map: LabelMap | str | Path | None = None,
    resume: bool = False,
    overwrite: bool = False,
    on_error: str = "fail",
    settings: Mapping[str, object] | None = None,
    model: object | None = None,
    objects: Mapping[str, object] | None = None,
    reporter: Reporter | None = None,
    registry: Registry | None = None,
) -> Run:
    """Trains a detector.

    Args:
        data: The dataset to train on.
        out: The run folder to make, or with ``resume`` to continue.
        val: A dataset to evaluate while training. It is never trained on; with it, a backend can choose the best
            weights and stop early.
        backend: The name of the backend; ``None`` for the installed one (``kerascv`` if there are several).
        preset: One of the backend's presets; ``None`` for the first whose pretrained weights, if any, are
            installed.
        trainer: Where and how the training runs.
        augment: Augmenter steps; ``None`` for the backend's default, ``[]`` for none.
        epochs: ``None`` lets the backend choose from the size of the data.
        batch_size: ``None`` lets the backend choose.
        eval_every: The number of epochs between two evaluations of ``val``; ``None`` lets the backend choose.
        image_size: ``(width, height)``; ``None`` lets the backend choose from the data.
        seed: The seed of everything random.
        label_map: The classes and their ids: a label map, or a ``label_map.pbtxt``.
        resume: Continue an interrupted run with its original settings.
        overwrite: Replace an existing run.
        on_error: ``"fail"`` at images that cannot be read, or ``"skip"`` them.
        settings: Options of the backend; ``boxwright plugins show backend NAME`` lists them.
        model: A model of the backend's library to train instead of a preset's: ``objects["model"]``.
        objects: Python objects for the backend by name, such as callbacks; ``boxwright plugins show backend NAME``
            lists them. The run does not keep them: pass them again with ``resume``.
        reporter: Where progress is shown.
        registry: The plugins to use, instead of the installed ones.

    Returns:
        The finished run.

    Raises:
        UsageError: An option or a preset is wrong.
        DataError: An image or annotation cannot be used, a class is not in the label map, or there are no boxes.
        RunError: The run folder is in use, exists already, or cannot be resumed.
        PluginError: No backend is installed, or its library is missing.
    """
    plugins, reporter = registry or default_registry(), reporter or LogReporter()
    objects = dict(objects or {}) | ({} if model is None else {"model": model})
    if resume:
        plan = _resumed_plan(Path(out), val, plugins)
        if plan.run.status == "done":
            reporter.message(f"{plan.run.path} is done already; nothing to resume.")
            return plan.run
        prepared = _prepared(data, plan.val, plan.run.label_map, on_error, plugins, reporter)
        _check_same_data(plan.run, prepared, data)
        _check_same_objects(plan.run, objects)
        run, options = plan.run, plan.options
    else:
        numbers = {"epochs": epochs, "batch_size": batch_size, "eval_every": eval_every, "image_size": image_size}
        config = _planned(backend, preset, trainer, augment, numbers, seed, settings, objects, plugins)
        if plugins.get("backend", config["backend"]).spec.check:
            plugins.resolve("backend", config["backend"], "check")(config, held_out=val is not None)
        prepared = _prepared(data, val, label_map, on_error, plugins, reporter)
        run, options = _created(out, config, prepared, overwrite), config["settings"]
    job = _job(run, prepared, options, objects, resume, reporter, plugins)
    _fit(job, plugins)
    _measure(job, plugins)
    return run


@dataclass(frozen=True)
class _ResumedPlan:
    """An existing run, and what it was asked for."""

    run: Run
    options: Mapping[str, Any]
    val: str | Dataset | None


def _planned(
    backend: str | None,
    preset: str | None,
    trainer: str,
    augment: Sequence[str] | None,
    numbers: Mapping[str, Any],
    seed: int,
    settings: Mapping[str, object] | None,
    objects: Mapping[str, object],
    plugins: Registry,
) -> dict[str, Any]:
    """Checks the settings before any work, and returns the configuration of the run without its data."""
    name = backend or _default_backend(plugins)
    entry = plugins.get("backend", name)
    require("backend", entry)
    plugins.get("trainer", trainer)
    _check_numbers(**numbers)
    _check_objects(entry.spec, objects)
    return {
        "backend": name,
        "preset": _preset(entry.spec, preset),
        "trainer": trainer,
        "augment": list(augment) if augment is not None else None,
        **numbers,
        "image_size": list(numbers["image_size"]) if numbers["image_size"] else None,
        "seed": seed,
        "settings": convert_options(settings or {}, entry.spec.options, f"the backend {name}"),
        "objects": sorted(objects),
    }


def _resumed_plan(out: Path, val: str | Dataset | None, plugins: Registry) -> _ResumedPlan:
    run = Run(out)
    config = run.config
    options = convert_options(
        config["settings"], plugins.get("backend", run.backend).spec.options, f"the backend {run.backend}"
    )
    if val is None and config["val"] == "" and run.status != "done":
        raise UsageError(f"the held-out samples of {run.path} came from no URI", "pass them again: val=...")
    return _ResumedPlan(run, options, val if val is not None else config["val"])


@dataclass(frozen=True)
class _Prepared:
    """The data of a training, read through once.

    Attributes:
        data: The training samples, with the label map of the run.
        scan: Their counts.
        val: The held-out samples.
        label_map: The classes.
    """

    data: Dataset
    scan: Scan
    val: Dataset | None
    label_map: LabelMap

    @property
    def digest(self) -> dict[str, Any]:
        """What the run folder keeps of the data, to recognise it."""
        scan = self.scan
        return {"digest": scan.digest, "samples": scan.samples, "boxes": scan.boxes, "classes": scan.classes}


def _prepared(
    data: str | Dataset,
    val: str | Dataset | None,
    label_map: LabelMap | str | Path | None,
    on_error: str,
    plugins: Registry,
    reporter: Reporter,
) -> _Prepared:
    """Opens the data, reads its annotations once, and settles the classes."""
    dataset = open_dataset(data, on_error=on_error, label_map=resolve_label_map(label_map), registry=plugins)
    with reporter.task("Reading the annotations", dataset.info.num_samples):
        scan = dataset.scan()
    if not scan.samples:
        raise empty_dataset_error(dataset, "it contains no images")
    if not scan.boxes:
        raise DataError(dataset.info.location, "it contains no box to learn from", "check the location and the format")
    classes = scan.label_map
    _check_classes(dataset, scan, classes, "add them to the label map, or use another label map")
    held_out = None if val is None else _held_out(val, on_error, classes, plugins)
    return _Prepared(dataset.with_label_map(classes), scan, held_out, classes)


def _held_out(val: str | Dataset, on_error: str, classes: LabelMap, plugins: Registry) -> Dataset:
    dataset = open_dataset(val, on_error=on_error, registry=plugins).with_label_map(classes)
    scan = dataset.scan()
    if not scan.samples:
        raise empty_dataset_error(dataset, "it contains no images to hold out")
    if dataset.problems.on_error == "fail":
        _check_classes(dataset, scan, classes, "remove them, or add them to the training data as well")
    return dataset


def _check_classes(dataset: Dataset, scan: Scan, classes: LabelMap, remedy: str) -> None:
    unknown = [label for label in scan.classes if label not in classes]
    if unknown:
        raise DataError(
            dataset.info.location, f"classes that are not in the label map: {', '.join(map(repr, unknown))}", remedy
        )


def _check_same_data(run: Run, prepared: _Prepared, data: str | Dataset) -> None:
    if prepared.scan.digest != run.state["inputs"]["data"]["digest"]:
        raise RunError(
            f"{prepared.data.uri or data} is not the data that {run.path} was trained on",
            "pass the same --data, or train into another folder",
        )


def _check_same_objects(run: Run, objects: Mapping[str, object]) -> None:
    before = run.config.get("objects", [])
    if before != sorted(objects):
        raise UsageError(
            f"{run.path} was trained with objects={before}, not {sorted(objects)}", "pass the same objects with resume"
        )


def _created(out: str | Path, config: Mapping[str, Any], prepared: _Prepared, overwrite: bool) -> Run:
    uris = {"data": prepared.data.uri, "val": prepared.val.uri if prepared.val is not None else None}
    return Run.create(
        out,
        backend=config["backend"],
        config={**uris, **config},
        label_map=prepared.label_map,
        inputs={"data": prepared.digest},
        overwrite=overwrite,
    )


def _job(
    run: Run,
    prepared: _Prepared,
    options: Mapping[str, Any],
    objects: Mapping[str, object],
    resume: bool,
    reporter: Reporter,
    plugins: Registry,
) -> TrainJob:
    config = run.config
    return TrainJob(
        data=prepared.data,
        val=prepared.val,
        run=run,
        preset=config["preset"],
        epochs=config["epochs"],
        batch_size=config["batch_size"],
        eval_every=config.get("eval_every"),
        image_size=tuple(config["image_size"]) if config["image_size"] else None,
        seed=config["seed"],
        augment=tuple(config["augment"]) if config["augment"] is not None else None,
        resume=resume,
        settings=options,
        objects=objects,
        scan=prepared.scan,
        reporter=reporter,
        plugins=plugins.plugins,
    )


def _fit(job: TrainJob, plugins: Registry) -> None:
    """Runs the backend through the trainer; the run folder keeps how it ended."""
    run, hook = job.run, plugins.plugins.hook
    require("backend", plugins.get("backend", run.backend))
    backend: Backend = plugins.resolve("backend", run.backend)()
    trainer: Trainer = plugins.resolve("trainer", run.config["trainer"])()
    started = time.perf_counter()
    seconds_before = float(run.state.get("seconds", 0.0))
    status, failure = "failed", None
    with run.in_use():
        run.update(status="running")
        try:
            hook.boxwright_run_started(run=run, config=run.config)
            trainer.train(backend, job)
            status = "done"
        except BaseException as error:
            failure = error
            status = "interrupted" if isinstance(error, KeyboardInterrupt) else "failed"
            raise
        finally:
            seconds = round(seconds_before + time.perf_counter() - started, 1)
            run.update(status=status, seconds=seconds, error=None if failure is None else repr(failure))
            hook.boxwright_run_ended(run=run, status=status, error=failure)


def _measure(job: TrainJob, plugins: Registry) -> None:
    """Evaluates the finished model on the held-out data; if that fails, the training is done all the same."""
    if job.val is None or FINAL_METRIC not in plugins.names("metric"):
        return
    try:
        found = evaluate(job.run, job.val, metric=FINAL_METRIC, reporter=job.reporter, registry=plugins)
        numbers = ", ".join(f"{name} {found.values[name]:.3f}" for name in ("AP50", "AP"))
    except Exception as error:  # whatever a metric plugin raises
        job.reporter.warning(f"the model could not be evaluated on {job.val.uri or 'the held-out data'}: {error}")
        return
    measured = math.isfinite(found.values["AP"])
    job.reporter.message(f"On {found.samples} held-out images: {numbers if measured else NO_BOXES}.")


def _default_backend(plugins: Registry) -> str:
    names = plugins.names("backend")
    if not names:
        raise UsageError("no backend is installed", 'run: python -m pip install "boxwright-kerascv[cpu]"')
    return DEFAULT_BACKEND if DEFAULT_BACKEND in names else names[0]


def _preset(spec: BackendSpec, preset: str | None) -> str:
    if preset is None:
        return default_preset(spec)
    if preset not in spec.presets:
        raise UsageError(f"the backend {spec.name} has no preset {preset!r}", f"use one of: {', '.join(spec.presets)}")
    return preset


def _check_numbers(
    epochs: int | None, batch_size: int | None, eval_every: int | None, image_size: tuple[int, int] | None
) -> None:
    counts = {"number of epochs": epochs, "batch size": batch_size, "number of epochs between evaluations": eval_every}
    for name, value in counts.items():
        if value is not None and value < 1:
            raise UsageError(f"the {name} is {value}", "use a whole number of at least 1")
    if image_size is not None and min(image_size) < 32:
        raise UsageError(f"the image size is {image_size[0]}x{image_size[1]}", "use at least 32x32")


def _check_objects(spec: BackendSpec, objects: Mapping[str, object]) -> None:
    for name in objects:
        if name not in spec.objects:
            offer = f"it takes: {', '.join(spec.objects)}" if spec.objects else "it takes no Python objects"
            raise UsageError(f"the backend {spec.name} has no object {name!r}", offer)
