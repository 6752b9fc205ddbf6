"""A dataset opened by its URI: an iterable of samples that can be read again and again."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from functools import cached_property, partial
from itertools import chain, islice
from typing import Any, cast

from boxwright.datasets.columns import Columns, columns_of
from boxwright.datasets.merged import Source
from boxwright.datasets.parallel import available_cores, map_samples, shared
from boxwright.datasets.problems import Problems
from boxwright.datasets.protocols import (
    ColumnReader,
    DatasetTransform,
    Engine,
    LabelPreservingTransform,
    LabelReader,
    OnProblem,
    PartitionedLabelReader,
    PartitionedReader,
    Reader,
    ReportingTransform,
    ShapeReader,
    Transform,
)
from boxwright.datasets.scan import Scan
from boxwright.datasets.shape_rule import shape_notes
from boxwright.datasets.sources import Location, open_sources
from boxwright.datasets.steps import make_transform, reading_options
from boxwright.errors import DataError, UsageError
from boxwright.label_map import LabelMap
from boxwright.plugins.registry import Registry, default_registry
from boxwright.plugins.specs import FormatSpec
from boxwright.progress import LogReporter, Reporter
from boxwright.schemas import DatasetInfo, Sample
from boxwright.storage.links import Boundary
from boxwright.storage.uri import DatasetURI

_SHOWN = 4
"""How many images a notebook shows of a dataset."""


class Dataset(Iterable[Sample]):
    """Samples from a reader, possibly through transforms.

    Made by :func:`open_dataset` (``boxwright.open``). Iterating reads from the start each time and keeps one sample
    at a time.

    ``dataset.to_NAME(...)`` hands it to a framework by the loader plugin of that name: ``dataset.to_tf(...)``.
    """

    def __init__(
        self,
        reader: Reader,
        *,
        uri: str = "",
        problems: Problems | None = None,
        transforms: Iterable[Transform] = (),
        names: Iterable[str] = (),
        label_map: LabelMap | None = None,
        workers: int = 1,
        plugins: Registry | None = None,
        boundary: Boundary | None = None,
    ) -> None:
        self.reader = reader
        self.uri = uri
        self.problems = problems or Problems()
        self.transforms = tuple(transforms)
        self._names = tuple(names) or tuple(type(transform).__name__ for transform in self.transforms)
        self.workers = workers
        self.boundary = boundary or Boundary(())
        self._label_map = label_map
        self._plugins = plugins

    def __iter__(self) -> Iterator[Sample]:
        samples: Iterable[Sample] = _Restartable(self._read)
        for transform in self.transforms:
            samples = _Restartable(self._applied(transform, samples))
        return iter(samples)

    def _read(self) -> Iterator[Sample]:
        if isinstance(self.reader, ShapeReader):
            self.reader.shapes.restart()
        for sample in self.reader.read(self.problems):
            if self._allowed(sample.image.location):
                yield sample

    def _applied(self, transform: Transform, samples: Iterable[Sample]) -> Callable[[], Iterator[Sample]]:
        if transform.per_sample:
            return lambda: chain.from_iterable(
                map_samples(lambda sample: list(transform([sample])), samples, self.problems, self.workers)
            )
        if isinstance(transform, DatasetTransform):
            return lambda: transform.apply(samples, self.problems)
        return lambda: transform(samples)

    def __len__(self) -> int:
        """The number of items, if the format knows it without reading them; some may be skipped.

        Raises:
            TypeError: It is not known, or a transform may change it.
        """
        number = self.info.num_samples
        if number is None or self.transforms:
            raise TypeError("the number of samples is not known without reading them: len(list(dataset))")
        return number

    def __bool__(self) -> bool:
        """Always true, also where the length is not known."""
        return True

    def __getitem__(self, index: int) -> Sample:
        """The sample at a position, where the format reads its items independently of each other.

        Raises:
            IndexError: The position is out of range.
            TypeError: The format reads only all samples in order, or a transform needs all of them.
            DataError: The item cannot be read.
        """
        reader = self.reader
        if not isinstance(reader, PartitionedReader) or not all(step.per_sample for step in self.transforms):
            raise TypeError("this dataset is read in order only: list(dataset)[i]")
        position = range(reader.parts)[index]
        samples = list(reader.read_part(position, position + 1, Problems()))
        for step in self.transforms:
            samples = list(step(samples))
        if len(samples) != 1:
            raise TypeError("a step leaves out or adds items: list(dataset)[i]")
        (sample,) = samples
        self.boundary.check(sample.image.location)
        return sample

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickles it for worker processes: without the plugins, and with its URI if its reader cannot be pickled."""
        state = self.__dict__ | {"_plugins": None}
        if self.uri:
            try:
                pickle.dumps(self.reader)
            except (TypeError, AttributeError, pickle.PicklingError):
                state["reader"] = None
        return (_unpickled, (state,))

    def through(self, *transforms: Transform, names: Sequence[str] = (), workers: int = 1) -> Dataset:
        """The same dataset with more transforms at the end.

        Args:
            transforms: Applied in order.
            names: What each is called in notes; by default its class.
            workers: Threads that share the work of transforms that handle each sample on its own.
        """
        added = names or [type(transform).__name__ for transform in transforms]
        return self._copy(transforms=(*self.transforms, *transforms), names=(*self._names, *added), workers=workers)

    def with_label_map(self, label_map: LabelMap) -> Dataset:
        """The same dataset with the classes, and their numbers, of another."""
        return self._copy(label_map=label_map)

    def with_problems(self, problems: Problems) -> Dataset:
        """The same dataset with items that cannot be read going elsewhere."""
        return self._copy(problems=problems)

    def over(self, reader: Reader, problems: Problems) -> Dataset:
        """The same dataset with another reader, such as one of a part of it, and with its problems going elsewhere."""
        return self._copy(reader=reader, problems=problems)

    def _copy(self, **changes: Any) -> Dataset:
        same: dict[str, Any] = {
            "reader": self.reader,
            "uri": self.uri,
            "problems": self.problems,
            "transforms": self.transforms,
            "names": self._names,
            "label_map": self._label_map,
            "workers": self.workers,
            "plugins": self._plugins,
            "boundary": self.boundary,
        }
        return Dataset(**(same | changes))

    @property
    def info(self) -> DatasetInfo:
        """What the reader knows before reading."""
        return self.reader.info

    @property
    def locations(self) -> tuple[str, ...]:
        """Where it is read from: one location, or several, such as that of each dataset that was merged."""
        several: Sequence[str] | None = getattr(self.reader, "locations", None)
        return tuple(several) if several is not None else (self.info.location,)

    @property
    def known_label_map(self) -> LabelMap | None:
        """The classes as far as they are known without reading: as given, else from the format's own label map.

        A transform may change labels, so the label map of the format is valid only after those that
        declare that they keep them.
        """
        return self._label_map if self._label_map is not None or self._changing else self.info.label_map

    @property
    def _changing(self) -> tuple[Transform, ...]:
        return tuple(
            step for step in self.transforms if not (isinstance(step, LabelPreservingTransform) and step.keeps_labels)
        )

    def for_labels(self) -> Dataset:
        """The same dataset without the transforms that keep labels."""
        return self._copy(transforms=self._changing, names=())

    def labels(
        self,
        advance: Callable[[int], None] = lambda items: None,
        processes: int = 1,
        engine: Engine | None = None,
    ) -> list[str]:
        """The labels of all boxes, sorted, from one pass without the transforms that keep labels.

        Args:
            advance: Called with the number of items that are done since the last time.
            processes: How many may share the work, where the reader lets them.
            engine: The machines that share it instead.
        """
        found: set[str] = set()
        done = 0
        reader, changing = self.reader, self._changing
        strict = self.problems.on_error == "fail"
        if not changing and (strict or self.problems.limit):
            try:
                if (processes > 1 or engine) and isinstance(reader, PartitionedLabelReader):
                    work = partial(_labels_of, reader)
                    with closing(shared(work, reader.parts, processes, engine, places=self.locations)) as chunks:
                        return sorted(found.union(*chunks))
                if isinstance(reader, LabelReader):
                    for names in reader.labels():
                        found.update(names)
                        advance(1)
                        done += 1
                    return sorted(found)
            except DataError:
                if strict:
                    raise
                found.clear()  # item by item, some can be left out
        for number, sample in enumerate(self.for_labels()):
            found.update(sample.boxes.labels)
            advance(int(number >= done))  # the others have been counted
        return sorted(found)

    @property
    def notes(self) -> list[str]:
        """What the reader and the transforms report, after the dataset was read; the latter with the step's name."""
        steps = zip(self._names, self.transforms, strict=True)
        said = [(name, step.notes()) for name, step in steps if isinstance(step, ReportingTransform)]
        several = sum(bool(notes) for _, notes in said) > 1
        return [*self.info.notes, *(f"{name}: {note}" if several else note for name, notes in said for note in notes)]

    @property
    def shape_notes(self) -> list[str]:
        """What the last reading made of shapes that are not upright boxes, in lines for a report."""
        return shape_notes(self.reader.shapes.totals()) if isinstance(self.reader, ShapeReader) else []

    @cached_property
    def label_map(self) -> LabelMap:
        """The classes: as given, else from the format's own label map, else the sorted names of one reading."""
        known = self.known_label_map
        return known if known is not None else LabelMap.from_names(self.labels())

    def columns(self) -> Iterator[Columns]:
        """Yields the annotations of some thousand images at a time; faster than samples, for counting."""
        reader = self.reader
        if self.transforms or not isinstance(reader, ColumnReader):
            yield from columns_of(self)
            return
        if isinstance(reader, ShapeReader):
            reader.shapes.restart()
        for columns in reader.columns(self.problems):
            keep = [self._allowed(location) for location in columns.locations]
            yield columns if all(keep) else columns.select(keep)

    def _allowed(self, location: str | None) -> bool:
        """Returns whether an image file may be read; otherwise, it is reported."""
        try:
            self.boundary.check(location)
        except DataError as error:
            self.problems(error)
            return False
        return True

    def scan(self) -> Scan:
        """Reads the dataset once and keeps counts, classes and a digest, but no images."""
        return Scan.of_columns(self.columns(), given=self.known_label_map)

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("to_"):
            return object.__getattribute__(self, name)  # says that there is none, or why a property failed
        load = (self._plugins or default_registry()).resolve("loader", name.removeprefix("to_"))
        return lambda **options: load(self, **options)

    def __repr__(self) -> str:
        number = "" if self.info.num_samples is None else f", {self.info.num_samples:,} images"
        return f"<Dataset {self.uri or self.info.location}{number}>"

    def _repr_html_(self) -> str:
        """The first images with their boxes, for notebooks."""
        from boxwright.datasets.notebook import html_of_samples

        return html_of_samples(repr(self), islice(self, _SHOWN))


