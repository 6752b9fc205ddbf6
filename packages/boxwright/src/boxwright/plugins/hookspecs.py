"""Every hook that a plugin may implement.

A plugin is a module named by an entry point of the group ``boxwright``. It says which API it was written for and
implements the hooks it wants::

    from boxwright import FormatSpec, hookimpl

    boxwright_api = (1, 1)  # the oldest and the newest plugin API that it works with


    @hookimpl
    def boxwright_formats():
        return [FormatSpec(name="myformat", summary="My own files", load="my_plugin.reader:MyReader")]

with, in its ``pyproject.toml``::

    [project.entry-points.boxwright]
    myformat = "my_plugin"

The hooks that return specs are called once per plugin, when it is registered (pluggy's historic hooks). The event hooks
are called while a training runs, and take pluggy's wrappers. An event hook that fails is reported once and never ends a
training.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import pluggy

from boxwright.plugins.specs import (
    AnnotatorSpec,
    AugmenterSpec,
    BackendSpec,
    CommandSpec,
    EngineSpec,
    ExporterSpec,
    FormatSpec,
    LoaderSpec,
    LoggerSpec,
    MetricSpec,
    TrainerSpec,
    TransformSpec,
)

hookspec = pluggy.HookspecMarker("boxwright")
hookimpl = pluggy.HookimplMarker("boxwright")
"""Marks the functions of a plugin that implement a hook."""


class RunFolder(Protocol):
    """What an event hook may read of a run; it is passed a :class:`boxwright.Run`."""

    path: Path

    @property
    def config(self) -> dict[str, Any]:
        """Every setting of the training."""
        ...


class PrecisionRecall(Protocol):
    """Precision and recall by score; hooks are passed a :class:`boxwright.models.PrecisionRecallCurve`."""

    scores: Any
    precision: Any
    recall: Any


@hookspec(historic=True)
def boxwright_formats() -> list[FormatSpec]:  # type: ignore[empty-body]
    """Called once. Return the dataset formats that this plugin reads or writes."""


@hookspec(historic=True)
def boxwright_transforms() -> list[TransformSpec]:  # type: ignore[empty-body]
    """Called once. Return the steps that ``boxwright convert --with`` may name."""


@hookspec(historic=True)
def boxwright_augmenters() -> list[AugmenterSpec]:  # type: ignore[empty-body]
    """Called once. Return the augmenters that ``boxwright train --augment`` may name."""


@hookspec(historic=True)
def boxwright_backends() -> list[BackendSpec]:  # type: ignore[empty-body]
    """Called once. Return the model backends that ``boxwright train --backend`` may name."""


@hookspec(historic=True)
def boxwright_metrics() -> list[MetricSpec]:  # type: ignore[empty-body]
    """Called once. Return the metrics that ``boxwright evaluate --metric`` may name."""


@hookspec(historic=True)
def boxwright_trainers() -> list[TrainerSpec]:  # type: ignore[empty-body]
    """Called once. Return the trainers that ``boxwright train --trainer`` may name."""


@hookspec(historic=True)
def boxwright_exporters() -> list[ExporterSpec]:  # type: ignore[empty-body]
    """Called once. Return the targets that ``boxwright export --to`` may name."""


@hookspec(historic=True)
def boxwright_loaders() -> list[LoaderSpec]:  # type: ignore[empty-body]
    """Called once. Return the frameworks to which a dataset can be handed: ``dataset.to_NAME()``."""


@hookspec(historic=True)
def boxwright_loggers() -> list[LoggerSpec]:  # type: ignore[empty-body]
    """Called once. Return the loggers that ``boxwright train --log`` may name."""


@hookspec(historic=True)
def boxwright_commands() -> list[CommandSpec]:  # type: ignore[empty-body]
    """Called once. Return the commands that this plugin adds to the program ``boxwright``."""


@hookspec(historic=True)
def boxwright_annotators() -> list[AnnotatorSpec]:  # type: ignore[empty-body]
    """Called once. Return the annotators that ``boxwright annotate --with`` may name."""


@hookspec(historic=True)
def boxwright_engines() -> list[EngineSpec]:  # type: ignore[empty-body]
    """Called once. Return the engines that ``--engine`` of several commands may name."""


@hookspec
def boxwright_run_started(run: RunFolder, config: Mapping[str, object]) -> None:
    """Called when a training starts or is resumed, before the first step; ``config`` is all it was asked for."""


@hookspec
def boxwright_epoch_ended(run: RunFolder, epoch: int, metrics: Mapping[str, float]) -> None:
    """Called after each epoch, counted from 1, with its losses, learning rate and metrics."""


@hookspec
def boxwright_checkpoint_written(run: RunFolder, path: Path, epoch: int) -> None:
    """Called when a checkpoint is whole on disk; ``path`` is the file or folder."""


@hookspec
def boxwright_predictions_drawn(run: RunFolder, epoch: int, images: Mapping[str, bytes]) -> None:
    """Called when a backend has drawn its predictions on a few images after an epoch: JPEG files by name."""


@hookspec
def boxwright_run_measured(
    run: RunFolder, data: str, values: Mapping[str, float], curves: Mapping[str, PrecisionRecall]
) -> None:
    """Called when the finished model has been measured on the held-out data, before ``boxwright_run_ended``.

    ``values`` are the numbers of the metric ``coco`` that could be measured, ``curves`` precision and recall at an IoU
    of 0.5 by class.
    """


@hookspec
def boxwright_run_ended(run: RunFolder, status: str, error: BaseException | None) -> None:
    """Called when a training ends: ``status`` is ``"done"``, ``"failed"`` or ``"interrupted"``."""
