"""The runs of a cross-validation as one model, which looks at each image with a run that was not trained on it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

from boxwright.errors import DataError, RunError
from boxwright.label_map import LabelMap
from boxwright.models.fingerprints import read_images
from boxwright.models.inference import load_model
from boxwright.models.protocols import Model
from boxwright.models.run import STATE, Run
from boxwright.plugins.registry import Registry, default_registry
from boxwright.schemas import Detections, Sample


def runs_in(folder: str | os.PathLike[str]) -> list[Path]:
    """Returns the runs in a folder, by name; none if the folder itself is a run, or contains none."""
    place = Path(folder)
    if not place.is_dir() or (place / STATE).is_file():
        return []
    return sorted(each for each in place.iterdir() if (each / STATE).is_file())


class CrossValidated:
    """A model of several runs: each image is predicted by the first run that was not trained on it.

    So the labels of the images that the runs were trained on can be compared with what a model finds that has not
    learned them. A run knows its training images by the digests in its manifest, whatever their names are.

    Args:
        folder: A folder that contains the runs.
        registry: The plugins to use, instead of the installed ones.

    Raises:
        RunError: The folder contains no runs, or one is not done or has no manifest.
    """

    def __init__(self, folder: str | os.PathLike[str], registry: Registry | None = None) -> None:
        self._plugins = registry or default_registry()
        self.runs = [Run(path) for path in runs_in(folder)]
        if not self.runs:
            raise RunError(f"{os.fspath(folder)} contains no runs", "pass a folder of runs")
        for run in self.runs:
            if run.status != "done":
                raise RunError(f"{run.path} is {run.status}", "train to the end: --resume continues a training")
        self._seen = [read_images(run) for run in self.runs]
        self._models: dict[int, Model] = {}
        maps = [run.label_map for run in self.runs]
        names = sorted({name for each in maps for name in each.names})
        self.label_map = maps[0] if all(each == maps[0] for each in maps) else LabelMap.from_names(names)

    def predict(self, samples: Iterable[Sample], *, batch_size: int = 8, score: float = 0.0) -> Iterator[Detections]:
        """Yields one ``Detections`` per sample, in order.

        Raises:
            DataError: An image cannot be read, or all runs were trained on it.
        """
        rest = iter(samples)
        while batch := list(islice(rest, batch_size)):
            places: dict[int, list[int]] = {}
            for place, sample in enumerate(batch):
                places.setdefault(self._run_of(sample), []).append(place)
            found: dict[int, Detections] = {}
            for number, own in places.items():
                if number not in self._models:
                    self._models[number] = load_model(self.runs[number], registry=self._plugins)
                images = [batch[place] for place in own]
                answers = self._models[number].predict(images, batch_size=batch_size, score=score)
                found.update(zip(own, answers, strict=True))
            yield from (found[place] for place in range(len(batch)))

    def _run_of(self, sample: Sample) -> int:
        digest = hashlib.sha256(sample.image.read()).hexdigest()
        for number, seen in enumerate(self._seen):
            if digest not in seen:
                return number
        folder = self.runs[0].path.parent
        raise DataError(
            sample.source or sample.image.name,
            f"all runs in {folder} were trained on this image",
            "train each on another part of the images: see the step kfold",
        )
