"""Evaluation with a model whose detections are known and a metric that records its arguments."""

from __future__ import annotations

import json
import math
import re
import types
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from boxwright import (
    DataError,
    Dataset,
    Detections,
    LabelMap,
    MetricSpec,
    Option,
    PluginNotFoundError,
    RunError,
    Sample,
    UsageError,
    evaluate,
    train,
)
from boxwright.datasets.dataset import SampleReader
from boxwright.datasets.problems import Problems
from boxwright.models.inference import predicted_pairs
from boxwright.models.protocols import MetricResult
from boxwright.models.run import Run
from boxwright.plugins.registry import Registry

CLASSES = LabelMap.from_names(["date", "fig"])


class TwoInEach:
    """Finds two figs in every image; cannot read one whose name starts with ``bad``."""

    label_map = CLASSES

    def __init__(self) -> None:
        self.batches: list[list[str]] = []

    def predict(self, samples: Iterable[Sample], *, batch_size: int = 8, score: float = 0.0) -> Iterator[Detections]:
        batch = list(samples)
        self.batches.append([sample.image.name for sample in batch])
        for sample in batch:
            if sample.image.name.startswith("bad"):
                raise DataError(sample.image.name, "the image is damaged", "replace it")
            yield Detections.from_arrays(sample.image, ["fig", "fig"], np.array([[1, 2, 3, 4], [5, 6, 7, 8]]), [0.9, 0])


class Keeper:
    """A metric that records the pairs and returns fixed values."""

    def __init__(self, share: float = 0.5) -> None:
        self.pairs: list[tuple[Sample, Detections]] = []
        self.share = share
        self.label_map: LabelMap | None = None

    def __call__(self, pairs: Iterable[tuple[Sample, Detections]], label_map: LabelMap) -> MetricResult:
        self.pairs, self.label_map = list(pairs), label_map
        return MetricResult(
            {"AP": self.share, "AR": math.nan, "most": math.inf},
            {"fig": {"AP": np.float64(0.25)}, "date": {"AP": math.nan}},
            main="AP",
            notes=["two images prove little"],
        )


@pytest.fixture
def keepers(toys: types.ModuleType) -> list[Keeper]:
    made: list[Keeper] = []

    def make(**options: Any) -> Keeper:
        made.append(Keeper(**options))
        return made[-1]

    toys.make = make  # type: ignore[attr-defined]
    return made


@pytest.fixture
def measured(make_registry: Callable[..., Registry], keepers: list[Keeper]) -> Registry:
    return make_registry(MetricSpec(name="keep", load="toys:make", options=(Option("share", float, 0.5, "a number"),)))


@pytest.fixture
def three(sample: Callable[..., Sample]) -> list[Sample]:
    return [
        sample("a.jpg", ("fig", 1, 2, 3, 4), ("date", 1, 2, 3, 4)),
        sample("b.jpg"),
        sample("c.jpg", ("fig", 1, 2, 3, 4)),
    ]


def skipping(samples: list[Sample]) -> Dataset:
    return Dataset(SampleReader(samples), problems=Problems("skip"))


class TestCounts:
    @pytest.mark.parametrize("batch_size", [1, 2, 3, 8])
    def test_samples_and_detections_are_counted(
        self, batch_size: int, three: list[Sample], measured: Registry, keepers: list[Keeper]
    ) -> None:
        data = Dataset(SampleReader(three))
        found = evaluate(TwoInEach(), data, metric="keep", batch_size=batch_size, registry=measured)
        assert (found.samples, found.ground_truth, found.detections) == (3, 3, 6)
        assert found.metric == "keep"
        assert found.values["AP"] == 0.5
        assert found.seconds >= 0
        (keeper,) = keepers
        assert [truth for truth, _ in keeper.pairs] == three
        assert [detections.image.name for _, detections in keeper.pairs] == ["a.jpg", "b.jpg", "c.jpg"]
        assert keeper.label_map == CLASSES

    @pytest.mark.parametrize(("batch_size", "sizes"), [(1, [1, 1, 1]), (2, [2, 1]), (3, [3]), (8, [3])])
    def test_batches(self, batch_size: int, sizes: list[int], three: list[Sample], measured: Registry) -> None:
        model = TwoInEach()
        evaluate(model, Dataset(SampleReader(three)), metric="keep", batch_size=batch_size, registry=measured)
        assert [len(batch) for batch in model.batches] == sizes

    @pytest.mark.parametrize("batch_size", [0, -1])
    def test_a_batch_of_nothing(self, batch_size: int, three: list[Sample], measured: Registry) -> None:
        with pytest.raises(UsageError, match=f"the batch size is {batch_size}"):
            evaluate(TwoInEach(), Dataset(SampleReader(three)), metric="keep", batch_size=batch_size, registry=measured)

    def test_observe_is_called_with_each_pair_before_the_metric(
        self, three: list[Sample], measured: Registry, keepers: list[Keeper]
    ) -> None:
        seen: list[tuple[Sample, Detections]] = []

        def observe(truth: Sample, found: Detections) -> None:
            assert not keepers[0].pairs
            seen.append((truth, found))

        evaluate(
            TwoInEach(), Dataset(SampleReader(three)), metric="keep", observe=observe, batch_size=2, registry=measured
        )
        assert len(seen) == 3
        assert seen == keepers[0].pairs
        assert seen[0][1].scores == (0.9, 0.0)

    def test_no_images(self, measured: Registry) -> None:
        with pytest.raises(DataError, match="memory: it contains no images"):
            evaluate(TwoInEach(), Dataset(SampleReader([])), metric="keep", registry=measured)


