"""What differs between two datasets."""

from __future__ import annotations

import math
import random
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, strategies as st

import boxwright
from boxwright import Boxes, DataError, Dataset, FormatSpec, ImageRef, LabelMap, Option, Sample, UsageError
from boxwright.analysis.comparison import Comparison, Kind, compare
from boxwright.analysis.comparison.pairing import paired
from boxwright.datasets.dataset import SampleReader
from boxwright.plugins.registry import Registry

FIG = ("fig", 10, 10, 50, 50)
DATE = ("date", 60, 10, 90, 40)

MakeSample = Callable[..., Sample]


def data(*samples: Sample, **options: object) -> Dataset:
    return Dataset(SampleReader(samples), **options)  # type: ignore[arg-type]


def differences(first: Sample, second: Sample, **options: object) -> list[dict[str, object]]:
    found = compare(data(first), data(second), **options)  # type: ignore[arg-type]
    assert found.same == (not found.differences)
    assert found.alike == (not found.differences)
    return [{k: v for k, v in d.to_dict().items() if k != "picture"} for d in found.differences]


def test_the_same(sample: MakeSample) -> None:
    one = sample("a.jpg", FIG, DATE, split="train")
    found = compare(data(one, sample("b.jpg")), data(one, sample("b.jpg")))
    assert found.same
    assert (found.both, found.alike, found.boxes, found.differences) == (2, 2, 2, [])
    assert found.offset is None


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ([FIG, DATE], [DATE, FIG], []),
        ([FIG, DATE], [FIG], [{"kind": "removed", "label": "date", "edges": (60, 10, 90, 40)}]),
        ([FIG], [FIG, DATE], [{"kind": "added", "label": "date", "edges": (60, 10, 90, 40)}]),
        (
            [FIG],
            [("fig", 10, 10, 53.5, 50)],
            [
                {
                    "kind": "moved",
                    "label": "fig",
                    "edges": (10, 10, 50, 50),
                    "first": (10, 10, 50, 50),
                    "second": (10, 10, 53.5, 50),
                }
            ],
        ),
        (
            [FIG],
            [("date", *FIG[1:])],
            [{"kind": "relabelled", "label": "fig", "edges": (10, 10, 50, 50), "first": "fig", "second": "date"}],
        ),
        (
            [(*FIG, {"pose": "Left", "difficult": 1})],
            [(*FIG, {"pose": "Right", "occluded": 1})],
            [
                {"kind": "box_attribute", "name": "pose", "first": "Left", "second": "Right"},
                {"kind": "box_attribute", "name": "difficult", "first": 1, "second": None},
                {"kind": "box_attribute", "name": "occluded", "first": None, "second": 1},
            ],
        ),
        ([(*FIG, {"id": 3})], [(*FIG, {"id": 4})], []),  # a file's own number means nothing elsewhere
        ([(*FIG, {"score": math.nan})], [(*FIG, {"score": math.nan})], []),
        ([(*FIG, {"truncated": 1})], [(*FIG, {"truncated": True})], []),
    ],
)
def test_boxes(first: list, second: list, expected: list, sample: MakeSample) -> None:  # type: ignore[type-arg]
    found = differences(sample("a.jpg", *first), sample("a.jpg", *second))
    for each in expected:
        if each["kind"] == "box_attribute":
            each |= {"label": "fig", "edges": (10, 10, 50, 50)}
    assert found == expected


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"split": "test"}, {"kind": "split", "first": "train", "second": "test"}),
        ({"split": None}, {"kind": "split", "first": "train", "second": None}),
        ({"size": (200, 160)}, None),
        ({"attributes": {"depth": 1}}, {"kind": "image_attribute", "name": "depth", "first": 3, "second": 1}),
        ({"attributes": {}}, {"kind": "image_attribute", "name": "depth", "first": 3, "second": None}),
    ],
)
def test_images(changes: dict[str, object], expected: dict[str, object] | None, sample: MakeSample) -> None:
    base: dict[str, object] = {"split": "train", "attributes": {"depth": 3}}
    found = differences(sample("a.jpg", FIG, **base), sample("a.jpg", FIG, **(base | changes)))
    if expected is None:
        expected = {"kind": "size", "first": (100, 80), "second": (200, 160)}
    assert found == [expected]


