"""Training, from two dataset URIs to a run folder."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from boxwright.datasets.dataset import Data
from boxwright.errors import UsageError
from boxwright.label_map import LabelMap
from boxwright.models.augmentation import check_augmenters
from boxwright.models.curves import precision_recall
from boxwright.models.evaluation import NO_BOXES, evaluate
from boxwright.models.fingerprints import write_manifest
from boxwright.models.job import USUAL_DETECTIONS, TrainJob
from boxwright.models.loggers import default_loggers, make_loggers
from boxwright.models.preparation import Prepared, prepare
from boxwright.models.protocols import Backend, Trainer, WorkerTrainer
from boxwright.models.run import Run
from boxwright.models.trainers import check_trainer, make_trainer
from boxwright.models.tuned import CURVE, TUNED
from boxwright.models.weights import default_preset
from boxwright.plugins.manager import LoadedPlugins
from boxwright.plugins.options import MAX_BAD, convert_options
from boxwright.plugins.registry import Registry, default_registry, require
from boxwright.plugins.specs import BackendSpec
from boxwright.progress import LogReporter, Reporter
from boxwright.schemas import Detections, Sample
from boxwright.text import did_you_mean, without_secrets

DEFAULT_BACKEND = "kerascv"
LOCAL = "local"
WORKER = ".worker-"
"""The ending of the folder of a worker that does not make the run, followed by its number."""
FINAL_METRIC = "coco"


class LocalTrainer:
    """Trains in this process."""

    def train(self, backend: Backend, job: TrainJob) -> None:
        """Calls the backend's ``fit``."""
        backend.fit(job)


