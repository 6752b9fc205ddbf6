"""Runs a model over a dataset in this process, or on other machines, which load the model themselves."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from boxwright.datasets.dataset import Dataset
from boxwright.datasets.protocols import Engine
from boxwright.errors import UsageError
from boxwright.label_map import LabelMap
from boxwright.models.inference import predicted_pairs, ready_model
from boxwright.models.protocols import Model
from boxwright.models.run import Run
from boxwright.plugins.registry import default_registry
from boxwright.schemas import Detections, Sample

_ITEMS = 64


@dataclass
class Detecting:
    """Yields each sample of a dataset with the detections in it; it can be pickled with the place of its model.

    Attributes:
        loaded: The model.
        source: Its folder; another machine loads it from there.
        batch_size: The number of images predicted at once.
        label_map: The classes of an exported model that does not contain them.
        device: The device of an exported model.
        slicing: The tiles that images are cut into; empty for whole images.
        light: Whether the bytes of images from record files are left out.
    """

    loaded: Model | None = field(repr=False)
    source: str
    batch_size: int
    label_map: str | Path | LabelMap | None = None
    device: str = ""
    slicing: str = ""
    light: bool = False

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"loaded": None}

    @property
    def model(self) -> Model:
        """The model, which is loaded at the first use on another machine."""
        if self.loaded is None:
            self.loaded = ready_model(self.source, self.label_map, default_registry(), self.device, self.slicing)
        return self.loaded

    @property
    def items(self) -> int:
        """How many images another machine should work on at once: whole batches."""
        return max(1, _ITEMS // self.batch_size) * self.batch_size

    @property
    def places(self) -> tuple[str, ...]:
        """The files that another machine needs."""
        return (self.source, *([str(self.label_map)] if isinstance(self.label_map, str | Path) else []))

    def __call__(self, data: Dataset) -> Iterator[tuple[Sample, Detections]]:
        """Yields each sample with the detections in it, in order."""
        for sample, found in predicted_pairs(self.model, data, batch_size=self.batch_size):
            yield (without_bytes(sample), without_bytes(found)) if self.light else (sample, found)


def source_of(model: str | Path | Run | Model, engine: Engine | str | None) -> str:
    """Returns the place of a model, from which other machines load it.

    Raises:
        UsageError: There is an engine, and the model is an object without a place.
    """
    if isinstance(model, str | Path):
        return os.path.abspath(model)
    if isinstance(model, Run):
        return os.path.abspath(model.path)
    if engine:
        raise UsageError("a loaded model cannot be sent to other machines", "pass its folder, or omit the engine")
    return ""


def without_bytes(item: Any) -> Any:
    """Returns a sample or detections without the bytes of the image."""
    if item.image.data is None:
        return item
    return item.model_copy(update={"image": item.image.model_copy(update={"data": None})})
