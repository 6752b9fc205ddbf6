"""The conformance tests of the metrics; imported only by ``boxwright plugins check boxwright-cocoeval``."""

from __future__ import annotations

import math
from typing import ClassVar

import pytest

from boxwright import Detections
from boxwright.models import Metric
from boxwright_testing import MetricTests


class TestCoco(MetricTests):
    """``coco``."""

    metric: ClassVar[str] = "coco"
    options: ClassVar[dict[str, str]] = {"draws": "20"}


class TestVoc(MetricTests):
    """``voc``."""

    metric: ClassVar[str] = "voc"
    options: ClassVar[dict[str, str]] = {"draws": "20"}


class TestOpenImages(MetricTests):
    """``openimages``."""

    metric: ClassVar[str] = "openimages"
    options: ClassVar[dict[str, str]] = {"draws": "20"}


class TestTide(MetricTests):
    """``tide``."""

    metric: ClassVar[str] = "tide"


class TestCalibration(MetricTests):
    """Its main value is an error, which is not 0 for correct detections with low scores."""

    metric: ClassVar[str] = "calibration"

    def test_perfect_detections_give_the_best(self, measure: Metric) -> None:
        """All are right: the error of each range is 1 minus its mean score, and so is their mean."""
        pairs = self.pairs(perfect=True)
        scores = [score for _, found in pairs for score in found.scores]
        assert self._value(measure(pairs, self.label_map)) == pytest.approx(1 - sum(scores) / len(scores))

    def test_no_detections_give_the_worst(self, measure: Metric) -> None:
        """Without detections, there is nothing to calibrate."""
        pairs = [(sample, Detections(image=sample.image)) for sample, _ in self.pairs()]
        assert math.isnan(self._value(measure(pairs, self.label_map)))
