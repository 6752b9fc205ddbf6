"""Measures one model in this process: speed, memory and AP. :mod:`boxwright.models.benchmark` starts the process."""

from __future__ import annotations

import json
import os
import re
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import numpy as np

from boxwright.datasets.dataset import Dataset, open_dataset
from boxwright.errors import BoxwrightError, DataError
from boxwright.images.decode import decode_sample
from boxwright.models.evaluation import evaluate, without_draws
from boxwright.models.inference import load_model
from boxwright.models.protocols import ForwardModel, FrameworkBackend, Model
from boxwright.models.run import Run
from boxwright.models.trust import trust_models
from boxwright.plugins.options import MAX_BAD
from boxwright.plugins.registry import Registry, default_registry
from boxwright.progress import LogReporter
from boxwright.schemas import Sample
from boxwright.storage.links import follow_links

METRIC = "coco"
BATCHES = (1, 2, 4, 8, 16, 32)
_USED = 32
"""The number of different images that are timed."""
_BETTER = 1.02
"""Larger batches are not tried after two that have less than so many times the best throughput before."""
_MEMORY_UNIT = 1 if sys.platform == "darwin" else 1024
"""The unit of ``ru_maxrss`` in bytes (getrusage(2))."""


def measure(
    model: str,
    data: str,
    *,
    framework: bool = False,
    device: str = "",
    label_map: str | None = None,
    rounds: int = 50,
    warmup: int = 5,
    seconds: float = 20.0,
    registry: Registry | None = None,
) -> dict[str, Any]:
    """Measures a model.

    Args:
        model: A run folder, an artifact, or another exported model.
        data: The URI of the images; with boxes, the AP is measured on all of them.
        framework: Whether the model of a run is loaded in the framework that trained it.
        device: The device of an exported model.
        label_map: The label map of a model without classes.
        rounds: The number of timed calls of each kind.
        warmup: The number of calls before them, which are not timed.
        seconds: No more calls of a kind are timed after this time.
        registry: The plugins to use, instead of the installed ones.

    Returns:
        Plain values for JSON; ``None`` where something could not be measured. Times are in seconds.
    """
    plugins = registry or default_registry()
    dataset = open_dataset(data, on_error=MAX_BAD, registry=plugins)
    started = time.perf_counter()
    loaded = _load(model, framework, device, label_map, plugins)
    load_seconds = time.perf_counter() - started
    samples = _in_memory(dataset)
    started = time.perf_counter()
    _predict(loaded, samples[:1], 1)
    first = time.perf_counter() - started

    def timed(call: Callable[[int], Any]) -> list[float]:
        for number in range(warmup):
            call(number)
        times: list[float] = []
        while len(times) < rounds and sum(times) < seconds:
            before = time.perf_counter()
            call(len(times))
            times.append(time.perf_counter() - before)
        return times

    forward: list[float] = []
    if isinstance(loaded, ForwardModel):
        inputs = [
            loaded.inputs(decode_sample(each, at_least=loaded.inputs.reduced_size).image)[None] for each in samples
        ]
        forward = timed(lambda number: loaded.forward(inputs[number % len(inputs)]))
        del inputs
    whole = timed(lambda number: _predict(loaded, [samples[number % len(samples)]], 1))
    throughput, batch = _throughput(loaded, samples, seconds)
    ap, peak = None, _peak()  # before the metric, which needs memory as well
    if METRIC in plugins.names("metric"):
        options = without_draws(METRIC, plugins)
        value = evaluate(
            loaded, dataset, metric=METRIC, metric_options=options, reporter=LogReporter(), registry=plugins
        )
        ap = value.values.get(value.result.main)
    return {
        "load_seconds": load_seconds,
        "first_seconds": first,
        "forward": _summary(forward),
        "predict": _summary(whole),
        "throughput": throughput,
        "batch": batch,
        "peak_bytes": peak,
        "ap": None if ap is None or not np.isfinite(ap) else float(ap),
        "timed_images": len(samples),
    }


def _load(model: str, framework: bool, device: str, label_map: str | None, plugins: Registry) -> Model:
    if framework:
        run = Run(model)
        backend: Any = plugins.resolve("backend", run.backend)()
        if isinstance(backend, FrameworkBackend):
            return backend.load_framework(run)
    return load_model(model, label_map=label_map, device=device, registry=plugins)


def _in_memory(dataset: Dataset) -> list[Sample]:
    """Returns the first images that can be read, without boxes and with their bytes: the disk is not timed."""
    samples = []
    for sample in dataset:
        try:
            image = sample.image.model_copy(update={"data": sample.image.read()})
            readable = sample.replace(image=image, boxes=())
            decode_sample(readable)
        except DataError:  # the evaluation counts it
            continue
        samples.append(readable)
        if len(samples) == _USED:
            break
    if not samples:
        raise DataError(dataset.info.location, "it contains no images", "pass other images: --data")
    return samples


def _predict(model: Model, samples: Sequence[Sample], batch: int) -> None:
    for _ in model.predict(samples, batch_size=batch):
        pass


def _throughput(model: Model, samples: Sequence[Sample], seconds: float) -> tuple[float, int]:
    """Returns images per second and the batch size at which there are most."""
    best, size, in_vain = 0.0, 1, 0
    for batch in BATCHES:
        many = [samples[number % len(samples)] for number in range(max(_USED, batch))]
        if best:
            many = many[: max(batch, int(best * seconds / len(BATCHES)))]
        _predict(model, many[:batch], batch)  # some frameworks compile for each batch size
        before = time.perf_counter()
        _predict(model, many, batch)
        speed = len(many) / (time.perf_counter() - before)
        in_vain = 0 if speed > _BETTER * best else in_vain + 1
        if speed > best:
            best, size = speed, batch
        if in_vain == 2:
            break
    return best, size


def _summary(times: Sequence[float]) -> dict[str, float] | None:
    if not times:
        return None
    return {"median": float(np.median(times)), "p95": float(np.percentile(times, 95)), "calls": len(times)}


def _peak() -> int | None:
    """Returns the largest memory of this process and of those that it started, in bytes."""
    try:
        import resource
    except ImportError:  # on Windows
        return None
    kinds = resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN
    return sum(resource.getrusage(kind).ru_maxrss for kind in kinds) * _MEMORY_UNIT + _living_peak()


def _living_peak() -> int:
    """Returns the largest memory of the processes that this one started and that still run, on Linux (proc(5))."""
    total, parents = 0, [str(os.getpid())]
    while parents:
        for children in Path(f"/proc/{parents.pop()}/task").glob("*/children"):
            with suppress(OSError):
                for child in children.read_text("utf-8").split():
                    parents.append(child)
                    found = re.search(
                        r"^VmHWM:\s+(\d+) kB$", Path(f"/proc/{child}/status").read_text("utf-8"), re.MULTILINE
                    )
                    total += int(found[1]) * 1024 if found else 0
    return total


def main() -> None:
    """Measures what the first argument describes, and writes the result into the file of the second one."""
    asked, out = json.loads(sys.argv[1]), Path(sys.argv[2])
    cores = asked.pop("cores")
    if cores and sys.platform == "linux":
        os.sched_setaffinity(0, cores)
    with ExitStack() as stack:
        stack.enter_context(trust_models(asked.pop("trust")))
        stack.enter_context(follow_links(asked.pop("links")))
        try:
            answer = {"result": measure(**asked)}
        except BoxwrightError as error:
            answer = {"error": {"message": error.message, "remedy": error.remedy}}
    out.write_text(json.dumps(answer), "utf-8")
