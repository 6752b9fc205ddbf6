"""The step ``kfold``: sizes, classes, groups, and comparison with all possible folds."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any

import pytest
from hypothesis import given, strategies as st

from boxwright import Boxes, DataError, ImageRef, Sample, UsageError
from boxwright_transforms.kfold import KFold
from boxwright_transforms.stratification import Unit, fractions_to_sizes, stratify


def images(*labels: Sequence[str], names: Sequence[str] = ()) -> list[Sample]:
    return [
        Sample(
            image=ImageRef(name=names[number] if names else f"{number:03d}.jpg", width=100, height=100),
            boxes=Boxes(found, [(0.0, 0.0, 9.0, 9.0)] * len(found)),
        )
        for number, found in enumerate(labels)
    ]


def splits(samples: Sequence[Sample], folds: int, **options: Any) -> dict[str, str]:
    return {sample.image.name: str(sample.split) for sample in KFold(folds, **options)(samples)}


def test_each_of_five_folds_has_each_class_of_five_images_once() -> None:
    samples = images(*[["fig"]] * 5, *[["plum"]] * 5)
    fold_of = splits(samples, 5)
    assert Counter(fold_of.values()) == {f"fold{n}": 2 for n in range(5)}
    for fold in range(5):
        inside = [name for name, split in fold_of.items() if split == f"fold{fold}"]
        assert sorted(inside)[0] <= "004.jpg" < sorted(inside)[1]


found = st.lists(st.frozensets(st.sampled_from("abcd")), min_size=2, max_size=30)


@given(found, st.integers(2, 6), st.integers(0, 3))
def test_each_image_is_in_one_fold_and_sizes_differ_by_at_most_one(
    labels: list[frozenset[str]], folds: int, seed: int
) -> None:
    samples = images(*map(sorted, labels))
    if len(samples) < folds:
        with pytest.raises(UsageError, match=f"cannot be divided into {folds} folds"):
            splits(samples, folds, seed=seed)
        return
    held_out: Counter[str] = Counter()
    together = splits(samples, folds, seed=seed)
    for fold in range(folds):
        one = splits(samples, folds, fold=fold, seed=seed)
        assert list(one) == [sample.image.name for sample in samples], "an image is missing or out of order"
        val = [name for name, split in one.items() if split == "val"]
        assert {split for name, split in one.items() if name not in val} == {"train"}
        assert val == [name for name, split in together.items() if split == f"fold{fold}"]
        held_out.update(val)
        assert len(val) in (len(samples) // folds, -(-len(samples) // folds))
    assert held_out == Counter(sample.image.name for sample in samples), "an image was not held out exactly once"


def test_the_folds_depend_on_names_and_seed_alone() -> None:
    chance = random.Random(2)
    samples = images(*[[label for label in "abc" if chance.random() < 0.5] for _ in range(60)])
    one = splits(samples, 5, seed=3)
    shuffled = list(samples)
    chance.shuffle(shuffled)
    assert splits(shuffled, 5, seed=3) == one
    assert splits(samples, 5, seed=4) != one


def test_groups_stay_in_one_fold() -> None:
    names = [f"cam{camera}_{number}.jpg" for camera in range(9) for number in range(camera % 3 + 1)]
    samples = images(*[["fig"]] * len(names), names=names)
    for seed in range(5):
        fold_of = splits(samples, 3, seed=seed, group=r"^(cam\d+)_")
        by_camera: dict[str, set[str]] = {}
        for name, fold in fold_of.items():
            by_camera.setdefault(name[:4], set()).add(fold)
        assert all(len(where) == 1 for where in by_camera.values())
        assert Counter(fold_of.values()) == {"fold0": 6, "fold1": 6, "fold2": 6}


def test_fewer_groups_than_folds() -> None:
    samples = images(*[["fig"]] * 6, names=[f"cam{n % 2}_{n}.jpg" for n in range(6)])
    with pytest.raises(UsageError, match="2 groups of images cannot be divided into 3 folds") as caught:
        splits(samples, 3, group="^cam.")
    assert caught.value.remedy


def test_every_fold_has_a_group_of_any_size() -> None:
    for seed in range(60):
        chance = random.Random(seed)
        sizes = [chance.choice([1, 1, 1, 12]) for _ in range(chance.randint(3, 6))]
        names = [f"g{group}_{number}" for group, size in enumerate(sizes) for number in range(size)]
        samples = images(*[[chance.choice("ab")] for _ in names], names=names)
        fold_of = splits(samples, 3, seed=seed, group=r"^g\d+")
        assert set(fold_of.values()) == {"fold0", "fold1", "fold2"}


def test_notes() -> None:
    step = KFold(2, fold=1)
    assert step.notes() == []
    samples = images(*[["apple"]] * 3, ["fig", "apple"])
    for _ in range(2):
        list(step(samples))
        counts = [note.split(" (")[0] for note in step.notes()[:2]]
        assert counts == ["train: 2 images", "val: 2 images"]
        (missing,) = step.notes()[2:]
        assert missing.endswith("has the class 'fig': 1 image in all")
    names = ["a_1", "a_2", "a_3", "b_1"]
    step = KFold(2, group="^(.)_")
    list(step([s.replace(split="old") for s in images(*[["fig"]] * 4, names=names)]))
    assert step.notes()[2:] == [
        "groups allow no sizes closer to fold0 2, fold1 2",
        "4 images in 2 groups by ^(.)_, each kept together",
        "4 images already had a split, which was replaced",
    ]


class Changing:
    """A dataset that changes between two iterations."""

    def __init__(self, *readings: list[Sample]) -> None:
        self.readings = list(readings)

    def __iter__(self) -> Iterator[Sample]:
        return iter(self.readings.pop(0))


def test_a_dataset_that_changes_is_a_data_error() -> None:
    samples = images(*[["apple"]] * 10)
    with pytest.raises(DataError, match="changed"):
        list(KFold(2)(Changing(samples, samples[:-1])))


def deviation(rows: Sequence[frozenset[str]], fold_of: Sequence[int], sizes: Sequence[int]) -> float:
    """Returns the sum of the deviations of each class in each fold from its proportion."""
    inside = Counter((label, fold) for row, fold in zip(rows, fold_of, strict=True) for label in row)
    everywhere = Counter(label for row in rows for label in row)
    return sum(
        abs(inside[label, fold] - count * size / len(rows))
        for label, count in everywhere.items()
        for fold, size in enumerate(sizes)
    )


def test_small_folds_are_nearly_always_the_best_of_all_possible_ones() -> None:
    best_found, excess, least_of_all = 0, 0.0, 0.0
    for seed in range(60):
        chance = random.Random(seed)
        folds = chance.choice([2, 2, 3])
        count = chance.randint(6, 9) if folds == 2 else chance.randint(6, 7)
        weights = [chance.random() for _ in range(chance.randint(1, 4))]
        rows = [frozenset(str(c) for c, w in enumerate(weights) if chance.random() < w) for _ in range(count)]
        sizes = fractions_to_sizes(count, [1 / folds] * folds)
        everything = [f for f in product(range(folds), repeat=count) if [f.count(n) for n in range(folds)] == sizes]
        least = min(deviation(rows, fold_of, sizes) for fold_of in everything)
        got = deviation(rows, stratify([Unit(1, row) for row in rows], sizes, seed), sizes)
        best_found += got <= least + 1e-9
        excess += got - least
        least_of_all += least
    assert best_found >= 50
    assert excess < 0.1 * least_of_all
