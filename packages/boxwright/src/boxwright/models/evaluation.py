"""Evaluation: the detections of a model compared with the ground truth."""

from __future__ import annotations

import hashlib
import math
import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from boxwright.datasets.dataset import Data, empty_dataset_error, open_dataset
from boxwright.datasets.engines import opened_engine
from boxwright.datasets.parts import in_parts
from boxwright.datasets.protocols import Engine
from boxwright.errors import DataError
from boxwright.label_map import LabelMap
from boxwright.models.decoder import PerClass
from boxwright.models.detecting import Detecting, source_of
from boxwright.models.inference import check_batch_size, ready_model
from boxwright.models.protocols import Metric, MetricResult, Model
from boxwright.models.run import STATE, Run
from boxwright.models.slicing import Slicing
from boxwright.models.tuned import decoder_of
from boxwright.plugins.options import MAX_BAD, convert_options
from boxwright.plugins.registry import Registry, default_registry
from boxwright.progress import LogReporter, Reporter
from boxwright.schemas import Detections, Sample
from boxwright.text import without_secrets

SCORE = "score"
"""The option by which a metric receives the score that the model was tuned for, one number or one per class."""

METRIC = "coco"
"""The metric by default."""
NO_BOXES = "nothing to measure: no boxes"
"""The message in place of numbers where the ground truth has no box."""


def without_draws(metric: str, plugins: Registry) -> dict[str, int]:
    """Returns the options of a metric for its numbers alone: the draws of the intervals take longer than these."""
    return {"draws": 0} if any(each.name == "draws" for each in plugins.get("metric", metric).spec.options) else {}


