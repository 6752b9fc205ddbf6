"""Tests of datasets that lie elsewhere, at a URL that fsspec opens; ``memory://`` stands for all of them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest

from boxwright import BoxwrightError, DataError, Sample, UsageError
from boxwright.plugins import Detection, FormatSpec, Registry
from boxwright_testing.formats import FormatTests
from boxwright_testing.specs import check_answer


class LocationTests(FormatTests):
    """What every format has to keep wherever its dataset lies; part of :class:`ReaderTests` and ``WriterTests``.

    A format that works on this machine's files only, such as one whose library wants a path, sets ``remote = False``
    and refuses a URL with a :class:`~boxwright.UsageError`.
    """

    @pytest.fixture
    def elsewhere(self) -> Iterator[str]:
        """The URL of an empty folder."""
        url = f"memory://boxwright-{os.getpid()}"
        files, root = fsspec.core.url_to_fs(url)
        files.makedirs(root, exist_ok=True)
        yield url
        files.rm(root, recursive=True)

    def test_a_dataset_is_read_from_elsewhere(
        self, registry: Registry, spec: FormatSpec, tmp_path: Path, elsewhere: str
    ) -> None:
        """A dataset at ``memory://`` gives the same samples as on this machine's disk, and its pictures.

        On failure: open files by fsspec where ``boxwright.storage.is_remote(location)`` says so, and join paths by
        ``boxwright.storage.join``; ``boxwright.storage.folder.Folder.at`` does both for a folder.
        """
        self.need(spec, "load")
        location = self.make_dataset(registry, spec, tmp_path)
        pictures = tmp_path / "pictures"
        if not self.remote:
            with pytest.raises(UsageError) as caught:
                list(self.open(registry, f"{elsewhere}/{os.path.basename(location)}", pictures))
            check_answer(caught.value)
            return
        url = _upload(tmp_path, location, elsewhere)
        here = list(self.open(registry, location, pictures))
        there = {sample.image.name: sample for sample in self.open(registry, url, pictures)}
        found = self.differences(here, there.values(), tolerance=0.0)
        assert not found, found
        for sample in here:
            content = _picture(sample)
            if content is not None:
                assert there[sample.image.name].image.read() == content, f"{sample.image.name} has other bytes"

    def test_a_dataset_is_written_elsewhere(
        self, registry: Registry, spec: FormatSpec, tmp_path: Path, elsewhere: str
    ) -> None:
        """A dataset that is written to ``memory://`` is the same as on this machine's disk; nothing else is left there.

        On failure: get every file from ``output.open(name)``, and do not look at ``output.location``.
        """
        self.need(spec, "write")
        pictures = tmp_path / "pictures"
        samples = self.samples(spec, pictures)
        url = f"{elsewhere}/{os.path.basename(self.location(spec, tmp_path))}"
        if not self.remote:
            with pytest.raises(BoxwrightError) as caught:
                self.write(registry, samples, url, pictures)
            check_answer(caught.value)
            return
        here = self.location(spec, tmp_path)
        for location in (here, url):
            self.write(registry, samples, location, pictures)
        files, root = fsspec.core.url_to_fs(elsewhere)
        partial = [path for path in files.find(root) if "partial" in path]
        assert not partial, f"left behind: {', '.join(partial)}"
        if spec.load:
            found = self.differences(*(self.open(registry, place, pictures) for place in (here, url)), tolerance=0.0)
            assert not found, found

    def test_detection_looks_elsewhere(
        self, registry: Registry, spec: FormatSpec, tmp_path: Path, elsewhere: str
    ) -> None:
        """``detect`` knows its own dataset at ``memory://`` as it does on the disk, and says no to an empty place.

        On failure: ``detect`` opens paths only; see how ``boxwright.storage`` opens URLs.
        """
        self.need(spec, "detect")
        self.need(spec, "load")
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


def _picture(sample: Sample) -> bytes | None:
    """The picture's bytes; ``None`` where the dataset does not hold it, and its reader was not told where it is."""
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
