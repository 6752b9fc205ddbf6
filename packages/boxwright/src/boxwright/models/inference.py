"""Loads models, runs and exported ones alike, and runs them over datasets."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from boxwright.datasets.dataset import Dataset
from boxwright.errors import DataError, PluginError, RunError, UsageError
from boxwright.label_map import LabelMap, resolve_label_map
from boxwright.models.manifest import RECORD, read_manifest
from boxwright.models.protocols import Backend, Model
from boxwright.models.run import STATE, Run
from boxwright.models.slicing import SlicedModel, Slicing
from boxwright.models.tuned import apply_tuning
from boxwright.plugins.registry import Registry, default_registry
from boxwright.plugins.specs import Detection
from boxwright.regions import unknown_classes
from boxwright.schemas import Detections, Sample


def predicted_pairs(model: Model, data: Dataset, *, batch_size: int = 8) -> Iterator[tuple[Sample, Detections]]:
    """Each sample with what the model finds in it, in order, a batch at a time in memory.

    Raises:
        DataError: A sample has a class that the model does not know.
    """
    batch: list[Sample] = []
    for sample in data:
        error = unknown_class_error(sample.source or sample.image.name, [sample], model.label_map)
        if error is not None:
            data.problems(error)
            continue
        batch.append(sample)
        if len(batch) == batch_size:
            yield from _predict_batch(model, batch, data)
            batch = []
    if batch:
        yield from _predict_batch(model, batch, data)


def unknown_class_error(where: str, samples: Sequence[Sample], label_map: LabelMap) -> DataError | None:
    """Returns the error of samples with classes that a model does not know, if there are any.

    Args:
        where: What the error names.
        samples: Samples with boxes.
        label_map: The classes of the model.
    """
    unknown = sorted({name for sample in samples for name in unknown_classes(sample.boxes, label_map)})
    if not unknown:
        return None
    return DataError(
        where,
        f"the model does not know the class {', '.join(map(repr, unknown))}",
        f"it knows: {', '.join(label_map.names)}; rename or leave out the others",
    )


def _predict_batch(model: Model, batch: list[Sample], data: Dataset) -> Iterator[tuple[Sample, Detections]]:
    try:
        yield from zip(batch, list(model.predict(batch, batch_size=len(batch))), strict=True)
    except DataError:
        # One bad image must not fail its batch: try them one by one.
        for sample in batch:
            try:
                found = list(model.predict([sample], batch_size=1))
            except DataError as error:
                data.problems(error)
                continue
            if len(found) != 1:
                raise PluginError(f"the model gave {len(found)} answers for one image") from None
            yield sample, found[0]


def load_model(
    run: str | Path | Run,
    *,
    label_map: str | Path | LabelMap | None = None,
    device: str = "",
    registry: Registry | None = None,
) -> Model:
    """Loads the model of a run, or an exported one.

    Args:
        run: A run or its folder, the folder of an export, or a model file or folder that an exporter recognises.
        label_map: The classes of an exported model that does not contain them; a file or a label map.
        device: The device that an exported model runs on, such as ``"GPU"``; the exporter chooses one by default.
        registry: The plugins to use, instead of the installed ones.

    Raises:
        UsageError: A label map or a device was given for a run, or the exporter has no such device.
        RunError: There is no run and no such model, or the run has no model yet.
        PluginError: Its backend or exporter is not installed, or needs a library that is missing.
        DataError: The label map cannot be read.
    """
    plugins = registry or default_registry()
    if not isinstance(run, Run) and os.path.exists(run) and not os.path.isfile(os.path.join(run, STATE)):
        return load_artifact(Path(run), label_map, plugins, device)
    found = run if isinstance(run, Run) else Run(run)
    if label_map is not None:
        raise UsageError(f"{found.path} is a run and has its own label map", "leave out the label map")
    if device:
        raise UsageError(f"{found.path} is a run, which has no choice of devices", "omit the device, or export the run")
    backend: Backend = plugins.resolve("backend", found.backend)()
    try:
        return apply_tuning(backend.load(found), found.path)
    except FileNotFoundError as error:
        raise RunError(
            f"{found.path} has no model: it is {found.status}, and {error.filename} is not there",
            "train to the end: --resume continues an interrupted training",
        ) from error


def ready_model(
    model: str | Path | Run | Model,
    label_map: str | Path | LabelMap | None,
    plugins: Registry,
    device: str = "",
    slicing: str | Slicing = "",
) -> Model:
    """Returns a model that is loaded already, or the result of :func:`load_model`; with tiles if ``slicing`` says so.

    Raises:
        UsageError: As :func:`load_model`, or ``slicing`` is wrong.
    """
    tiles = Slicing.of(slicing) if slicing else None
    if isinstance(model, str | Path | Run):
        model = load_model(model, label_map=label_map, device=device, registry=plugins)
    return model if tiles is None else SlicedModel(model, tiles)


def check_batch_size(batch_size: int) -> None:
    """Raises a UsageError if a batch would contain no image."""
    if batch_size < 1:
        raise UsageError(f"the batch size is {batch_size}", "give a whole number of at least 1")


def load_artifact(path: Path, label_map: str | Path | LabelMap | None, plugins: Registry, device: str = "") -> Model:
    """Loads an exported model; see :func:`boxwright.load_model`.

    Args:
        path: A folder that :func:`export` made, or a model file or folder that an exporter recognises.
        label_map: The classes of a model that does not contain them.
        plugins: The plugins to use.
        device: The device that it runs on; the exporter chooses one by default.

    Raises:
        UsageError: The exporter has no such device.
        RunError: No installed exporter knows it; all their reasons are given.
        PluginError: The plugin that made it is not installed, or needs a library that is missing.
        DataError: The label map cannot be read, or a file of the artifact is missing, cut off or changed.
    """
    given = resolve_label_map(label_map)
    record = path / RECORD if path.is_dir() else path.with_name(RECORD)
    if record.is_file():
        name, artifact = read_manifest(record)
        if path.is_dir() or path.name == artifact.name:
            return apply_tuning(_load(plugins, name, artifact, given, device), record.parent)
    answers = _asked(path, plugins)
    yes = [name for name, answer in answers.items() if answer.matches]
    if len(yes) == 1:
        return _load(plugins, yes[0], path, given, device)
    reasons = "".join(f"\n  {name}: {answer.reason}" for name, answer in answers.items())
    if yes:
        raise RunError(f"{path} could be of {' or '.join(yes)}:{reasons}", "leave one of them out by BOXWRIGHT_PLUGINS")
    what = "is neither a run nor a model that an installed exporter recognises" if path.exists() else "does not exist"
    raise RunError(f"{path} {what}{reasons if path.exists() else ''}", "give a run folder or an exported model")


def _load(plugins: Registry, name: str, artifact: Path, label_map: LabelMap | None, device: str) -> Model:
    spec = plugins.get("exporter", name).spec
    devices = spec.devices
    if label_map is not None and not spec.detect:
        raise UsageError(f"{artifact} has its own label map", "leave out the label map")
    options: dict[str, Any] = {} if label_map is None else {"label_map": label_map}
    if device:
        if device not in devices:
            known = f"choose one of: {', '.join(devices)}" if devices else "omit the device"
            raise UsageError(f"models of {name} cannot run on a device named {device!r}", known)
        options["device"] = device
    model: Model = plugins.resolve("exporter", name)().load(artifact, **options)
    return model


def _asked(path: Path, plugins: Registry) -> dict[str, Detection]:
    answers = {}
    for entry in plugins.all("exporter"):
        name = entry.spec.name
        if not entry.spec.detect:
            continue
        try:
            answer = plugins.resolve("exporter", name, "detect")(str(path))
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # one that cannot look, or exits, does not stop the others
            answer = Detection(False, f"could not look: {type(error).__name__}: {error}")
        answers[name] = answer
    return answers
