"""Tests of a format's reader."""

from __future__ import annotations

import io
import json
import os
import pickle
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import fsspec
import pytest

from boxwright import BoxwrightError, DataError, Dataset, DatasetInfo, DatasetURI, LabelMap, Sample, UsageError
from boxwright.datasets import (
    LabelReader,
    PartitionedLabelReader,
    PartitionedReader,
    Problems,
    ShapeReader,
    open_dataset,
)
from boxwright.plugins import SHAPES, Detection, FormatSpec, Registered, Registry, convert_options
from boxwright.storage import IMAGE_SUFFIXES, AtomicOutput
from boxwright_testing.damages import alterations, damages
from boxwright_testing.formats import FormatTests
from boxwright_testing.samples import make_sample
from boxwright_testing.sandbox import Survivors, only_here, peak_of
from boxwright_testing.specs import check_answer

_FEW, _MANY = 40, 160


@dataclass(frozen=True)
class BadInput:
    """A dataset with something wrong in it, and the answer that is expected.

    Args:
        what: The problem, for the failure message.
        location: Where the dataset is.
        says: Regular expression that the error must match: the file's name, the line, the problem.
        skipped: How many items are left out under ``on_error="skip"``; 0 if reading cannot continue.
        good: How many samples are read all the same under ``on_error="skip"``.
        options: The reader's options.
    """

    what: str
    location: str | Path
    says: str = ""
    skipped: int = 1
    good: int = 0
    options: Mapping[str, str] = field(default_factory=dict)