def test_boxes_of_a_resized_image_are_compared_relative_to_its_size(sample: MakeSample) -> None:
    half = [("fig", 5, 5, 25, 25), ("date", 30, 5, 45, 20)]
    found = differences(sample("a.jpg", FIG, DATE), sample("a.jpg", *half, size=(50, 40)))
    assert [d["kind"] for d in found] == ["size"]
    assert differences(sample("a", FIG), sample("a", half[0], size=(50, 40)), ignore=["sizes"]) == []
    # Twice the distance in the first's frame; the edges are given in each one's own.
    (_, moved) = differences(sample("a.jpg", FIG), sample("a.jpg", ("fig", 5, 5, 27, 25), size=(50, 40)))
    assert (moved["first"], moved["second"]) == ((10, 10, 50, 50), (5, 5, 27, 25))


def test_images_in_only_one(sample: MakeSample) -> None:
    found = compare(data(sample("a"), sample("b", FIG)), data(sample("c", FIG), sample("a")))
    assert [(d.kind, d.image) for d in found.differences] == [(Kind.ONLY_FIRST, "b"), (Kind.ONLY_SECOND, "c")]
    assert (found.both, found.alike, found.boxes) == (1, 1, 0)


def test_the_farthest_move_and_the_tolerance(sample: MakeSample) -> None:
    one = sample("a", FIG, DATE)
    two = sample("a", ("fig", 10, 10.4, 50, 50), ("date", 60, 10, 93, 40))
    found = compare(data(one), data(two))
    assert (found.counts, found.farthest, found.unlisted) == ({Kind.MOVED: 2}, 3.0, 0)
    found = compare(data(one), data(two), tolerance=0.5)
    assert (found.counts, found.farthest, found.unlisted) == ({Kind.MOVED: 1}, 3.0, 1)
    assert compare(data(one), data(two), tolerance=3).same
    rounded = sample("a", ("fig", 10.004, 10, 49.996, 50), DATE)
    assert compare(data(one), data(rounded)).same
    assert compare(data(one), data(rounded), tolerance=0).counts == {Kind.MOVED: 1}


@pytest.mark.parametrize(
    ("ignore", "left"),
    [
        ((), {"split", "size", "box_attribute", "image_attribute"}),
        (("splits",), {"size", "box_attribute", "image_attribute"}),
        (("sizes",), {"split", "box_attribute", "image_attribute"}),
        (("attributes",), {"split", "size"}),
        (("box.pose",), {"split", "size", "image_attribute"}),
        (("image.depth", "splits", "sizes"), {"box_attribute"}),
    ],
)
def test_what_is_ignored(ignore: tuple[str, ...], left: set[str], sample: MakeSample) -> None:
    one = sample("a", (*FIG, {"pose": "Left"}), split="train", attributes={"depth": 3})
    two = sample("a", FIG, split="val", size=(101, 80))
    found = compare(data(one), data(two), ignore=ignore, tolerance=1)
    assert {kind.value for kind in found.counts} == left
    assert found.attributes == {
        name: 1 for name in ("box.pose", "image.depth") if name not in ignore and "attributes" not in ignore
    }


def test_bookkeeping_is_compared_on_request(sample: MakeSample) -> None:
    one = sample("a", (*FIG, {"id": 3}), attributes={"folder": "x", "path": "y"})
    two = sample("a", (*FIG, {"id": 4}), attributes={"folder": "z", "path": "y"})
    assert compare(data(one), data(two)).same
    assert compare(data(one), data(two), bookkeeping=True).attributes == {"box.id": 1, "image.folder": 1}


