"""Samples made quickly, with those that pydantic makes as the judge."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
from pydantic import ValidationError

from boxwright import Boxes, ImageRef, Sample
from boxwright.datasets.plain import plain_sample

USUAL: dict[str, Any] = {
    "name": "a/1.jpg",
    "width": 40,
    "height": 30,
    "location": "photos/a/1.jpg",
    "boxes": Boxes(["fig"], [(0, 0, 3, 4.5)], [{"difficult": 1}]),
    "split": "train",
    "attributes": {"folder": "a"},
    "source": "photos/a/1.xml",
}


def judged(name: str, width: int, height: int, location: str | None, **others: Any) -> Sample:
    return Sample(image=ImageRef(name=name, width=width, height=height, location=location), **others)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"location": None},
        {"split": None, "attributes": {}, "source": "", "boxes": Boxes()},
        {"name": "größe.jpg", "source": "größe.xml"},
        {"split": "train\u00e9"},
        {"width": True},
        {"width": "40"},
        {"boxes": list(USUAL["boxes"])},
    ],
)
def test_the_same_sample(changes: dict[str, Any]) -> None:
    made, judge = plain_sample(**USUAL | changes), judged(**USUAL | changes)
    assert made == judge
    assert repr(made) == repr(judge)
    assert made.model_dump() == judge.model_dump()
    assert made.model_dump(exclude_unset=True) == judge.model_dump(exclude_unset=True)
    assert hash(made) == hash(judge)
    for same in (copy.copy(made), copy.deepcopy(made), pickle.loads(pickle.dumps(made)), made.model_copy()):
        assert same == judge
    assert made.replace(split="val") == judge.replace(split="val")
    assert made.image.model_copy(update={"width": 50}) == judge.image.model_copy(update={"width": 50})
    with pytest.raises(ValidationError):
        made.split = "val"
    with pytest.raises(ValidationError):
        made.image.width = 3


@pytest.mark.parametrize(
    "changes",
    [
        {"name": ""},
        {"name": "\ud800.jpg"},
        {"width": 0},
        {"height": -1},
        {"height": 1.5},
        {"split": 3},
        {"attributes": None},
        {"boxes": "fig"},
    ],
)
def test_what_pydantic_refuses(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="."):
        judged(**USUAL | changes)
    with pytest.raises(ValueError, match="."):
        plain_sample(**USUAL | changes)
