"""Datasets: scans, detection of formats, skipped items, and transforms."""

from __future__ import annotations

import threading
import time
import types
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

import boxwright
from boxwright import (
    DataError,
    Dataset,
    DatasetInfo,
    DatasetURI,
    Detection,
    FormatSpec,
    LabelMap,
    MissingLibraryError,
    Option,
    PluginNotFoundError,
    Sample,
    TransformSpec,
    UsageError,
)
from boxwright.datasets.dataset import SampleReader, open_dataset
from boxwright.datasets.detect import detect_format, detection_reasons
from boxwright.datasets.problems import Problems
from boxwright.datasets.scan import Scan
from boxwright.datasets.steps import make_transform
from boxwright.plugins.registry import Registry


def names(samples: Iterable[Sample]) -> list[str]:
    return [sample.image.name for sample in samples]


class Rename:
    """A transform that counts its calls."""

    per_sample = True

    def __init__(self, suffix: str = "!", bad: str = "") -> None:
        self.suffix, self.bad, self.given = suffix, bad, 0

    def __call__(self, samples: Iterable[Sample]) -> Iterator[Sample]:
        for sample in samples:
            self.given += 1
            if sample.image.name == self.bad:
                raise DataError(sample.image.name, "cannot be renamed", "leave it")
            yield sample.replace(image=sample.image.model_copy(update={"name": sample.image.name + self.suffix}))


class LastFirst:
    """A transform that needs all samples, and reads them twice."""

    per_sample = False

    def __call__(self, samples: Iterable[Sample]) -> Iterator[Sample]:
        last = names(samples)[-1]
        yield from sorted(samples, key=lambda sample: sample.image.name != last)


@pytest.fixture
def abc(sample: Callable[..., Sample], dataset: Callable[..., Dataset]) -> Dataset:
    return dataset(*(sample(name, ("fig", 1, 2, 3, 4)) for name in "abc"))