def _labels_of(reader: PartitionedLabelReader, start: int, stop: int) -> list[str]:
    return list(set(chain.from_iterable(reader.labels_part(start, stop))))


def _unpickled(state: dict[str, Any]) -> Dataset:
    dataset = Dataset.__new__(Dataset)
    dataset.__dict__.update(state)
    if state["reader"] is None:
        dataset.reader = open_sources([DatasetURI.parse(dataset.uri)], {}, default_registry()).reader
    return dataset


def empty_dataset_error(dataset: Dataset, problem: str) -> DataError:
    """The error for a dataset that gave no sample: ``problem``, unless all were skipped or the steps left none."""
    location, skipped = dataset.info.location, dataset.problems.skipped
    if skipped:
        return DataError(location, f"every one of its {len(skipped)} items was skipped; the first: {skipped[0]}")
    if notes := [note for note in dataset.notes if note not in dataset.info.notes]:
        return DataError(location, f"the steps left no image: {'; '.join(notes)}", "change the steps")
    return DataError(location, problem, "check the location and the format")


class _Restartable(Iterable[Sample]):
    def __init__(self, make: Callable[[], Iterator[Sample]]) -> None:
        self._make = make

    def __iter__(self) -> Iterator[Sample]:
        return self._make()


Data = Location | Dataset
"""What every function takes as a dataset: a URI as text, a path, a :class:`DatasetURI`, or an open dataset."""


