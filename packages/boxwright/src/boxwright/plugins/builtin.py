"""What boxwright brings itself, through the same hooks as everybody else's plugins."""

from __future__ import annotations

from boxwright.plugins.hookspecs import hookimpl
from boxwright.plugins.options import Option
from boxwright.plugins.specs import FormatSpec, LoaderSpec, MetricSpec, TrainerSpec

boxwright_api = (1, 1)


@hookimpl
def boxwright_formats() -> list[FormatSpec]:
    """The format ``pictures``."""
    return [
        FormatSpec(
            name="pictures",
            summary="A folder of images without annotations",
            load="boxwright.datasets.image_folder:FolderReader",
            write="boxwright.datasets.image_folder:FolderWriter",
            detect="boxwright.datasets.image_folder:detect",
            carries=frozenset({"images", "empty"}),
            target="folder",
            docs="https://pillow.readthedocs.io/en/stable/handbook/image-file-formats.html",
        )
    ]


@hookimpl
def boxwright_loaders() -> list[LoaderSpec]:
    """The loader ``numpy``."""
    return [
        LoaderSpec(
            name="numpy",
            summary="Images and boxes as NumPy arrays",
            load="boxwright.datasets.arrays:to_numpy",
            options=(Option("bounding_box_format", str, "xyxy", "the format of the coordinates, as in KerasCV"),),
        )
    ]


@hookimpl
def boxwright_metrics() -> list[MetricSpec]:
    """The metrics ``f1`` and ``count``."""
    score = Option("score", float, 0.3, "lowest score of a detection that counts; by default as tuned", ge=0, le=1)
    draws = Option("draws", int, 1000, "resamples of the images for the intervals; 0 for none", ge=0)
    return [
        MetricSpec(
            name="f1",
            summary="Precision, recall and F1 at one score",
            load="boxwright.models.counting:F1Metric",
            options=(score, Option("iou", float, 0.5, "boxes with a smaller IoU do not match", gt=0, le=1), draws),
        ),
        MetricSpec(
            name="count",
            summary="Error of the number of objects, by image and class",
            load="boxwright.models.counting:CountMetric",
            options=(score, draws),
        ),
    ]


@hookimpl
def boxwright_trainers() -> list[TrainerSpec]:
    """The trainer that runs in this process."""
    return [
        TrainerSpec(
            name="local",
            summary="Trains in this process, on this machine",
            load="boxwright.models.training:LocalTrainer",
        )
    ]