class ReaderTests(FormatTests):
    """The rules for every reader; see :class:`FormatTests` for what a subclass can set.

    The reader is given what the format's own writer wrote. A format that is only read overrides :meth:`make_dataset`
    with a dataset of at least three images. Give :meth:`bad_inputs` the format's own ways to be wrong.
    """

    empty_file: ClassVar[bool] = False
    """Whether an annotation file that is empty is right: an image without boxes."""

    @pytest.fixture(autouse=True)
    def _is_read(self, entry: Registered[Any]) -> None:
        self.need(entry.spec, "load")

    def bad_inputs(self, folder: Path) -> Sequence[BadInput]:
        """Datasets with faults, made in ``folder``, each with the answer that is expected."""
        return ()

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
            with _listing(monkeypatch, backwards=backwards):
                orders.append([sample.image.name for sample in self._read(registry, location)])
        assert orders[0] == orders[1], "the order of the samples follows the order in which files are listed"

    def test_reading_touches_nothing_else(
        self, registry: Registry, spec: FormatSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A dataset is unchanged after reading; no file is created, and no network is used.

        On failure: keep caches in memory, and close and remove temporary files.
        """
        location = self.make_dataset(registry, spec, tmp_path / "data")
        before = _contents(tmp_path / "data")
        with only_here(monkeypatch, tmp_path), self.offline():
            assert list(self._read(registry, location)), "nothing was read"
        assert _contents(tmp_path / "data") == before, "reading changed the dataset's folder"

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

    def test_a_missing_location_is_a_data_error(self, registry: Registry, spec: FormatSpec, tmp_path: Path) -> None:
        """It names the location and what to do.

        On failure: raise ``DataError(location, "file not found", "check the path")`` in the factory.
        """
        location = self.location(spec, tmp_path / "nowhere")
        with pytest.raises(DataError) as caught:
            list(self.open(registry, location, tmp_path / "pictures"))
        check_answer(caught.value, Path(location).name)

    def test_damaged_files_are_data_errors(self, registry: Registry, spec: FormatSpec, tmp_path: Path) -> None:
        """Cut, emptied, nested too deeply or filled with noise, a file raises a DataError that names it, or is read.

        Any other exception is a bug: decoding errors, ``ValueError``, ``KeyError``, ``RecursionError`` and the like
        must be caught where the place is known.
        """
        location = self.make_dataset(registry, spec, tmp_path)
        for victim in self._annotations(spec, location)[:1]:
            for what, content, must_fail in damages(victim.read_bytes()):
                victim.write_bytes(content)
                noticed = self._check_damaged(registry, location, f"{victim.name}, {what}", victim.name)
                must_fail = must_fail and not (self.empty_file and not content)
                assert noticed or not must_fail, f"{victim.name}, {what}: it was read as if nothing were wrong"

    def test_altered_files_are_read_or_refused(self, registry: Registry, spec: FormatSpec, tmp_path: Path) -> None:
        """A number that is none, a byte too many, a part that is missing: a DataError that names the file, or read.

        The same under ``skip``, where every item that is left out must be counted.

        On failure: catch what parsing may raise (``ValueError``, ``OverflowError``, ``KeyError``,
        ``TypeError``, ``RecursionError``) where the place is known, and give ``on_problem`` a DataError.
        """
        location = self.make_dataset(registry, spec, tmp_path)
        # The largest has the most fields: boxes, attributes, fractions.
        victim = max(self._annotations(spec, location), key=lambda path: path.stat().st_size)
        for what, content in alterations(victim.read_bytes()):
            victim.write_bytes(content)
            self._check_damaged(registry, location, f"{victim.name}, {what}")

    def _annotations(self, spec: FormatSpec, location: str) -> list[Path]:
        root = Path(location)
        if not root.exists():
            pytest.skip(f"{self.format}:{location} is not made of files")
        files = [root] if root.is_file() else [p for p in sorted(root.rglob("*")) if p.is_file()]
        found = [p for p in files if p.suffix.lower() not in IMAGE_SUFFIXES and p.name != spec.label_map_file]
        assert found, "the dataset has no annotation file"
        return found

    def _check_damaged(self, registry: Registry, location: str, case: str, *names: str) -> bool:
        """Reads a dataset with damage in it; returns whether it was reported by an error, which must name ``names``."""
        noticed = {}
        for on_error in ("fail", "skip"):
            try:
                dataset = self.open(registry, location, Path(location).parent / "pictures", on_error)
                for _ in dataset:
                    pass
                errors = dataset.problems.skipped
            except DataError as error:
                errors = [error]
            except Exception as error:
                pytest.fail(f"{case}: {type(error).__name__} instead of a DataError: {error}")
            for problem in errors:
                check_answer(problem, *names, where=case)
            noticed[on_error] = bool(errors)
        assert noticed["fail"] == noticed["skip"], f"{case}: an error under fail, and nothing was counted under skip"
        return noticed["fail"]

    def test_images_outside_the_dataset_are_not_reached(
        self, registry: Registry, spec: FormatSpec, tmp_path: Path
    ) -> None:
        """An image named ``../secret.jpg`` is refused, by writer or reader; it is never read from there.

        On failure: check names by ``boxwright.images.safe_filename`` before they become paths.
        """
        self.need(spec, "write")
        outside = tmp_path / "outside"
        secret = make_sample(outside, "secret.jpg", (20, 20), [self.labels[0]], [(1, 1, 9, 9)])
        names = ("../secret.jpg", "../../secret.jpg", f"{outside}/secret.jpg", "..\\secret.jpg", "a/../../secret.jpg")
        for number, name in enumerate(names):
            inside = outside / str(number)
            good = make_sample(inside / "pictures", "good.jpg", (20, 20), [self.labels[0]], [(1, 1, 9, 9)])
            evil = secret.replace(image=secret.image.model_copy(update={"name": name}))
            location = self.location(spec, inside)
            try:
                _write_plainly(registry, spec, [good, evil], location, self.write_options(inside / "pictures"))
                read = list(self.open(registry, location, inside / "pictures"))
            except BoxwrightError:
                continue
            for place in (sample.image.location for sample in read):
                within = place is None or inside.resolve() in Path(place).resolve().parents
                assert within, f"the name {name!r} led to {place}, outside the dataset"

    def test_bad_inputs_get_their_answers(self, registry: Registry, spec: FormatSpec, tmp_path: Path) -> None:
        """Each of :meth:`bad_inputs` raises the error that it promises, and under ``skip`` is counted.

        On failure: fix the reader, or what ``bad_inputs`` expects of it.
        """
        failures: list[str] = []
        for bad in self.bad_inputs(tmp_path):
            try:
                self._check_bad(registry, bad)
            except AssertionError as failure:
                failures.append(f"{bad.what}: {failure}")
        assert not failures, "\n".join(failures)

    def _check_bad(self, registry: Registry, bad: BadInput) -> None:
        uri = DatasetURI(str(bad.location), self.format, dict(bad.options))
        try:
            read = list(open_dataset(uri, registry=registry))
        except DataError as error:
            check_answer(error)
            matched = re.search(bad.says, str(error))
            if not matched:
                raise AssertionError(f"the error does not match {bad.says!r}: {error}") from error
        except Exception as error:
            raise AssertionError(f"{type(error).__name__} instead of a DataError: {error}") from error
        else:
            raise AssertionError(f"no error; {len(read)} samples were read")
        if not bad.skipped:
            return
        dataset = open_dataset(uri, on_error="skip", registry=registry)
        for reading in ("first", "second"):
            samples = list(dataset)
            counts = (len(samples), len(dataset.problems.skipped))
            assert counts == (bad.good, bad.skipped), (
                f"the {reading} reading under skip gave {counts[0]} samples and counted {counts[1]} skipped;"
                f" expected {bad.good} and {bad.skipped}: {[str(e) for e in dataset.problems.skipped]}"
            )

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


def _write_plainly(
    registry: Registry, spec: FormatSpec, samples: Sequence[Sample], location: str, options: Any
) -> None:
    """Writes without the checks of a conversion, as a careless or hostile program would."""
    labels = LabelMap.from_names(label for sample in samples for label in sample.boxes.labels)
    made = convert_options(options, spec.write_options, spec.name)
    factory = registry.resolve("format", spec.name, "write")
    with AtomicOutput(location, spec.target) as output:
        writer = factory(output, labels if spec.numbered else None, **made)
        for sample in samples:
            writer.write(sample)
        writer.close()
    if spec.label_map_file:
        folder = Path(location) if spec.target == "folder" else Path(location).parent
        (folder / spec.label_map_file).write_text(labels.to_pbtxt(), "utf-8")


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
