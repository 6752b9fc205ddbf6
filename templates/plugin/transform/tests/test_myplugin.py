from __future__ import annotations

from boxwright import Boxes, ImageRef, Sample

from boxwright_myplugin.conformance import TestConformance as TestConformance
from boxwright_myplugin.transform import MyPluginTransform


def test_a_box_must_be_wide_and_high() -> None:
    edges = [(0.0, 0.0, 8.0, 8.0), (0.0, 0.0, 7.9, 20.0), (0.0, 0.0, 20.0, 7.9)]
    boxes = Boxes(["kept", "narrow", "low"], edges, [{"difficult": 1}, {}, {}])
    sample = Sample(image=ImageRef(name="a.jpg", width=40, height=30), boxes=boxes)
    (after,) = MyPluginTransform(8)([sample])
    assert after.boxes.labels == ("kept",)
    assert dict(after.boxes.attributes[0]) == {"difficult": 1}
