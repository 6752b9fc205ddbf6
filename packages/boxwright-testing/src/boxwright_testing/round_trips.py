"""Tests that write a dataset, read it again and compare."""

from __future__ import annotations

import gzip
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from boxwright import Boxes, BoxwrightError, Dataset, LossError, Sample
from boxwright.datasets import SampleReader
from boxwright.plugins import FormatSpec, Registered, Registry
from boxwright_testing.comparison import observed_additions
from boxwright_testing.formats import FormatTests
from boxwright_testing.samples import AWKWARD_LABELS, AWKWARD_NAMES, BOX_EXAMPLES, make_sample
from boxwright_testing.specs import check_answer

_SHIFTED = 1e-9
"""Pixels by which an edge may be off where 1 was added and taken off again."""


class RoundTripTests(FormatTests):
    """What a format carries is what it says that it carries: the part of :class:`WriterTests` about content.

    What was written is read back by the format's own reader; a format that is only written skips these tests. By
    itself, it is for one of several formats that share their writer and differ in a table.
    """

    @pytest.fixture(autouse=True)
    def _is_written(self, entry: Registered[Any]) -> None:
        self.need(entry.spec, "write")

    def _there_and_back(
        self,
        registry: Registry,
        spec: FormatSpec,
        samples: Sequence[Sample],
        folder: Path,
        dataset_attributes: Mapping[str, Any] | None = None,
    ) -> Dataset:
        location = self.location(spec, folder / "out")
        self.write(registry, samples, location, folder / "pictures", dataset_attributes=dataset_attributes)
        return self.open(registry, location, folder / "pictures")

    def test_a_round_trip_keeps_everything_that_is_carried(
        self, registry: Registry, spec: FormatSpec, tmp_path: Path
    ) -> None:
        """Names, sizes, labels, edges and every attribute in ``carries`` are returned unchanged.

        On failure: each line names the image and the difference. Fix the writer or the reader, or take the
        attribute out of ``carries`` so that its loss is counted and shown.
        """
        self.need(spec, "load")
        samples = self.samples(spec, tmp_path / "pictures")
        back = list(self._there_and_back(registry, spec, samples, tmp_path))
        found = self.differences(samples, back, adds=spec.adds)
        assert not found, found

    def test_images_come_back_as_they_were(self, registry: Registry, spec: FormatSpec, tmp_path: Path) -> None:
        """Where a format carries images, their bytes are copied: encoding again would blur them."""
        self.need(spec, "load")
        samples = self.samples(spec, tmp_path / "pictures")
        if "images" not in spec.carries:
            pytest.skip(f"the format {self.format} does not carry images")
        bytes_of = {sample.image.name: sample.image.read() for sample in samples}
        location = self.location(spec, tmp_path / "out")
        self.write(registry, samples, location, tmp_path / "pictures")
        (tmp_path / "pictures").rename(tmp_path / "gone")
        for sample in self.open(registry, location, tmp_path / "pictures"):
            assert sample.image.read() == bytes_of[sample.image.name], f"{sample.image.name} has other bytes"

    def test_a_round_trip_keeps_what_is_said_of_the_dataset(
        self, registry: Registry, spec: FormatSpec, tmp_path: Path
    ) -> None:
        """Every ``dataset.NAME`` in ``carries`` is returned in ``info.attributes``, and nothing else.

        On failure: a writer finds them in ``output.dataset_attributes``; a reader returns them in ``DatasetInfo``.
        """
        self.need(spec, "load")
        given = self.attributes(spec, "dataset.")
        every = "dataset.*" in spec.carries
        more = {} if every else {"boxwright_test": "x"}
        samples = self.samples(spec, tmp_path / "pictures")
        location = self.location(spec, tmp_path / "out")
        report = self.write(registry, samples, location, tmp_path / "pictures", dataset_attributes=given | more)
        assert [name for name in report.losses.dropped if name.startswith("dataset ")] == [
            f"dataset {n}" for n in more
        ], f"counted as dropped: {dict(report.losses.dropped)}; not carried: {list(more)}"
        back = self.open(registry, location, tmp_path / "pictures").info.attributes
        assert {name: back.get(name) for name in given} == given, f"info.attributes is {back}"
        assert "boxwright_test" not in back, "dataset.boxwright_test was returned; add it to carries"

    def test_images_without_boxes_make_a_dataset(self, registry: Registry, spec: FormatSpec, tmp_path: Path) -> None:
        """Where a format carries images without boxes, there need be none with: no class is known then.

        On failure: write an image that has no boxes, and read files with nothing but such; else take ``empty``
        out of ``carries``.
        """
        self.need(spec, "load")
        if "empty" not in spec.carries:
            pytest.skip(f"the format {self.format} does not carry images without boxes")
        samples = [make_sample(tmp_path / "pictures", name, (20, 30)) for name in ("a.jpg", "b.png")]
        back = self._there_and_back(registry, spec, samples, tmp_path)
        assert sorted(sample.image.name for sample in back) == ["a.jpg", "b.png"], "other images were returned"
        assert not any(sample.boxes for sample in back), "a box was returned that was not written"

    def test_splits_go_to_places_of_their_own(self, registry: Registry, spec: FormatSpec, tmp_path: Path) -> None:
        """With ``{split}`` in the target, two writers take turns, and each part contains its own images.

        On failure: keep what a writer knows in the object, none of it in its class or module.
        """
        self.need(spec, "load")
        samples = [
            sample.replace(split=("train", "test")[position % 2])
            for position, sample in enumerate(self.standard(tmp_path / "pictures"))
            if "/" not in sample.image.name
        ]
        suffix = Path(self.location(spec, tmp_path)).suffix if spec.target == "file" else ""
        location = str(tmp_path / "out" / f"{{split}}{suffix}")
        self.write(registry, samples, location, tmp_path / "pictures")
        for split in ("train", "test"):
            back = self.open(registry, location.replace("{split}", split), tmp_path / "pictures")
            mine = {sample.image.name: sample.boxes.labels for sample in samples if sample.split == split}
            assert {sample.image.name: sample.boxes.labels for sample in back} == mine, f"{split} has other images"

    def test_losses_are_as_declared(self, registry: Registry, spec: FormatSpec, tmp_path: Path) -> None:
        """What a conversion says was dropped is what is missing after reading back, no more and no less.

        On failure: ``carries`` claims too much (found, not said) or too little (said, not found).
        """
        self.need(spec, "load")
        samples = self.standard(
            tmp_path / "pictures",
            frozenset({"empty", "subpixel", "split"}),
            box_attributes=self.attributes(spec, "box.") | {"difficult": 1, "boxwright_test": "x"},
            image_attributes=self.attributes(spec, "image.") | {"boxwright_test": "x"},
        )
        # An image that is gone altogether is counted as that alone, so it must have nothing else to lose.
        samples = [sample if sample.boxes else sample.replace(split=None) for sample in samples]
        location = self.location(spec, tmp_path / "out")
        losses = self.write(registry, samples, location, tmp_path / "pictures").losses
        said = losses.dropped + losses.changed
        back = list(self.open(registry, location, tmp_path / "pictures"))
        found = self.losses(samples, back, self.tolerance)
        assert found == dict(said), f"said to be lost: {dict(said)}, found missing: {found}"

    def test_additions_are_as_declared(self, registry: Registry, spec: FormatSpec, tmp_path: Path) -> None:
        """What every written dataset has more than its source is what ``adds`` names, and a conversion counts it.

        On failure: name in ``FormatSpec.adds`` what every written dataset has, and nothing else.
        """
        self.need(spec, "load")
        samples = self.standard(tmp_path / "pictures")
        location = self.location(spec, tmp_path / "out")
        said = dict(self.write(registry, samples, location, tmp_path / "pictures").losses.added)
        back = list(self.open(registry, location, tmp_path / "pictures"))
        found = observed_additions(samples, back)
        assert said == {name: count for name, count in found.items() if name in said}, (
            f"adds says {said}, and the dataset read back has {dict(found)}"
        )

    def test_strict_refuses_before_anything_is_written(
        self, registry: Registry, spec: FormatSpec, tmp_path: Path
    ) -> None:
        """Under ``strict``, a sample that cannot be carried whole leaves no file."""
        if "box.*" in spec.carries:
            pytest.skip(f"the format {self.format} carries every attribute")
        sample = make_sample(
            tmp_path / "pictures", "a.jpg", (20, 20), [self.labels[0]], [(1, 1, 9, 9)], [{"boxwright_test": 1}]
        )
        with pytest.raises(LossError, match="boxwright_test"):
            self.write(registry, [sample], self.location(spec, tmp_path / "out"), tmp_path / "pictures", strict=True)
        assert not (tmp_path / "out").exists() or not list((tmp_path / "out").iterdir()), "something was written"

    def test_boxes_without_area_or_outside_are_kept_or_refused(
        self, registry: Registry, spec: FormatSpec, tmp_path: Path
    ) -> None:
        """Such boxes are valid: they are kept unchanged, or raise an error with a remedy; never lost silently.

        On failure: write them, or raise a DataError that names the image and says what to do.
        """
        self.need(spec, "load")
        for name, edges in (("flat.jpg", (5, 5, 5, 9)), ("outside.jpg", (-4, 5, 30, 9))):
            folder = tmp_path / name
            sample = make_sample(folder / "pictures", name, (20, 20), [self.labels[0]], [edges])
            try:
                back = list(self._there_and_back(registry, spec, [sample], folder))
            except BoxwrightError as error:
                check_answer(error, where=name)
                continue
            found = self.differences([sample], back, adds=spec.adds)
            assert not found, found

    def test_awkward_labels_are_kept_or_refused(self, registry: Registry, spec: FormatSpec, tmp_path: Path) -> None:
        """A class called ``" red "``, ``"1"``, ``"#"`` or an emoji is kept, or raises an error with a remedy.

        On failure: quote or escape what the file would read as something else; raise a DataError in ``write``
        for what it cannot hold.
        """
        self.need(spec, "load")
        edges = [(1, 1, 9, 9), (3, 3, 12, 12)]
        samples = [
            make_sample(tmp_path / "pictures", f"{number}.jpg", (20, 20), [self.labels[0], label], edges)
            for number, label in enumerate(AWKWARD_LABELS)
        ]
        changed = self._changed(registry, spec, samples, tmp_path, [repr(label) for label in AWKWARD_LABELS])
        assert not changed, "\n".join(changed)

    def test_awkward_names_are_kept_or_refused(self, registry: Registry, spec: FormatSpec, tmp_path: Path) -> None:
        """An image called ``"a;b #1.jpg"``, ``".hidden.jpg"`` or in any script is kept, or raises an error.

        On failure: quote or escape what the file would read as something else; raise a DataError in ``write``
        for what it cannot hold, or what the reader would pass over.
        """
        self.need(spec, "load")
        one = make_sample(tmp_path / "pictures", "a.jpg", (20, 20), [self.labels[0]], [(1, 1, 9, 9)])
        samples = [one.replace(image=one.image.model_copy(update={"name": name})) for name in AWKWARD_NAMES]
        changed = self._changed(registry, spec, samples, tmp_path, [repr(name) for name in AWKWARD_NAMES])
        assert not changed, "\n".join(changed)

    def _changed(
        self, registry: Registry, spec: FormatSpec, samples: Sequence[Sample], folder: Path, cases: Sequence[str]
    ) -> list[str]:
        """Which samples were changed on their way, or went missing without an error.

        All are written at once, since most formats take most of them; halves of them where that fails as a whole.
        """
        plain = make_sample(folder / "pictures", "plain.jpg", (20, 20), [self.labels[0]], [(2, 2, 8, 8)])
        location = self.location(spec, folder / f"{cases[0].encode().hex()[:40]}-{len(cases)}")
        source = Dataset(SampleReader([*samples, plain]))
        source.problems.on_error = "skip"
        try:
            refused = self.write(registry, source, location, folder / "pictures").skipped
            back = self.open(registry, location, folder / "pictures", on_error="skip")
            after = {one.image.name: one.boxes.labels for one in back}
        except BoxwrightError as error:
            if len(samples) == 1:
                check_answer(error, where=cases[0])
                return []
            half = len(samples) // 2
            return [
                *self._changed(registry, spec, samples[:half], folder, cases[:half]),
                *self._changed(registry, spec, samples[half:], folder, cases[half:]),
            ]
        for problem in (*refused, *back.problems.skipped):
            check_answer(problem, where="awkward")
        before = {one.image.name: one.boxes.labels for one in (*samples, plain)}
        other = [name for name, labels in after.items() if before.get(name) != labels]
        found = [f"{before.get(name, 'nothing')} of {name!r} became {after[name]}" for name in other]
        missing = [name for name in before if name not in after]
        if len(missing) > len(refused) + len(back.problems.skipped):
            found.append(f"of {', '.join(map(repr, missing))}, some are missing without an error")
        return found

    def test_two_images_of_one_name_are_never_mixed(self, registry: Registry, spec: FormatSpec, tmp_path: Path) -> None:
        """Two samples with one name are both kept, or the second raises an error with a remedy.

        On failure: remember the names that were written, and raise a DataError for one that comes again.
        """
        self.need(spec, "load")
        first = make_sample(tmp_path / "pictures", "a.jpg", (20, 20), [self.labels[0]], [(1, 1, 9, 9)])
        second = first.replace(boxes=Boxes([self.labels[1]], [(3, 3, 12, 12)]))
        try:
            back = list(self._there_and_back(registry, spec, [first, second], tmp_path))
        except BoxwrightError as error:
            check_answer(error)
            return
        labels = sorted(label for sample in back for label in sample.boxes.labels)
        assert labels == sorted(self.labels[:2]), f"of the two images' labels {self.labels[:2]}, {labels} were returned"

    def test_detection_knows_what_was_written(self, registry: Registry, spec: FormatSpec, tmp_path: Path) -> None:
        """``detect`` says yes to the format's own datasets.

        On failure: look at the same things that the writer writes.
        """
        self.need(spec, "detect")
        location = self.location(spec, tmp_path / "out")
        self.write(registry, self.samples(spec, tmp_path / "pictures"), location, tmp_path / "pictures")
        answer = registry.resolve("format", self.format, "detect")(location)
        assert answer.matches, f"detect does not recognize its own dataset: {answer.reason}"
        assert answer.reason, "detect returns no reason"

    def option_values(self, spec: FormatSpec) -> Iterator[tuple[str, str]]:
        """Each option of the writer with each value that is tried, on its own.

        Those with true and false or a few words, and those that say what a value changes. Override it to leave out a
        value that needs another option, and test it in a class with its own ``write_options``.
        """
        for option in spec.write_options:
            values = dict.fromkeys(option.carries)
            if option.type is bool:
                values |= dict.fromkeys(("false", "true"))
            elif isinstance(option.type, tuple):
                values |= dict.fromkeys(option.type)
            default = str(option.default).lower() if isinstance(option.default, bool) else str(option.default)
            yield from ((option.name, value) for value in values if value != default)

    def test_what_an_option_changes_is_as_declared(
        self, registry: Registry, entry: Registered[Any], tmp_path: Path
    ) -> None:
        """With each value of a writer's option, the reported losses are those found after reading back.

        On failure: declare in the option's ``carries`` what a dataset gains or loses with that value:
        ``Option("scores", bool, False, "...", carries={"true": "+box.score"})``.
        """
        plain: FormatSpec = entry.spec
        self.need(plain, "load")
        wrong = []
        values = list(self.option_values(plain))
        if not values:
            pytest.skip(f"the writer of {self.format} has no option that takes one of a few values")
        for name, value in values:
            folder = tmp_path / f"{name}-{value}"
            always = self.write_options(folder / "pictures")
            if name in always:
                continue
            self._tried = MappingProxyType({name: value})
            spec = self.written_with(plain, {**always, name: value})
            wrong += [f"with {name}={value}, {what}" for what in self._wrong(registry, spec, folder)]
        assert not wrong, "\n".join(wrong)

    def _wrong(self, registry: Registry, spec: FormatSpec, folder: Path) -> Iterator[str]:
        """What is declared otherwise than it is found."""
        images, location = folder / "pictures", self.location(spec, folder / "out")
        samples = self._samples(spec, images)
        losses = self.write(registry, samples, location, images).losses
        tolerance = max(self.tolerance, _SHIFTED)
        found = self.losses(samples, self.open(registry, location, images), tolerance)
        said = losses.dropped + losses.changed
        if found != dict(said):
            yield f"said to be lost: {dict(said)}, found missing: {found}"
        bytes_of_one = samples[0].image.read()
        held = any(bytes_of_one in _unpacked(path) for path in (folder / "out").rglob("*") if path.is_file())
        if held != ("images" in spec.carries):
            yield f"the images are {'' if held else 'not '}in the files that were written"

    def _samples(self, spec: FormatSpec, images: Path) -> list[Sample]:
        """With every attribute that the schemas name. Splits only where they are kept: some writers refuse them."""
        samples = self.standard(
            images,
            frozenset({"empty", "subpixel"}) | (spec.carries & {"split"}),
            box_attributes={**BOX_EXAMPLES, **self.attributes(spec, "box."), "boxwright_test": "x"},
            image_attributes={**self.attributes(spec, "image."), "boxwright_test": "x"},
        )
        return [sample if sample.boxes or "empty" in spec.carries else sample.replace(split=None) for sample in samples]


def _unpacked(path: Path) -> bytes:
    content = path.read_bytes()
    return gzip.decompress(content) if content.startswith(b"\x1f\x8b") else content