def test_the_datasets_as_a_whole(sample: MakeSample) -> None:
    one, two = (
        data(sample("a", FIG), label_map=classes)
        for classes in (LabelMap.from_names(["fig", "date"], sort=False), LabelMap.from_names(["date", "fig", "nut"]))
    )
    found = compare(one, two)
    assert [(d.kind.value, d.label, d.first, d.second) for d in found.differences] == [
        ("class_number", "fig", 1, 2),
        ("class_number", "date", 2, 1),
        ("class_number", "nut", None, 3),
    ]
    assert compare(one, two, ignore=["class-numbers"]).same
    assert compare(one, data(sample("a", FIG))).same  # a dataset without a label map has no numbers to compare
    described = data(sample("a", FIG))
    described.reader.info = described.info.model_copy(update={"attributes": {"info": {"year": 2007}}})
    (difference,) = compare(described, data(sample("a", FIG))).differences
    assert (difference.kind, difference.attribute) == (Kind.DATASET_ATTRIBUTE, "dataset.info")


# Order -------------------------------------------------------------------------------------------------------------


@given(st.permutations(range(7)), st.permutations(range(7)), st.sets(st.integers(0, 6)), st.sets(st.integers(0, 6)))
def test_images_are_paired_in_any_order(
    first: list[int], second: list[int], not_first: set[int], not_second: set[int]
) -> None:
    sides = [
        [Sample(image=ImageRef(name=f"{i}", width=9, height=9)) for i in order if i not in left_out]
        for order, left_out in ((first, not_first), (second, not_second))
    ]
    pairs = [(a and a.name, b and b.name) for a, b in paired(sides[0], sides[1])]
    names = [{s.image.name for s in side} for side in sides]
    expected = {(n if n in names[0] else None, n if n in names[1] else None) for n in names[0] | names[1]}
    assert set(pairs) == expected
    assert len(pairs) == len(expected)


def test_duplicate_names_are_paired_by_position(sample: MakeSample) -> None:
    first = data(sample("a", FIG), sample("b"), sample("a", DATE))
    assert compare(first, data(sample("a", FIG), sample("a", DATE), sample("b"))).same
    found = compare(first, data(sample("b"), sample("a", FIG)))
    assert [(d.kind, d.image) for d in found.differences] == [(Kind.ONLY_FIRST, "a")]


def test_waiting_samples_do_not_keep_image_bytes(sample: MakeSample) -> None:
    big = {"data": b"x" * 1000}
    (pair,) = paired([sample("a", image=big)], [sample("a", image=big)])
    assert not any(value == big["data"] for side in pair if side for value in side)


def test_by_stem(sample: MakeSample) -> None:
    one, two = data(sample("train/a.jpg", FIG)), data(sample("a.png", FIG))
    assert compare(one, two).both == 0
    found = compare(one, two, by="stem")
    assert (found.same, found.both) == (True, 1)
    repeated = data(sample("train/a.jpg"), sample("test/a.jpg"))
    with pytest.raises(DataError, match=r"train/a.jpg and test/a.jpg have the same stem .a."):
        compare(repeated, two, by="stem")


# Offsets -----------------------------------------------------------------------------------------------------------


def boxes(shift: tuple[float, ...], number: int = 20, seed: int = 1) -> list[Sample]:
    chance = random.Random(seed)
    made = []
    for i in range(number):
        x, y = chance.randint(2, 50), chance.randint(2, 40)
        box = (x, y, x + chance.randint(3, 40), y + chance.randint(3, 30))
        edges = tuple(float(a + b) for a, b in zip(box, shift, strict=True))
        image = ImageRef(name=f"{i}.jpg", width=100, height=80)
        made.append(Sample(image=image, boxes=Boxes(["fig"], [edges])))  # type: ignore[list-item]
    return made


NOTHING = (0.0, 0.0, 0.0, 0.0)