class TestScan:
    def test_counts_by_hand(self, sample: Callable[..., Sample]) -> None:
        scan = Scan.of(
            [
                sample("a.jpg", ("fig", 0, 0, 50, 40), ("fig", 10, 10, 10, 20), ("date", -1, 0, 20, 20), split="train"),
                sample("b.jpg", size=(200, 100), split="train"),
                sample("c.jpg", ("fig", 0, 0, 200, 100), size=(200, 100), split="test"),
                sample("d.jpg", ("date", 90, 70, 101, 81)),
            ]
        )
        assert (scan.samples, scan.boxes, scan.empty, scan.most_boxes) == (4, 5, 1, 3)
        assert list(scan.classes.items()) == [("date", 2), ("fig", 3)]
        assert list(scan.pictures_with.items()) == [("date", 2), ("fig", 2)]
        assert scan.splits == {"train": 2, "test": 1}
        assert scan.sizes == {(100, 80): 2, (200, 100): 2}
        assert scan.flawed == {"without area": 1, "outside the image": 2}
        # Roots of relative areas: 50*40/8000 -> 0.5; 0; 21*20/8000 -> 0.22913; 1; 11*11/8000 -> 0.12298.
        assert scan.relative_size == pytest.approx((0.0, (0.5 + 0.2291288 + 1 + 0.1229837) / 5, 1.0))
        assert scan.label_map == LabelMap.from_names(["date", "fig"])

    @pytest.mark.parametrize(("boxes", "every"), [(4096, 1), (4097, 2), (8193, 4), (10_000, 4)])
    def test_some_thousands_of_boxes_are_kept(self, sample: Callable[..., Sample], boxes: int, every: int) -> None:
        """Every second, fourth, ... box: never more than 4096, evenly distributed."""
        samples = [sample(f"{i}.jpg", ("fig", 0, i % 80, 50, 80)) for i in range(boxes)]
        expected = [(0.0, (i % 80) / 80, 0.5, 1.0) for i in range(0, boxes, every)]
        assert Scan.of(samples).box_sample == expected

    def test_of_nothing(self) -> None:
        scan = Scan.of([])
        assert (scan.samples, scan.boxes, scan.classes, scan.relative_size) == (0, 0, {}, (0.0, 0.0, 0.0))
        assert len(scan.label_map) == 0

    def test_a_box_of_the_whole_image_is_not_a_problem(self, sample: Callable[..., Sample]) -> None:
        assert sum(Scan.of([sample("a", ("fig", 0, 0, 100, 80))]).flawed.values()) == 0

    def test_the_digest_is_that_of_any_reading(self, abc: Dataset) -> None:
        assert abc.scan().digest == abc.scan().digest == Scan.of(list(abc)).digest
        assert len(abc.scan().digest) == 64

    @pytest.mark.parametrize(
        "changed",
        [
            lambda make: [make("a.jpg", ("fig", 1, 2, 3, 4.5)), make("b.jpg")],
            lambda make: [make("a.jpg", ("date", 1, 2, 3, 4)), make("b.jpg")],
            lambda make: [make("a.jpg", ("fig", 1, 2, 3, 4), ("fig", 1, 2, 3, 4)), make("b.jpg")],
            lambda make: [make("a.jpg"), make("b.jpg", ("fig", 1, 2, 3, 4))],
            lambda make: [make("b.jpg"), make("a.jpg", ("fig", 1, 2, 3, 4))],
            lambda make: [make("A.jpg", ("fig", 1, 2, 3, 4)), make("b.jpg")],
            lambda make: [make("a.jpg", ("fig", 1, 2, 3, 4), size=(101, 80)), make("b.jpg")],
            lambda make: [make("a.jpg", ("fig", 1, 2, 3, 4))],
        ],
    )
    def test_the_digest_changes_with_the_data(
        self, changed: Callable[[Any], list[Sample]], sample: Callable[..., Sample]
    ) -> None:
        first = Scan.of([sample("a.jpg", ("fig", 1, 2, 3, 4)), sample("b.jpg")])
        assert Scan.of(changed(sample)).digest != first.digest

    def test_the_digest_does_not_depend_on_locations(self, sample: Callable[..., Sample]) -> None:
        here = sample("a.jpg", ("fig", 1, 2, 3, 4), image={"location": "/here/a.jpg"}, source="here.xml")
        there = sample("a.jpg", ("fig", 1.0, 2.0, 3.0, 4.0), image={"data": b"x"}, source="there.record")
        assert Scan.of([here]).digest == Scan.of([there]).digest