def train(
    data: Data,
    *,
    out: str | Path,
    val: Data | None = None,
    backend: str | None = None,
    preset: str | None = None,
    trainer: str | None = None,
    augment: Sequence[str] | None = None,
    epochs: int | None = None,
    batch_size: int | None = None,
    eval_every: int | None = None,
    image_size: tuple[int, int] | None = None,
    seed: int = 0,
    label_map: LabelMap | str | Path | None = None,
    resume: bool = False,
    overwrite: bool = False,
    on_error: str | None = None,
    allow_overlap: bool = False,
    settings: Mapping[str, object] | None = None,
    model: object | None = None,
    objects: Mapping[str, object] | None = None,
    log: Sequence[str] | None = None,
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
        trainer: Where and how the training runs, such as ``"local"`` or ``"mirrored:devices=2"``. ``None`` is
            ``"local"``, or with ``resume`` that of the run.
        augment: Augmenter steps; ``None`` for the backend's default, ``[]`` for none.
        epochs: ``None`` lets the backend choose from the size of the data.
        batch_size: ``None`` lets the backend choose.
        eval_every: The number of epochs between two evaluations of ``val``; ``None`` lets the backend choose.
        image_size: ``(width, height)``; ``None`` lets the backend choose from the data.
        seed: The seed of everything random.
        label_map: The classes and their ids: a label map, or a ``label_map.pbtxt``.
        resume: Continue an interrupted run with its original settings.
        overwrite: Replace an existing run.
        on_error: ``"fail"`` at images that cannot be read, ``"skip"`` them, or a limit such as ``"1%"`` or ``"3"``.
            ``None`` is ``"1%"``, or with ``resume`` that of the run.
        allow_overlap: Whether images of ``val`` may be training images; else they are an error. Images that only look
            alike are a warning.
        settings: Options of the backend; ``boxwright plugins show backend NAME`` lists them.
        model: A model of the backend's library to train instead of a preset's: ``objects["model"]``.
        objects: Python objects for the backend by name, such as callbacks; ``boxwright plugins show backend NAME``
            lists them. The run does not keep them: pass them again with ``resume``.
        log: Loggers, such as ``"csv"`` or ``"mlflow:experiment=mugs"``; ``None`` for TensorBoard if it is installed, or
            with ``resume`` those of the run; ``[]`` for none.
        reporter: Where progress is shown.
        registry: The plugins to use, instead of the installed ones.

    Returns:
        The finished run.

    Raises:
        UsageError: An option or a preset is wrong, or ``val`` contains training images.
        DataError: An image or annotation cannot be used, a class is not in the label map, or there are no boxes.
        RunError: The run folder is in use, exists already, or cannot be resumed.
        PluginError: No backend is installed, or a library of it or of a logger is missing.
    """
    plugins, reporter = registry or default_registry(), reporter or LogReporter()
    objects = dict(objects or {}) | ({} if model is None else {"model": model})
    run = Run.resumable(out) if resume else None
    if log is None:
        log = default_loggers(plugins) if run is None else run.config.get("log", [])
    loggers = make_loggers(log, plugins)
    if run is None:
        numbers = {"epochs": epochs, "batch_size": batch_size, "eval_every": eval_every, "image_size": image_size}
        config = _config(backend, preset, trainer or LOCAL, augment, numbers, seed, settings, objects, plugins)
        config |= {"allow_overlap": allow_overlap, "log": list(log)}
        _check_config(config, val is not None, plugins)
        plan = _Plan(config, val, label_map)
    elif run.status == "done":
        run.take_place()
        reporter.message(f"{run.path} is done already; nothing to resume.")
        return run
    else:
        plan = _resumed_plan(run, val, trainer, objects, plugins)
    with _trainer(plan.config["trainer"], plugins) as (chosen, worker):
        if worker:  # worker 0 makes the run, and evaluates it
            out, overwrite, loggers = f"{out}{WORKER}{worker}", True, {}
            plan = replace(plan, val=None)
        if run is None:
            Run.check_free(out, overwrite=overwrite)
        on_error = on_error or (run.config.get("on_error") if run is not None else None) or MAX_BAD
        prepared = prepare(
            data,
            plan.val,
            plan.label_map,
            run,
            on_error=on_error,
            allow_overlap=allow_overlap or plan.config.get("allow_overlap", False),
            reporter=reporter,
            plugins=plugins,
        )
        if run is None or worker:
            config = plan.config | {name: _shown(uri) for name, uri in prepared.uris.items()} | {"on_error": on_error}
            run = Run.create(
                out,
                backend=plan.config["backend"],
                config=config,
                label_map=prepared.data.label_map,
                inputs=prepared.inputs,
                overwrite=overwrite,
            )
            known = config["data"] == prepared.uris["data"] and config["val"] == prepared.uris["val"]
            if known and not worker:  # else it has secrets
                write_manifest(run, config, prepared.complete, prepared.held_out, reporter)
        elif run.config["trainer"] != plan.config["trainer"]:
            run.update_config({"trainer": plan.config["trainer"]})
        listening = plugins.plugins.with_loggers(loggers, reporter.warning) if loggers else plugins.plugins
        job = _job(run, prepared, plan.config, objects, resume, reporter, listening)
        _train(job, chosen, None if worker else prepared, plugins)
    for dataset in filter(None, (prepared.data, prepared.val)):
        if warning := dataset.problems.describe():
            reporter.warning(warning)
    if worker:
        reporter.message(f"Worker {worker} is done; the trained model is in the run of worker 0.")
    return run


@contextmanager
def _trainer(step: str, plugins: Registry) -> Iterator[tuple[Trainer, int]]:
    """Makes a trainer, and closes it; returns also the number of this process, 0 for the one that makes the run."""
    trainer = make_trainer(step, plugins)
    if not isinstance(trainer, WorkerTrainer):
        yield trainer, 0
        return
    try:
        yield trainer, trainer.worker
    finally:
        trainer.close()


def check_training(
    *,
    backend: str | None = None,
    preset: str | None = None,
    trainer: str = "local",
    augment: Sequence[str] | None = None,
    epochs: int | None = None,
    batch_size: int | None = None,
    eval_every: int | None = None,
    image_size: tuple[int, int] | None = None,
    seed: int = 0,
    settings: Mapping[str, object] | None = None,
    held_out: bool = False,
    registry: Registry | None = None,
) -> None:
    """Checks the settings of a training without its data, and without importing a framework.

    Args:
        held_out: Whether there is validation data.
        registry: The plugins to use, instead of the installed ones.
        backend: This and the others: see :func:`train`.
        preset: The preset.
        trainer: The trainer.
        augment: The augmenters.
        epochs: The number of epochs.
        batch_size: The number of images per step.
        eval_every: The number of epochs between two evaluations.
        image_size: Width and height in pixels.
        seed: The seed.
        settings: The options of the backend.

    Raises:
        UsageError: A setting is wrong.
        PluginNotFoundError: The backend or the trainer is not installed.
    """
    plugins = registry or default_registry()
    numbers = {"epochs": epochs, "batch_size": batch_size, "eval_every": eval_every, "image_size": image_size}
    config = _config(backend, preset, trainer, augment, numbers, seed, settings, {}, plugins)
    check_augmenters(augment or (), backend=config["backend"], plugins=plugins)
    _check_config(config, held_out, plugins)


def _check_config(config: Mapping[str, Any], held_out: bool, plugins: Registry) -> None:
    if plugins.get("backend", config["backend"]).spec.check:
        plugins.resolve("backend", config["backend"], "check")(config, held_out=held_out)


@dataclass(frozen=True)
class _Plan:
    """What a training is going to do.

    Attributes:
        config: The configuration of the run without its data.
        val: The held-out samples.
        label_map: The classes, if they are known.
    """

    config: dict[str, Any]
    val: Data | None
    label_map: LabelMap | str | Path | None


def _config(
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
    check_trainer(trainer, plugins)
    _check_numbers(**numbers)
    _check_objects(entry.spec, objects)
    if "model" in objects and preset is not None:
        raise UsageError(f"a model was passed, and the preset {preset!r}", "remove one of them")
    return {
        "backend": name,
        "preset": "" if "model" in objects else _preset(entry.spec, preset),
        "trainer": trainer,
        "augment": list(augment) if augment is not None else None,
        **numbers,
        "image_size": list(numbers["image_size"]) if numbers["image_size"] else None,
        "seed": seed,
        "settings": convert_options(settings or {}, entry.spec.options, f"the backend {name}"),
        "objects": sorted(objects),
    }


def _resumed_plan(
    run: Run, val: Data | None, trainer: str | None, objects: Mapping[str, object], plugins: Registry
) -> _Plan:
    config, spec = run.config, plugins.get("backend", run.backend).spec
    trainer = trainer or config["trainer"]
    check_trainer(trainer, plugins)
    settings = convert_options(config["settings"], spec.options, f"the backend {run.backend}")
    if val is None and config["val"] == "":
        raise UsageError(f"the held-out samples of {run.path} came from no URI", "pass them again: val=...")
    if (before := config.get("objects", [])) != sorted(objects):
        raise UsageError(
            f"{run.path} was trained with objects={before}, not {sorted(objects)}", "pass the same objects with resume"
        )
    held_out = val if val is not None else run.uri("val")
    return _Plan(config | {"settings": settings, "trainer": trainer}, held_out, run.label_map)


def _job(
    run: Run,
    prepared: Prepared,
    config: Mapping[str, Any],
    objects: Mapping[str, object],
    resume: bool,
    reporter: Reporter,
    plugins: LoadedPlugins,
) -> TrainJob:
    return TrainJob(
        data=prepared.data,
        val=prepared.val,
        val_scan=prepared.val_scan,
        run=run,
        preset=config["preset"],
        epochs=config["epochs"],
        batch_size=config["batch_size"],
        eval_every=config.get("eval_every"),
        image_size=tuple(config["image_size"]) if config["image_size"] else None,
        seed=config["seed"],
        augment=tuple(config["augment"]) if config["augment"] is not None else None,
        resume=resume,
        settings=config["settings"],
        objects=objects,
        scan=prepared.scan,
        reporter=reporter,
        plugins=plugins,
    )


def _shown(uri: str | None) -> str | None:
    return None if uri is None else without_secrets(uri)


def _train(job: TrainJob, trainer: Trainer, prepared: Prepared | None, plugins: Registry) -> None:
    """Trains and measures the model, on ``prepared`` data; the event hooks receive how it ended."""
    status, failure = "failed", None
    try:
        _fit(job, trainer, plugins)
        status = "done"
        job.run.take_place()
        if prepared is not None:
            _measure(job, prepared, plugins)
    except BaseException as error:
        failure = error
        if isinstance(error, KeyboardInterrupt) and status != "done":
            status = "interrupted"
        raise
    finally:
        job.plugins.hook.boxwright_run_ended(run=job.run, status=status, error=failure)


def _fit(job: TrainJob, trainer: Trainer, plugins: Registry) -> None:
    """Runs the backend through the trainer; the run folder keeps how it ended."""
    run, hook = job.run, job.plugins.hook
    require("backend", plugins.get("backend", run.backend))
    backend: Backend = plugins.resolve("backend", run.backend)()
    if job.most_detections > USUAL_DETECTIONS:
        job.reporter.message(
            f"An image has {job.most_boxes} boxes: the model keeps up to {job.most_detections} detections per image,"
            f" instead of {USUAL_DETECTIONS}, if the settings do not limit them."
        )
    started = time.perf_counter()
    seconds_before = float(run.state.get("seconds", 0.0))
    status, failure = "failed", None
    with run.in_use():
        run.update(status="running")
        try:
            hook.boxwright_run_started(run=run, config=run.config)
            trainer.train(backend, job)
            for name in (CURVE, TUNED):  # for other weights, other settings are the best
                run.file(name).unlink(missing_ok=True)
            status = "done"
        except BaseException as error:
            failure = error
            status = "interrupted" if isinstance(error, KeyboardInterrupt) else "failed"
            raise
        finally:
            seconds = round(seconds_before + time.perf_counter() - started, 1)
            run.update(
                status=status, seconds=seconds, error=None if failure is None else without_secrets(repr(failure))
            )


def _measure(job: TrainJob, prepared: Prepared, plugins: Registry) -> None:
    """Evaluates the finished model on the held-out data; if that fails, the training is done all the same."""
    if prepared.held_out is None or FINAL_METRIC not in plugins.names("metric"):
        return
    pairs: list[tuple[Sample, Detections]] = []
    try:
        found = evaluate(
            job.run,
            prepared.held_out,
            metric=FINAL_METRIC,
            observe=lambda sample, detections: pairs.append(_without_bytes(sample, detections)),
            reporter=job.reporter,
            registry=plugins,
        )
        numbers = ", ".join(f"{name} {found.values[name]:.3f}" for name in ("AP50", "AP"))
    except Exception as error:  # whatever a metric plugin raises
        where = prepared.held_out.uri or "the held-out data"
        job.reporter.warning(without_secrets(f"the model could not be evaluated on {where}: {error}"))
        return
    values = {name: value for name, value in found.values.items() if math.isfinite(value)}
    curves = precision_recall(pairs, job.label_map)
    job.plugins.hook.boxwright_run_measured(run=job.run, data=found.data, values=values, curves=curves)
    measured = math.isfinite(found.values["AP"])
    images = f"images, {prepared.overlap} of them training images" if prepared.overlap else "held-out images"
    job.reporter.message(f"On {found.samples} {images}: {numbers if measured else NO_BOXES}.")
    if measured and found.result.notes:
        job.reporter.message(f"Notes: {'; '.join(found.result.notes)}.")


def _without_bytes(sample: Sample, found: Detections) -> tuple[Sample, Detections]:
    image = sample.image.model_copy(update={"data": None})
    return sample.replace(image=image), Detections(image=image, boxes=found.boxes)


def _default_backend(plugins: Registry) -> str:
    names = plugins.names("backend")
    if not names:
        raise UsageError("no backend is installed", 'run: python -m pip install "boxwright-kerascv[cpu]"')
    return DEFAULT_BACKEND if DEFAULT_BACKEND in names else names[0]


def _preset(spec: BackendSpec, preset: str | None) -> str:
    if preset is None:
        return default_preset(spec)
    if preset not in spec.presets:
        remedy = f"{did_you_mean(preset, spec.presets)}use one of: {', '.join(spec.presets)}"
        raise UsageError(f"the backend {spec.name} has no preset {preset!r}", remedy)
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
