"""Tests of a transform: a step of ``boxwright convert --with``."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest

from boxwright import Boxes, BoxwrightError, DataError, Dataset, ImageRef, Sample, UsageError
from boxwright.datasets import MergingTransform, Problems, ReportingTransform, SampleReader, Transform, make_transform
from boxwright.images import read_header
from boxwright.plugins import Registry
from boxwright_testing.samples import LABELS, standard_samples, unlike_samples
from boxwright_testing.sandbox import Survivors, only_here
from boxwright_testing.specs import SpecTests, check_answer


class TransformTests(SpecTests):
    """The rules for every transform.

    Set in the subclass:

    - ``transform``: the step as a user writes it, ``"resize:64x48"``.
    - ``bad_steps``: steps that must be a UsageError, ``("resize:0x0", "resize:wide")``.
    - ``keeps_images``: false if images may be left out or added.
    - ``keeps_names``: false if images are renamed.
    - ``keeps_boxes``: false if boxes may be left out, added or given another label.
    """

    kind: ClassVar[str] = "transform"
    transform: ClassVar[str] = ""
    bad_steps: ClassVar[Sequence[str]] = ()
    keeps_images: ClassVar[bool] = True
    keeps_names: ClassVar[bool] = True
    keeps_boxes: ClassVar[bool] = True

    @property
    def spec_name(self) -> str:
        """The part of the step before the colon."""
        return self.transform.partition(":")[0]

    def samples(self, folder: Path) -> list[Sample]:
        """What the transform is tried on: the standard samples, with an empty image and fractional edges."""
        return standard_samples(
            folder,
            frozenset({"empty", "subpixel"}),
            box_attributes={"difficult": 1},
            image_attributes={"camera": "left"},
        )

    @pytest.fixture
    def step(self, registry: Registry, entry: Any) -> Transform:
        """A new transform."""
        return make_transform(self.transform, registry)

    def test_boxes_stay_with_their_objects(self, step: Transform, tmp_path: Path) -> None:
        """Labels and attributes keep their order, and a box inside its image stays inside."""
        samples = self.samples(tmp_path)
        for sample in step(samples):
            width, height = sample.image.width, sample.image.height
            for xmin, ymin, xmax, ymax in sample.boxes.coordinates:
                assert -1e-6 <= xmin <= xmax <= width + 1e-6, f"{sample.image.name}: a box leaves the {width} columns"
                assert -1e-6 <= ymin <= ymax <= height + 1e-6, f"{sample.image.name}: a box leaves the {height} rows"
        if self.keeps_images and self.keeps_boxes:
            for before, after in zip(samples, step(samples), strict=True):
                assert after.boxes.labels == before.boxes.labels, f"{before.image.name}: the labels changed"
                assert [*after.boxes.attributes] == [*before.boxes.attributes], (
                    f"{before.image.name}: attributes changed"
                )

    def test_order_is_kept(self, step: Transform, tmp_path: Path) -> None:
        """Images keep their order."""
        samples = self.samples(tmp_path)
        after = list(step(samples))
        if self.keeps_images:
            assert len(after) == len(samples), f"{len(samples)} images went in and {len(after)} came out"
        if self.keeps_names:
            places = [[sample.image.name for sample in samples].index(sample.image.name) for sample in after]
            assert places == sorted(places), f"the order of the images is {places}"

    def test_the_same_input_returns_the_same_output(self, registry: Registry, step: Transform, tmp_path: Path) -> None:
        """A dataset is read many times: each time through a transform returns the same, and so does a new transform."""
        samples = self.samples(tmp_path)
        first = list(step(samples))
        assert list(step(samples)) == first, "the second time gave something else"
        assert list(make_transform(self.transform, registry)(samples)) == first, "a new transform gave something else"

    def test_the_input_is_not_changed(self, step: Transform, tmp_path: Path) -> None:
        """Samples may be used by others: nothing of them changes, nor their images' files."""
        samples = self.samples(tmp_path)
        before = [(sample.model_dump(), sample.image.read()) for sample in samples]
        for _ in step(samples):
            pass
        assert [(sample.model_dump(), sample.image.read()) for sample in samples] == before, (
            "a sample, or the file of its image, was changed"
        )

    def test_it_touches_nothing_else(self, step: Transform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """No file is made anywhere, and nothing is asked of the network."""
        samples = self.samples(tmp_path / "pictures")
        with only_here(monkeypatch, tmp_path), self.offline():
            for _ in step(samples):
                pass

    def test_sizes_are_those_of_the_images(self, step: Transform, tmp_path: Path) -> None:
        """Width and height of every sample are those of the image that it refers to."""
        for sample in step(self.samples(tmp_path)):
            header = read_header(sample.image.read(), sample.image.name)
            assert (sample.image.width, sample.image.height) == header.upright_size, sample.image.name
            assert sample.image.format in (None, header.format), f"{sample.image.name} is {header.format}"

    def test_one_by_one_is_the_same_as_all_at_once(self, step: Transform, tmp_path: Path) -> None:
        """``per_sample = True`` promises it: boxwright then hands out the work to threads."""
        assert isinstance(step.per_sample, bool), "per_sample is True or False"
        if not step.per_sample:
            pytest.skip(f"{self.transform} needs to see the stream as a whole")
        samples = self.samples(tmp_path)
        together = list(step(samples))
        assert [one for sample in samples for one in step([sample])] == together, (
            "one by one, it returns something else than all at once"
        )
        threaded = Dataset(SampleReader(samples)).through(step, workers=4)
        assert list(threaded) == together, "four threads gave something else than one"

    def test_copies_that_share_the_work_note_the_same(self, step: Transform, tmp_path: Path) -> None:
        """With ``taken`` and ``add``, boxwright hands out the work to other machines."""
        if not (step.per_sample and isinstance(step, MergingTransform)):
            pytest.skip(f"{self.transform} does not offer it")
        samples = self.samples(tmp_path)
        copies = [pickle.loads(pickle.dumps(step)) for _ in range(2)]  # noqa: S301 (pickled here)
        shared = [one for number, sample in enumerate(samples) for one in copies[number % 2]([sample])]
        for copy in copies:
            step.add(pickle.loads(pickle.dumps(copy.taken())))  # noqa: S301 (pickled here)
        notes = step.notes()
        assert list(step(samples)) == shared, "two copies returned something else than one transform"
        assert step.notes() == notes, f"the notes of two copies became {notes}, not {step.notes()}"

    def test_samples_are_handed_on_one_by_one(self, step: Transform) -> None:
        """The transform lets go of each sample; it keeps no images."""
        survivors = Survivors()

        class Stream:
            def __iter__(self) -> Any:
                return survivors.watch(unlike_samples(40))

        for sample in step(Stream()):
            del sample
        assert survivors.most <= 8, f"{survivors.most} of 40 samples were still in memory"

    def test_an_empty_stream_returns_an_empty_stream(self, step: Transform) -> None:
        """An empty stream is valid here; the conversion reports it."""
        assert list(step([])) == [], "an empty stream returned samples"

    def test_a_missing_image_is_a_data_error(self, step: Transform, tmp_path: Path) -> None:
        """A transform that looks at pixels says which image is missing and what to do; others pass it on."""
        missing = Sample(
            image=ImageRef(name="gone.jpg", width=8, height=8, location=str(tmp_path / "gone.jpg")),
            boxes=Boxes([LABELS[0]], [(1, 1, 5, 5)]),
            source="gone.xml",
        )
        try:
            list(step([missing, *self.samples(tmp_path)]))
        except DataError as error:
            check_answer(error, "gone")
        except BoxwrightError as error:
            pytest.fail(f"{type(error).__name__} instead of a DataError: {error}")

    def test_a_missing_image_is_left_out_when_asked(self, step: Transform, tmp_path: Path) -> None:
        """Under ``on_error="skip"`` an image that cannot be used is left out and listed, and all others go their way.

        On failure: where a step sees the stream as a whole, give it a method ``apply(samples, on_problem)`` and the
        error of a single image to ``on_problem``.
        """
        samples = self.samples(tmp_path)
        image = ImageRef(name="gone.jpg", width=8, height=8, location=str(tmp_path / "gone.jpg"))
        missing = Sample(image=image, boxes=Boxes([LABELS[0]], [(1, 1, 5, 5)]), source="gone.xml")
        problems = Problems("skip")
        dataset = Dataset(SampleReader([samples[0], missing, *samples[1:]]), problems=problems).through(step)
        names = [sample.image.name for sample in dataset]
        if self.keeps_images and self.keeps_names:
            left = {sample.image.name for sample in samples} | ({"gone.jpg"} if not problems.skipped else set())
            assert {*names} == left, (
                f"{names} were returned and not {left}; {len(problems.skipped)} were listed as left out"
            )
        for error in problems.skipped:
            check_answer(error, "gone")

    def test_wrong_steps_are_usage_errors(self, registry: Registry, entry: Any) -> None:
        """Each of ``bad_steps`` is refused when the step is made, before an image is read, with a remedy."""
        for step in (*self.bad_steps, f"{self.spec_name}:no_such_option=1" if not entry.spec.keyed else ""):
            if not step:
                continue
            with pytest.raises(UsageError) as caught:
                make_transform(step, registry)
            check_answer(caught.value, where=step)

    def test_notes_are_lines_of_text(self, step: Transform, tmp_path: Path) -> None:
        """``notes()`` of a ``ReportingTransform`` returns lines for a report, also before the transform ran."""
        if not isinstance(step, ReportingTransform):
            pytest.skip(f"the transform {self.spec_name} has no notes()")
        assert all(isinstance(note, str) for note in step.notes()), "notes() must return lines of text"
        list(step(self.samples(tmp_path)))
        assert all(isinstance(note, str) and note and "\n" not in note for note in step.notes()), (
            f"notes() must return lines of text, not {step.notes()}"
        )