def open_dataset(
    uri: Data | Sequence[Data],
    *,
    steps: Sequence[str | Transform] = (),
    on_error: str = "fail",
    label_map: LabelMap | None = None,
    workers: int = 0,
    registry: Registry | None = None,
    reporter: Reporter | None = None,
) -> Dataset:
    """Opens a dataset by its URI, or several as one.

    ``{split}`` in a location stands for the splits that exist: ``tfrecord:{split}.record``. A folder that contains
    folders such as ``train`` and ``test`` has these splits.

    Args:
        uri: ``FORMAT:LOCATION[?option=value]``, or a path; without ``FORMAT`` it is detected. A :class:`Dataset` keeps
            its own ``on_error``. Several are merged: classes with the same name are one class, and images with the same
            name get that of their dataset in front.
        steps: What its samples pass through, as ``"resize:800x600"`` or as objects.
        on_error: ``"fail"`` raises at the first item that cannot be read, ``"skip"`` leaves it out and keeps it in
            ``dataset.problems.skipped``, a limit such as ``"1%"`` or ``"3"`` does so until there are more.
        label_map: The classes and their ids, instead of the dataset's own.
        workers: Threads for the steps; 0 for one per core.
        registry: The plugins to use, instead of the installed ones.
        reporter: Where a warning goes that comes before the work.

    Raises:
        UsageError: A malformed URI, a wrong option or step, or a format that cannot be detected.
        PluginError: The format's plugin is not installed, clashes with another, or needs a library that is missing.
        DataError: There is nothing at that location.
    """
    plugins = registry or default_registry()
    transforms = [make_transform(step, plugins) for step in steps]
    names = [step.partition(":")[0] if isinstance(step, str) else type(step).__name__ for step in steps]
    if isinstance(uri, Dataset):
        dataset = uri if label_map is None else uri.with_label_map(label_map)
        return dataset.through(*transforms, names=names, workers=workers or available_cores()) if steps else dataset
    problems = Problems(on_error)
    several = () if isinstance(uri, str | os.PathLike | DatasetURI) else cast("Sequence[Data]", uri)
    given = [uri] if isinstance(uri, str | os.PathLike | DatasetURI) else list(several)
    if not given:
        raise UsageError("no dataset was given", "pass one: FORMAT:LOCATION")

    def warn(spec: FormatSpec) -> None:
        if spec.bridge and problems.on_error == "skip":
            (reporter or LogReporter()).warning(
                f"{spec.name}: {spec.bridge} reads a dataset completely or not at all, so that one item that it cannot"
                " read stops everything, also with --on-error skip"
            )

    opened = open_sources([_stored(each) for each in given], reading_options(steps, plugins), plugins, warn)
    problems.total = opened.reader.info.num_samples
    return Dataset(
        opened.reader,
        uri=opened.uri,
        problems=problems,
        transforms=transforms,
        names=names,
        label_map=label_map,
        workers=workers or available_cores(),
        plugins=plugins,
        boundary=opened.boundary,
    )


