"""Tests of a format's writer."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import fsspec
import pytest

from boxwright import BoxwrightError, Dataset, DatasetInfo, LabelMap, OutputError, Sample
from boxwright.datasets import BatchWriter, OnProblem, PreparingWriter
from boxwright.plugins import FormatSpec, Registry, convert_options
from boxwright.storage import AtomicOutput
from boxwright_testing.round_trips import RoundTripTests
from boxwright_testing.samples import make_sample
from boxwright_testing.sandbox import Survivors, only_here, peak_of, snapshot
from boxwright_testing.specs import check_answer

_FEW, _MANY = 40, 160


class WriterTests(RoundTripTests):
    """The rules for every writer; see :class:`FormatTests` for what a subclass can set."""

    def test_writing_again_produces_the_same_bytes(self, registry: Registry, spec: FormatSpec, tmp_path: Path) -> None:
        """The same samples produce the same files: no dates, no random numbers, no order of a set.

        On failure: write no date and no random number, and sort the elements of a set.
        """
        samples = self.samples(spec, tmp_path / "pictures")
        contents = []
        for folder in (tmp_path / "one", tmp_path / "two"):
            # The same path both times, since a format may hold it.
            location = self.location(spec, tmp_path / "out")
            self.write(registry, samples, location, tmp_path / "pictures")
            (tmp_path / "out").rename(folder)
            contents.append({path.relative_to(folder): path.read_bytes() for path in _files(folder)})
        assert contents[0] == contents[1], "two conversions of the same samples differ"

    def test_writing_touches_nothing_else(
        self, registry: Registry, spec: FormatSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The images stay unchanged; files are created in the target only, and no network is used.

        On failure: write by ``output.open(name)`` only, and remove temporary files.
        """
        samples = self.samples(spec, tmp_path / "pictures")
        before = snapshot(tmp_path / "pictures")
        with only_here(monkeypatch, tmp_path), self.offline():
            self.write(registry, samples, self.location(spec, tmp_path / "out"), tmp_path / "pictures")
        assert snapshot(tmp_path / "pictures") == before, "writing changed the images that were read"
        strays = {path.name for path in tmp_path.iterdir()} - {"pictures", "out", "working folder", "temporary folder"}
        assert not strays, f"writing made {', '.join(sorted(strays))} next to the target's folder"

    def test_an_error_in_the_middle_leaves_nothing(self, registry: Registry, spec: FormatSpec, tmp_path: Path) -> None:
        """When reading fails after some samples, neither the target nor a temporary file stays.

        On failure: the writer opens files on its own; it must get them from ``output.open(name)``.
        """
        samples = self.samples(spec, tmp_path / "pictures")
        (tmp_path / "out").mkdir()
        location = self.location(spec, tmp_path / "out")
        with pytest.raises(_InterruptionError):
            self._fail(registry, samples, location, tmp_path / "pictures")
        left = [str(path.relative_to(tmp_path)) for path in _files(tmp_path / "out")]
        assert not left, f"left behind after a failure: {', '.join(left)}"

    def test_an_error_in_the_middle_leaves_what_was_there(
        self, registry: Registry, spec: FormatSpec, tmp_path: Path
    ) -> None:
        """With ``overwrite``, a failure leaves the older dataset unchanged.

        On failure: the writer opens files on its own; it must get them from ``output.open(name)``.
        """
        samples = self.samples(spec, tmp_path / "pictures")
        location = self.location(spec, tmp_path / "out")
        self.write(registry, samples[:2], location, tmp_path / "pictures")
        before = {path: path.read_bytes() for path in _files(tmp_path / "out")}
        with pytest.raises(_InterruptionError):
            self._fail(registry, samples, location, tmp_path / "pictures")
        assert {path: path.read_bytes() for path in _files(tmp_path / "out")} == before, (
            "the older dataset was changed by a conversion that failed"
        )

    def _fail(self, registry: Registry, samples: Sequence[Sample], location: str, images: Path) -> None:
        classes = LabelMap.from_names(self.labels)  # given, so that no format must read everything through first
        self.write(registry, Dataset(_Failing(samples)), location, images, overwrite=True, label_map=classes)

    def test_an_existing_target_is_kept_unless_overwritten(
        self, registry: Registry, spec: FormatSpec, tmp_path: Path
    ) -> None:
        """A second conversion to the same place is refused, and done with ``overwrite``."""
        samples = self.samples(spec, tmp_path / "pictures")
        location = self.location(spec, tmp_path / "out")
        self.write(registry, samples, location, tmp_path / "pictures")
        before = {path: path.read_bytes() for path in _files(tmp_path / "out")}
        with pytest.raises(OutputError, match="overwrite"):
            self.write(registry, samples[:1], location, tmp_path / "pictures")
        assert {path: path.read_bytes() for path in _files(tmp_path / "out")} == before, (
            "the older dataset was changed by a conversion that was refused"
        )
        report = self.write(registry, samples[:1], location, tmp_path / "pictures", overwrite=True)
        assert sum(report.samples.values()) == 1, f"one image was to be written, and {report.samples} were"
        if spec.load:
            names = [sample.image.name for sample in self.open(registry, location, tmp_path / "pictures")]
            assert names == [samples[0].image.name], "the older dataset shows through the new one"

    def test_names_that_lead_outside_create_nothing_there(
        self, registry: Registry, spec: FormatSpec, tmp_path: Path
    ) -> None:
        """Images named ``../x.jpg`` or by an absolute path are refused, or written only as text.

        On failure: the writer opens files on its own; ``output.open(name)`` checks each name.
        """
        good = make_sample(tmp_path / "pictures", "good.jpg", (20, 20), [self.labels[0]], [(1, 1, 9, 9)])
        for name in ("../outside.jpg", f"{tmp_path}/outside.jpg", "a/../../outside.jpg", "..\\outside.jpg"):
            evil = good.replace(image=good.image.model_copy(update={"name": name}))
            try:
                self.write(
                    registry, [evil], self.location(spec, tmp_path / "out"), tmp_path / "pictures", overwrite=True
                )
            except BoxwrightError as error:
                check_answer(error, where=name)
            strays = [p for p in tmp_path.iterdir() if p.name not in ("out", "pictures")]
            assert not strays, f"the image {name!r} made {strays[0]}"

    def test_a_dataset_is_written_elsewhere(
        self, registry: Registry, spec: FormatSpec, tmp_path: Path, elsewhere: str
    ) -> None:
        """A dataset that is written to ``memory://`` is the same as on this machine's disk; nothing else is left there.

        On failure: get every file from ``output.open(name)``, and do not look at ``output.location``.
        """
        images = tmp_path / "pictures"
        samples = self.samples(spec, images)
        url = f"{elsewhere}/{os.path.basename(self.location(spec, tmp_path))}"
        if not self.remote:
            with pytest.raises(BoxwrightError) as caught:
                self.write(registry, samples, url, images)
            check_answer(caught.value)
            return
        here = self.location(spec, tmp_path)
        for location in (here, url):
            self.write(registry, samples, location, images)
        files, root = fsspec.core.url_to_fs(elsewhere)
        partial = [path for path in files.find(root) if "partial" in path]
        assert not partial, f"left behind: {', '.join(partial)}"
        if spec.load:
            found = self.differences(*(self.open(registry, place, images) for place in (here, url)), tolerance=0.0)
            assert not found, found

    def test_preparing_and_putting_is_writing(self, registry: Registry, spec: FormatSpec, tmp_path: Path) -> None:
        """``prepare`` and ``put`` of a ``PreparingWriter`` write what ``write`` does, by values that can be pickled.

        So do ``pack`` and ``put_pack`` of a ``BatchWriter``.
        """
        factory = registry.resolve("format", self.format, "write")
        samples = self.samples(spec, tmp_path / "pictures")
        options = convert_options(self.write_options(tmp_path / "pictures"), spec.write_options, self.format)
        labels = LabelMap.from_names(self.labels) if spec.numbered else None
        contents = {}
        for way in ("write", "put", "put_pack"):
            with AtomicOutput(self.location(spec, tmp_path / "out"), spec.target) as output:
                writer = factory(output, labels, **options)
                if not isinstance(writer, PreparingWriter):
                    pytest.skip(f"the writer of {self.format} does not let processes share the work")
                _write(writer, samples, way)
                writer.close()
            (tmp_path / "out").rename(tmp_path / way)
            contents[way] = {p.name: p.read_bytes() for p in (tmp_path / way).rglob("*") if p.is_file()}
            assert contents[way] == contents["write"], f"prepare and {way} produce other files than write"

    def test_writing_keeps_no_sample(self, registry: Registry, spec: FormatSpec, tmp_path: Path) -> None:
        """The writer lets go of each sample.

        On failure: write each sample when it comes; only what the file needs at its end may be kept.
        """
        survivors = Survivors()
        dataset = Dataset(_Making(lambda: survivors.watch(self.many(tmp_path / "pictures", _FEW))))
        self.write(registry, dataset, self.location(spec, tmp_path / "out"), tmp_path / "pictures")
        assert survivors.seen >= _FEW, f"{survivors.seen} of {_FEW} samples were made"
        assert survivors.most <= 8, f"{survivors.most} of {_FEW} samples were still in memory"

    def test_memory_for_writing_does_not_grow(self, registry: Registry, spec: FormatSpec, tmp_path: Path) -> None:
        """Peak memory is the same for a small and a large dataset, except for names (``memory_per_image`` each)."""

        def work(folder: Path, count: int) -> Callable[[], object]:
            dataset = Dataset(_Making(partial(self.many, folder / "pictures", count)))
            return partial(self.write, registry, dataset, self.location(spec, folder), folder / "pictures")

        work(tmp_path / "first", _FEW)()  # what is loaded once and stays must not count
        few, many = (peak_of(work(tmp_path / str(count), count)) for count in (_FEW, _MANY))
        # boxwright itself remembers the names of a folder's files, to refuse one that would be written again.
        allowed = (self.memory_per_image + (800 if spec.target == "folder" else 0)) * (_MANY - _FEW)
        if many - few > allowed:  # measured again, to be sure that no other work of the process was counted
            many = min(many, peak_of(work(tmp_path / "again", _MANY)))
        assert many - few <= allowed, f"writing keeps {(many - few) / (_MANY - _FEW):.0f} bytes of every image"


