"""The step ``sample``: the number of images, their selection, classes, reproducibility."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from hypothesis import given, strategies as st

from boxwright import Boxes, DataError, ImageRef, Sample
from boxwright_transforms.sample import RandomSample


def images(*labels: Sequence[str]) -> list[Sample]:
    return [
        Sample(
            image=ImageRef(name=f"{number:03d}.jpg", width=100, height=100),
            boxes=Boxes(found, [(0.0, 0.0, 9.0, 9.0)] * len(found)),
        )
        for number, found in enumerate(labels)
    ]


def selected(samples: Sequence[Sample], amount: str, **options: Any) -> list[str]:
    return [sample.image.name for sample in RandomSample(amount, **options)(samples)]


def images_with(samples: Sequence[Sample], names: Sequence[str]) -> Counter[str]:
    return Counter(
        label for sample in samples if sample.image.name in names for label in set(sample.boxes.labels) or {"none"}
    )


@pytest.mark.parametrize(
    ("amount", "count"),
    [
        *(("1%", 1), ("0.001", 1), (" 3 ", 3)),  # at least one
        ("1", 1),
        ("7", 7),
        ("40", 40),
        ("41", 40),
        ("10%", 4),
        ("12.5%", 5),
        ("0.1", 4),
        (".5", 20),
        ("1.0", 40),
        ("100%", 40),
    ],
)
def test_the_number_of_images(amount: str, count: int) -> None:
    assert len(selected(images(*[["apple"]] * 40), amount)) == count


names = st.lists(
    st.text("abcdefgh/.", min_size=1, max_size=6).filter(lambda name: name.strip()), unique=True, max_size=30
)


@given(names, st.integers(1, 30), st.integers(0, 5), st.randoms(use_true_random=False))
def test_a_sample_keeps_the_order_and_depends_on_names_alone(
    found: list[str], count: int, seed: int, chance: random.Random
) -> None:
    samples = [Sample(image=ImageRef(name=name, width=9, height=9)) for name in found]
    some = selected(samples, str(count), seed=seed)
    assert len(some) == min(count, len(found))
    positions = [found.index(name) for name in some]
    assert positions == sorted(set(positions))
    chance.shuffle(samples)
    assert sorted(selected(samples, str(count), seed=seed)) == sorted(some)
    assert set(some) <= set(selected(samples, str(count + 1), seed=seed)), (
        "a larger sample does not contain the smaller one"
    )


def test_another_seed_selects_other_images() -> None:
    samples = images(*[["apple"]] * 40)
    assert selected(samples, "10", seed=1) == selected(samples, "10", seed=1)
    assert selected(samples, "10", seed=1) != selected(samples, "10", seed=2)


def test_every_image_is_selected_equally_often() -> None:
    """Of 20 images 5, with 2,000 seeds: each 500 times, within four standard deviations (19.4)."""
    samples = images(*[["apple"]] * 20)
    counts = Counter(name for seed in range(2000) for name in selected(samples, "5", seed=seed))
    assert len(counts) == 20
    assert all(abs(count - 500) < 78 for count in counts.values())


def test_stratified_samples_have_classes_in_proportion() -> None:
    """40 apples, 20 figs, 10 plums, 10 without boxes: a fifth is 8, 4, 2, 2, with any seed."""
    samples = images(*[["apple"]] * 40, *[["fig"]] * 20, *[["plum"]] * 10, *[[]] * 10)
    for seed in range(10):
        names = selected(samples, "16", seed=seed, classes="stratified")
        assert images_with(samples, names) == {"apple": 8, "fig": 4, "plum": 2, "none": 2}
    assert selected(samples, "16", seed=1, classes="stratified") != selected(
        samples, "16", seed=2, classes="stratified"
    )


@pytest.mark.parametrize(
    ("count", "expected"),
    [
        (12, {"apple": 4, "fig": 4, "plum": 4}),
        (15, {"apple": 5, "fig": 5, "plum": 5}),
        # There are only five plums; the other classes share the rest evenly.
        (25, {"apple": 10, "fig": 10, "plum": 5}),
        (60, {"apple": 35, "fig": 20, "plum": 5}),
    ],
)
def test_balanced_samples_have_equal_classes(count: int, expected: dict[str, int]) -> None:
    samples = images(*[["apple"]] * 100, *[["fig"]] * 20, *[["plum"]] * 5)
    for seed in range(5):
        assert images_with(samples, selected(samples, str(count), seed=seed, classes="balanced")) == expected


def test_balanced_counts_images_without_boxes_as_a_class() -> None:
    samples = images(*[["apple"]] * 100, *[[]] * 100)
    assert images_with(samples, selected(samples, "10", classes="balanced")) == {"apple": 5, "none": 5}


def test_balanced_prefers_images_without_the_most_frequent_class() -> None:
    """Apples are in half of the images of every other class; a balanced sample contains more of the other half."""
    samples = images(*([label, *also] for label in ("fig", "leaf", "plum") for also in [["apple"], []] * 10))
    for seed in range(10):
        found = images_with(samples, selected(samples, "12", seed=seed, classes="balanced"))
        assert [found[label] for label in ("fig", "leaf", "plum")] == [4, 4, 4]
        assert found["apple"] in (3, 4)


@given(st.lists(st.frozensets(st.sampled_from("abc")), min_size=1, max_size=25), st.integers(1, 25), st.integers(0, 3))
def test_balanced_and_stratified_samples_have_the_requested_size(
    labels: list[frozenset[str]], count: int, seed: int
) -> None:
    samples = images(*map(sorted, labels))
    everything = [sample.image.name for sample in samples]
    for classes in ("balanced", "stratified"):
        names = selected(samples, str(count), seed=seed, classes=classes)
        assert len(names) == min(count, len(labels))
        assert names == [name for name in everything if name in set(names)]


def test_notes() -> None:
    step = RandomSample("2", classes="balanced")
    assert step.notes() == []
    samples = images(*[["apple"]] * 9, *[["fig"]] * 3)
    for _ in range(2):
        list(step(samples))
        assert step.notes() == ["2 images of 12 selected (apple in 1, fig in 1)"]
    step = RandomSample("1", classes="balanced")
    list(step(images(["apple"], ["fig"], ["apple"])))
    assert step.notes() == [
        "1 image of 3 selected (apple in 0, fig in 1)",
        "no selected image has the class 'apple': 2 images in all",
    ]
    step = RandomSample("500")
    list(step(samples))
    assert step.notes()[-1] == "500 images requested, more than there are: all were selected"


def test_classes_keep_their_ids() -> None:
    assert RandomSample("1").keeps_labels


class Changing:
    """A dataset that changes between two iterations."""

    def __init__(self, *readings: list[Sample]) -> None:
        self.readings = list(readings)

    def __iter__(self) -> Iterator[Sample]:
        return iter(self.readings.pop(0))


def test_a_dataset_that_changes_is_a_data_error() -> None:
    samples = images(*[["apple"]] * 10)
    for second in (samples[:-1], [*samples, samples[0]], samples[::-1]):
        with pytest.raises(DataError, match="changed") as caught:
            list(RandomSample("3")(Changing(samples, second)))
        assert caught.value.remedy