class TestMetricOptions:
    def test_they_reach_the_metric_converted(self, three: list[Sample], measured: Registry) -> None:
        data = Dataset(SampleReader(three))
        found = evaluate(
            TwoInEach(), data, metric="keep", metric_options={"share": "0.75"}, registry=measured
        )  # fmt: skip
        assert found.values["AP"] == 0.75

    def test_an_unknown_one(self, three: list[Sample], measured: Registry) -> None:
        with pytest.raises(UsageError, match="the metric keep has no option 'shar'"):
            evaluate(
                TwoInEach(), Dataset(SampleReader(three)), metric="keep", metric_options={"shar": 1},
                registry=measured,
            )  # fmt: skip

    def test_an_unknown_metric(self, three: list[Sample], measured: Registry) -> None:
        with pytest.raises(PluginNotFoundError, match="no metric named 'kept'"):
            evaluate(TwoInEach(), Dataset(SampleReader(three)), metric="kept", registry=measured)


class TestPlainValues:
    def test_values_that_cannot_be_measured_are_none(self, three: list[Sample], measured: Registry) -> None:
        plain = evaluate(TwoInEach(), Dataset(SampleReader(three)), metric="keep", registry=measured).to_dict()
        del plain["seconds"]
        assert json.loads(json.dumps(plain, allow_nan=False)) == {
            "data": "",
            "metric": "keep",
            "main": "AP",
            "values": {"AP": 0.5, "AR": None, "most": None},
            "per_class": {"fig": {"AP": 0.25}, "date": {"AP": None}},
            "intervals": {},
            "samples": 3,
            "truths": 3,
            "detections": 6,
            "notes": ["two images prove little"],
            "skipped": [],
            "slice": None,
            "score": 0.3,
        }


class TestRuns:
    def test_the_result_is_in_the_run_folder(self, ground_truth: str, tmp_path: Path, plugins: Registry) -> None:
        run = train(ground_truth, out=tmp_path / "run", registry=plugins)
        for model in (run, run.path, str(run.path)):
            found = evaluate(model, ground_truth, metric="found", registry=plugins)
            assert found.values == {"found": 1.0}
            (path,) = run.file("evaluation").iterdir()
            assert re.search(r"ground_truth\.jsonl-[0-9a-f]{8}-found\.json$", path.name)
            assert json.loads(path.read_text("utf-8")) == found.to_dict()
            path.unlink()

    def test_two_datasets_have_two_files(self, ground_truth: str, tmp_path: Path, plugins: Registry) -> None:
        run = train(ground_truth, out=tmp_path / "run", registry=plugins)
        other = tmp_path / "other.jsonl"
        other.write_bytes(Path(ground_truth.removeprefix("lines:")).read_bytes())
        for data in (ground_truth, f"lines:{other}"):
            evaluate(run, data, metric="found", registry=plugins)
        assert len(list(run.file("evaluation").iterdir())) == 2

    def test_a_very_long_location_and_one_without_a_name(
        self, tmp_path: Path, plugins: Registry, ground_truth: str, sample: Callable[..., Sample]
    ) -> None:
        run = train(ground_truth, out=tmp_path / "run", registry=plugins)
        data = [sample("a.jpg", ("fig", 1, 2, 3, 4))]
        for uri in ("", "x:" + "ä/" * 300, "x:../../..", "x:a/b", "x:a-b"):
            evaluate(run, Dataset(SampleReader(data), uri=uri), metric="found", registry=plugins)
        assert len(list(run.file("evaluation").iterdir())) == 5
        assert len(list(run.file("evaluation").glob("data-*-found.json"))) == 1

    def test_a_loaded_model_leaves_no_file(self, three: list[Sample], tmp_path: Path, measured: Registry) -> None:
        evaluate(TwoInEach(), Dataset(SampleReader(three)), metric="keep", registry=measured)
        assert list(tmp_path.iterdir()) == []

    def test_no_model(self, ground_truth: str, tmp_path: Path, plugins: Registry) -> None:
        run = Run.create(tmp_path / "run", backend="average", config={}, label_map=CLASSES, inputs={})
        with pytest.raises(RunError, match="has no model: it is created"):
            evaluate(run, ground_truth, metric="found", registry=plugins)
        assert not run.file("evaluation").exists()


