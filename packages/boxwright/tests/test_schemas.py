"""The schemas: the values they refuse, and that they are immutable."""

from __future__ import annotations

import copy
import json
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, strategies as st
from pydantic import ValidationError

from boxwright import Box, Boxes, DatasetInfo, Detections, ImageRef, JsonAttributes, LabelMap, Sample
from boxwright.label_map import LabelMapItem

INFINITY, NAN = float("inf"), float("nan")
INVALID_COORDINATES = [
    ((NAN, 0, 1, 1), "not a finite number"),
    ((0, 0, 1, NAN), "not a finite number"),
    ((0, 0, INFINITY, 1), "not a finite number"),
    ((-INFINITY, 0, INFINITY, 1), "not a finite number"),
    ((5, 0, 4, 1), "xmin 5 is greater than xmax 4"),
    ((0, 2.5, 1, 2), "ymin 2.5 is greater than ymax 2"),
]


@pytest.mark.parametrize(("coordinates", "problem"), INVALID_COORDINATES)
def test_coordinates_that_are_refused(coordinates: tuple[float, float, float, float], problem: str) -> None:
    xmin, ymin, xmax, ymax = coordinates
    with pytest.raises(ValidationError, match=problem):
        Box(label="fig", xmin=xmin, ymin=ymin, xmax=xmax, ymax=ymax)
    with pytest.raises(ValueError, match=rf"box 2 \(fig\): .*{problem}"):
        Boxes(["date", "fig"], [(0, 0, 1, 1), coordinates])