class _InterruptionError(Exception):
    """The failure in the middle of a conversion."""


class _Failing:
    """A reader that fails after its last sample."""

    info = DatasetInfo(format="samples", location="memory")

    def __init__(self, samples: Sequence[Sample]) -> None:
        self._samples = samples

    def read(self, on_problem: OnProblem) -> Iterator[Sample]:
        yield from self._samples
        raise _InterruptionError


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file() or path.is_symlink())


class _Making:
    """A reader of samples that are made when they are asked for."""

    info = DatasetInfo(format="samples", location="memory")

    def __init__(self, make: Callable[[], Iterator[Sample]]) -> None:
        self._make = make

    def read(self, on_problem: OnProblem) -> Iterator[Sample]:
        return self._make()


def _write(writer: PreparingWriter, samples: Sequence[Sample], way: str) -> None:
    if way == "write":
        for sample in samples:
            writer.write(sample)
        return
    prepared = [_travelled(writer.prepare(sample)) for sample in samples]
    if way == "put_pack" and isinstance(writer, BatchWriter):
        packed = _travelled(writer.pack(prepared))
        if packed is not None:
            writer.put_pack(packed)
            return
    for each in prepared:
        writer.put(each)


def _travelled(value: Any) -> Any:
    """A value after pickling, as in another process."""
    return pickle.loads(pickle.dumps(value))  # noqa: S301 (our own bytes)
