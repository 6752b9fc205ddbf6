"""The step ``filter``: every option, counts, mistyped names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given, strategies as st

import boxwright_transforms
from boxwright import Boxes, ImageRef, Sample, UsageError
from boxwright.datasets import make_transform
from boxwright_transforms.conditions import OPTIONS
from boxwright_transforms.filter import Filter


def sample_of(*boxes: tuple[Any, ...], name: str = "a.jpg", size: tuple[int, int] = (100, 50), **fields: Any) -> Sample:
    """Boxes as (label, xmin, ymin, xmax, ymax) or with a dict of attributes behind them."""
    attributes = [box[5] if len(box) > 5 else {} for box in boxes]
    image = ImageRef(name=name, width=size[0], height=size[1])
    return Sample(image=image, boxes=Boxes([b[0] for b in boxes], [b[1:5] for b in boxes], attributes), **fields)


def kept_boxes(step: str, sample: Sample) -> list[int]:
    """Returns the positions of the boxes that are kept."""
    (result,) = make_transform(step)([sample])
    everything = list(sample.boxes)
    return [everything.index(box) for box in result.boxes]


def kept_images(step: str, samples: Sequence[Sample]) -> list[str]:
    return [sample.image.name for sample in make_transform(step)(samples)]


BOXES = sample_of(
    ("apple", 0, 0, 10, 20),  # side 10, area 200, share 0.04, aspect 0.5
    ("fig", 0, 0, 40, 10, {"difficult": 1, "pose": "Left"}),  # side 10, area 400, share 0.08, aspect 4
    ("figwort", 10, 10, 60, 50, {"score": 0.5}),  # side 40, area 2000, share 0.4, aspect 1.25
    ("pear", 5, 5, 5, 15, {"truncated": 1, "colour": "red"}),  # a line: side 0, aspect 0
)


@pytest.mark.parametrize(
    ("step", "left"),
    [
        ("filter:classes=apple", [0]),
        ("filter:classes=apple+pear", [0, 3]),
        ("filter:classes=fig*", [1, 2]),
        ("filter:classes=fig", [1]),
        ("filter:not_classes=fig", [0, 2, 3]),
        ("filter:side=10", [0, 1]),
        ("filter:side=10.5..", [2]),
        ("filter:side=..0", [3]),
        ("filter:width=40..", [1, 2]),
        ("filter:height=..10", [1, 3]),
        ("filter:area=200..400", [0, 1]),
        ("filter:share=0.08..0.4", [1, 2]),
        ("filter:share=..0.04", [0, 3]),
        ("filter:aspect=0.5..2", [0, 2]),
        ("filter:difficult=0", [0, 2, 3]),
        ("filter:difficult=1", [1]),
        ("filter:box.difficult=0,box.truncated=0", [0, 2]),
        ("filter:pose=Left", [1]),
        ("filter:score=0.5..", [2]),
        ("filter:box.colour=red+blue", [3]),
        ("filter:classes=fig*,side=20..", [2]),
        ("filter:classes=plum", []),
    ],
)
def test_boxes(step: str, left: list[int]) -> None:
    assert kept_boxes(step, BOXES) == left


def test_the_aspect_ratio_of_lines_and_points() -> None:
    lines = sample_of(("a", 0, 5, 9, 5), ("b", 5, 0, 5, 9), ("c", 5, 5, 5, 5))
    assert kept_boxes("filter:aspect=100..", lines) == [0]
    assert kept_boxes("filter:aspect=..0.01", lines) == [1]
    assert kept_boxes("filter:aspect=1", lines) == [2]


IMAGES = [
    sample_of(("apple", 0, 0, 9, 9), name="cam1/a.jpg", split="train", attributes={"camera": "left"}),
    sample_of(("fig", 0, 0, 9, 9), ("apple", 0, 0, 30, 30), name="cam1/b.jpg", size=(200, 100), split="val"),
    sample_of(name="cam2/empty.jpg", size=(50, 50), split="train", attributes={"camera": "right", "rating": 4}),
    sample_of(("fig", 0, 0, 20, 20), name="d.png", size=(50, 100)),
]


@pytest.mark.parametrize(
    ("step", "left"),
    [
        ("filter:splits=train", "ac"),
        ("filter:splits=tr*+val", "abc"),
        ("filter:names=cam?/*", "abc"),
        ("filter:names=*.png+cam2/*", "cd"),
        ("filter:not_names=*/*", "d"),
        ("filter:pictures_with=fig", "bd"),
        ("filter:pictures_with=fig+apple", "abd"),
        ("filter:pictures_without=apple", "cd"),
        ("filter:pictures_with=fig,pictures_without=apple", "d"),
        ("filter:picture_width=100..", "ab"),
        ("filter:picture_height=100", "bd"),
        ("filter:picture_aspect=1..", "abc"),
        ("filter:image.camera=left+right", "ac"),
        ("filter:image.rating=4..", "c"),
        ("filter:image.rating=0", "abd"),
        ("filter:boxes=1..", "abd"),
        ("filter:boxes=0", "c"),
        ("filter:boxes=2", "b"),
        ("filter:classes=apple", "abcd"),
        ("filter:classes=apple,emptied=drop", "abc"),
        ("filter:classes=apple,boxes=1..", "ab"),
        ("filter:side=20..,boxes=1..", "bd"),
    ],
)
def test_images(step: str, left: str) -> None:
    names = dict(zip("abcd", [sample.image.name for sample in IMAGES], strict=True))
    assert kept_images(step, IMAGES) == [names[letter] for letter in left]


def test_images_selected_by_a_class_keep_all_their_boxes() -> None:
    (result,) = make_transform("filter:pictures_with=fig,pictures_without=pear")(IMAGES[1:2])
    assert result is IMAGES[1]


def test_counts_are_by_the_first_condition_not_met() -> None:
    step: Any = make_transform("filter:side=10..,classes=fig,splits=train+val,boxes=..1")
    assert step.notes() == []
    for _ in range(2):
        list(step([*IMAGES[:3], IMAGES[3].replace(split="test"), BOXES.replace(split="val")]))
        # Of the 7 boxes of the remaining images, 2+1 are narrower than 10, then 1+2 are not figs, 1 remains.
        assert step.notes() == [
            "6 boxes of 8 left out: 3 by side=10.., 3 by classes=fig",
            "1 image of 5 left out, with 1 box: 1 by splits=train+val",
            "2 images kept without boxes; emptied=drop drops them",
        ]


def test_boxes_of_images_left_out_are_counted() -> None:
    step = Filter(boxes="2..", emptied="drop", not_classes="apple")
    assert [sample.image.name for sample in step([*IMAGES, BOXES])] == ["a.jpg"]
    assert step.notes() == [
        "3 boxes of 8 left out: 3 by not_classes=apple",
        "4 images of 5 left out, with 2 boxes: 3 by boxes=2.., 1 by emptied=drop",
    ]


def test_a_note_reports_that_nothing_was_left_out() -> None:
    step = Filter(side="1..")
    samples = IMAGES[:2]
    assert list(step(samples)) == samples
    assert step.notes() == ["nothing was left out"]


@pytest.mark.parametrize(
    ("step", "note"),
    [
        ("filter:classes=aple", "classes: no box has the class 'aple'; did you mean 'apple'?"),
        ("filter:not_classes=xyz", "not_classes: no box has the class 'xyz'; there are apple, fig"),
        ("filter:classes=apple+q*", "classes: no box has the class 'q*'; there are apple, fig"),
        ("filter:pictures_without=Fig", "pictures_without: no box has the class 'Fig'; did you mean 'fig'?"),
        ("filter:splits=trian", "splits: no image is in the split 'trian'; did you mean 'train'?"),
        ("filter:box.colour=0", "box.colour: no box has the attribute 'colour', which counted as 0"),
        ("filter:difficult=0", "difficult: no box has the attribute 'difficult', which counted as 0"),
        ("filter:image.kamera=0", "image.kamera: no image has the attribute 'kamera', which counted as 0"),
    ],
)
def test_names_that_do_not_occur_are_reported(step: str, note: str) -> None:
    transform: Any = make_transform(step)
    list(transform(IMAGES))
    assert transform.notes()[-1] == note


def test_an_attribute_of_one_box_is_not_reported() -> None:
    step = Filter({"difficult": "0", "image.camera": "left"})
    list(step([*IMAGES, BOXES]))
    assert not any("counted as 0" in note for note in step.notes())


def test_only_the_first_of_many_classes_are_listed() -> None:
    step = Filter(classes="!")
    list(step([sample_of(*((f"class {n:02d}", 0, 0, 1, 1) for n in range(80)))]))
    assert step.notes()[-1].endswith("class 08, class 09 and 70 more")


def test_numbers_are_equivalent_to_their_texts() -> None:
    assert (
        list(Filter({"difficult": 1}, boxes=1)([BOXES])) == list(Filter({"difficult": "1"}, boxes="1")([BOXES])) != []
    )


def test_classes_keep_their_ids_unless_classes_are_selected() -> None:
    assert Filter(side="8..").keeps_labels
    assert Filter(pictures_with="fig").keeps_labels
    assert not Filter(classes="fig").keeps_labels
    assert not Filter(not_classes="fig").keeps_labels


@pytest.mark.parametrize(
    "name", ["clases", "classes ", "Classes", "difficlt", "image", "box.", "sides", "no_such_option"]
)
def test_unknown_names_are_errors(name: str) -> None:
    for options in ({"conditions": {name: "1"}}, {name: "1"}):
        with pytest.raises(UsageError, match="filter has no option") as caught:
            Filter(**options)  # type: ignore[arg-type]
        assert "box.NAME" in caught.value.remedy


def test_a_similar_name_is_suggested() -> None:
    with pytest.raises(UsageError) as caught:
        make_transform("filter:clases=apple")
    assert "did you mean 'classes'?" in caught.value.remedy


def test_the_spec_lists_all_options() -> None:
    (spec,) = (spec for spec in boxwright_transforms.boxwright_transforms() if spec.name == "filter")
    assert {option.name for option in spec.options} == {*OPTIONS, "emptied", "conditions"}


edge = st.integers(0, 60)


@st.composite
def samples(draw: Any) -> Sample:
    rows = draw(st.lists(st.tuples(edge, edge, edge, edge, st.sampled_from(["apple", "fig", "pear"])), max_size=6))
    boxes = [(label, min(a, c), min(b, d), max(a, c), max(b, d)) for a, b, c, d, label in rows]
    return sample_of(*boxes, size=(60, 60))


OPTION: st.SearchStrategy[Mapping[str, str]] = st.fixed_dictionaries(
    {},
    optional={
        "classes": st.sampled_from(["apple", "apple+fig", "*", "p*"]),
        "side": st.sampled_from(["5..", "..20", "1..30"]),
        "area": st.sampled_from(["100..", "..900"]),
        "aspect": st.sampled_from(["0.5..2"]),
    },
).filter(bool)


@given(st.lists(samples(), max_size=5), OPTION)
def test_filtering_is_idempotent_and_options_combine(found: list[Sample], options: Mapping[str, str]) -> None:
    together = list(Filter(**options)(found))
    assert list(Filter(**options)(together)) == together
    one_by_one = found
    for name, value in options.items():
        one_by_one = list(Filter(**{name: value})(one_by_one))
    assert one_by_one == together
    for before, after in zip(found, together, strict=True):
        left = iter(before.boxes)
        assert all(box in left for box in after.boxes), "the remaining boxes are not in order"