def _stored(each: Data) -> DatasetURI | Source:
    if isinstance(each, Dataset):
        uri = DatasetURI(each.uri or each.info.location)
        return Source(uri, DatasetReader(each), Boundary(()))
    return DatasetURI.of(each)


class DatasetReader:
    """A reader over another dataset, whose problems go where they went before.

    Args:
        dataset: The dataset, with its transforms.
    """

    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset
        self.info = dataset.info.model_copy(update={"label_map": dataset.known_label_map})

    @property
    def locations(self) -> tuple[str, ...]:
        """Those of the dataset."""
        return self.dataset.locations

    def read(self, on_problem: OnProblem) -> Iterator[Sample]:
        """Yields all samples."""
        return iter(self.dataset)


class SampleReader:
    """A reader over samples that are in memory already, or made by a function.

    Args:
        samples: They are yielded unchanged, each time; a function is called for each pass.
        location: For messages.
    """

    def __init__(self, samples: Sequence[Sample] | Callable[[], Iterable[Sample]], location: str = "memory") -> None:
        self.samples = samples
        number = None
        if not callable(samples):
            self.parts = number = len(samples)
        self.info = DatasetInfo(format="samples", location=location, num_samples=number)

    @property
    def locations(self) -> tuple[str, ...]:
        """The files of the images of a sequence."""
        samples = () if callable(self.samples) else self.samples
        return tuple(sample.image.location for sample in samples if sample.image.location is not None)

    def read(self, on_problem: OnProblem) -> Iterator[Sample]:
        """Yields all samples."""
        return iter(self.samples() if callable(self.samples) else self.samples)

    def read_part(self, start: int, stop: int, on_problem: OnProblem) -> Iterator[Sample]:
        """Yields the samples from ``start`` to ``stop`` of a sequence."""
        return islice(self.read(on_problem), start, stop)


open = open_dataset
"""``boxwright.open``."""
