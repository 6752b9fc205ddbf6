"""Tests of a format's reader."""

from __future__ import annotations

import io
import json
import os
import pickle
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fsspec
import pytest

from boxwright import DataError, Dataset, DatasetInfo, Sample, UsageError
from boxwright.datasets import (
    ColumnReader,
    LabelReader,
    PartitionedLabelReader,
    PartitionedReader,
    Problems,
    Scan,
    ShapeReader,
)
from boxwright.plugins import SHAPES, Detection, FormatSpec, Registry
from boxwright_testing.bad_inputs import BadInputTests
from boxwright_testing.sandbox import Survivors, listing, only_here, peak_of, snapshot
from boxwright_testing.specs import check_answer

_FEW, _MANY = 40, 160


class ReaderTests(BadInputTests):
    """The rules for every reader; see :class:`FormatTests` for what a subclass can set.

    The reader is given what the format's own writer wrote. A format that is only read overrides :meth:`make_dataset`
    with a dataset of at least three images. Give :meth:`bad_inputs` the format's own ways to be wrong.
    """

    def _read(self, registry: Registry, location: str) -> Dataset:
        return self.open(registry, location, Path(location).parent / "pictures")

    def test_reading_again_returns_the_same(self, registry: Registry, spec: FormatSpec, tmp_path: Path) -> None:
        """A dataset is read many times, each time from the start.

        On failure: ``read`` starts from the beginning each time: open the file in it, not in ``__init__``, and
        keep no position.
        """
        location = self.make_dataset(registry, spec, tmp_path)
        dataset = self._read(registry, location)
        first = list(dataset)
        assert len(first) >= 3, "make_dataset must give at least three images"
        assert list(dataset) == first, "the second reading gave something else than the first"
        half = iter(dataset)
        next(half)
        assert list(dataset) == first, "a reading that was not finished changed the next"
        assert list(self._read(registry, location)) == first, "opening it again gave something else"

    def test_order_does_not_depend_on_the_file_system(
        self, registry: Registry, spec: FormatSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The operating system lists folders in any order: sort what it returns.

        On failure: sort what ``os.listdir``, ``os.scandir`` and ``glob`` give, by the whole path as a plain
        string.
        """
        location = self.make_dataset(registry, spec, tmp_path)
        orders = []
        for backwards in (False, True):
            with listing(monkeypatch, backwards=backwards):
                orders.append([sample.image.name for sample in self._read(registry, location)])
        assert orders[0] == orders[1], "the order of the samples follows the order in which files are listed"

    def test_reading_touches_nothing_else(
        self, registry: Registry, spec: FormatSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A dataset is unchanged after reading; no file is created, and no network is used.

        On failure: keep caches in memory, and close and remove temporary files.
        """
        location = self.make_dataset(registry, spec, tmp_path / "data")
        before = snapshot(tmp_path / "data")
        with only_here(monkeypatch, tmp_path), self.offline():
            assert list(self._read(registry, location)), "nothing was read"
        assert snapshot(tmp_path / "data") == before, "reading changed the dataset's folder"

    def test_info_says_what_is_read(self, registry: Registry, spec: FormatSpec, tmp_path: Path) -> None:
        """``info`` names format and location; its counts, splits and classes are right, if it has any.

        What it says of the dataset as a whole are plain values, as JSON knows them.

        On failure: leave out of ``DatasetInfo`` what is not known before everything is read.
        """
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
        assert json.loads(json.dumps(info.attributes)) == info.attributes, "info.attributes are not plain values"

    def test_shapes_follow_one_rule(self, registry: Registry, spec: FormatSpec, tmp_path: Path) -> None:
        """A reader with the option ``shapes`` is a ``ShapeReader``, and no other is.

        On failure: add ``boxwright.plugins.SHAPES`` to the options, and pass each shape to a ``ShapeRule``.
        """
        reader = self._read(registry, self.make_dataset(registry, spec, tmp_path)).reader
        declared = any(option == SHAPES for option in spec.options)
        assert isinstance(reader, ShapeReader) == declared, (
            f"the option shapes is {'' if declared else 'not '}declared, and the reader has "
            f"{'no' if declared else 'a'} ShapeRule as its attribute shapes"
        )

    def test_samples_say_where_they_come_from(self, registry: Registry, spec: FormatSpec, tmp_path: Path) -> None:
        """``sample.source`` names the file (and place) of each annotation, for messages; no two are the same.

        On failure: give ``Sample(source=f"{location}, line {number}")``, or the name of the annotation's own
        file.
        """
        sources = [s.source for s in self._read(registry, self.make_dataset(registry, spec, tmp_path))]
        assert all(sources), "a sample has no source"
        assert len(set(sources)) == len(sources), f"two samples have the same source: {sources}"

    def test_samples_reach_another_process_whole(self, registry: Registry, spec: FormatSpec, tmp_path: Path) -> None:
        """Samples are pickled to workers: attributes must be plain values.

        On failure: turn what a library returns into str, int, float, bool, list and dict.
        """
        samples = list(self._read(registry, self.make_dataset(registry, spec, tmp_path)))
        assert _Elsewhere(io.BytesIO(pickle.dumps(samples))).load() == samples, (
            "samples changed on their way to another process"
        )

    def test_quick_labels_are_the_labels(self, registry: Registry, spec: FormatSpec, tmp_path: Path) -> None:
        """``labels()``, if a reader has it, returns the labels of each item, as reading does."""
        reader = self._read(registry, self.make_dataset(registry, spec, tmp_path)).reader
        if not isinstance(reader, LabelReader):
            pytest.skip(f"the reader of {self.format} has no labels()")
        read = {label for sample in reader.read(Problems()) for label in sample.boxes.labels}
        assert {label for labels in reader.labels() for label in labels} == read, (
            "labels() returns other labels than reading"
        )

    def test_columns_are_the_samples(self, registry: Registry, spec: FormatSpec, tmp_path: Path) -> None:
        """``columns()``, if a reader has it, returns the annotations that reading does."""
        dataset = self._read(registry, self.make_dataset(registry, spec, tmp_path))
        if not isinstance(dataset.reader, ColumnReader):
            pytest.skip(f"the reader of {self.format} has no columns()")
        counts = [vars(scan) for scan in (dataset.scan(), Scan.of(dataset, dataset.known_label_map))]
        assert counts[0] == counts[1], "columns() returns other annotations than reading"

    def test_parts_make_up_the_whole(self, registry: Registry, spec: FormatSpec, tmp_path: Path) -> None:
        """``read_part(start, stop)``, if a reader has it, returns in parts what ``read`` returns, in order."""
        dataset = self._read(registry, self.make_dataset(registry, spec, tmp_path))
        reader: object = dataset.reader
        if not isinstance(reader, PartitionedReader):
            pytest.skip(f"the reader of {self.format} does not let processes share the work")
        whole = list(dataset.reader.read(Problems()))
        for step in (1, 2, reader.parts):
            ranges = [(start, min(start + step, reader.parts)) for start in range(0, reader.parts, step)]
            read = [sample for start, stop in ranges for sample in reader.read_part(start, stop, Problems())]
            assert read == whole, f"{len(ranges)} parts gave something else than the whole"
            if isinstance(reader, PartitionedLabelReader):
                labels = {x for start, stop in ranges for part in reader.labels_part(start, stop) for x in part}
                assert labels == {label for sample in whole for label in sample.boxes.labels}, (
                    "labels_part returns other labels than reading"
                )

    def test_reading_hands_samples_on_one_by_one(self, registry: Registry, spec: FormatSpec, tmp_path: Path) -> None:
        """The reader keeps no sample that it has given.

        On failure: yield each sample as soon as it is read, and keep none in a list.
        """
        self.need(spec, "write")
        location = self.location(spec, tmp_path)
        self.write(registry, self.many(tmp_path / "pictures", _FEW), location, tmp_path / "pictures")
        survivors = Survivors()
        for sample in survivors.watch(self._read(registry, location)):
            del sample
        assert survivors.seen == _FEW, f"{survivors.seen} of {_FEW} samples were read"
        assert survivors.most <= 8, f"{survivors.most} of {_FEW} samples were still in memory"

    def test_memory_for_reading_does_not_grow(self, registry: Registry, spec: FormatSpec, tmp_path: Path) -> None:
        """Peak memory is the same for a small and a large dataset, except for names (``memory_per_image`` bytes each).

        On failure: something of every image is kept: a list of rows, a parsed document, the images' bytes.
        """
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
        assert growth <= self.memory_per_image, f"reading keeps {growth:.0f} bytes of every image"

    def test_a_dataset_is_read_from_elsewhere(
        self, registry: Registry, spec: FormatSpec, tmp_path: Path, elsewhere: str
    ) -> None:
        """A dataset at ``memory://`` has the same samples and images as on the local disk.

        On failure: open files by fsspec where ``boxwright.storage.is_remote(location)`` says so, and join paths by
        ``boxwright.storage.join``; ``boxwright.storage.folder.Folder.at`` does both for a folder.
        """
        location = self.make_dataset(registry, spec, tmp_path)
        images = tmp_path / "pictures"
        if not self.remote:
            with pytest.raises(UsageError) as caught:
                list(self.open(registry, f"{elsewhere}/{os.path.basename(location)}", images))
            check_answer(caught.value)
            return
        url = _upload(tmp_path, location, elsewhere)
        here = list(self.open(registry, location, images))
        there = {sample.image.name: sample for sample in self.open(registry, url, images)}
        found = self.differences(here, there.values(), tolerance=0.0)
        assert not found, found
        for sample in here:
            content = _image(sample)
            if content is not None:
                assert there[sample.image.name].image.read() == content, f"{sample.image.name} has other bytes"

    def test_detection_looks_elsewhere(
        self, registry: Registry, spec: FormatSpec, tmp_path: Path, elsewhere: str
    ) -> None:
        """``detect`` knows its own dataset at ``memory://`` as it does on the disk, and says no to an empty place.

        On failure: ``detect`` opens paths only; see how ``boxwright.storage`` opens URLs.
        """
        self.need(spec, "detect")
        location = self.make_dataset(registry, spec, tmp_path)
        detect = registry.resolve("format", self.format, "detect")
        places = {f"{elsewhere}/nothing": False}
        if self.remote:
            places[_upload(tmp_path, location, elsewhere)] = detect(location).matches
        for place, expected in places.items():
            answer = detect(place)
            assert isinstance(answer, Detection), f"detect returned {answer!r}; return a Detection"
            assert answer.matches == expected, f"{place}: {answer.reason}"
            assert answer.reason, f"{place}: no reason is given"


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


def _image(sample: Sample) -> bytes | None:
    """The image's bytes; ``None`` if the dataset does not contain it and its reader does not find it."""
    try:
        return sample.image.read()
    except DataError:
        return None


def _upload(folder: Path, location: str, url: str) -> str:
    """Copies every file below a folder to a URL; returns where ``location`` is there."""
    files, root = fsspec.core.url_to_fs(url)
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            files.pipe_file(f"{root}/{path.relative_to(folder).as_posix()}", path.read_bytes())
    return f"{url}/{Path(location).relative_to(folder).as_posix()}"
