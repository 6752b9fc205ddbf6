"""Tests of a format's reader on damaged, hostile and missing input."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import pytest

from boxwright import BoxwrightError, DataError, DatasetURI, LabelMap, Sample
from boxwright.datasets import open_dataset
from boxwright.plugins import FormatSpec, Registered, Registry, convert_options
from boxwright.storage import IMAGE_SUFFIXES, AtomicOutput
from boxwright_testing.damages import alterations, damages
from boxwright_testing.formats import FormatTests
from boxwright_testing.samples import make_sample
from boxwright_testing.specs import check_answer


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


class BadInputTests(FormatTests):
    """What a reader does with input that is wrong: the part of :class:`ReaderTests` about errors."""

    empty_file: ClassVar[bool] = False
    """Whether an annotation file that is empty is right: an image without boxes."""

    @pytest.fixture(autouse=True)
    def _is_read(self, entry: Registered[Any]) -> None:
        self.need(entry.spec, "load")

    def bad_inputs(self, folder: Path) -> Sequence[BadInput]:
        """Datasets with faults, made in ``folder``, each with the answer that is expected."""
        return ()

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
