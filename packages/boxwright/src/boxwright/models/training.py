"""Training: what a backend is handed, and the way from two URIs to a run folder."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from boxwright.datasets.dataset import Dataset, empty_dataset_error, open_dataset
from boxwright.datasets.scan import Scan
from boxwright.errors import DataError, RunError, UsageError
from boxwright.label_map import LabelMap, resolve_label_map
from boxwright.models.job import TrainJob
from boxwright.models.protocols import Backend, Trainer
from boxwright.models.run import Run
from boxwright.plugins.options import convert_options
from boxwright.plugins.registry import Registry, default_registry, require
from boxwright.plugins.specs import BackendSpec
from boxwright.progress import LogReporter, Reporter

DEFAULT_BACKEND = "kerascv"
FINAL_METRIC = "coco"


class LocalTrainer:
    """Trains in this process."""

    def train(self, backend: Backend, job: TrainJob) -> None:
        """Runs the backend's ``fit``."""
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
    image_size: tuple[int, int] | None = None,
    seed: int = 0,
    label_map: LabelMap | str | Path | None = None,
    resume: bool = False,
    overwrite: bool = False,
    on_error: str = "fail",
    settings: Mapping[str, object] | None = None,
    reporter: Reporter | None = None,
    registry: Registry | None = None,
) -> Run:
    """Trains a detector.

    Args:
        data: The dataset to train on.
        out: The run folder to make, or with ``resume`` to go on with.
        val: A dataset to watch while training; it is never trained on and decides nothing but early stopping, where
            that is asked for.
        backend: The backend's name; ``None`` for the installed one (``kerascv`` where there are several).
        preset: One of the backend's presets; ``None`` for its first.
        trainer: Where and how the training runs.
        augment: Augmenter steps; ``None`` for the backend's default, ``[]`` for none.
        epochs: ``None`` lets the backend choose from the size of the data.
        batch_size: ``None`` lets the backend choose.
        image_size: ``(width, height)``; ``None`` lets the backend choose from the data.
        seed: Of everything random.
        label_map: The classes and their numbers: a label map, or a ``label_map.pbtxt``.
        resume: Go on with an interrupted run; what the run was asked for at first holds.
        overwrite: Replace a run that stands there.
        on_error: ``"fail"`` or ``"skip"`` pictures that cannot be read.
        settings: The backend's own options; ``boxwright plugins show backend NAME`` lists them.
        reporter: Where progress goes.
        registry: The plugins to use, instead of the installed ones.

    Returns:
        The finished run.

    Raises:
        UsageError: A wrong option or preset.
        DataError: A picture or annotation cannot be used, a class is not in the label map, or there are no boxes.
        RunError: The run folder is in use, exists already, or cannot be resumed.
        PluginError: No backend is installed, or its library is missing.
    """
    plugins, reporter = registry or default_registry(), reporter or LogReporter()
    name = backend or _default_backend(plugins)
    if resume:
        return _resume(Path(out), data, val, on_error, plugins, reporter)
    entry = plugins.get("backend", name)
    require("backend", entry)
    spec: BackendSpec = entry.spec
    chosen = _preset(spec, preset)
    options = convert_options(settings or {}, spec.options, f"the backend {name}")
    plugins.get("trainer", trainer)
    _check_numbers(epochs, batch_size, image_size)
    train_data, scan, classes = _examine(data, label_map, on_error, plugins, reporter)
    held_out = _open_val(val, on_error, classes, plugins)
    config: dict[str, Any] = {
        "data": train_data.uri,
        "val": held_out.uri if held_out is not None else None,
        "backend": name,
        "preset": chosen,
        "trainer": trainer,
        "augment": list(augment) if augment is not None else None,
        "epochs": epochs,
        "batch_size": batch_size,
        "image_size": list(image_size) if image_size else None,
        "seed": seed,
        "settings": options,
    }
    run = Run.create(
        out, backend=name, config=config, label_map=classes, inputs={"data": _digest(scan)}, overwrite=overwrite
    )
    return _fit(_job(run, train_data, held_out, scan, options, False, reporter, plugins), plugins)


def _resume(
    out: Path, data: str | Dataset, val: str | Dataset | None, on_error: str, plugins: Registry, reporter: Reporter
) -> Run:
    run = Run(out)
    if run.status == "done":
        reporter.message(f"{run.path} is done already; nothing to resume.")
        return run
    config = run.config
    spec: BackendSpec = plugins.get("backend", run.backend).spec
    options = convert_options(config["settings"], spec.options, f"the backend {run.backend}")
    train_data, scan, _ = _examine(data, run.label_map, on_error, plugins, reporter)
    if _digest(scan)["digest"] != run.state["inputs"]["data"]["digest"]:
        raise RunError(
            f"{train_data.uri or data} is not the data that {run.path} was trained on",
            "give the same --data, or train into another folder",
        )
    if val is None and config["val"] == "":
        raise UsageError(f"the held-out samples of {run.path} came from no URI", "give them again: val=...")
    held_out = _open_val(val if val is not None else config["val"], on_error, run.label_map, plugins)
    return _fit(_job(run, train_data, held_out, scan, options, True, reporter, plugins), plugins)


