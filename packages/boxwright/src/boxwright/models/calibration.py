"""Images for the calibration of a quantized export."""

from __future__ import annotations

from itertools import islice
from typing import Any

from boxwright.datasets.dataset import Data, open_dataset
from boxwright.errors import BoxwrightError, DataError, UsageError
from boxwright.models.run import Run
from boxwright.plugins.options import MAX_BAD
from boxwright.plugins.registry import Registry
from boxwright.plugins.specs import ExporterSpec
from boxwright.regions import unknown_classes
from boxwright.schemas import Sample

_LOOKED_AT = 2000
_USED = 128


def calibration_samples(
    spec: ExporterSpec, precision: str, run: Run, source: Data | None, plugins: Registry
) -> tuple[list[Sample], dict[str, Any] | None]:
    """Returns the images to calibrate with, and their description for the manifest.

    Args:
        spec: The exporter.
        precision: The precision.
        run: The run.
        source: The dataset; the training data of the run by default.
        plugins: The plugins in use.

    Raises:
        UsageError: The precision needs no calibration, or the training data was not found.
        DataError: The dataset contains no images, or classes that the run does not know.
    """
    if precision not in spec.calibrated:
        if source is not None:
            needed = ", ".join(f"{spec.name}:{each}" for each in spec.calibrated) or "no precision of it does"
            raise UsageError(f"{spec.name}:{precision} needs no calibration", f"omit --calibrate; needed by: {needed}")
        return [], None
    used: list[Sample] = []
    unknown: set[str] = set()
    chosen = source if source is not None else run.config.get("data") or ""
    try:
        data = open_dataset(chosen, on_error=run.config.get("on_error") or MAX_BAD, registry=plugins)
        step = max(1, min(data.info.num_samples or _USED, _LOOKED_AT) // _USED)
        for number, sample in enumerate(islice(data, _LOOKED_AT)):  # encoded images of all would fill the memory
            unknown.update(unknown_classes(sample.boxes, run.label_map))
            if number % step == 0 and len(used) < _USED:
                used.append(sample)
    except BoxwrightError:
        if source is not None:
            raise
        raise UsageError(
            f"the training data of {run.path} was not found to calibrate {spec.name}:{precision}",
            "pass --calibrate URI",
        ) from None
    if not used:
        raise DataError(data.info.location, "it contains no images to calibrate with", "pass another --calibrate")
    if unknown:
        raise DataError(
            data.info.location,
            f"the run does not know the class {', '.join(map(repr, sorted(unknown)))}: these are other images",
            f"calibrate with images of: {', '.join(run.label_map.names)}",
        )
    return used, {"data": data.uri, "pictures": len(used)}
