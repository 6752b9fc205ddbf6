"""Tests of what a writer leaves on the disk."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from boxwright import Dataset, DatasetInfo, LabelMap, Sample
from boxwright.errors import BoxwrightError, OutputError
from boxwright.protocols import OnProblem
from boxwright.registry import Registry
from boxwright.specs import FormatSpec
from boxwright_testing.formats import FormatTests
from boxwright_testing.pictures import make_sample
from boxwright_testing.specs import check_answer
from boxwright_testing.surroundings import only_here


class OutputTests(FormatTests):
    """What every writer has to keep about files: whole or nothing, and in its own place; part of ``WriterTests``."""

    def test_writing_again_gives_the_same_bytes(self, registry: Registry, spec: FormatSpec, tmp_path: Path) -> None:
        """The same samples give the same files: no dates, no random numbers, no order of a set.

        On failure: write no date and no random number, and sort what comes from a set.
        """
        self.need(spec, "write")
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
        """The pictures stay as they are; no file is made but in the target, and nothing is asked of the network.

        On failure: write by ``output.open(name)`` only, and remove temporary files.
        """
        self.need(spec, "write")
        samples = self.samples(spec, tmp_path / "pictures")
        before = _contents(tmp_path / "pictures")
        with only_here(monkeypatch, tmp_path), self.offline():
            self.write(registry, samples, self.location(spec, tmp_path / "out"), tmp_path / "pictures")
        assert _contents(tmp_path / "pictures") == before, "writing changed the pictures that were read"
        strays = {path.name for path in tmp_path.iterdir()} - {"pictures", "out", "working folder", "temporary folder"}
        assert not strays, f"writing made {', '.join(sorted(strays))} beside the target's folder"

    def test_an_error_in_the_middle_leaves_nothing(self, registry: Registry, spec: FormatSpec, tmp_path: Path) -> None:
        """When reading fails after some samples, neither the target nor a temporary file stays.

        On failure: the writer opens files by itself; it must get them from ``output.open(name)``.
        """
        self.need(spec, "write")
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
        """With ``overwrite``, a failure leaves the older dataset byte for byte as it was.

        On failure: the writer opens files by itself; it must get them from ``output.open(name)``.
        """
        self.need(spec, "write")
        samples = self.samples(spec, tmp_path / "pictures")
        location = self.location(spec, tmp_path / "out")
        self.write(registry, samples[:2], location, tmp_path / "pictures")
        before = {path: path.read_bytes() for path in _files(tmp_path / "out")}
        with pytest.raises(_InterruptionError):
            self._fail(registry, samples, location, tmp_path / "pictures")
        assert {path: path.read_bytes() for path in _files(tmp_path / "out")} == before, (
            "the older dataset was changed by a conversion that failed"
        )

    def _fail(self, registry: Registry, samples: Sequence[Sample], location: str, pictures: Path) -> None:
        classes = LabelMap.from_names(self.labels)  # given, so that no format has to read everything through first
        self.write(registry, Dataset(_Failing(samples)), location, pictures, overwrite=True, label_map=classes)

    def test_an_existing_target_is_kept_unless_overwritten(
        self, registry: Registry, spec: FormatSpec, tmp_path: Path
    ) -> None:
        """A second conversion to the same place is refused, and done with ``overwrite``."""
        self.need(spec, "write")
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
        assert sum(report.samples.values()) == 1, f"one picture was to be written, and {report.samples} were"
        if spec.load:
            names = [sample.image.name for sample in self.open(registry, location, tmp_path / "pictures")]
            assert names == [samples[0].image.name], "the older dataset shows through the new one"

    def test_names_that_lead_outside_create_nothing_there(
        self, registry: Registry, spec: FormatSpec, tmp_path: Path
    ) -> None:
        """Pictures named ``../x.jpg`` or by an absolute path are refused, or written only as text.

        On failure: the writer opens files by itself; ``output.open(name)`` checks each name.
        """
        self.need(spec, "write")
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
            assert not strays, f"the picture {name!r} made {strays[0]}"


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


def _contents(folder: Path) -> dict[str, tuple[bytes, int]]:
    return {str(path): (path.read_bytes(), path.stat().st_mtime_ns) for path in _files(folder)}