class TestOpen:
    def test_by_uri(self, ground_truth: str, plugins: Registry) -> None:
        data = open_dataset(ground_truth, registry=plugins)
        assert names(data) == names(data) == ["a.jpg", "b.jpg"]
        assert data.uri == ground_truth
        assert data.info.format == "lines"
        assert repr(data) == f"<Dataset {ground_truth}>"

    def test_by_parsed_uri(self, ground_truth: str, plugins: Registry) -> None:
        assert names(open_dataset(DatasetURI.parse(ground_truth), registry=plugins)) == ["a.jpg", "b.jpg"]

    def test_options_reach_the_reader_converted_and_stay_in_the_uri(
        self, ground_truth: str, make_registry: Callable[..., Registry], toys: types.ModuleType
    ) -> None:
        given: list[dict[str, object]] = []

        def reader(location: str, **options: object) -> SampleReader:
            given.append(options)
            return SampleReader([])

        toys.reader = reader  # type: ignore[attr-defined]
        options = (Option("depth", int, 1, "a number"), Option("deep", bool, False, "or not"))
        plugins = make_registry(FormatSpec(name="deep", load="toys:reader", options=options))
        assert open_dataset("deep:x?depth=3", registry=plugins).uri == "deep:x?depth=3"
        assert given == [{"depth": 3}]

    def test_a_dataset_is_itself(self, abc: Dataset) -> None:
        assert open_dataset(abc) is abc
        given = LabelMap.from_names(["z"])
        assert open_dataset(abc, label_map=given).label_map == given

    def test_it_is_boxwright_open(self) -> None:
        assert boxwright.open is open_dataset

    @pytest.mark.parametrize(
        ("uri", "error", "text"),
        [
            ("lines:x/{split}.jsonl", DataError, "no file or folder matches {split}"),
            ("nothing:x", PluginNotFoundError, "no format named 'nothing'"),
            ("lines:gone.jsonl", DataError, r"gone\.jsonl: file not found"),
            ("lines:gone.jsonl?depth=3", UsageError, r"lines:gone\.jsonl has no option 'depth'"),
            ("sink:x", UsageError, "can be written and not read"),
            ("heavy:x", MissingLibraryError, "no_such_library"),
        ],
    )
    def test_refused(self, uri: str, error: type[Exception], text: str, make_registry: Callable[..., Registry]) -> None:
        plugins = make_registry(
            FormatSpec(name="sink", write="toys:Sink"),
            FormatSpec(name="heavy", load="toys:Heavy", requires=("no_such_library",)),
        )
        with pytest.raises(error, match=text):
            open_dataset(uri, registry=plugins)

    def test_on_error_is_checked(self, ground_truth: str, plugins: Registry) -> None:
        with pytest.raises(UsageError, match="on_error is 'ignore'"):
            open_dataset(ground_truth, on_error="ignore", registry=plugins)


class TestDetection:
    @pytest.fixture
    def answering(
        self, make_registry: Callable[..., Registry], toys: types.ModuleType, lines: FormatSpec
    ) -> Callable[..., Registry]:
        """Formats whose detection returns these results at any location."""

        def make(**answers: object) -> Registry:
            for name, answer in answers.items():

                def detect(location: str, answer: object = answer) -> object:
                    if isinstance(answer, Exception):
                        raise answer
                    return answer

                setattr(toys, f"detect_{name}", detect)
            return make_registry(
                *(FormatSpec(name=name, load=lines.load, detect=f"toys:detect_{name}") for name in answers)
            )

        return make

    YES, NO = Detection(True, "three .x files"), Detection(False, "no .y file")

    def test_the_only_one(self, answering: Callable[..., Registry], ground_truth: str) -> None:
        plugins, location = answering(one=self.YES, two=self.NO), ground_truth.removeprefix("lines:")
        assert detect_format(location, plugins) == "one"
        data = open_dataset(location, registry=plugins)
        assert data.uri == f"one:{location}"
        assert names(data) == ["a.jpg", "b.jpg"]

    def test_none(self, answering: Callable[..., Registry], tmp_path: Path) -> None:
        (tmp_path / "a.y").touch()
        plugins = answering(one=self.NO, two=Detection(False, "a.y is damaged"))
        with pytest.raises(UsageError, match="no format was recognised at ") as caught:
            detect_format(str(tmp_path), plugins)
        assert caught.value.message.splitlines()[1:] == ["  two: a.y is damaged"]
        assert f"FORMAT:{tmp_path}" in caught.value.remedy
        with pytest.raises(DataError, match="here: file or folder not found"):
            detect_format("here", plugins)

    def test_two(self, answering: Callable[..., Registry]) -> None:
        with pytest.raises(UsageError, match="here could be one or two") as caught:
            detect_format("here", answering(one=self.YES, other=self.NO, two=self.YES))
        assert caught.value.message.splitlines()[1:] == [
            "  one: three .x files",
            "  two: three .x files",
        ]
        assert "one:here" in caught.value.remedy

    def test_a_failing_detection_does_not_stop_the_others(self, answering: Callable[..., Registry]) -> None:
        plugins = answering(one=self.YES, broken=PermissionError("keep out"), odd="yes")
        assert detect_format("here", plugins) == "one"
        reasons = detection_reasons("here", plugins)
        assert reasons["broken"] == Detection(False, "could not look: PermissionError: keep out")
        assert reasons["odd"] == Detection(False, "said 'yes'")

    def test_a_missing_library_is_reported(self, make_registry: Callable[..., Registry], tmp_path: Path) -> None:
        (tmp_path / "a.y").touch()
        spec = FormatSpec(name="heavy", load="toys:Heavy", detect="toys:detect", requires=("no_such_library",))
        with pytest.raises(UsageError, match="  heavy: no_such_library is not installed"):
            detect_format(str(tmp_path), make_registry(spec))


