"""Tests of a format's writer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import pytest

from boxwright import Boxes, Dataset, DatasetInfo, LabelMap, Sample
from boxwright.errors import BoxwrightError, LossError, OutputError
from boxwright.losses import BOOKKEEPING
from boxwright.protocols import OnProblem
from boxwright.registry import Registry
from boxwright.specs import FormatSpec
from boxwright_testing.formats import FormatTests, differences
from boxwright_testing.memory import Survivors, peak_of
from boxwright_testing.pictures import make_sample, many_samples, standard_samples
from boxwright_testing.specs import check_answer

_FEW, _MANY = 40, 160


class WriterTests(FormatTests):
    """What every writer has to keep; see :class:`FormatTests` for what a subclass can set.

    What was written is read back by the format's own reader; a format that is only written skips those tests.
    """

    def _there_and_back(
        self, registry: Registry, spec: FormatSpec, samples: Sequence[Sample], folder: Path
    ) -> list[Sample]:
        location = self.location(spec, folder / "out")
        self.write(registry, samples, location, folder / "pictures")
        return list(self.open(registry, location, folder / "pictures"))

    def test_a_round_trip_keeps_everything_that_is_carried(
        self, registry: Registry, spec: FormatSpec, tmp_path: Path
    ) -> None:
        """Names, sizes, labels, edges and every attribute in ``carries`` come back as they were.

        On failure: each line names the picture and what became of it. Mend the writer or the reader, or take the
        attribute out of ``carries`` so that its loss is counted and shown.
        """
        self.need(spec, "write")
        self.need(spec, "load")
        samples = self.samples(spec, tmp_path / "pictures")
        back = self._there_and_back(registry, spec, samples, tmp_path)
        found = differences(samples, back, tolerance=self.tolerance, adds=spec.adds)
        assert not found, "\n".join(found)

    def test_pictures_come_back_as_they_were(self, registry: Registry, spec: FormatSpec, tmp_path: Path) -> None:
        """Where a format carries pictures, their bytes are copied: encoding again would blur them."""
        self.need(spec, "write")
        self.need(spec, "load")
        samples = self.samples(spec, tmp_path / "pictures")
        if "images" not in spec.carries:
            pytest.skip(f"the format {self.format} does not carry pictures")
        bytes_of = {sample.image.name: sample.image.read() for sample in samples}
        location = self.location(spec, tmp_path / "out")
        self.write(registry, samples, location, tmp_path / "pictures")
        (tmp_path / "pictures").rename(tmp_path / "gone")
        for sample in self.open(registry, location, tmp_path / "pictures"):
            assert sample.image.read() == bytes_of[sample.image.name], f"{sample.image.name} has other bytes"

    def test_losses_are_as_declared(self, registry: Registry, spec: FormatSpec, tmp_path: Path) -> None:
        """What a conversion says was dropped is what is missing after reading back, no more and no less.

        On failure: ``carries`` claims too much (found, not said) or too little (said, not found).
        """
        self.need(spec, "write")
        self.need(spec, "load")
        samples = standard_samples(
            tmp_path / "pictures",
            frozenset({"empty", "subpixel", "split"}),
            labels=self.labels,
            subfolders=self.subfolders,
            box_attributes=self.attributes(spec, "box.") | {"difficult": 1, "boxwright_test": "x"},
            image_attributes=self.attributes(spec, "image.") | {"boxwright_test": "x"},
        )
        # A picture that is gone altogether is counted as that alone, so it must have nothing else to lose.
        samples = [sample if sample.boxes else sample.replace(split=None) for sample in samples]
        location = self.location(spec, tmp_path / "out")
        losses = self.write(registry, samples, location, tmp_path / "pictures").losses
        said = losses.dropped + losses.changed
        back = list(self.open(registry, location, tmp_path / "pictures"))
        found = _observed_losses(samples, back, self.tolerance)
        assert dict(found) == dict(said), f"said to be dropped: {dict(said)}, found missing: {dict(found)}"

    def test_strict_refuses_before_anything_is_written(
        self, registry: Registry, spec: FormatSpec, tmp_path: Path
    ) -> None:
        """Under ``strict``, a sample that cannot be carried whole leaves no file."""
        self.need(spec, "write")
        if "box.*" in spec.carries:
            pytest.skip(f"the format {self.format} carries every attribute")
        sample = make_sample(
            tmp_path / "pictures", "a.jpg", (20, 20), [self.labels[0]], [(1, 1, 9, 9)], [{"boxwright_test": 1}]
        )
        with pytest.raises(LossError, match="boxwright_test"):
            self.write(registry, [sample], self.location(spec, tmp_path / "out"), tmp_path / "pictures", strict=True)
        assert not (tmp_path / "out").exists() or not list((tmp_path / "out").iterdir())

    def test_boxes_without_area_or_outside_are_kept_or_refused(
        self, registry: Registry, spec: FormatSpec, tmp_path: Path
    ) -> None:
        """Such boxes are real: they come back as they were, or are an error with a remedy; never gone in silence."""
        self.need(spec, "write")
        self.need(spec, "load")
        for name, edges in (("flat.jpg", (5, 5, 5, 9)), ("outside.jpg", (-4, 5, 30, 9))):
            folder = tmp_path / name
            sample = make_sample(folder / "pictures", name, (20, 20), [self.labels[0]], [edges])
            try:
                back = self._there_and_back(registry, spec, [sample], folder)
            except BoxwrightError as error:
                check_answer(error, where=name)
                continue
            assert not differences([sample], back, tolerance=self.tolerance, adds=spec.adds)

    def test_writing_again_gives_the_same_bytes(self, registry: Registry, spec: FormatSpec, tmp_path: Path) -> None:
        """The same samples give the same files: no dates, no random numbers, no order of a set."""
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
        """With ``overwrite``, a failure leaves the older dataset byte for byte as it was."""
        self.need(spec, "write")
        samples = self.samples(spec, tmp_path / "pictures")
        location = self.location(spec, tmp_path / "out")
        self.write(registry, samples[:2], location, tmp_path / "pictures")
        before = {path: path.read_bytes() for path in _files(tmp_path / "out")}
        with pytest.raises(_InterruptionError):
            self._fail(registry, samples, location, tmp_path / "pictures")
        assert {path: path.read_bytes() for path in _files(tmp_path / "out")} == before

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
        assert {path: path.read_bytes() for path in _files(tmp_path / "out")} == before
        report = self.write(registry, samples[:1], location, tmp_path / "pictures", overwrite=True)
        assert sum(report.samples.values()) == 1
        if spec.load:
            names = [sample.image.name for sample in self.open(registry, location, tmp_path / "pictures")]
            assert names == [samples[0].image.name], "the older dataset shows through the new one"

    def test_two_pictures_of_one_name_are_never_mixed(
        self, registry: Registry, spec: FormatSpec, tmp_path: Path
    ) -> None:
        """Two samples of one name both come back, or the second is an error with a remedy; none replaces the other."""
        self.need(spec, "write")
        self.need(spec, "load")
        first = make_sample(tmp_path / "pictures", "a.jpg", (20, 20), [self.labels[0]], [(1, 1, 9, 9)])
        second = first.replace(boxes=Boxes([self.labels[1]], [(3, 3, 12, 12)]))
        try:
            back = self._there_and_back(registry, spec, [first, second], tmp_path)
        except BoxwrightError as error:
            check_answer(error)
            return
        labels = sorted(label for sample in back for label in sample.boxes.labels)
        assert labels == sorted(self.labels[:2]), f"of the two pictures' labels {self.labels[:2]}, {labels} came back"

    def test_names_that_lead_outside_create_nothing_there(
        self, registry: Registry, spec: FormatSpec, tmp_path: Path
    ) -> None:
        """Pictures named ``../x.jpg`` or by an absolute path are refused, or written only as text."""
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

    def test_writing_keeps_no_sample(self, registry: Registry, spec: FormatSpec, tmp_path: Path) -> None:
        """The writer lets go of each sample.

        On failure: write each sample when it comes; only what the file needs at its end may be kept.
        """
        self.need(spec, "write")
        survivors = Survivors()
        dataset = Dataset(_Making(lambda: survivors.watch(many_samples(tmp_path / "pictures", _FEW))))
        self.write(registry, dataset, self.location(spec, tmp_path / "out"), tmp_path / "pictures")
        assert survivors.seen >= _FEW
        assert survivors.most <= 8, f"{survivors.most} of {_FEW} samples were still in memory"

    def test_memory_for_writing_does_not_grow(self, registry: Registry, spec: FormatSpec, tmp_path: Path) -> None:
        """Peak memory is the same for a small and a large dataset, but for names (``memory_per_picture`` each)."""
        self.need(spec, "write")
        peaks = []
        for attempt, count in enumerate((_FEW, _FEW, _MANY)):  # the first time, modules are loaded
            folder = tmp_path / str(attempt)
            dataset = Dataset(_Making(partial(many_samples, folder / "pictures", count)))
            location = self.location(spec, folder)
            peaks.append(peak_of(partial(self.write, registry, dataset, location, folder / "pictures")))
        growth = (peaks[2] - peaks[1]) / (_MANY - _FEW)
        # boxwright itself remembers the names of a folder's files, to refuse one that would be written twice.
        allowed = self.memory_per_picture + (800 if spec.target == "folder" else 0)
        assert growth <= allowed, f"writing keeps {growth:.0f} bytes of every picture"

    def test_detection_knows_what_was_written(self, registry: Registry, spec: FormatSpec, tmp_path: Path) -> None:
        """``detect`` says yes to the format's own datasets."""
        self.need(spec, "write")
        self.need(spec, "detect")
        location = self.location(spec, tmp_path / "out")
        self.write(registry, self.samples(spec, tmp_path / "pictures"), location, tmp_path / "pictures")
        answer = registry.resolve("format", self.format, "detect")(location)
        assert answer.matches, f"detect does not know a dataset of its own: {answer.reason}"
        assert answer.reason


