"""Tests of a format's reader."""

from __future__ import annotations

import os
import pickle
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from boxwright import DataError, Dataset, DatasetInfo, DatasetURI, Sample
from boxwright.dataset import open_dataset
from boxwright.errors import BoxwrightError
from boxwright.output import AtomicOutput
from boxwright.registry import Registry
from boxwright.schemas import LabelMap
from boxwright.specs import FormatSpec
from boxwright.uri import PICTURE_SUFFIXES
from boxwright_testing.formats import BadInput, FormatTests
from boxwright_testing.memory import Survivors, peak_of
from boxwright_testing.pictures import make_sample, many_samples
from boxwright_testing.specs import check_answer

_FEW, _MANY = 40, 160


class ReaderTests(FormatTests):
    """What every reader has to keep; see :class:`FormatTests` for what a subclass can set.

    The reader is given what the format's own writer wrote. A format that is only read overrides :meth:`make_dataset`
    with a dataset of at least three pictures. Give :meth:`bad_inputs` the format's own ways to be wrong.
    """

    def make_dataset(self, registry: Registry, spec: FormatSpec, folder: Path) -> str:
        """Puts a dataset into a folder and returns its location."""
        assert spec.write, "a format that is only read overrides make_dataset"
        location = self.location(spec, folder)
        self.write(registry, self.samples(spec, folder / "pictures"), location, folder / "pictures")
        return location

    def bad_inputs(self, folder: Path) -> Sequence[BadInput]:
        """Datasets with faults, made in ``folder``, each with the answer that is expected."""
        return ()

    def _read(self, registry: Registry, location: str, on_error: str = "fail") -> Dataset:
        return self.open(registry, location, Path(location).parent / "pictures", on_error)

    def test_reading_again_gives_the_same(self, registry: Registry, spec: FormatSpec, tmp_path: Path) -> None:
        """A dataset is read many times, each time from the start."""
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
        """The operating system lists folders in any order: sort what it gives."""
        self.need(spec, "load")
        location = self.make_dataset(registry, spec, tmp_path)
        orders = []
        for backwards in (False, True):
            with _listing(monkeypatch, backwards=backwards):
                orders.append([sample.image.name for sample in self._read(registry, location)])
        assert orders[0] == orders[1], "the order of the samples follows the order in which files are listed"

    def test_info_says_what_is_read(self, registry: Registry, spec: FormatSpec, tmp_path: Path) -> None:
        """``info`` names format and location, and its counts and classes hold, where it gives any."""
        self.need(spec, "load")
        location = self.make_dataset(registry, spec, tmp_path)
        dataset = self._read(registry, location)
        samples = list(dataset)
        info = dataset.info
        assert isinstance(info, DatasetInfo)
        assert info.format == self.format
        assert info.location == location
        assert info.num_samples in (None, len(samples)), f"info counts {info.num_samples}, {len(samples)} were read"
        labels = {label for sample in samples for label in sample.boxes.labels}
        assert info.label_map is None or labels <= set(info.label_map.names), "a label is not in info.label_map"

    def test_samples_say_where_they_come_from(self, registry: Registry, spec: FormatSpec, tmp_path: Path) -> None:
        """``sample.source`` names the file (and place) of each annotation, for messages; no two are the same."""
        self.need(spec, "load")
        sources = [s.source for s in self._read(registry, self.make_dataset(registry, spec, tmp_path))]
        assert all(sources), "a sample has no source"
        assert len(set(sources)) == len(sources), f"two samples have the same source: {sources}"

    def test_samples_reach_another_process_whole(self, registry: Registry, spec: FormatSpec, tmp_path: Path) -> None:
        """Samples are pickled to workers: attributes must be plain values."""
        self.need(spec, "load")
        samples = list(self._read(registry, self.make_dataset(registry, spec, tmp_path)))
        script = "import pickle, sys; s = pickle.load(sys.stdin.buffer); sys.stdout.buffer.write(pickle.dumps(s))"
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
        done = subprocess.run(
            [sys.executable, "-c", script],
            input=pickle.dumps(samples),
            capture_output=True,
            env=environment,
            check=True,
        )
        assert pickle.loads(done.stdout) == samples  # noqa: S301 (our own bytes)

    def test_reading_hands_samples_on_one_by_one(self, registry: Registry, spec: FormatSpec, tmp_path: Path) -> None:
        """The reader keeps no sample that it has given.

        On failure: yield each sample as soon as it is read, and put none into a list.
        """
        self.need(spec, "load")
        self.need(spec, "write")
        location = self.location(spec, tmp_path)
        self.write(registry, many_samples(tmp_path / "pictures", _FEW), location, tmp_path / "pictures")
        survivors = Survivors()
        for sample in survivors.watch(self._read(registry, location)):
            del sample
        assert survivors.seen == _FEW
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
            self.write(registry, many_samples(folder / "pictures", count), location, folder / "pictures")
            read = _counting(self._read(registry, location))
            read()  # what is loaded once and stays must not count
            peaks.append(peak_of(read))
        growth = (peaks[1] - peaks[0]) / (_MANY - _FEW)
        assert growth <= self.memory_per_picture, f"reading keeps {growth:.0f} bytes of every picture"

    def test_a_missing_location_is_a_data_error(self, registry: Registry, spec: FormatSpec, tmp_path: Path) -> None:
        """It names the location and what to do."""
        self.need(spec, "load")
        location = self.location(spec, tmp_path / "nowhere")
        with pytest.raises(DataError) as caught:
            list(self._read(registry, location))
        check_answer(caught.value, Path(location).name)

    def test_damaged_files_are_data_errors(self, registry: Registry, spec: FormatSpec, tmp_path: Path) -> None:
        """Cut, emptied or filled with noise, a file of the dataset gives a DataError that names it, or is read.

        Any other exception is a bug: decoding errors, ``ValueError``, ``KeyError`` and the like must be caught where
        the place is known.
        """
        self.need(spec, "load")
        location = self.make_dataset(registry, spec, tmp_path)
        root = Path(location)
        files = [root] if root.is_file() else [p for p in sorted(root.rglob("*")) if p.is_file()]
        annotations = [p for p in files if p.suffix.lower() not in PICTURE_SUFFIXES and p.name != spec.label_map_file]
        assert annotations, "the dataset has no file of its own"
        victim = annotations[0]
        whole = victim.read_bytes()
        for what, content, must_fail in _damages(whole):
            victim.write_bytes(content)
            try:
                list(self._read(registry, location))
            except DataError as error:
                check_answer(error, victim.name, where=what)
            except Exception as error:
                pytest.fail(f"{what}: {type(error).__name__} instead of a DataError: {error}")
            else:
                assert not must_fail, f"{what}: the file was read as if nothing were wrong"

    def test_pictures_outside_the_dataset_are_not_reached(
        self, registry: Registry, spec: FormatSpec, tmp_path: Path
    ) -> None:
        """A picture named ``../secret.jpg`` is refused, by writer or reader; it is never read from there.

        On failure: check names by ``boxwright.output.safe_name`` before they become paths.
        """
        self.need(spec, "load")
        self.need(spec, "write")
        outside = tmp_path / "outside"
        secret = make_sample(outside, "secret.jpg", (20, 20), [self.labels[0]], [(1, 1, 9, 9)])
        for number, name in enumerate(("../secret.jpg", "../../secret.jpg", f"{outside}/secret.jpg")):
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
                assert within, f"the name {name!r} led to {place}, which lies outside of the dataset"

    def test_bad_inputs_get_their_answers(self, registry: Registry, spec: FormatSpec, tmp_path: Path) -> None:
        """Each of :meth:`bad_inputs` raises the error that it promises, and under ``skip`` is counted."""
        self.need(spec, "load")
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
            read = list(open_dataset(uri, registry_=registry))
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
        dataset = open_dataset(uri, on_error="skip", registry_=registry)
        for reading in ("first", "second"):
            samples = list(dataset)
            counts = (len(samples), len(dataset.problems.skipped))
            assert counts == (bad.good, bad.skipped), (
                f"the {reading} reading under skip gave {counts[0]} samples and counted {counts[1]} skipped;"
                f" expected {bad.good} and {bad.skipped}: {[str(e) for e in dataset.problems.skipped]}"
            )


def _write_plainly(
    registry: Registry, spec: FormatSpec, samples: Sequence[Sample], location: str, options: Any
) -> None:
    """Writes without the checks of a conversion, as a careless or hostile program would."""
    from boxwright.registry import convert_options

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


def _damages(whole: bytes) -> Iterator[tuple[str, bytes, bool]]:
    """Ways to spoil a file, each with whether it must be noticed."""
    for share in range(1, 12):
        cut = len(whole) * share // 12
        yield f"cut after {cut} of {len(whole)} bytes", whole[:cut], False
    yield "emptied", b"", True
    yield "filled with noise", bytes((i * 73 + i // 7) % 256 for i in range(400)), True
    yield "filled with zeros", bytes(400), True
    yield "ends in noise", whole[: len(whole) // 2] + bytes(range(128, 256)), True


def _counting(samples: Dataset) -> Callable[[], int]:
    return lambda: sum(1 for _ in samples)


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
