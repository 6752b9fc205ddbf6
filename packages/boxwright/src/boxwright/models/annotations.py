"""Detections as annotations, which people correct: the first model annotates the images of the second."""

from __future__ import annotations

import filecmp
import os
from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from itertools import chain
from pathlib import Path

from boxwright.datasets.conversion import convert
from boxwright.datasets.dataset import Dataset, SampleReader
from boxwright.datasets.destination import Destination
from boxwright.datasets.losses import Losses
from boxwright.datasets.outputs import refuse_to_swallow
from boxwright.errors import DataError, OutputError, UsageError
from boxwright.label_map import LabelMap
from boxwright.plugins.registry import Registry
from boxwright.plugins.specs import FormatSpec
from boxwright.schemas import Sample
from boxwright.storage.output import AtomicOutput, commit_together
from boxwright.storage.uri import DatasetURI, is_remote


class Annotations:
    """A dataset that detections are written to, with the class ids of the model.

    Args:
        uri: The dataset.
        plugins: The plugins to use.
        overwrite: Whether an existing dataset may be replaced.
        only_new: Whether the images that the dataset contains stay unchanged, and others are added.

    Attributes:
        uri: The dataset.
        annotated: The names of the images that the dataset contains, if ``only_new``.
        losses: What the format cannot store of what was written.

    Raises:
        UsageError: The format cannot be written, an option is unknown, or ``only_new`` is impossible there.
        DataError: The dataset cannot be read.
    """

    def __init__(self, uri: DatasetURI, plugins: Registry, *, overwrite: bool, only_new: bool) -> None:
        self.uri = uri
        self.losses = Losses()
        self._plugins = plugins
        self._overwrite = overwrite
        self._destination = Destination(uri, plugins, overwrite=overwrite)
        self._existing = only_new and os.path.exists(uri.location)
        if only_new and (is_remote(uri.location) or uri.has_split):
            raise UsageError(
                f"{uri} is not one local dataset", "without --only-new, write to another one, and merge both"
            )
        self.annotated = frozenset(sample.image.name for sample in self._read()) if self._existing else frozenset()

    @property
    def is_folder(self) -> bool:
        """Whether the dataset is a folder."""
        return self._destination.spec.target == "folder"

    def check_places(self, out: str | None, sources: Iterable[str]) -> None:
        """Checks that nothing is replaced that is needed.

        Args:
            out: The folder of the drawings, if there is one.
            sources: Where the images are read from.

        Raises:
            UsageError: The dataset would replace a source, or it and ``out`` would replace each other.
        """
        place = self.uri.location
        if out is not None and not is_remote(place):
            own, other = Path(os.path.realpath(place)), Path(os.path.realpath(out))
            if own == other or own in other.parents or other in own.parents:
                raise UsageError(
                    f"the annotations in {place} and the drawings in {out} would replace each other",
                    f"choose places apart, or write --to {self._destination.spec.name} for a dataset inside {out}",
                )
        if not (self._existing and self.is_folder):  # to which files are added
            for source in sources:
                refuse_to_swallow(source, place, "choose another place, or add to it by --only-new")

    def write(self, data: Dataset, label_map: LabelMap) -> None:
        """Writes images with their detections, completely or not at all.

        Args:
            data: The images, each with its detections as boxes; it is read once.
            label_map: The classes of the model.

        Raises:
            OutputError: The dataset exists already, or, with ``only_new``, contains a file that would change.
            DataError: An image cannot be read, the format cannot store it, or there is none.
        """
        if not self._existing:
            self._convert(data, self.uri, label_map, overwrite=self._overwrite)
        elif self.is_folder:
            self._add(data, label_map)
        else:
            both = SampleReader(lambda: chain(self._read(), data), location=data.info.location)
            self._convert(Dataset(both, problems=data.problems), self.uri, label_map, overwrite=True)

    def _convert(self, data: Dataset, uri: DatasetURI, label_map: LabelMap, *, overwrite: bool) -> None:
        report = convert(data, uri, label_map=label_map, overwrite=overwrite, registry=self._plugins)
        self.losses = report.losses

    def _read(self) -> Iterator[Sample]:
        """Yields the samples that the dataset contains."""
        try:
            return self._destination.read_back(self.uri, self.uri.location, self._plugins)
        except DataError:
            if not self.is_folder:
                raise
            return iter(())  # a folder of images without annotations, which are added and replace nothing

    def _add(self, data: Dataset, label_map: LabelMap) -> None:
        """Writes a dataset next to the existing one, and moves its files into that one together."""
        parent, name = os.path.split(os.path.abspath(self.uri.location))
        made = AtomicOutput(os.path.join(parent, f"{name}.added"), "folder", overwrite=True)
        try:
            assert made.workplace is not None
            new = os.path.join(made.workplace, "new")
            self._convert(data, replace(self.uri, location=new), label_map, overwrite=False)
            outputs = _additions(Path(new), Path(parent, name))
            try:
                if outputs:
                    commit_together(outputs)
            finally:
                for output in outputs:
                    output.abort()
        finally:
            made.abort()


class OnlyNew:
    """A transform that keeps images that are not annotated yet.

    Args:
        annotated: The names of the others.

    Attributes:
        kept: How many of the others there were.
    """

    per_sample = False

    def __init__(self, annotated: Collection[str]) -> None:
        self.annotated = annotated
        self.kept = 0

    def __call__(self, samples: Iterable[Sample]) -> Iterator[Sample]:
        """Yields the images that are not annotated yet."""
        self.kept = 0
        for sample in samples:
            if sample.image.name in self.annotated:
                self.kept += 1
            else:
                yield sample


def _additions(new: Path, target: Path) -> list[AtomicOutput]:
    """Returns outputs, one per folder, with the files that the target does not contain yet.

    Raises:
        OutputError: It contains one of them with other content.
    """
    outputs: dict[Path, AtomicOutput] = {}
    for path in sorted(path for path in new.rglob("*") if path.is_file()):
        place = target / path.relative_to(new)
        if not os.path.lexists(place):
            if place.parent not in outputs:
                outputs[place.parent] = AtomicOutput(str(place))
            outputs[place.parent].copy(path, place.name)
        elif not place.is_file() or not filecmp.cmp(path, place, shallow=False):
            for output in outputs.values():
                output.abort()
            raise OutputError(
                f"{place} exists already, with other content",
                "write to another folder without --only-new, and merge both: boxwright convert A B C",
            )
    return list(outputs.values())


def annotations_uri(to: str, out: str | None, plugins: Registry) -> DatasetURI | None:
    """Returns the dataset of ``FORMAT:LOCATION``; ``None`` if it is one inside the folder ``out``, of ``FORMAT``.

    Raises:
        UsageError: There is neither a location nor ``out``.
        PluginNotFoundError: The format is unknown.
    """
    uri = DatasetURI.parse(to)
    plugins.get("format", uri.format or to)
    if uri.format is None and out is None:
        raise UsageError(f"writing {to} needs a place", f"give {to}:PLACE, or --out DIR")
    return None if uri.format is None else uri


def name_inside(spec: FormatSpec, taken: str) -> str:
    """Returns the name of a dataset of a format inside the folder of a prediction, other than the one taken."""
    if spec.target == "folder":
        return spec.name
    suffix = (spec.suffixes or ("",))[0]
    return f"annotations{suffix}" if taken == f"detections{suffix}" else f"detections{suffix}"