@dataclass
class Evaluation:
    """One model on one dataset.

    Attributes:
        metric: The metric's name.
        result: Its numbers.
        data: The dataset's URI, without logins and tokens.
        samples: The number of images.
        ground_truth: The number of ground truth boxes.
        detections: The number of detections.
        seconds: Wall time of the predictions and the metric.
        skipped: Items left out under ``on_error="skip"``.
        label_map: The classes that the model knows.
        slicing: The tiles that images were cut into; empty for whole images.
        score: The lowest score of a detection that is shown, as the model was tuned; one number, or one per class.
    """

    metric: str
    result: MetricResult
    data: str
    samples: int
    ground_truth: int
    detections: int
    seconds: float
    skipped: list[DataError] = field(default_factory=list)
    label_map: LabelMap = field(default_factory=LabelMap)
    slicing: str = ""
    score: PerClass = 0.3

    @property
    def values(self) -> dict[str, float]:
        """The numbers over all classes."""
        return self.result.values

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; what could not be measured is ``None``."""
        return {
            "data": self.data,
            "metric": self.metric,
            "main": self.result.main,
            "values": _without_nan(self.result.values),
            "per_class": {name: _without_nan(values) for name, values in self.result.per_class.items()},
            "intervals": {name: _pair(each) for name, each in self.result.intervals.items()},
            "samples": self.samples,
            "truths": self.ground_truth,
            "detections": self.detections,
            "score": self.score,
            "seconds": round(self.seconds, 2),
            "notes": self.result.notes,
            "skipped": [str(error) for error in self.skipped],
            "slice": self.slicing or None,
        }


def evaluate(
    model: str | Path | Run | Model,
    data: Data,
    *,
    metric: str = METRIC,
    metric_options: Mapping[str, object] | None = None,
    batch_size: int = 8,
    on_error: str = MAX_BAD,
    observe: Callable[[Sample, Detections], None] | None = None,
    slicing: str | Slicing = "",
    label_map: str | Path | LabelMap | None = None,
    device: str = "",
    engine: str | Engine | None = None,
    reporter: Reporter | None = None,
    registry: Registry | None = None,
) -> Evaluation:
    """Measures a model on a dataset.

    A result of a run is also kept in the run's folder, under ``evaluation/``.

    Args:
        model: A run, its folder, an exported model, or a loaded one.
        data: The dataset with the ground truth.
        metric: The metric's name.
        metric_options: The metric's own options.
        batch_size: The number of images predicted at once.
        on_error: ``"fail"`` or ``"skip"`` images that cannot be read, or a limit such as ``"1%"`` or ``"3"``.
        observe: Called with each image and its detections, in order, before the metric.
        slicing: Tiles that large images are cut into, such as ``"512x512:overlap=0.2"``; see :class:`Slicing`.
        label_map: The classes of an exported model that does not say them itself.
        device: The device that an exported model runs on; its exporter chooses one by default.
        engine: The machines that predict, if the format of the data lets them: ``"ray"`` or
            ``"ray:address=10.0.0.1:6379"``. The metric runs in this process.
        reporter: Where progress goes.
        registry: The plugins to use, instead of the installed ones.

    Raises:
        UsageError: A wrong option, a batch size below 1, or a loaded model for other machines.
        DataError: An image cannot be read, or the dataset is empty or contains classes that the model does not know.
        PluginError: The metric or the model's backend is not installed.
        EngineError: The machines cannot be reached, or cannot do the work.
    """
    plugins, reporter = registry or default_registry(), reporter or LogReporter()
    source = source_of(model, engine)
    check_batch_size(batch_size)
    listed = plugins.get("metric", metric).spec.options
    options = convert_options(metric_options or {}, listed, f"the metric {metric}")
    make: Callable[..., Metric] = plugins.resolve("metric", metric)
    dataset = open_dataset(data, on_error=on_error, registry=plugins)
    tiles = Slicing.of(slicing) if slicing else None
    loaded = ready_model(model, label_map, plugins, device, tiles or "")
    if SCORE in {option.name for option in listed} and SCORE not in (metric_options or {}):
        options[SCORE] = decoder_of(loaded).score
    measure = make(**options)
    counts = {"samples": 0, "ground_truth": 0, "detections": 0}
    started = time.perf_counter()
    detecting = Detecting(
        loaded, source, batch_size, label_map, device, str(tiles or ""), light=bool(engine) and observe is None
    )
    with opened_engine(engine, plugins) as machines, reporter.task("Evaluating", dataset.info.num_samples) as task:

        def pairs() -> Iterator[tuple[Sample, Detections]]:
            for sample, found in in_parts(
                dataset, detecting, machines, reporter, items=detecting.items, places=detecting.places
            ):
                counts["samples"] += 1
                counts["ground_truth"] += len(sample.boxes)
                counts["detections"] += len(found.boxes)
                task.advance()
                if observe is not None:
                    observe(sample, found)
                yield sample, found

        result = measure(pairs(), loaded.label_map)
    if not counts["samples"]:
        raise empty_dataset_error(dataset, "it contains no images")
    dataset.problems.finish(counts["samples"])
    evaluation = Evaluation(
        metric=metric,
        result=result,
        data=without_secrets(dataset.uri),
        seconds=time.perf_counter() - started,
        skipped=dataset.problems.skipped,
        label_map=loaded.label_map,
        slicing=str(tiles or ""),
        score=options.get(SCORE, decoder_of(loaded).score),
        **counts,
    )
    if not evaluation.ground_truth:
        result.notes.insert(0, NO_BOXES)
    run = Run(model) if isinstance(model, str | Path) and os.path.isfile(os.path.join(model, STATE)) else model
    if isinstance(run, Run):
        name = f"{_file_name(without_secrets(dataset.uri))}-{metric}{'-sliced' if tiles else ''}"
        run.write_json(f"evaluation/{name}.json", evaluation.to_dict())
    return evaluation


def _pair(interval: tuple[float, float]) -> list[float] | None:
    return list(interval) if math.isfinite(interval[0]) else None


def _without_nan(values: Mapping[str, float]) -> dict[str, float | None]:
    return {name: float(value) if math.isfinite(value) else None for name, value in values.items()}


def _file_name(uri: str) -> str:
    """A file name that a person recognises; with a digest where the URI had to be changed for it."""
    plain = "".join(letter if letter.isalnum() or letter in "-_." else "-" for letter in uri).strip("-.")[-80:]
    return plain if plain and plain == uri else f"{plain or 'data'}-{hashlib.sha256(uri.encode()).hexdigest()[:8]}"
