"""boxwright: annotated photos in, a working object detector out; every step is a plugin.

::

    import boxwright

    data = boxwright.open("labelimg:photos/train")
    boxwright.convert(data, "tfrecord:train.record")
    run = boxwright.train("tfrecord:train.record", val="labelimg:photos/test", out="runs/first")
    print(boxwright.evaluate(run, "labelimg:photos/test").values)
    boxwright.predict(run, "photos/new", out="found")

Names are imported when they are first used, so that ``import boxwright`` costs next to nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from boxwright._version import __version__ as __version__

_HOMES = {
    "boxwright.artifacts": ("Export", "export"),
    "boxwright.boxes": ("clip", "convert_format", "iou"),
    "boxwright.comparison": ("Comparison", "compare"),
    "boxwright.conversion": ("ConversionReport", "convert"),
    "boxwright.dataset": ("Dataset",),
    "boxwright.errors": (
        "BoxwrightError",
        "DataError",
        "ExportError",
        "LossError",
        "MissingLibraryError",
        "OutputError",
        "PluginError",
        "PluginNotFoundError",
        "RunError",
        "UsageError",
    ),
    "boxwright.evaluation": ("Evaluation", "MetricResult", "evaluate"),
    "boxwright.gallery": ("view",),
    "boxwright.hookspecs": ("hookimpl",),
    "boxwright.prediction": ("Prediction", "load_model", "predict"),
    "boxwright.run": ("Run",),
    "boxwright.schemas": (
        "Box",
        "BoxFormat",
        "Boxes",
        "DatasetInfo",
        "Detections",
        "ImageRef",
        "LabelMap",
        "Sample",
    ),
    "boxwright.specs": (
        "AugmenterSpec",
        "BackendSpec",
        "Detection",
        "ExporterSpec",
        "FormatSpec",
        "LoaderSpec",
        "MetricSpec",
        "Option",
        "TrainerSpec",
        "TransformSpec",
    ),
    "boxwright.training": ("TrainJob", "train"),
    "boxwright.uri": ("DatasetURI",),
    "boxwright.validation": ("ValidationReport", "validate"),
}
_MODULE_OF = {name: module for module, names in _HOMES.items() for name in names}

if TYPE_CHECKING:
    from boxwright.artifacts import Export, export
    from boxwright.boxes import clip, convert_format, iou
    from boxwright.comparison import Comparison, compare
    from boxwright.conversion import ConversionReport, convert
    from boxwright.dataset import Dataset
    from boxwright.dataset import open_dataset as open
    from boxwright.errors import (
        BoxwrightError,
        DataError,
        ExportError,
        LossError,
        MissingLibraryError,
        OutputError,
        PluginError,
        PluginNotFoundError,
        RunError,
        UsageError,
    )
    from boxwright.evaluation import Evaluation, MetricResult, evaluate
    from boxwright.gallery import view
    from boxwright.hookspecs import hookimpl
    from boxwright.prediction import Prediction, load_model, predict
    from boxwright.run import Run
    from boxwright.schemas import Box, Boxes, BoxFormat, DatasetInfo, Detections, ImageRef, LabelMap, Sample
    from boxwright.specs import (
        AugmenterSpec,
        BackendSpec,
        Detection,
        ExporterSpec,
        FormatSpec,
        LoaderSpec,
        MetricSpec,
        Option,
        TrainerSpec,
        TransformSpec,
    )
    from boxwright.training import TrainJob, train
    from boxwright.uri import DatasetURI
    from boxwright.validation import ValidationReport, validate

__all__ = [
    "AugmenterSpec",
    "BackendSpec",
    "Box",
    "BoxFormat",
    "Boxes",
    "BoxwrightError",
    "Comparison",
    "ConversionReport",
    "DataError",
    "Dataset",
    "DatasetInfo",
    "DatasetURI",
    "Detection",
    "Detections",
    "Evaluation",
    "Export",
    "ExportError",
    "ExporterSpec",
    "FormatSpec",
    "ImageRef",
    "LabelMap",
    "LoaderSpec",
    "LossError",
    "MetricResult",
    "MetricSpec",
    "MissingLibraryError",
    "Option",
    "OutputError",
    "PluginError",
    "PluginNotFoundError",
    "Prediction",
    "Run",
    "RunError",
    "Sample",
    "TrainJob",
    "TrainerSpec",
    "TransformSpec",
    "UsageError",
    "ValidationReport",
    "clip",
    "compare",
    "convert",
    "convert_format",
    "evaluate",
    "export",
    "hookimpl",
    "iou",
    "load_model",
    "open",
    "predict",
    "train",
    "validate",
    "view",
]


def __getattr__(name: str) -> Any:
    if name == "open":
        value = importlib.import_module("boxwright.dataset").open_dataset
    elif name in _MODULE_OF:
        value = getattr(importlib.import_module(_MODULE_OF[name]), name)
    else:
        raise AttributeError(f"module 'boxwright' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