class TestProblems:
    BAD = '{"name": "a.jpg", "size": [9, 9], "boxes": []}\n{}\n[]\n{"name": "b.jpg", "size": [9, 9], "boxes": []}\n'

    @pytest.fixture
    def bad(self, tmp_path: Path) -> str:
        path = tmp_path / "bad.jsonl"
        path.write_text(self.BAD, "utf-8")
        return f"lines:{path}"

    def test_fail(self, bad: str, plugins: Registry) -> None:
        with pytest.raises(DataError, match="line 2"):
            list(open_dataset(bad, registry=plugins))

    def test_skipped_items_are_kept_once_over_several_readings(self, bad: str, plugins: Registry) -> None:
        data = open_dataset(bad, on_error="skip", registry=plugins)
        assert data.problems.skipped == []
        for _ in range(3):
            assert names(data) == ["a.jpg", "b.jpg"]
        assert [error.place for error in data.problems.skipped] == ["line 2", "line 3"]

    def test_they_are_shared_with_derived_datasets(self, bad: str, plugins: Registry) -> None:
        data = open_dataset(bad, on_error="skip", registry=plugins)
        list(data.through(Rename()).with_label_map(LabelMap()))
        assert len(data.problems.skipped) == 2

    @pytest.mark.parametrize("workers", [1, 3])
    def test_a_transform_that_fails_for_one_sample(self, workers: int, abc: Dataset) -> None:
        with pytest.raises(DataError, match="b: cannot be renamed"):
            list(abc.through(Rename(bad="b"), workers=workers))
        data = Dataset(abc.reader, problems=Problems("skip")).through(Rename(bad="b"), workers=workers)
        assert names(data) == names(data) == ["a!", "c!"]
        assert [error.file for error in data.problems.skipped] == ["b"]