@pytest.mark.parametrize(
    ("shift", "said"),
    [
        ((1, 1, 0, 0), "the second counts from 1 with the last pixel included"),
        ((-1, -1, 0, 0), "the first counts from 1 with the last pixel included"),
        ((1, 1, 1, 1), "the second counts from 1"),
        ((-1, -1, -1, -1), "the first counts from 1"),
        ((0, 0, -1, -1), "the second includes the last pixel"),
        ((0, 0, 1, 1), "the first includes the last pixel"),
        ((0.5, 0.5, 0.5, 0.5), ""),
    ],
)
def test_one_offset_in_all_boxes(shift: tuple[float, ...], said: str) -> None:
    found = compare(data(*boxes(NOTHING)), data(*boxes(shift)))
    assert found.counts == {Kind.MOVED: 20}  # not even the 3x3 ones are taken for others
    offset = found.offset
    assert offset is not None
    assert offset.coordinates == shift
    assert (offset.boxes, offset.of) == (20, 20)
    assert offset.meaning.startswith(said)
    assert bool(offset.meaning) == bool(said)


def test_offsets_in_nearly_all_boxes() -> None:
    shifted = boxes((1, 1, 0, 0))
    mixed = [*shifted[:18], *boxes(NOTHING)[18:]]
    offset = compare(data(*boxes(NOTHING)), data(*mixed)).offset
    assert offset is not None
    assert str(offset) == "the second looks shifted by (+1, +1, 0, 0) in 18 of 20 boxes: another pixel convention"
    assert offset.explains((5, 5, 9, 9), (6, 6, 9, 9))
    assert not offset.explains((5, 5, 9, 9), (6, 6, 9, 10))
    mixed = [*shifted[:17], *boxes(NOTHING)[17:]]
    assert compare(data(*boxes(NOTHING)), data(*mixed)).offset is None
    assert compare(data(*boxes(NOTHING)[:2]), data(*shifted[:2])).offset is None  # two boxes are chance
    assert compare(data(*boxes(NOTHING)), data(*boxes(NOTHING))).offset is None


def test_boxes_moved_at_random_have_no_offset() -> None:
    chance = random.Random(2)
    plain = boxes(NOTHING, 400)
    jitter = [np.array([[0, 0, chance.uniform(0, 2), chance.uniform(0, 2)]]) for _ in plain]
    moved = [
        each.replace(boxes=each.boxes.with_xyxy(each.boxes.xyxy + by)) for each, by in zip(plain, jitter, strict=True)
    ]
    assert compare(data(*plain), data(*moved)).offset is None


def test_the_remedy_names_the_option_of_the_odd_one(
    make_registry: Callable[..., Registry], monkeypatch: pytest.MonkeyPatch
) -> None:
    shifting = FormatSpec(name="shifting", load="x:y", options=(Option("one_based", bool, False),))
    monkeypatch.setattr("boxwright.analysis.conventions.default_registry", lambda: make_registry(shifting))
    plain, shifted = data(*boxes(NOTHING), uri="lines:a"), data(*boxes((1, 1, 0, 0)), uri="shifting:b")
    second, first = compare(plain, shifted).offset, compare(shifted, plain).offset
    assert second is not None
    assert first is not None
    assert second.remedy == "read the second with ?one_based=true"
    assert first.remedy == "read the first with ?one_based=true"
    unable = compare(plain, data(*boxes((1, 1, 0, 0)), uri="lines:b")).offset
    assert unable is not None
    assert (unable.remedy, unable.to_dict()["remedy"]) == ("", None)


# The whole -----------------------------------------------------------------------------------------------------------


def test_details_of_some_images_and_counts_of_all(sample: MakeSample) -> None:
    first = data(*[sample(f"{i}", FIG, DATE) for i in range(5)])
    second = data(*[sample(f"{i}") for i in range(5)])
    found = compare(first, second, keep=2)
    assert [d.image for d in found.differences] == ["0", "0", "1", "1"]
    assert found.counts == {Kind.REMOVED: 10}
    assert found.alike == 0


def test_the_observer_receives_each_differing_image(sample: MakeSample) -> None:
    seen = []
    compare(
        data(sample("a", FIG), sample("b"), sample("c")),
        data(sample("a"), sample("b")),
        observe=lambda one, two, found: seen.append((one and one.name, two and two.name, len(found))),
        keep=0,
    )
    assert seen == [("a", "a", 1), ("c", None, 1)]


