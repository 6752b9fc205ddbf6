"""Parts of a dataset that machines work on, each on its own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from itertools import islice
from typing import Any, NamedTuple, TypeVar

from boxwright.datasets.dataset import Dataset
from boxwright.datasets.names import Names
from boxwright.datasets.parallel import CHUNK, shared
from boxwright.datasets.problems import Problems
from boxwright.datasets.protocols import Engine, OnProblem, PartitionedReader, Reader, ShapeReader, ShardedReader
from boxwright.errors import DataError
from boxwright.progress import Reporter
from boxwright.schemas import DatasetInfo, Sample

T = TypeVar("T")


class Failure(NamedTuple):
    """An error of one item, as plain values."""

    file: str
    problem: str
    remedy: str
    place: str

    @classmethod
    def of(cls, error: DataError) -> Failure:
        """Returns the values of an error."""
        return cls(error.file, error.problem, error.remedy, error.place)


class PartEndsError(Exception):
    """The rest of a part is not needed: the main process raises the error that is its last entry."""


class Shards:
    """A reader of shards as one of parts: a part is a shard."""

    def __init__(self, reader: ShardedReader) -> None:
        self._reader = reader
        self.parts = reader.shards

    def read_part(self, start: int, stop: int, on_problem: OnProblem) -> Iterator[Sample]:
        """Yields the samples of the shards from ``start`` to ``stop``."""
        for number in range(start, stop):
            yield from self._reader.read_shard(number, on_problem)


def parted(reader: Reader, items: int = CHUNK) -> tuple[PartitionedReader, int] | None:
    """Returns a reader by its parts, and how many of these are worked on at once; ``None`` if it has none.

    Args:
        reader: The reader.
        items: The number of parts, if each is one image.
    """
    if isinstance(reader, PartitionedReader):
        return reader, items
    return (Shards(reader), 1) if isinstance(reader, ShardedReader) else None


def places_of(dataset: Dataset) -> tuple[str, ...]:
    """Returns the files and folders that reading a dataset needs."""
    return (*dataset.locations, *dataset.boundary.roots)


def in_parts(
    dataset: Dataset,
    work: Callable[[Dataset], Iterable[T]],
    engine: Engine | None,
    reporter: Reporter,
    *,
    items: int = CHUNK,
    places: Iterable[str] = (),
) -> Iterator[T]:
    """Yields the results of work on a dataset, in order: all of it here, or part by part on other machines.

    Args:
        dataset: The dataset.
        work: Yields results for the samples of the dataset that it is called with. For other machines it is pickled,
            and its results must be the same if it is called for one part after another.
        engine: The machines; ``None`` for this process.
        reporter: Receives a warning if this process does the work in spite of an engine.
        items: The number of images that a machine works on at once.
        places: Further files and folders that ``work`` reads.

    Raises:
        EngineError: A machine does not have the files, or cannot load the work.
        WorkerDiedError: A part of the work was lost again and again.
        DataError: As by iterating over the dataset.
    """
    if engine is None:
        yield from work(dataset)
        return
    split = parted(dataset.reader, items)
    if split is None or dataset.transforms:
        reporter.warning(f"this process does all the work: {why_whole(dataset)}")
        yield from work(dataset)
        return
    reader, chunk = split
    rule = dataset.reader.shapes if isinstance(dataset.reader, ShapeReader) else None
    if rule is not None:
        rule.restart()
    seen, done = Names(), 0
    piece = _Piece(dataset, reader, work)
    needed = (*places_of(dataset), *places)
    with closing(shared(piece, reader.parts, 1, engine, chunk=chunk, places=needed)) as results:
        for result in results:
            if not all(map(seen.add, result.names)):
                break
            done += len(result.names)
            if rule is not None:
                rule.add(result.shapes)
            for entry in result.entries:
                if isinstance(entry, Failure):
                    dataset.problems(DataError(*entry))
                else:
                    yield entry
        else:
            return
    # Two images have the same name: the reader decides what that means, from the start.
    if rule is not None:
        rule.restart()
    yield from work(dataset.over(_Rest(dataset.reader, done), dataset.problems))


def why_whole(dataset: Dataset) -> str:
    """Returns why a dataset cannot be read in parts."""
    if dataset.transforms:
        return "steps see the images in order"
    return f"{dataset.info.format} is read in order, from the first image to the last"


class _Result(NamedTuple):
    """The results of a part.

    Attributes:
        names: The name of each image that was read.
        entries: The results and the errors, in order.
        shapes: The counts of shapes that are not upright boxes.
    """

    names: list[str]
    entries: list[Any]
    shapes: Counter[tuple[str, str]]


@dataclass
class _Piece:
    """Work on a part of a dataset, on another machine."""

    dataset: Dataset
    reader: PartitionedReader
    work: Callable[[Dataset], Iterable[Any]]

    def __call__(self, start: int, stop: int) -> _Result:
        names: list[str] = []
        entries: list[Any] = []
        rule = self.dataset.reader.shapes if isinstance(self.dataset.reader, ShapeReader) else None
        if rule is not None:
            rule.restart()
        problems = _Collected(self.dataset.problems.on_error, entries)
        part = self.dataset.over(_PartReader(self.dataset.info, self.reader, (start, stop), names), problems)
        with suppress(PartEndsError):
            for entry in self.work(part):
                entries.append(entry)
        return _Result(names, entries, Counter() if rule is None else rule.totals())


class _Collected(Problems):
    """Keeps problems between the results, for the main process."""

    def __init__(self, on_error: str, entries: list[Any]) -> None:
        super().__init__(on_error)
        self._entries = entries

    def __call__(self, error: DataError) -> None:
        self._entries.append(Failure.of(error))
        if self.on_error == "fail":
            raise PartEndsError


class _PartReader:
    """Reads a part of a dataset, and notes the names of its images."""

    def __init__(self, info: DatasetInfo, reader: PartitionedReader, part: tuple[int, int], names: list[str]) -> None:
        self.info = info
        self._reader, self._part, self._names = reader, part, names

    def read(self, on_problem: OnProblem) -> Iterator[Sample]:
        for sample in self._reader.read_part(*self._part, on_problem):
            self._names.append(sample.image.name)
            yield sample


class _Rest:
    """Reads a dataset without its first images."""

    def __init__(self, reader: Reader, start: int) -> None:
        self.info = reader.info
        self._reader, self._start = reader, start

    def read(self, on_problem: OnProblem) -> Iterator[Sample]:
        return islice(self._reader.read(on_problem), self._start, None)
