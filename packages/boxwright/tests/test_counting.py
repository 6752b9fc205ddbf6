"""The metrics ``f1`` and ``count`` with counts worked by hand, and the comparison of two models."""

from __future__ import annotations

import math

import numpy as np
import pytest

from boxwright import Boxes, Detections, ImageRef, LabelMap, MetricResult, Sample, UsageError
from boxwright.models import Difference, draw_images, interval_of
from boxwright.models.counting import CountMetric, F1Metric
from boxwright_testing import MetricTests

CLASSES = LabelMap.from_names(["cat", "dog"])
Pair = tuple[Sample, Detections]


class TestF1(MetricTests):
    metric = "f1"
    options = {"score": "0", "draws": "20"}


class TestCount(MetricTests):
    metric = "count"
    options = {"score": "0", "draws": "20"}


def scene(truth: str, found: dict[str, float], region: bool = False) -> Pair:
    """Objects in a row: "c.d" is a cat, nothing and a dog; "c 0" is a detection of a cat at the first place."""
    image = ImageRef(name="row.jpg", width=900, height=100)
    names = {"c": "cat", "d": "dog"}
    places = [place for place, letter in enumerate(truth) if letter != "."]
    boxes = [(place * 100.0, 0.0, place * 100.0 + 80, 80.0) for place in range(9)]
    flags = [{"iscrowd": 1} if region and place == places[-1] else {} for place in places]
    objects = Boxes([names[truth[place]] for place in places], [boxes[place] for place in places], flags)
    labels = [names[each[0]] for each in found]
    xyxy = np.array([boxes[int(each[2])] for each in found]).reshape(-1, 4)
    return Sample(image=image, boxes=objects), Detections.from_arrays(image, labels, xyxy, found.values())


def test_f1_calculated_manually() -> None:
    """Of two cats and two dogs, one cat and both dogs are found; one dog is wrong, and a cat in a region is ignored."""
    pairs = [
        scene("c.d.c", {"c 0": 0.9, "c 2": 0.2, "d 2": 0.6, "c 4": 0.9}, region=True),
        scene("cd", {"d 0": 0.5, "d 1": 0.4, "c 0": 0.1}),
    ]
    result = F1Metric(score=0.3)(pairs, CLASSES)
    assert result.values == {
        "F1": pytest.approx(6 / 8),
        "precision": pytest.approx(3 / 4),
        "recall": pytest.approx(3 / 4),
        "objects": 4.0,
        "found": 3.0,
        "false alarms": 1.0,
    }
    assert result.per_class["cat"] == {"F1": pytest.approx(2 / 3), "precision": 1.0, "recall": 0.5, "truths": 2.0}
    assert F1Metric(score=(0.05, 0.45), draws=0)(pairs, CLASSES).values["found"] == 3.0, "both cats and one dog"
    low, high = result.intervals["F1"]
    assert 0 <= low <= 6 / 8 <= high <= 1


def test_counts_calculated_manually() -> None:
    """Right in the first image; in the second a dog too many and a cat too few; in the third nothing at all."""
    pairs = [
        scene("cd", {"c 5": 0.9, "d 1": 0.6}),
        scene("cd", {"d 0": 0.5, "d 1": 0.4, "c 0": 0.1}),
        scene("cc", {}),
    ]
    result = CountMetric(score=0.3)(pairs, CLASSES)
    assert result.values == {
        "exact": pytest.approx(1 / 3),
        "error": pytest.approx(4 / 3),
        "bias": pytest.approx(-2 / 3),
        "objects": 6.0,
        "detected": 4.0,
    }
    dogs = {"detected": 3, "truths": 2}
    assert result.per_class["dog"] == {
        "error": pytest.approx(1 / 3),
        "bias": pytest.approx(1 / 3),
        **dogs,
    }
    assert set(result.intervals) == {"exact", "error", "bias"}


def test_draws_are_the_same_in_every_call_and_have_the_variance_of_the_bootstrap() -> None:
    """The mean of resampled numbers has the standard error of a mean: their deviation over the root of their count."""
    weights = draw_images(50, 4000)
    assert (weights == draw_images(50, 4000)).all()
    assert (weights.sum(axis=1) == 50).all()
    numbers = np.random.default_rng(0).normal(7, 3, 50)
    means = weights @ numbers / 50
    assert means.std() == pytest.approx(numbers.std() / math.sqrt(50), rel=0.04)
    low, high = interval_of(means, float(numbers.mean()))
    assert (high - low) / 2 == pytest.approx(1.96 * numbers.std() / math.sqrt(50), rel=0.04)
    assert all(map(math.isnan, interval_of(np.full(9, math.nan), 1.0)))
    assert interval_of(np.array([0.9, 1.0, 1.0]), 1.0)[1] == 1.0, "a share is at most 1"


def test_the_difference_of_two_models_in_a_sentence() -> None:
    spread = np.linspace(-0.1, 0.1, 101)

    def result(value: float, draws: np.ndarray) -> MetricResult:
        return MetricResult({"AP": value}, main="AP", drawn={"AP": value + draws})

    both = np.random.default_rng(0).normal(0, 0.2, 101)
    paired = Difference.between(result(0.5, both), result(0.7, both + spread), 100)
    assert paired.is_clear
    assert paired.sentence.startswith("the second model is better: AP +0.200 (95 % interval +0.0")
    close = Difference.between(result(0.5, both), result(0.48, both + spread), 100)
    assert not close.is_clear
    # The standard error is 0.0583; 2.8 of them must be 0.02: (2.8 * 0.0583 / 0.02)^2 = 66.6 times as many images.
    assert close.enough == pytest.approx(6664, abs=5)
    assert "100 images are too few to tell the models apart: AP -0.020" in close.sentence
    assert f"about {close.enough:,} images would show it" in close.sentence
    assert close.to_dict()["clear"] is False
    same = Difference.between(result(0.5, both), result(0.5, both), 100)
    assert (same.enough, same.is_clear) == (None, False)
    assert same.sentence.startswith("the models are equal on these 100 images")
    # By chance, one model is better on all of 5 images in 6.3 % of all cases, and on all of 6 in 3.1 %.
    five, six = (Difference.of("AP", 0.05, (0.04, 0.06), 0.005, images) for images in (5, 6))
    assert (five.is_clear, six.is_clear) == (False, True)
    assert five.sentence.startswith("5 images are too few to tell the models apart: AP +0.050")
    with pytest.raises(UsageError, match="no intervals of 'AR'"):
        Difference.between(result(0.5, both), result(0.5, both), 100, "AR")