def test_coordinates_of_real_annotations() -> None:
    boxes = Boxes(["dot", "outside"], [(3, 4, 3, 4), (-10.5, -3, 9000, 7)])
    assert [box.area for box in boxes] == [0, 9010.5 * 10]
    assert (boxes[1].width, boxes[1].height) == (9010.5, 10)


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ((["a"], []), "1 labels, 0 boxes"),
        (([], [(0, 0, 1, 1)]), "0 labels, 1 boxes"),
        ((["a"], [(0, 0, 1, 1)], [{"x": 1}, {}]), "every box needs its label and attributes"),
        ((["a", ""], [(0, 0, 1, 1)] * 2), "box 2 has an empty label"),
        ((["a", 3], [(0, 0, 1, 1)] * 2), "box 2 has the label 3, which is not a name"),
        ((["a"], [(0, 0, 1)]), "unpack"),
        ((["a"], [[0, 0, 1, 1, 1]]), "unpack"),
    ],
)
def test_columns_that_are_refused(arguments: tuple[Any, ...], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        Boxes(*arguments)


def test_a_box_needs_a_label_and_no_unknown_field() -> None:
    coordinates: dict[str, Any] = {"xmin": 0, "ymin": 0, "xmax": 1, "ymax": 1}
    with pytest.raises(ValidationError, match="label"):
        Box(label="", **coordinates)
    with pytest.raises(ValidationError, match="Extra inputs"):
        Box(label="a", depth=3, **coordinates)  # type: ignore[call-arg]


def test_boxes_are_a_sequence_of_box() -> None:
    boxes = Boxes(["a", "b", "c"], [(0, 0, 1, 2), (1, 1, 4, 4), (2, 2, 3, 9)], [{}, {"difficult": 1}, {}])
    assert len(boxes) == 3
    assert boxes[1] == Box(label="b", xmin=1, ymin=1, xmax=4, ymax=4, attributes={"difficult": 1})
    assert [box.label for box in boxes] == ["a", "b", "c"]
    assert boxes[-1].label == "c"
    assert boxes[1:] == Boxes(["b", "c"], [(1, 1, 4, 4), (2, 2, 3, 9)], [{"difficult": 1}, {}])
    assert boxes[::-1].labels == ("c", "b", "a")
    assert not boxes[2:].has_attributes
    assert boxes[1] in boxes
    with pytest.raises(IndexError):
        boxes[3]
    assert not Boxes()


def test_select_keeps_order_and_attributes() -> None:
    boxes = Boxes(["a", "b", "c"], [(0, 0, 1, 2), (1, 1, 4, 4), (2, 2, 3, 9)], [{"k": 1}, {}, {"k": 3}])
    kept = boxes.select([True, False, True])
    assert kept == Boxes(["a", "c"], [(0, 0, 1, 2), (2, 2, 3, 9)], [{"k": 1}, {"k": 3}])
    assert boxes.select([False] * 3) == Boxes()


def test_equality_and_hash() -> None:
    one = Boxes(["a"], [(0, 0, 1, 2)], [{"difficult": 1}])
    assert one == Boxes(["a"], [(0.0, 0.0, 1.0, 2.0)], [{"difficult": 1}])
    assert hash(one) == hash(Boxes(["a"], [(0.0, 0.0, 1.0, 2.0)], [{"difficult": 1}]))
    assert one != Boxes(["a"], [(0, 0, 1, 2)])
    assert one != Boxes(["b"], [(0, 0, 1, 2)], [{"difficult": 1}])
    assert one != Boxes(["a"], [(0, 0, 1, 3)], [{"difficult": 1}])
    assert one != [one[0]]
    assert Boxes(["a"], [(0, 0, 1, 2)], [{}]) == Boxes(["a"], [(0, 0, 1, 2)])
    assert len({one[0], one[0], Box(label="z", xmin=0, ymin=0, xmax=1, ymax=1)}) == 2
    image = ImageRef(name="a.jpg", width=3, height=2)
    assert len({Sample(image=image, boxes=one), Sample(image=image, boxes=one), Sample(image=image)}) == 2


def test_rows_of_any_kind_become_tuples_of_floats() -> None:
    array = np.array([[0, 0, 1, 2]], np.float32)
    rows: Any
    for rows in (array, [[0, 0, 1, 2]], [np.array([0.0, 0, 1, 2])]):
        boxes = Boxes(["a"], rows)
        assert boxes.coordinates == ((0.0, 0.0, 1.0, 2.0),)
        assert type(boxes.coordinates[0]) is tuple
        assert hash(boxes) == hash(Boxes(["a"], [(0, 0, 1, 2)]))
    assert Boxes.from_array(["a"], array) == Boxes(["a"], [(0, 0, 1, 2)])


def test_arrays() -> None:
    boxes = Boxes(["a", "b"], [(0, 0, 1, 2), (1.5, 1, 4, 4)], [{"k": 1}, {}])
    assert boxes.xyxy.dtype == np.float64
    assert boxes.xyxy.tolist() == [[0, 0, 1, 2], [1.5, 1, 4, 4]]
    assert Boxes().xyxy.shape == (0, 4)
    with pytest.raises(ValueError, match="read-only"):
        boxes.xyxy[0, 0] = 9
    moved = boxes.with_xyxy(boxes.xyxy + 1)
    assert moved.coordinates == ((1, 1, 2, 3), (2.5, 2, 5, 5))
    assert moved.labels == boxes.labels
    assert moved.attributes[0] == {"k": 1}


def test_nothing_can_be_changed() -> None:
    given_attributes = {"k": 1}
    boxes = Boxes(["a"], [(0, 0, 1, 2)], [given_attributes])
    given_attributes["k"] = 2
    assert boxes.attributes[0]["k"] == 1
    with pytest.raises(TypeError):
        boxes.attributes[0]["k"] = 3  # type: ignore[index]
    with pytest.raises(TypeError):
        Boxes(["a"], [(0, 0, 1, 2)]).attributes[0]["k"] = 3  # type: ignore[index]
    with pytest.raises(TypeError):
        boxes.coordinates[0][0] = 3  # type: ignore[index]
    box = boxes[0]
    with pytest.raises(ValidationError, match="frozen"):
        box.label = "b"
    box.attributes["k"] = 9
    assert boxes[0].attributes == {"k": 1}
    sample = Sample(image=ImageRef(name="a", width=1, height=1), boxes=boxes)
    with pytest.raises(ValidationError, match="frozen"):
        sample.split = "train"
    with pytest.raises(ValidationError, match="frozen"):
        LabelMap.from_names("ab").items = ()


@pytest.mark.parametrize(
    "fields",
    [{"width": 0}, {"height": -1}, {"name": ""}, {"width": 1.5}, {"size": 4}],
    ids=lambda fields: str(fields),
)
def test_an_image_has_a_name_and_a_size(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        ImageRef(**dict[str, Any](name="a.jpg", width=4, height=3) | fields)


def _whole_sample() -> Sample:
    return Sample(
        image=ImageRef(name="d/ä.jpg", width=4, height=3, data=bytes(range(256)), format="jpeg"),
        boxes=Boxes(["x y", "z"], [(0, 0, 1, 2), (0.125, 1, 4, 4)], [{"difficult": 1, "pose": "Left"}, {}]),
        split="train",
        attributes={"database": "Unknown", "depth": 3},
        source="a.xml, object 1",
    )


@pytest.mark.parametrize(
    "thing",
    [
        _whole_sample(),
        _whole_sample().boxes,
        Detections.from_arrays(_whole_sample().image, ["a"], np.array([[0, 0, 1, 1]]), [0.5]),
        LabelMap(items=(LabelMapItem(id=7, name="a", display_name="A"), LabelMapItem(id=3, name="b"))),
        DatasetInfo(format="x", location="y", label_map=LabelMap.from_names("ab"), splits=("train",)),
    ],
    ids=lambda thing: type(thing).__name__,
)
def test_copies_are_equal(thing: Any) -> None:
    if isinstance(thing, LabelMap):
        thing.id("a")  # without derived tables
    assert pickle.loads(pickle.dumps(thing)) == thing
    assert copy.deepcopy(thing) == thing
    if not isinstance(thing, Boxes):
        text = thing.model_dump_json()
        assert type(thing).model_validate_json(text) == thing
        assert json.loads(text) is not None


@given(
    st.lists(
        st.tuples(
            st.text(min_size=1), st.tuples(*[st.floats(-1e6, 1e6)] * 4), st.dictionaries(st.text(), st.integers())
        )
    ),
    st.binary(),
)
def test_any_sample_can_be_stored_as_json(
    boxes: list[tuple[str, tuple[float, ...], dict[str, int]]], data: bytes
) -> None:
    ordered = [(min(a, c), min(b, d), max(a, c), max(b, d)) for _, (a, b, c, d), _ in boxes]
    columns = Boxes([label for label, _, _ in boxes], ordered, [attributes for _, _, attributes in boxes])
    sample = Sample(image=ImageRef(name="a", width=1, height=1, data=data), boxes=columns)
    assert Sample.model_validate_json(sample.model_dump_json()) == sample


def test_replace_validates_new_values() -> None:
    sample = _whole_sample()
    assert sample.replace(split="test") == sample.model_copy(update={"split": "test"})
    assert sample.replace(boxes=[{"label": "a", "xmin": 0, "ymin": 0, "xmax": 1, "ymax": 1}]).boxes.labels == ("a",)
    for wrong in ({"boxes": "none"}, {"boxes": [{"label": "a"}]}, {"split": 3}, {"colour": "red"}):
        with pytest.raises(ValidationError):
            sample.replace(**wrong)


def test_an_image_in_memory_is_read_from_there(tmp_path: Any) -> None:
    (tmp_path / "a.jpg").write_bytes(b"on disk")
    location = str(tmp_path / "a.jpg")
    assert ImageRef(name="a.jpg", width=1, height=1, location=location).read() == b"on disk"
    assert ImageRef(name="a.jpg", width=1, height=1, location=location, data=b"in memory").read() == b"in memory"


# Label maps


def test_classes_are_numbered_from_one_by_name() -> None:
    label_map = LabelMap.from_names(["fig", "date", "fig", "hazelnut"])
    assert label_map.names == ("date", "fig", "hazelnut")
    assert [label_map.id(name) for name in label_map.names] == [1, 2, 3]
    assert [label_map.index(name) for name in label_map.names] == [0, 1, 2]
    assert label_map.name(3) == "hazelnut"
    assert "fig" in label_map
    assert "apple" not in label_map
    assert len(label_map) == 3
    assert LabelMap.from_names(["fig", "date"], sort=False).names == ("fig", "date")
    for ask in (label_map.id, label_map.index):
        with pytest.raises(KeyError):
            ask("apple")
    with pytest.raises(KeyError):
        label_map.name(0)


def test_numbers_of_files_and_of_tensors_differ() -> None:
    label_map = LabelMap(items=(LabelMapItem(id=90, name="b"), LabelMapItem(id=5, name="a")))
    assert (label_map.id("a"), label_map.index("a")) == (5, 1)
    assert label_map.names[label_map.index("b")] == "b"
    assert label_map != LabelMap(items=label_map.items[::-1])


@pytest.mark.parametrize(
    ("items", "problem"),
    [
        ([(1, "a"), (1, "b")], "duplicate id 1"),
        ([(1, "a"), (2, "a")], "duplicate name 'a'"),
        ([(-1, "a")], "greater than or equal to 0"),
        ([(1, "")], "at least 1 character"),
    ],
)
def test_label_maps_that_are_refused(items: list[tuple[int, str]], problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        LabelMap(items=tuple({"id": number, "name": name} for number, name in items))  # type: ignore[misc]


# Detections


def test_detections_are_sorted_by_score(sample: Callable[..., Sample]) -> None:
    image = sample("a.jpg").image
    coordinates = np.array([[0, 0, 1, 1], [0, 0, 2, 2], [0, 0, 3, 3]], np.float32)
    found = Detections.from_arrays(image, ["low", "high", "middle"], coordinates, np.array([0.1, 0.9, 0.5], np.float32))
    assert found.boxes.labels == ("high", "middle", "low")
    assert found.boxes.coordinates == ((0, 0, 2, 2), (0, 0, 3, 3), (0, 0, 1, 1))
    assert found.scores == pytest.approx((0.9, 0.5, 0.1))
    assert found.above(0.5).boxes.labels == ("high", "middle")
    assert found.to_sample().boxes[0].attributes["score"] == pytest.approx(0.9)
    assert Detections.from_arrays(image, [], np.zeros((0, 4)), []).scores == ()


@pytest.mark.parametrize("score", [-0.01, 1.01, NAN, None, "high"])
def test_a_score_is_from_0_to_1(score: object, sample: Callable[..., Sample]) -> None:
    boxes = Boxes(["a", "b"], [(0, 0, 1, 1)] * 2, [{"score": 0.5}, {"score": score}])
    with pytest.raises(ValidationError, match="detection 2 has no score"):
        Detections(image=sample("a.jpg").image, boxes=boxes)


def test_json_attributes_are_parsed_when_they_are_used() -> None:
    read: list[str] = []

    def text(name: str) -> bytes:
        read.append(name)
        return b'[[1, 2.50, "\xc3\xa9"]]'

    attributes = JsonAttributes({"area": 4.5}, ("segmentation",), text)
    boxes = Boxes(["a", "b"], [(0, 0, 1, 1), (0, 0, 2, 2)], [attributes, {}])
    assert boxes.attributes[0] is attributes
    assert [*attributes] == ["area", "segmentation"]
    assert (len(attributes), "segmentation" in attributes, "other" in attributes) == (2, True, False)
    assert (attributes["area"], attributes.get("other"), attributes.text("area")) == (4.5, None, None)
    assert read == []
    assert attributes.text("segmentation") == b'[[1, 2.50, "\xc3\xa9"]]'
    parsed = {"area": 4.5, "segmentation": [[1, 2.5, "é"]]}
    assert dict(attributes) == parsed
    assert repr(attributes) == repr(parsed)
    assert boxes == Boxes(boxes.labels, boxes.coordinates, [parsed, {}])
    assert pickle.loads(pickle.dumps(boxes)).attributes[0] == parsed
