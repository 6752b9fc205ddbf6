from __future__ import annotations

import pytest
from boxwright import Boxes, Detections, ImageRef, LabelMap, Sample

from boxwright_myplugin.conformance import TestConformance as TestConformance
from boxwright_myplugin.metric import MyPluginMetric


def test_a_value_calculated_manually() -> None:
    image = ImageRef(name="a.jpg", width=100, height=100)
    ground_truth = Sample(image=image, boxes=Boxes(["fig", "date"], [(0, 0, 10, 10), (50, 50, 60, 60)]))
    # Half of the fig is covered and nothing else: 50 of 100 square pixels. The date is detected as a fig.
    found = Boxes(["fig", "fig"], [(0, 0, 10, 5), (50, 50, 60, 60)], [{"score": 0.9}, {"score": 0.8}])
    pairs = [(ground_truth, Detections(image=image, boxes=found))]
    result = MyPluginMetric()(pairs, LabelMap.from_names(["fig", "date"]))
    assert result.values == {"overlap": pytest.approx(0.25)}
    assert result.per_class == {"fig": {"overlap": pytest.approx(0.5)}, "date": {"overlap": 0.0}}
