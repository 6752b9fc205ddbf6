"""Tests of a format's reader."""

from __future__ import annotations

import io
import json
import os
import pickle
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from boxwright import Dataset, DatasetInfo
from boxwright.datasets import Problems
from boxwright.plugins import FormatSpec, Registry
from boxwright_testing.faults import FaultTests
from boxwright_testing.locations import LocationTests
from boxwright_testing.memory import Survivors, peak_of
from boxwright_testing.surroundings import only_here

_FEW, _MANY = 40, 160


class ReaderTests(FaultTests, LocationTests):
    """What every reader has to keep; see :class:`FormatTests` for what a subclass can set.

    The reader is given what the format's own writer wrote. A format that is only read overrides :meth:`make_dataset`
    with a dataset of at least three pictures. Give :meth:`bad_inputs` the format's own ways to be wrong.
    """

    def _read(self, registry: Registry, location: str) -> Dataset:
        return self.open(registry, location, Path(location).parent / "pictures")

    def test_reading_again_gives_the_same(self, registry: Registry, spec: FormatSpec, tmp_path: Path) -> None:
        """A dataset is read many times, each time from the start.

        On failure: ``read`` starts from the beginning each time: open the file in it, not in ``__init__``, and
        keep no position.
        """
        self.need(spec, "load")
        location = self.make_dataset(registry, spec, tmp_path)
        dataset = self._read(registry, location)
        first = list(dataset)
        assert len(first) >= 3, "make_dataset must give at least three pictures"
        assert list(dataset) == first, "the second reading gave something else than the first"
        half = iter(dataset)
        next(half)
        assert list(dataset) == first, "a reading that was not finished changed the next"
        assert list(self._read(registry, location)) == first, "opening it again gave something else"

    def test_order_does_not_depend_on_the_file_system(
        self, registry: Registry, spec: FormatSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The operating system lists folders in any order: sort what it gives.

        On failure: sort what ``os.listdir``, ``os.scandir`` and ``glob`` give, by the whole path as a plain
        string.
        """
        self.need(spec, "load")
        location = self.make_dataset(registry, spec, tmp_path)
        orders = []
        for backwards in (False, True):
            with _listing(monkeypatch, backwards=backwards):
                orders.append([sample.image.name for sample in self._read(registry, location)])
        assert orders[0] == orders[1], "the order of the samples follows the order in which files are listed"

    def test_reading_touches_nothing_else(
        self, registry: Registry, spec: FormatSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A dataset is as it was after reading; no file is made anywhere, and nothing asked of the network.

        On failure: keep caches in memory, and close and remove temporary files.
        """
        self.need(spec, "load")
        location = self.make_dataset(registry, spec, tmp_path / "data")
        before = _contents(tmp_path / "data")
        with only_here(monkeypatch, tmp_path), self.offline():
            assert list(self._read(registry, location)), "nothing was read"
        assert _contents(tmp_path / "data") == before, "reading changed the dataset's folder"

    def test_info_says_what_is_read(self, registry: Registry, spec: FormatSpec, tmp_path: Path) -> None:
        """``info`` names format and location; its counts, splits and classes hold, where it gives any.

        What it says of the dataset as a whole are plain values, as JSON knows them.

        On failure: leave out of ``DatasetInfo`` what is not known before everything is read.
        """
        self.need(spec, "load")
        location = self.make_dataset(registry, spec, tmp_path)
        dataset = self._read(registry, location)
        samples = list(dataset)
        info = dataset.info
        assert isinstance(info, DatasetInfo), f"info is {info!r}; give a DatasetInfo"
        assert info.format == self.format, f"info.format is {info.format!r}"
        assert info.location == location, f"info.location is {info.location!r}, opened was {location!r}"
        assert info.num_samples in (None, len(samples)), f"info counts {info.num_samples}, {len(samples)} were read"
        labels = {label for sample in samples for label in sample.boxes.labels}
        assert info.label_map is None or labels <= set(info.label_map.names), "a label is not in info.label_map"
        splits = {sample.split for sample in samples} - {None}
        assert not info.splits or splits <= set(info.splits), f"info.splits is {info.splits}, {splits} were read"
        assert json.loads(json.dumps(info.attributes)) == info.attributes, "info.attributes are no plain values"

    def test_samples_say_where_they_come_from(self, registry: Registry, spec: FormatSpec, tmp_path: Path) -> None:
        """``sample.source`` names the file (and place) of each annotation, for messages; no two are the same.

        On failure: give ``Sample(source=f"{location}, line {number}")``, or the name of the annotation's own
        file.
        """
        self.need(spec, "load")
        sources = [s.source for s in self._read(registry, self.make_dataset(registry, spec, tmp_path))]
        assert all(sources), "a sample has no source"
        assert len(set(sources)) == len(sources), f"two samples have the same source: {sources}"

    def test_samples_reach_another_process_whole(self, registry: Registry, spec: FormatSpec, tmp_path: Path) -> None:
        """Samples are pickled to workers: attributes must be plain values.

        On failure: turn what a library gives into str, int, float, bool, list and dict.
        """
        self.need(spec, "load")
        samples = list(self._read(registry, self.make_dataset(registry, spec, tmp_path)))
        assert _Elsewhere(io.BytesIO(pickle.dumps(samples))).load() == samples, (
            "samples came back from another process as something else"
        )

    def test_quick_labels_are_the_labels(self, registry: Registry, spec: FormatSpec, tmp_path: Path) -> None:
        """``labels()``, where a reader has it, gives for each item the labels that reading gives."""
        self.need(spec, "load")
        reader = self._read(registry, self.make_dataset(registry, spec, tmp_path)).reader
        if not hasattr(reader, "labels"):
            pytest.skip(f"the reader of {self.format} has no labels()")
        read = {label for sample in reader.read(Problems()) for label in sample.boxes.labels}
        assert {label for labels in reader.labels() for label in labels} == read, (
            "labels() gives other labels than reading"
        )

    def test_parts_make_up_the_whole(self, registry: Registry, spec: FormatSpec, tmp_path: Path) -> None:
        """``read_part(start, stop)``, where a reader has it, gives in pieces what ``read`` gives, in order."""
        self.need(spec, "load")
        reader: Any = self._read(registry, self.make_dataset(registry, spec, tmp_path)).reader
        if not hasattr(reader, "read_part"):
            pytest.skip(f"the reader of {self.format} does not let processes share the work")
        whole = list(reader.read(Problems()))
        for step in (1, 2, reader.parts):
            ranges = [(start, min(start + step, reader.parts)) for start in range(0, reader.parts, step)]
            read = [sample for start, stop in ranges for sample in reader.read_part(start, stop, Problems())]
            assert read == whole, f"{len(ranges)} parts gave something else than the whole"
            if hasattr(reader, "labels_part"):
                labels = {x for start, stop in ranges for part in reader.labels_part(start, stop) for x in part}
                assert labels == {label for sample in whole for label in sample.boxes.labels}, (
                    "labels_part gives other labels than reading"
                )

    def test_reading_hands_samples_on_one_by_one(self, registry: Registry, spec: FormatSpec, tmp_path: Path) -> None:
        """The reader keeps no sample that it has given.

        On failure: yield each sample as soon as it is read, and put none into a list.
        """
        self.need(spec, "load")
        self.need(spec, "write")
        location = self.location(spec, tmp_path)
        self.write(registry, self.many(tmp_path / "pictures", _FEW), location, tmp_path / "pictures")
        survivors = Survivors()
        for sample in survivors.watch(self._read(registry, location)):
            del sample
        assert survivors.seen == _FEW, f"{survivors.seen} of {_FEW} samples were read"
        assert survivors.most <= 8, f"{survivors.most} of {_FEW} samples were still in memory"

    def test_memory_for_reading_does_not_grow(self, registry: Registry, spec: FormatSpec, tmp_path: Path) -> None:
        """Peak memory is the same for a small and a large dataset, but for names (``memory_per_picture`` bytes each).

        On failure: something of every picture is kept: a list of rows, a parsed document, the pictures' bytes.
        """
        self.need(spec, "load")
        self.need(spec, "write")
        peaks = []
        for count in (_FEW, _MANY):
            folder = tmp_path / str(count)
            folder.mkdir()
            location = self.location(spec, folder)
            self.write(registry, self.many(folder / "pictures", count), location, folder / "pictures")
            read = _counting(self._read(registry, location))
            read()  # what is loaded once and stays must not count
            peaks.append(peak_of(read))
        growth = (peaks[1] - peaks[0]) / (_MANY - _FEW)
        assert growth <= self.memory_per_picture, f"reading keeps {growth:.0f} bytes of every picture"


def _contents(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Every file below a folder, with its bytes and when it was changed."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path.relative_to(folder)): (path.read_bytes(), path.stat().st_mtime_ns) for path in files}


def _counting(samples: Dataset) -> Callable[[], int]:
    return lambda: sum(1 for _ in samples)


class _Elsewhere(pickle.Unpickler):
    """Unpickles as a process does that knows boxwright and Python's own library, and has imported no plugin."""

    def find_class(self, module: str, name: str) -> Any:
        """Refuses every other module's objects."""
        top = module.partition(".")[0]
        assert top == "boxwright" or top in sys.stdlib_module_names, (
            f"a sample contains a {name} of {module}; attributes must be plain values"
        )
        return super().find_class(module, name)


class _Listed:
    """What ``os.scandir`` returns, in another order."""

    def __init__(self, entries: list[Any]) -> None:
        self._entries = iter(entries)

    def __iter__(self) -> Iterator[Any]:
        return self._entries

    def __next__(self) -> Any:
        return next(self._entries)

    def __enter__(self) -> _Listed:
        return self

    def __exit__(self, *problem: object) -> None:
        self.close()

    def close(self) -> None:
        """Nothing is open."""


@contextmanager
def _listing(monkeypatch: pytest.MonkeyPatch, *, backwards: bool) -> Iterator[None]:
    """Makes the operating system list every folder sorted, or sorted backwards."""
    scandir, listdir = os.scandir, os.listdir

    def sorted_scandir(path: Any = ".") -> _Listed:
        with scandir(path) as entries:
            return _Listed(sorted(entries, key=lambda entry: str(entry.name), reverse=backwards))

    def sorted_listdir(path: Any = ".") -> list[Any]:
        return sorted(listdir(path), reverse=backwards)

    with monkeypatch.context() as patch:
        patch.setattr(os, "scandir", sorted_scandir)
        patch.setattr(os, "listdir", sorted_listdir)
        yield