class _InterruptionError(Exception):
    """The failure in the middle of a conversion."""


class _Making:
    """A reader of samples that are made when they are asked for."""

    info = DatasetInfo(format="samples", location="memory")

    def __init__(self, make: Callable[[], Iterator[Sample]]) -> None:
        self._make = make

    def read(self, on_problem: OnProblem) -> Iterator[Sample]:
        return self._make()


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


def _observed_losses(before: Sequence[Sample], after: Sequence[Sample], tolerance: float) -> Counter[str]:
    """What is missing in ``after``, in the words of :class:`boxwright.losses.LossCounter`."""
    found: Counter[str] = Counter()
    by_name = {sample.image.name: sample for sample in after}
    for sample in before:
        other = by_name.get(sample.image.name)
        if other is None:
            found["pictures without boxes" if not sample.boxes else "pictures"] += 1
            continue
        if other.split != sample.split:
            found["split"] += 1
        for name in sample.attributes:
            if name not in BOOKKEEPING and other.attributes.get(name) != sample.attributes[name]:
                found[f"image {name}"] += 1
        for attributes, others in zip(sample.boxes.attributes, other.boxes.attributes, strict=True):
            for name, value in attributes.items():
                if others.get(name) != value:
                    found[name] += 1
        for edges, others_edges in zip(sample.boxes.edges, other.boxes.edges, strict=True):
            if max(abs(a - b) for a, b in zip(edges, others_edges, strict=True)) > tolerance:
                found["sub-pixel edges"] += 1
    return found