def _job(
    run: Run,
    data: Dataset,
    val: Dataset | None,
    scan: Scan,
    options: Mapping[str, Any],
    resume: bool,
    reporter: Reporter,
    plugins: Registry,
) -> TrainJob:
    config = run.config
    return TrainJob(
        data=data,
        val=val,
        run=run,
        preset=config["preset"],
        epochs=config["epochs"],
        batch_size=config["batch_size"],
        image_size=tuple(config["image_size"]) if config["image_size"] else None,
        seed=config["seed"],
        augment=tuple(config["augment"]) if config["augment"] is not None else None,
        resume=resume,
        settings=options,
        scan=scan,
        reporter=reporter,
        plugins=plugins.plugins,
    )


def _fit(job: TrainJob, plugins: Registry) -> Run:
    run = job.run
    require("backend", plugins.get("backend", run.backend))
    backend: Backend = plugins.resolve("backend", run.backend)()
    trainer: Trainer = plugins.resolve("trainer", run.config["trainer"])()
    started = time.perf_counter()
    seconds_before = float(run.state.get("seconds", 0.0))
    status, failure = "failed", None
    with run.in_use():
        run.update(status="running")
        try:
            plugins.plugins.hook.boxwright_run_started(run=run, config=run.config)
            trainer.train(backend, job)
            status = "done"
        except BaseException as error:
            failure = error
            status = "interrupted" if isinstance(error, KeyboardInterrupt) else "failed"
            raise
        finally:
            seconds = round(seconds_before + time.perf_counter() - started, 1)
            run.update(status=status, seconds=seconds, error=None if failure is None else repr(failure))
            plugins.plugins.hook.boxwright_run_ended(run=run, status=status, error=failure)
    _measure(job, plugins)
    return run


def _measure(job: TrainJob, plugins: Registry) -> None:
    """Measures the finished model on the held-out data; a training is no less done where that cannot be."""
    from boxwright.models.evaluation import evaluate

    if job.val is None or FINAL_METRIC not in plugins.names("metric"):
        return
    try:
        found = evaluate(job.run, job.val, metric=FINAL_METRIC, reporter=job.reporter, registry=plugins)
        numbers = ", ".join(f"{name} {found.values[name]:.3f}" for name in ("AP50", "AP"))
    except Exception as error:  # whatever a metric plugin does
        job.reporter.warning(f"the model could not be measured on {job.val.uri or 'the held-out data'}: {error}")
        return
    job.reporter.message(f"On {found.samples} held-out pictures: {numbers}.")


def _examine(
    data: str | Dataset,
    label_map: LabelMap | str | Path | None,
    on_error: str,
    plugins: Registry,
    reporter: Reporter,
) -> tuple[Dataset, Scan, LabelMap]:
    """Opens the training data, reads its annotations once, and settles the classes."""
    given = resolve_label_map(label_map)
    dataset = open_dataset(data, on_error=on_error, label_map=given, registry=plugins)
    with reporter.task("Reading the annotations", dataset.info.num_samples):
        scan = dataset.scan()
    if not scan.samples:
        raise empty_dataset_error(dataset, "there are no pictures in it")
    if not scan.boxes:
        raise DataError(dataset.info.location, "there is no box to learn from", "check the location and the format")
    classes = scan.label_map
    _check_classes(dataset, scan, classes, "add them to the label map, or give another")
    return dataset.with_label_map(classes), scan, classes


def _check_classes(dataset: Dataset, scan: Scan, classes: LabelMap, remedy: str) -> None:
    unknown = [label for label in scan.classes if label not in classes]
    if unknown:
        raise DataError(
            dataset.info.location, f"classes that are not in the label map: {', '.join(map(repr, unknown))}", remedy
        )


def _open_val(val: str | Dataset | None, on_error: str, classes: LabelMap, plugins: Registry) -> Dataset | None:
    if val is None:
        return None
    held_out = open_dataset(val, on_error=on_error, registry=plugins).with_label_map(classes)
    scan = held_out.scan()
    if not scan.samples:
        raise empty_dataset_error(held_out, "there are no pictures to hold out in it")
    if held_out.problems.on_error == "fail":
        _check_classes(held_out, scan, classes, "leave them out, or have them in the training data as well")
    return held_out


def _default_backend(plugins: Registry) -> str:
    names = plugins.names("backend")
    if not names:
        raise UsageError("no backend is installed", 'run: python -m pip install "boxwright-kerascv[cpu]"')
    return DEFAULT_BACKEND if DEFAULT_BACKEND in names else names[0]


def _preset(spec: BackendSpec, preset: str | None) -> str:
    if preset is None:
        return next(iter(spec.presets), "")
    if preset not in spec.presets:
        raise UsageError(f"the backend {spec.name} has no preset {preset!r}", f"it has: {', '.join(spec.presets)}")
    return preset


def _check_numbers(epochs: int | None, batch_size: int | None, image_size: tuple[int, int] | None) -> None:
    for name, value in (("number of epochs", epochs), ("batch size", batch_size)):
        if value is not None and value < 1:
            raise UsageError(f"the {name} is {value}", "give a whole number of at least 1")
    if image_size is not None and min(image_size) < 32:
        raise UsageError(f"the image size is {image_size[0]}x{image_size[1]}", "give at least 32x32")


def _digest(scan: Scan) -> dict[str, Any]:
    return {"digest": scan.digest, "samples": scan.samples, "boxes": scan.boxes, "classes": scan.classes}