def test_to_dict(sample: MakeSample) -> None:
    found = compare(data(sample("a", FIG), uri="one"), data(sample("a"), uri="two")).to_dict()
    assert found == {
        "first": "one",
        "second": "two",
        "same": False,
        "pictures_in_both": 1,
        "pictures_alike": 0,
        "boxes_in_both": 0,
        "counts": {"removed": 1},
        "attributes": {},
        "farthest_move": 0.0,
        "moved_within_tolerance": 0,
        "offset": None,
        "differences": [{"kind": "removed", "picture": "a", "label": "fig", "edges": (10.0, 10.0, 50.0, 50.0)}],
        "skipped": [],
    }


def test_by_uri_and_with_items_that_cannot_be_read(ground_truth: str, plugins: Registry) -> None:
    assert boxwright.compare(ground_truth, ground_truth, registry=plugins).same
    place = ground_truth.partition(":")[2]
    with open(place, "a", encoding="utf-8") as file:
        file.write("no JSON\n")
    with pytest.raises(DataError, match="line 3"):
        compare(ground_truth, ground_truth, registry=plugins)
    found = compare(ground_truth, ground_truth, on_error="skip", registry=plugins)
    assert found.same
    assert len(found.skipped) == 2  # once in either dataset


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"tolerance": -1}, "tolerance"),
        ({"tolerance": math.nan}, "tolerance"),
        ({"iou": 0}, "IoU"),
        ({"iou": 1.1}, "IoU"),
        ({"by": "place"}, "'place'"),
        ({"ignore": ["pose"]}, "box.NAME"),
    ],
)
def test_wrong_options(options: dict[str, object], text: str, sample: MakeSample) -> None:
    with pytest.raises(UsageError, match=text):
        compare(data(sample("a")), data(sample("a")), **options)  # type: ignore[arg-type]


_BOX = st.tuples(st.integers(0, 40), st.integers(0, 40), st.integers(0, 40), st.integers(0, 40)).map(
    lambda b: (float(b[0]), float(b[1]), float(b[0] + b[2]), float(b[1] + b[3]))
)
_SAMPLES = st.lists(st.lists(st.tuples(st.sampled_from(["fig", "date"]), _BOX), max_size=4), max_size=4)


def _dataset(images: list[list[tuple[str, tuple[float, float, float, float]]]]) -> Dataset:
    samples = []
    for i, rows in enumerate(images):
        image = ImageRef(name=f"{i}", width=100, height=100)
        samples.append(Sample(image=image, boxes=Boxes([label for label, _ in rows], [edges for _, edges in rows])))
    return data(*samples)


def _summary(found: Comparison) -> tuple[object, ...]:
    counts = {kind.value: number for kind, number in found.counts.items()}
    for one, two in (("removed", "added"), ("only_in_first", "only_in_second")):
        counts[one], counts[two] = counts.get(two, 0), counts.get(one, 0)
    return found.same, found.both, found.alike, {k: v for k, v in counts.items() if v}


@given(_SAMPLES, _SAMPLES)
def test_equal_if_and_only_if_the_boxes_are_the_same(first: list, second: list) -> None:  # type: ignore[type-arg]
    found = compare(_dataset(first), _dataset(second), tolerance=0)
    assert found.same == ([sorted(rows) for rows in first] == [sorted(rows) for rows in second])
    assert compare(_dataset(first), _dataset(first)).same


@given(_SAMPLES, _SAMPLES)
def test_the_other_way_round_it_is_the_mirror_image_of_how_many(first: list, second: list) -> None:  # type: ignore[type-arg]
    there, back = compare(_dataset(first), _dataset(second)), compare(_dataset(second), _dataset(first))
    same, both, alike, counts = _summary(back)
    assert (there.same, there.both, there.alike) == (same, both, alike)
    boxes_first = sum(len(rows) for rows in first[: there.both])
    assert boxes_first == there.boxes + there.counts[Kind.REMOVED]
    assert there.counts[Kind.ONLY_FIRST] == counts.get("only_in_first", 0)  # type: ignore[attr-defined]