class TestUnknownClasses:
    @pytest.fixture
    def unknown_classes(self, sample: Callable[..., Sample]) -> list[Sample]:
        return [
            sample("a.jpg", ("fig", 1, 2, 3, 4)),
            sample("b.jpg", ("kiwi", 1, 2, 3, 4), ("apple", 1, 2, 3, 4), ("fig", 1, 2, 3, 4), source="b.xml"),
        ]

    def test_fail(self, unknown_classes: list[Sample], measured: Registry) -> None:
        with pytest.raises(DataError, match="does not know the class 'apple', 'kiwi'") as caught:
            evaluate(TwoInEach(), Dataset(SampleReader(unknown_classes)), metric="keep", registry=measured)
        assert caught.value.file == "b.xml"
        assert "date, fig" in caught.value.remedy

    def test_skip(self, unknown_classes: list[Sample], measured: Registry) -> None:
        found = evaluate(TwoInEach(), skipping(unknown_classes), metric="keep", registry=measured)
        assert (found.samples, found.ground_truth, found.detections) == (1, 1, 2)
        assert [error.file for error in found.skipped] == ["b.xml"]
        assert "'kiwi'" in found.to_dict()["skipped"][0]

    def test_only_unknown_classes(self, unknown_classes: list[Sample], measured: Registry) -> None:
        with pytest.raises(DataError, match="every one of its 1 items was skipped; the first: b.xml"):
            evaluate(TwoInEach(), skipping(unknown_classes[1:]), metric="keep", registry=measured)


class TestBadImages:
    @pytest.fixture
    def with_bad(self, sample: Callable[..., Sample]) -> list[Sample]:
        return [sample(name, ("fig", 1, 2, 3, 4)) for name in ("a.jpg", "bad1.jpg", "b.jpg", "bad2.jpg", "c.jpg")]

    @pytest.mark.parametrize("batch_size", [1, 2, 4, 8])
    def test_one_does_not_affect_its_batch(
        self, batch_size: int, with_bad: list[Sample], measured: Registry, keepers: list[Keeper]
    ) -> None:
        found = evaluate(
            TwoInEach(), skipping(with_bad), metric="keep", batch_size=batch_size, registry=measured
        )  # fmt: skip
        assert [truth.image.name for truth, _ in keepers[0].pairs] == ["a.jpg", "b.jpg", "c.jpg"]
        assert [detections.image.name for _, detections in keepers[0].pairs] == ["a.jpg", "b.jpg", "c.jpg"]
        assert [error.file for error in found.skipped] == ["bad1.jpg", "bad2.jpg"]
        assert (found.samples, found.ground_truth, found.detections) == (3, 3, 6)

    def test_fail(self, with_bad: list[Sample], measured: Registry) -> None:
        with pytest.raises(DataError, match=r"bad1\.jpg: the image is damaged"):
            evaluate(TwoInEach(), Dataset(SampleReader(with_bad)), metric="keep", registry=measured)

    def test_by_uri(self, tmp_path: Path, measured: Registry, keepers: list[Keeper]) -> None:
        path = tmp_path / "data.jsonl"
        path.write_text('{"name": "a.jpg", "size": [9, 9], "boxes": []}\n{"name": "b.jpg"}\n', "utf-8")
        with pytest.raises(DataError, match="line 2"):
            evaluate(TwoInEach(), f"lines:{path}", metric="keep", registry=measured)
        found = evaluate(TwoInEach(), f"lines:{path}", metric="keep", on_error="skip", registry=measured)
        assert found.data == f"lines:{path}"
        assert [error.place for error in found.skipped] == ["line 2"]
        assert len(keepers[-1].pairs) == 1


def test_a_model_that_returns_too_few_results_is_an_error(three: list[Sample]) -> None:
    class Short(TwoInEach):
        def predict(self, samples: Iterable[Sample], *, batch_size: int = 8, score: float = 0.0) -> Any:
            return list(super().predict(samples))[:-1]

    with pytest.raises(ValueError, match="shorter"):
        list(predicted_pairs(Short(), Dataset(SampleReader(three))))


def test_pairs_are_made_a_batch_at_a_time(three: list[Sample]) -> None:
    model = TwoInEach()
    pairs = predicted_pairs(model, Dataset(SampleReader(three)), batch_size=2)
    next(pairs)
    assert model.batches == [["a.jpg", "b.jpg"]]