class TestTransforms:
    def test_they_run_lazily_sample_by_sample(self, abc: Dataset) -> None:
        rename = Rename()
        data = abc.through(rename)
        assert rename.given == 0
        samples = iter(data)
        assert next(samples).image.name == "a!"
        assert rename.given == 1

    def test_each_reading_starts_from_the_beginning(self, abc: Dataset) -> None:
        data = abc.through(Rename("1"), LastFirst(), Rename("2"))
        assert names(data) == names(data) == ["c12", "a12", "b12"]

    def test_the_dataset_before_stays(self, abc: Dataset) -> None:
        more = abc.through(Rename("1")).through(Rename("2"))
        assert names(more) == ["a12", "b12", "c12"]
        assert names(abc) == ["a", "b", "c"]

    def test_threads_keep_the_order(self, sample: Callable[..., Sample], dataset: Callable[..., Dataset]) -> None:
        threads: set[int] = set()

        class Slow(Rename):
            def __call__(self, samples: Iterable[Sample]) -> Iterator[Sample]:
                for each in super().__call__(samples):
                    threads.add(threading.get_ident())
                    time.sleep(0.002 if int(each.image.name[:-1]) % 3 == 0 else 0)
                    yield each

        data = dataset(*(sample(str(i)) for i in range(50))).through(Slow(), workers=4)
        assert names(data) == names(data) == [f"{i}!" for i in range(50)]
        assert threading.get_ident() not in threads
        assert len(threads) > 1

    def test_threads_read_a_few_ahead_and_no_more(self, sample: Callable[..., Sample]) -> None:
        given: list[str] = []

        class Counting:
            info = DatasetInfo(format="counting", location="memory")

            def read(self, on_problem: Any) -> Iterator[Sample]:
                for i in range(100):
                    given.append(str(i))
                    yield sample(str(i))

        samples = iter(Dataset(Counting()).through(Rename(), workers=2))
        next(samples)
        assert len(given) <= 8  # four per worker

    @pytest.mark.parametrize("workers", [1, 3])
    def test_an_error_of_a_transform_is_raised(self, workers: int, abc: Dataset) -> None:
        class Broken(Rename):
            def __call__(self, samples: Iterable[Sample]) -> Iterator[Sample]:
                raise ZeroDivisionError("a bug")

        with pytest.raises(ZeroDivisionError, match="a bug"):
            list(abc.through(Broken(), workers=workers))

    def test_a_transform_may_return_several_or_none(self, abc: Dataset) -> None:
        class Twice:
            per_sample = True

            def __call__(self, samples: Iterable[Sample]) -> Iterator[Sample]:
                for each in samples:
                    yield from [each] * (0 if each.image.name == "b" else 2)

        for workers in (1, 2):
            assert names(abc.through(Twice(), workers=workers)) == ["a", "a", "c", "c"]


class TestLabelMap:
    FILES = LabelMap.from_names(["fig", "date", "spare"], sort=False)
    GIVEN = LabelMap.from_names(["given", "fig"], sort=False)

    @pytest.fixture
    def reader(self, sample: Callable[..., Sample]) -> SampleReader:
        return SampleReader([sample("a", ("fig", 1, 2, 3, 4), ("date", 1, 2, 3, 4))])

    def of_a_file(self, reader: SampleReader) -> SampleReader:
        reader.info = reader.info.model_copy(update={"label_map": self.FILES})
        return reader

    def test_first_the_given_one(self, reader: SampleReader) -> None:
        data = Dataset(self.of_a_file(reader), label_map=self.GIVEN)
        assert data.label_map == data.known_label_map == data.scan().label_map == self.GIVEN
        assert data.through(Rename()).label_map == self.GIVEN

    def test_then_that_of_the_file(self, reader: SampleReader) -> None:
        data = Dataset(self.of_a_file(reader))
        assert data.label_map == data.known_label_map == data.scan().label_map == self.FILES
        assert data.with_label_map(self.GIVEN).label_map == self.GIVEN

    def test_then_the_sorted_names(self, reader: SampleReader) -> None:
        data = Dataset(reader)
        assert data.known_label_map is None
        assert data.label_map == data.scan().label_map == LabelMap.from_names(["date", "fig"])

    def test_after_a_transform_that_of_the_file_is_not_used(self, reader: SampleReader) -> None:
        data = Dataset(self.of_a_file(reader)).through(Rename())
        assert data.known_label_map is None
        assert data.label_map.names == ("date", "fig")

    def test_an_empty_one_that_is_given_is_used(self, reader: SampleReader) -> None:
        assert Dataset(self.of_a_file(reader), label_map=LabelMap()).label_map == LabelMap()


