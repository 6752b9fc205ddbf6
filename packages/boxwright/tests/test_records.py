"""Records, with frozen dataclasses of the same fields as the judge."""

from __future__ import annotations

import copy
import dataclasses
import pickle
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from boxwright.plugins.options import Option
from boxwright.plugins.specs import FormatSpec
from boxwright.records import record


def point(decorate: Callable[[Any], Any]) -> Any:
    @decorate
    class Point:
        """A point."""

        x: int
        y: int = 2
        names: Mapping[str, str] = dataclasses.field(default_factory=dict)

    return Point


Judge = point(dataclasses.dataclass(frozen=True))
Point = point(record)


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ((1,), {}),
        ((1, 3), {}),
        ((1, 3, {"a": "b"}), {}),
        ((), {"x": 1}),
        ((1,), {"names": {}}),
        ((), {}),
        ((1, 2, {}, 4), {}),
        ((1,), {"x": 2}),
        ((1,), {"z": 2}),
        ((), {"z": 2}),
        ((), {"y": 2}),
    ],
)
def test_made_like_a_dataclass(values: tuple[Any, ...], named: dict[str, Any]) -> None:
    try:
        judge = Judge(*values, **named)
    except TypeError:
        with pytest.raises(TypeError, match="Point"):
            Point(*values, **named)
        return
    made = Point(*values, **named)
    assert dataclasses.asdict(made) == dataclasses.asdict(judge)
    assert repr(made) == repr(judge)
    assert made == Point(*values, **named)
    assert made != judge


def test_a_default_that_can_change_is_made_anew() -> None:
    first, second = Point(1), Point(1)
    first.names["a"] = "b"
    assert second.names == {}


def test_frozen() -> None:
    option = Option("size")
    for change in (
        lambda: setattr(option, "name", "x"),
        lambda: setattr(option, "new", 1),
        lambda: delattr(option, "name"),
    ):
        with pytest.raises(dataclasses.FrozenInstanceError):
            change()
    assert option == Option("size")


def test_replaced_copied_pickled_hashed() -> None:
    spec = FormatSpec(name="voc", options=(Option("size", int, 3),), carries=frozenset({"empty"}))
    other = dataclasses.replace(spec, load="a:b")
    assert (other.name, other.load, other.options, spec.load) == ("voc", "a:b", spec.options, "")
    assert spec != other
    assert [field.name for field in dataclasses.fields(spec)][:3] == ["name", "summary", "load"]
    for same in (copy.copy(spec), copy.deepcopy(spec), pickle.loads(pickle.dumps(spec))):
        assert same == spec
        assert hash(same) == hash(spec)
    assert {spec: 1}[dataclasses.replace(other, load="")] == 1
