"""Tests of a metric."""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest

from boxwright import Boxes, DataError, Detections, ImageRef, LabelMap, MetricResult, Sample
from boxwright.models import Metric
from boxwright.plugins import Registry, convert_options
from boxwright_testing.sandbox import Survivors, only_here
from boxwright_testing.specs import SpecTests, check_answer

_LABELS = ("apple", "red, ripe", "вишня")

Pair = tuple[Sample, Detections]


class MetricTests(SpecTests):
    """The rules for every metric.

    Set in the subclass:

    - ``metric``: the metric's name.
    - ``options``: options to make it with, as strings.
    - ``best`` and ``worst``: the main number for perfect detections, and for none; 1 and 0 by default.
    """

    kind: ClassVar[str] = "metric"
    metric: ClassVar[str] = ""
    options: ClassVar[Mapping[str, str]] = {}
    best: ClassVar[float] = 1.0
    worst: ClassVar[float] = 0.0
    label_map: ClassVar[LabelMap] = LabelMap.from_names(_LABELS)

    @property
    def spec_name(self) -> str:
        """The metric's name."""
        return self.metric

    @pytest.fixture
    def measure(self, registry: Registry, entry: Any) -> Metric:
        """A new metric."""
        metric: Metric = registry.resolve("metric", self.metric)(
            **convert_options(self.options, entry.spec.options, self.metric)
        )
        return metric

    def pairs(self, count: int = 12, *, seed: int = 0, perfect: bool = False) -> list[Pair]:
        """Images with boxes of all labels, and detections that are all right, or right, wrong and shifted."""
        chance = random.Random(seed)
        pairs = []
        for number in range(count):
            edges, labels = [], []
            for _ in range(chance.randint(1, 4)):
                left, top = chance.uniform(0, 300), chance.uniform(0, 200)
                edges.append((left, top, left + chance.uniform(10, 200), top + chance.uniform(10, 200)))
                labels.append(_LABELS[chance.randrange(len(_LABELS))])
            found = list(edges)
            if not perfect:
                shifts = [chance.uniform(-15, 15) for _ in edges]
                found = [(x1 + s, y1 + s, x2 + s, y2 + s) for s, (x1, y1, x2, y2) in zip(shifts, edges, strict=True)]
                found = found[chance.randint(0, 1) :]
            image = ImageRef(name=f"{number:03d}.jpg", width=640, height=480)
            names = labels[len(labels) - len(found) :]
            scores = [chance.uniform(0.05, 1.0) for _ in found]
            pairs.append((Sample(image=image, boxes=Boxes(labels, edges)), _detections(image, names, found, scores)))
        return pairs

    def _value(self, result: Any) -> float:
        assert isinstance(result, MetricResult), f"the metric returned {type(result).__name__}; return a MetricResult"
        assert result.main in result.values, f"main is {result.main!r}; the values are {list(result.values)}"
        return result.values[result.main]

    def test_perfect_detections_give_the_best(self, measure: Metric) -> None:
        """Detections that equal the ground truth return :attr:`best`."""
        value = self._value(measure(self.pairs(perfect=True), self.label_map))
        assert value == pytest.approx(self.best, abs=1e-9), f"perfect detections gave {value}, not {self.best}"

    def test_no_detections_give_the_worst(self, measure: Metric) -> None:
        """Ground truth without detections returns :attr:`worst`."""
        pairs = [(sample, Detections(image=sample.image)) for sample, _ in self.pairs()]
        value = self._value(measure(pairs, self.label_map))
        assert value == pytest.approx(self.worst, abs=1e-9), f"no detections gave {value}, not {self.worst}"

    def test_imperfect_detections_lie_between(self, measure: Metric) -> None:
        """Shifted boxes and misses give less than the best and more than the worst."""
        low, high = sorted((self.best, self.worst))
        value = self._value(measure(self.pairs(), self.label_map))
        assert low < value < high, f"imperfect detections gave {value}, which is not between {low} and {high}"

    def test_the_order_of_images_does_not_matter(self, measure: Metric) -> None:
        """The same images backwards give the same numbers (no two scores are equal here)."""
        forward, backward = measure(self.pairs(), self.label_map), measure(self.pairs()[::-1], self.label_map)
        assert _plain(forward.values) == _plain(backward.values), "backwards, the numbers are others"
        assert _plain(forward.per_class) == _plain(backward.per_class), "backwards, the numbers of a class are others"

    def test_measuring_again_returns_the_same(self, measure: Metric) -> None:
        """A metric keeps nothing of an earlier measurement."""
        first = measure(self.pairs(), self.label_map)
        measure(self.pairs(seed=1), self.label_map)
        again = measure(self.pairs(), self.label_map)
        assert _plain(again.values) == _plain(first.values), "measured again, the numbers are others"
        assert _plain(again.per_class) == _plain(first.per_class), "measured again, the numbers of a class are others"

    def test_it_touches_nothing_else(self, measure: Metric, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """No file is made anywhere, and nothing is asked of the network."""
        with only_here(monkeypatch, tmp_path), self.offline():
            measure(self.pairs(), self.label_map)

    def test_nothing_to_measure_is_not_a_number(self, measure: Metric) -> None:
        """No images at all, and images without ground truth and detections, return ``nan`` and raise nothing."""
        image = ImageRef(name="empty.jpg", width=64, height=48)
        for pairs in ([], [(Sample(image=image), Detections(image=image))]):
            value = self._value(measure(pairs, self.label_map))
            assert math.isnan(value), f"nothing to measure gave {value}"

    def test_numbers_are_plain(self, measure: Metric) -> None:
        """Values are Python floats that JSON can hold, classes are names of the label map."""
        result = measure(self.pairs(), self.label_map)
        for values in (result.values, *result.per_class.values()):
            for name, value in values.items():
                assert type(value) in (float, int), f"{name} is {type(value).__name__}; make it a float"
        assert set(result.per_class) <= set(_LABELS), f"per_class names {set(result.per_class) - set(_LABELS)}"
        assert all(isinstance(note, str) for note in result.notes), f"notes are lines of text, not {result.notes}"

    def test_unknown_labels_are_data_errors(self, measure: Metric) -> None:
        """A truth or a detection of a class that is not in the label map is an error that names both."""
        image = ImageRef(name="one.jpg", width=64, height=48)
        edges = [(1.0, 1.0, 9.0, 9.0)]
        for label in ("truth", "found"):
            annotated = Boxes(["plum"], edges) if label == "truth" else Boxes()
            found = Boxes(["plum"], edges, [{"score": 0.5}]) if label == "found" else Boxes()
            pair = (Sample(image=image, boxes=annotated, source="one.xml"), Detections(image=image, boxes=found))
            with pytest.raises(DataError, match="plum") as caught:
                measure([pair], self.label_map)
            check_answer(caught.value)
            assert "one" in caught.value.file, f"the error does not name the image: {caught.value}"

    def test_images_are_not_kept(self, measure: Metric) -> None:
        """The pairs come once, as a stream, and the metric lets go of each."""
        survivors = Survivors()

        def stream() -> Iterator[Pair]:
            for sample in survivors.watch(_making(40)):
                yield sample, Detections(image=sample.image)

        measure(stream(), self.label_map)
        assert survivors.seen == 40, "the metric did not look at every image"
        assert survivors.most <= 8, f"{survivors.most} of 40 samples were still in memory"


def _making(count: int) -> Iterator[Sample]:
    for number in range(count):
        image = ImageRef(name=f"{number}.jpg", width=64, height=48)
        yield Sample(image=image, boxes=Boxes(["apple"], [(1.0, 1.0, 9.0, 9.0)]))


def _detections(image: ImageRef, labels: Sequence[str], edges: Sequence[Any], scores: Iterable[float]) -> Detections:
    order = sorted(zip(scores, labels, edges, strict=True), reverse=True)
    boxes = Boxes([o[1] for o in order], [o[2] for o in order], [{"score": o[0]} for o in order])
    return Detections(image=image, boxes=boxes)


def _plain(values: Any) -> Any:
    """Numbers in a form in which nan equals nan."""
    if isinstance(values, Mapping):
        return {name: _plain(value) for name, value in values.items()}
    return "nan" if math.isnan(values) else round(values, 12)