class TestLoaders:
    def test_to_name(self, ground_truth: str, plugins: Registry) -> None:
        data = open_dataset(ground_truth, registry=plugins)
        expected = [("a.jpg", ["fig", "date"]), ("b.jpg", ["fig"])]
        assert data.to_lists() == data.to_lists(bounding_box_format="xywh") == expected
        assert data.through(Rename()).to_lists()[0] == ("a.jpg!", ["fig", "date"])

    def test_an_unknown_one(self, ground_truth: str, plugins: Registry) -> None:
        data = open_dataset(ground_truth, registry=plugins)
        with pytest.raises(PluginNotFoundError, match="no loader named 'list'") as caught:
            data.to_list()
        assert "did you mean 'lists'" in caught.value.remedy

    def test_other_attributes_are_not_loaders(self, abc: Dataset) -> None:
        with pytest.raises(AttributeError, match="'Dataset' object has no attribute 'tensors'"):
            _ = abc.tensors

    def test_an_error_in_a_property_is_not_hidden(self, abc: Dataset) -> None:
        del abc.reader.info  # type: ignore[attr-defined]
        with pytest.raises(AttributeError, match="'SampleReader' object has no attribute 'info'"):
            _ = abc.label_map


class TestSteps:
    def test_by_name(self, sample: Callable[..., Sample], plugins: Registry) -> None:
        data = Dataset(SampleReader([sample("a"), sample("b", ("fig", 1, 2, 3, 4))]))
        assert names(data.through(make_transform("only-annotated", plugins))) == ["b"]

    def test_a_dataset_is_opened_with_steps(self, ground_truth: str, abc: Dataset, plugins: Registry) -> None:
        assert names(open_dataset(ground_truth, steps=[Rename("1"), Rename("2")], registry=plugins)) == [
            "a.jpg12",
            "b.jpg12",
        ]
        assert names(open_dataset(abc, steps=[Rename("1")])) == ["a1", "b1", "c1"]

    def test_a_transform_is_itself(self, plugins: Registry) -> None:
        rename = Rename()
        assert make_transform(rename, plugins) is rename

    @pytest.fixture
    def stepping(self, make_registry: Callable[..., Registry], toys: types.ModuleType) -> Registry:
        toys.made = lambda **options: options  # type: ignore[attr-defined]
        size, seed = Option("size", str, None, "WxH"), Option("seed", int, 0, "a number")
        return make_registry(
            TransformSpec(name="grow", load="toys:made", options=(size, seed), positional="size"),
            TransformSpec(name="deal", load="toys:made", options=(seed,), positional="parts", keyed=True),
        )

    @pytest.mark.parametrize(
        ("step", "options"),
        [
            ("grow", {}),
            ("grow:800x600", {"size": "800x600"}),
            ("grow:seed=3, size=8x6", {"size": "8x6", "seed": 3}),
            ("deal:train=0.8,test=0.2,seed=3", {"parts": {"train": "0.8", "test": "0.2"}, "seed": 3}),
        ],
    )
    def test_options(self, step: str, options: dict[str, object], stepping: Registry) -> None:
        assert make_transform(step, stepping) == options

    @pytest.mark.parametrize(
        ("step", "text"),
        [
            ("grow:8x6,9x9", "'9x9' has no name"),
            ("grow:seed=1,seed=2", "duplicate option 'seed'"),
            ("grow:sede=1", "did you mean 'seed'"),
            ("grow:seed=x", "is not a whole number"),
            ("deal:train=1,train=2", "duplicate option 'train'"),
            ("only-annotated:5", "'5' has no name"),
        ],
    )
    def test_wrong_options(self, step: str, text: str, stepping: Registry) -> None:
        with pytest.raises(UsageError, match=text):
            make_transform(step, stepping)

    def test_an_unknown_step(self, stepping: Registry) -> None:
        with pytest.raises(PluginNotFoundError, match="no transform named 'shrink'"):
            make_transform("shrink:2", stepping)


def test_items_are_counted_once_if_their_labels_must_be_read_again(sample: Callable[..., Sample]) -> None:
    class Labels(SampleReader):
        def labels(self) -> Iterator[list[str]]:
            yield ["fig"]
            raise DataError("b", "damaged")

    samples = [sample(name, ("fig", 1, 2, 9, 9)) for name in "abc"]
    counts: list[int] = []
    assert Dataset(Labels(samples), problems=Problems("2")).labels(counts.append) == ["fig"]
    assert sum(counts) == 3
