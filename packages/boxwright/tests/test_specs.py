from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import pytest

from boxwright import FormatSpec, ImageRef, Option, Sample
from boxwright.datasets.losses import LossCounter, Losses
from boxwright.plugins.specs import carried
from boxwright.schemas import Boxes

SPEC = FormatSpec(
    name="albums",
    carries=frozenset({"images", "empty", "image.*", "box.pose"}),
    write_options=(
        Option("pictures", bool, True, "whether images are copied", carries={"false": "-images"}),
        Option("scores", bool, False, "whether scores are written", carries={"true": "+box.score"}),
        Option("kind", ("all", "boxes"), "all", "what is written", carries={"boxes": "-empty -image.* +subpixel"}),
        Option("ids", bool, True, "whether numbers are kept", carries={"false": "-image.source_id"}),
        Option("digits", int, 3, "after the point", carries={"0": "-box.pose"}),
        Option("again", bool, False, "whether numbers are kept all the same", carries={"true": "+image.source_id"}),
        Option("folder", str, None, "where the images are"),
    ),
)


@pytest.mark.parametrize(
    ("options", "carries"),
    [
        ({}, {"images", "empty", "image.*", "box.pose"}),
        ({"pictures": True, "scores": False, "kind": "all", "folder": "x"}, {"images", "empty", "image.*", "box.pose"}),
        ({"pictures": False}, {"empty", "image.*", "box.pose"}),
        ({"scores": True}, {"images", "empty", "image.*", "box.pose", "box.score"}),
        ({"kind": "boxes"}, {"images", "box.pose", "subpixel"}),
        ({"kind": "boxes", "ids": False}, {"images", "box.pose", "subpixel"}),
        ({"ids": False}, {"images", "empty", "image.*", "-image.source_id", "box.pose"}),
        ({"ids": False, "again": True}, {"images", "empty", "image.*", "image.source_id", "box.pose"}),
        ({"digits": 0}, {"images", "empty", "image.*"}),
    ],
)
def test_options_of_the_writer_change_what_is_carried(options: Mapping[str, Any], carries: set[str]) -> None:
    assert SPEC.written_with(options).carries == carries


def test_an_attribute_left_out_of_all_is_counted_as_lost() -> None:
    image = ImageRef(name="a.jpg", width=9, height=9)
    boxes = Boxes(["fig"], [(1, 1, 2, 2)], [{"pose": "Left", "score": 0.5, "id": 7}])
    sample = Sample(image=image, boxes=boxes, attributes={"source_id": "12", "camera": "left"})
    counter = LossCounter(SPEC.written_with({"ids": False, "scores": True}))
    counter.count(sample)
    assert counter.take() == Losses(bookkeeping=Counter({"image source_id": 1, "id": 1}))
    assert counter.take() == Losses(), "it counts from zero again"
    spec = FormatSpec(name="most", carries=frozenset({"box.*", "-box.pose", "dataset.*", "-dataset.info"}))
    counter = LossCounter(spec, dataset_attributes={"info": {}, "licenses": []})
    counter.count(sample)
    assert counter.take().dropped == {"pose": 1, "image camera": 1, "dataset info": 1}


def test_what_is_carried_can_be_asked_by_name() -> None:
    carries = frozenset({"box.*", "-box.pose", "image.camera"})
    assert [name in carried("box.", carries) for name in ("pose", "score")] == [False, True]
    assert [name in carried("image.", carries) for name in ("camera", "pose")] == [True, False]
    assert "info" not in carried("dataset.", carries)


def test_specs_can_be_hashed() -> None:
    assert len({SPEC, FormatSpec(name="albums"), SPEC.written_with({"pictures": True})}) == 2
