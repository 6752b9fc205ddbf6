"""The trainings of a learning curve, on parts of the training images."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from boxwright.analysis.advice.learning import Learning, Point, sizes_below
from boxwright.datasets.dataset import Data, Dataset
from boxwright.datasets.memory import from_samples
from boxwright.errors import DataError
from boxwright.models.evaluation import evaluate
from boxwright.models.resampling import QUANTILE
from boxwright.models.run import Run
from boxwright.models.training import train
from boxwright.plugins.registry import Registry
from boxwright.progress import Reporter
from boxwright.schemas import Sample

FOLDER = "curve"
"""The folder of a run for the trainings."""
_METRIC = "coco"
_KEPT = ("backend", "trainer", "epochs", "batch_size", "eval_every", "augment", "seed")
_OWN_OPTIONS = frozenset({"metric", "metric_options", "observe"})
"""The options of an evaluation that a curve does not take: its numbers are always the same."""


def learning_curve(
    run: Run,
    training: Dataset,
    data: Data,
    *,
    trainings: int,
    reporter: Reporter,
    registry: Registry,
    **options: Any,
) -> Learning:
    """Trains with the settings of a run on parts of its images, and measures the models and the run.

    Each part contains the smaller ones. Trainings that are done already are used again.

    Args:
        run: The training on all images.
        training: Its images.
        data: Annotated images that none was trained on.
        trainings: The number of parts.
        reporter: Receives the progress.
        registry: The plugins to use.
        options: Further arguments of :func:`boxwright.evaluate`, of which those on the metric have no effect.

    Raises:
        DataError: There are too few images.
    """
    images = training.info.num_samples or sum(1 for _ in training)
    sizes = sizes_below(images, trainings)
    if len(sizes) < trainings:
        raise DataError(
            training.uri, f"{images} images are too few for a curve of {trainings} trainings", "leave it out"
        )
    points = points_of(run, training, data, sizes=sizes, reporter=reporter, registry=registry, **options)
    return Learning(tuple(points))


def points_of(
    run: Run,
    training: Dataset,
    data: Data,
    *,
    sizes: Sequence[int],
    reporter: Reporter,
    registry: Registry,
    **options: Any,
) -> list[Point]:
    """Returns the points of a curve, the last of which is the run.

    Args:
        run: The training on all images.
        training: Its images.
        data: Annotated images that none was trained on.
        sizes: The numbers of images of the parts.
        reporter: Receives the progress.
        registry: The plugins to use.
        options: Further arguments of :func:`boxwright.evaluate`, of which those on the metric have no effect.
    """
    options = {name: value for name, value in options.items() if name not in _OWN_OPTIONS}
    samples = _shuffled(list(training), run.label_map.names)
    points = []
    for number, size in enumerate(sizes, 1):
        reporter.message(f"Training {number} of {len(sizes)}: {size} of {len(samples)} images.")
        made = _trained(run, samples[:size], reporter, registry)
        points.append(_measured(made, samples[:size], data, reporter, registry, options))
    return [*points, _measured(run, samples, data, reporter, registry, options)]


def _shuffled(samples: list[Sample], names: Sequence[str]) -> list[Sample]:
    """Returns the images in an order in which every class appears early."""
    order = np.random.default_rng(0).permutation(len(samples))
    mixed = [samples[place] for place in order]
    first: dict[int, None] = {}
    for name in names:
        place = next((place for place, sample in enumerate(mixed) if name in sample.boxes.labels), None)
        if place is not None:
            first[place] = None
    return [mixed[place] for place in first] + [sample for place, sample in enumerate(mixed) if place not in first]


def _trained(run: Run, part: list[Sample], reporter: Reporter, registry: Registry) -> Run:
    data = from_samples(part, label_map=run.label_map, registry=registry)
    # By the digest, so that the training on changed data is not taken for that on the data of today.
    folder = run.file(f"{FOLDER}/{len(part)}-{data.scan().digest[:8]}")
    if (folder / "run.json").is_file() and (before := Run(folder)).status == "done":
        return before
    config = run.config
    return train(
        data,
        out=folder,
        val=run.uri("val") or None,
        preset=config["preset"] or None,
        allow_overlap=config.get("allow_overlap", False),
        image_size=tuple(config["image_size"]) if config.get("image_size") else None,
        label_map=run.label_map,
        settings=config.get("settings"),
        log=[],
        overwrite=True,
        reporter=reporter,
        registry=registry,
        **{name: config[name] for name in _KEPT if name in config},
    )


def _measured(
    run: Run, part: list[Sample], data: Data, reporter: Reporter, registry: Registry, options: dict[str, Any]
) -> Point:
    found = evaluate(run, data, metric=_METRIC, reporter=reporter, registry=registry, **options)
    low, high = found.result.intervals.get("AP", (math.nan, math.nan))
    error = (high - low) / 2 / QUANTILE
    images: Counter[str] = Counter()
    for sample in part:
        images.update(set(sample.boxes.labels))
    values = {"": found.values["AP"]} | {
        name: each.get("AP", math.nan) for name, each in found.result.per_class.items()
    }
    classes = max(sum(math.isfinite(value) for value in values.values()) - 1, 1)
    errors = {
        name: (error if math.isfinite(error) else 0.0) * (1 if not name else math.sqrt(classes)) for name in values
    }
    return Point(len(part), values, errors, {name: images[name] for name in run.label_map.names})
