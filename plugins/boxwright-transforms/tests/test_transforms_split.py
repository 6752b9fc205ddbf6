"""The step ``split``: sizes, classes in every split, groups, near-duplicates, order."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from boxwright import Boxes, DataError, ImageRef, Sample, UsageError
from boxwright.datasets import make_transform
from boxwright_transforms.split import Split
from boxwright_transforms.stratification import Unit, fractions_to_sizes, stratify


def images(*labels: Sequence[str]) -> list[Sample]:
    return [
        Sample(
            image=ImageRef(name=f"{number:03d}.jpg", width=100, height=100),
            boxes=Boxes(found, [(0.0, 0.0, 9.0, 9.0)] * len(found)),
        )
        for number, found in enumerate(labels)
    ]


def splits_of(samples: Sequence[Sample], **options: Any) -> dict[str, str]:
    options.setdefault("parts", {"train": "0.8", "test": "0.2"})
    return {sample.image.name: str(sample.split) for sample in Split(**options)(samples)}


def classes_by_split(samples: Sequence[Sample], split_of: dict[str, str]) -> dict[str, Counter[str]]:
    found: dict[str, Counter[str]] = {}
    for sample in samples:
        found.setdefault(split_of[sample.image.name], Counter()).update(set(sample.boxes.labels))
    return found


@pytest.mark.parametrize("seed", range(20))
def test_a_rare_class_in_two_of_ten_images_is_in_both_splits(seed: int) -> None:
    samples = images(*[["apple"]] * 8, ["apple", "fig"], ["apple", "fig"])
    split_of = splits_of(samples, seed=seed)
    assert Counter(split_of.values()) == {"train": 8, "test": 2}
    assert classes_by_split(samples, split_of) == {
        "train": Counter(apple=8, fig=1),
        "test": Counter(apple=2, fig=1),
    }


@pytest.mark.parametrize("seed", range(20))
def test_five_classes_share_the_two_images_of_the_test_split(seed: int) -> None:
    """Only the last two images together contain all five classes, and each class is in one other image."""
    singles = [[label] for label in "abcde"]
    samples = images(*singles, ["x"], ["x"], ["x"], ["a", "b", "x"], ["c", "d", "e"])
    split_of = splits_of(samples, seed=seed)
    assert {name for name, part in split_of.items() if part == "test"} == {"008.jpg", "009.jpg"}


@pytest.mark.parametrize("seed", range(10))
def test_three_splits_with_a_class_in_three_images(seed: int) -> None:
    samples = images(*[["apple"]] * 17, ["fig"], ["fig"], ["fig"])
    split_of = splits_of(samples, parts={"train": 0.7, "val": 0.15, "test": 0.15}, seed=seed)
    assert Counter(split_of.values()) == {"train": 14, "val": 3, "test": 3}
    found = classes_by_split(samples, split_of)
    assert [found[part]["fig"] for part in ("train", "val", "test")] == [1, 1, 1]


def test_large_classes_are_in_each_split_in_proportion() -> None:
    chance = random.Random(0)
    weights = {"a": 0.6, "b": 0.3, "c": 0.1}
    samples = images(*[[label for label, w in weights.items() if chance.random() < w] for _ in range(1000)])
    found = classes_by_split(samples, splits_of(samples))
    everywhere = sum(found.values(), Counter())
    for label in weights:
        assert abs(found["test"][label] - 0.2 * everywhere[label]) <= 1, f"{label}: {found['test'][label]}"


def test_images_without_boxes_are_distributed_too() -> None:
    samples = images(*[["apple"]] * 50, *[[]] * 50)
    split_of = splits_of(samples)
    assert Counter(split_of.values()) == {"train": 80, "test": 20}
    assert classes_by_split(samples, split_of)["test"]["apple"] == 10


def test_a_class_in_one_image_is_reported_as_missing() -> None:
    step = Split({"train": "0.8", "test": "0.2"})
    samples = images(*[["apple"]] * 9, ["fig", "apple"])
    split_of = {sample.image.name: sample.split for sample in step(samples)}
    missing = "test" if split_of["009.jpg"] == "train" else "train"
    assert f"no image of {missing} has the class 'fig': 1 image in all" in step.notes()


def test_notes_list_every_split_with_its_classes() -> None:
    step = Split({"train": "0.8", "test": "0.2"})
    assert step.notes() == []
    list(step(images(*[["apple"]] * 8, ["apple", "fig"], ["fig", "apple"])))
    assert step.notes() == ["train: 8 images (apple in 8, fig in 1)", "test: 2 images (apple in 2, fig in 1)"]


def test_a_note_reports_that_a_split_was_replaced() -> None:
    step = Split({"a": "0.5", "b": "0.5"})
    samples = [sample.replace(split="old") for sample in images(["x"], ["x"])]
    assert {sample.split for sample in step(samples)} == {"a", "b"}
    assert step.notes()[-1] == "2 images already had a split, which was replaced"


def test_images_keep_their_order_and_other_fields() -> None:
    samples = images(*[["apple"]] * 30)
    random.Random(1).shuffle(samples)
    split = list(Split({"train": "0.5", "test": "0.5"})(samples))
    assert [sample.replace(split=None) for sample in split] == samples


def test_the_split_does_not_depend_on_the_order_of_the_images() -> None:
    chance = random.Random(2)
    samples = images(*[[label for label in "abc" if chance.random() < 0.5] for _ in range(60)])
    one = splits_of(samples)
    shuffled = list(samples)
    chance.shuffle(shuffled)
    assert splits_of(shuffled) == one


def test_another_seed_produces_another_split() -> None:
    samples = images(*[["apple"]] * 40)
    assert splits_of(samples, seed=3) == splits_of(samples, seed=3)
    assert splits_of(samples, seed=3) != splits_of(samples, seed=4)


@pytest.mark.parametrize(
    ("count", "shares", "sizes"),
    [
        (10, [0.8, 0.2], [8, 2]),
        (20, [0.7, 0.15, 0.15], [14, 3, 3]),
        (16, [0.8, 0.2], [13, 3]),  # 12.8 and 3.2: the larger remainder gets the image
        (7, [0.5, 0.5], [4, 3]),  # equal remainders: the first
        (10, [1 / 3, 1 / 3, 1 / 3], [4, 3, 3]),
        (10, [0.7, 0.2, 0.1], [7, 2, 1]),  # 0.7 + 0.2 + 0.1 is 0.9999999999999999 in floating point
        (1000, [0.29, 0.57, 0.14], [290, 570, 140]),  # 1000 * 0.29 is 290.0, 100 * 0.29 is 28.999999999999996
        (100, [0.29, 0.57, 0.14], [29, 57, 14]),
        (5, [1.0], [5]),
    ],
)
def test_sizes_by_largest_remainder(count: int, shares: list[float], sizes: list[int]) -> None:
    assert fractions_to_sizes(count, shares) == sizes


@pytest.mark.parametrize("seed", range(150))
def test_sizes_are_exact_and_classes_are_in_every_split_if_possible(seed: int) -> None:
    """Random datasets. It is certainly possible if each split has room for all classes that it needs."""
    chance = random.Random(seed)
    parts = chance.randint(1, 4)
    count = chance.randint(parts * 3, 120)
    classes = [f"c{i}" for i in range(chance.randint(1, 6))]
    weights = [chance.random() ** 2 for _ in classes]
    labels = [frozenset(c for c, w in zip(classes, weights, strict=True) if chance.random() < w) for _ in range(count)]
    raw = [chance.uniform(1, 5) for _ in range(parts)]
    shares = [value / sum(raw) for value in raw]
    sizes = fractions_to_sizes(count, shares)
    assert sum(sizes) == count
    assert all(abs(size - count * share) < 1 for size, share in zip(sizes, shares, strict=True))
    split_of = stratify([Unit(1, found) for found in labels], sizes, seed)
    assert [split_of.count(part) for part in range(parts)] == sizes
    for label in classes:
        holders = [part for part, found in zip(split_of, labels, strict=True) if label in found]
        if len(holders) >= parts * len(classes) and min(sizes) >= len(classes):
            assert set(holders) == set(range(parts)), f"{label} is missing from a split"


def count_missing(labels: Sequence[frozenset[str]], split_of: Sequence[int], parts: int) -> int:
    """Returns how many pairs of split and class are missing, of classes with at least one image per split."""
    every = set().union(*labels)
    return sum(
        not any(label in found and where == part for found, where in zip(labels, split_of, strict=True))
        for label in every
        if sum(label in found for found in labels) >= parts
        for part in range(parts)
    )


@pytest.mark.parametrize("seed", [*range(60), 488])  # in 488, swaps alone would not find it
def test_no_other_split_of_a_small_dataset_has_fewer_missing_classes(seed: int) -> None:
    chance = random.Random(seed)
    parts, count = (2, chance.randint(6, 10)) if seed % 3 else (3, chance.randint(5, 7))
    classes = [f"c{i}" for i in range(chance.randint(2, 6))]
    weights = [chance.random() ** 1.5 for _ in classes]
    labels = [frozenset(c for c, w in zip(classes, weights, strict=True) if chance.random() < w) for _ in range(count)]
    small = chance.randint(1, 2)
    sizes = [count - small * (parts - 1)] + [small] * (parts - 1)
    least = min(
        count_missing(labels, split_of, parts)
        for split_of in product(range(parts), repeat=count)
        if [split_of.count(part) for part in range(parts)] == sizes
    )
    assert count_missing(labels, stratify([Unit(1, found) for found in labels], sizes, seed), parts) == least


def test_too_few_images_for_a_split() -> None:
    with pytest.raises(UsageError, match=r"of 3 images, the split 'test' \(0.1\) would get none") as caught:
        splits_of(images(["a"], ["a"], ["a"]), parts={"train": "0.9", "test": "0.1"})
    assert caught.value.remedy == "use a larger fraction, or add images"


class Changing:
    """A dataset that changes between two iterations."""

    def __init__(self, *readings: list[Sample]) -> None:
        self.readings = list(readings)

    def __iter__(self) -> Iterator[Sample]:
        return iter(self.readings.pop(0))


def test_a_dataset_that_changes_is_a_data_error() -> None:
    samples = images(*[["apple"]] * 10)
    for second in (samples[:-1], [*samples, *images(["fig"])], samples[::-1]):
        with pytest.raises(DataError, match="changed"):
            list(Split({"train": "0.8", "test": "0.2"})(Changing(samples, second)))


def test_the_text_of_a_step_is_equivalent_to_its_arguments() -> None:
    step = make_transform("split:train=0.5,test=0.5,seed=7")
    samples = images(*[["apple"]] * 10)
    direct = [sample.split for sample in Split({"train": 0.5, "test": 0.5}, seed=7)(samples)]
    assert [sample.split for sample in step(samples)] == direct
    assert set(direct) == {"train", "test"}


def photo(seed: int, size: tuple[int, int] = (160, 120)) -> Image.Image:
    """Returns an image with large shapes, as different from others as two photos."""
    chance = random.Random(seed)
    small = Image.new("L", (6, 5))
    small.putdata([chance.randrange(256) for _ in range(30)])
    return small.resize(size, Image.Resampling.BICUBIC).convert("RGB")


def saved(folder: Path, name: str, image: Image.Image, **options: Any) -> Sample:
    path = folder / name
    image.save(path, **options)
    return Sample(
        image=ImageRef(name=name, width=image.width, height=image.height, location=str(path)),
        boxes=Boxes(["apple"], [(1.0, 1.0, 9.0, 9.0)]),
    )


@pytest.mark.parametrize("seed", range(5))
def test_near_duplicates_stay_together(tmp_path: Path, seed: int) -> None:
    samples = [saved(tmp_path, f"{n:02d}.jpg", photo(n)) for n in range(16)]
    pairs = [(f"{n:02d}.jpg", f"copy-{n:02d}.jpg") for n in range(4)]
    samples += [saved(tmp_path, copy, photo(int(name[:2])), quality=50) for name, copy in pairs]
    step = Split({"train": "0.7", "test": "0.3"}, seed=seed, near_duplicates=True)
    split_of = {sample.image.name: sample.split for sample in step(samples)}
    assert all(split_of[name] == split_of[copy] for name, copy in pairs)
    assert Counter(split_of.values()) == {"train": 14, "test": 6}
    assert "8 images in 4 groups look alike; each group was kept in one split" in step.notes()
    apart = {sample.image.name: sample.split for sample in Split({"train": "0.7", "test": "0.3"}, seed=seed)(samples)}
    assert apart != split_of


def test_near_duplicates_alone_cannot_be_split(tmp_path: Path) -> None:
    samples = [saved(tmp_path, f"{n}.png", photo(1)) for n in range(6)]
    with pytest.raises(UsageError, match="because too many look alike"):
        list(Split({"train": "0.5", "test": "0.5"}, near_duplicates=True)(samples))


def test_a_damaged_image_is_a_data_error_if_images_are_decoded(tmp_path: Path) -> None:
    samples = [saved(tmp_path, f"{n}.png", photo(n)) for n in range(4)]
    (tmp_path / "2.png").write_bytes((tmp_path / "2.png").read_bytes()[:300])
    with pytest.raises(DataError, match=r"2\.png"):
        list(Split({"train": "0.5", "test": "0.5"}, near_duplicates=True)(samples))
    assert len(list(Split({"train": "0.5", "test": "0.5"})(samples))) == 4


def named(*names: str, labels: Sequence[str] = ("apple",), **attributes: Any) -> list[Sample]:
    return [
        Sample(
            image=ImageRef(name=name, width=100, height=100),
            boxes=Boxes(labels, [(0.0, 0.0, 9.0, 9.0)] * len(labels)),
            attributes={key: values[number] for key, values in attributes.items()},
        )
        for number, name in enumerate(names)
    ]


@pytest.mark.parametrize(
    ("group", "names"),
    [
        (r"^(cam\d+)_", [f"cam{camera}_{n}.jpg" for camera in range(10) for n in range(4)]),
        (r"(cam\d+)_\d", [f"site/cam{camera}_{n}.jpg" for camera in range(10) for n in range(4)]),
        (r"cam\d+(?=_)", [f"site/cam{camera}_{n}.jpg" for camera in range(10) for n in range(4)]),
        (r"^(.)/(.)", [f"{'ab'[camera % 2]}/{camera // 2}-{n}.jpg" for camera in range(10) for n in range(4)]),
        ("folder", [f"cam/{camera}/{n}.jpg" for camera in range(10) for n in range(4)]),
    ],
)
@pytest.mark.parametrize("seed", range(5))
def test_groups_by_name_stay_together(group: str, names: list[str], seed: int) -> None:
    """Ten groups of four: eight of them and two, exactly."""
    samples = named(*names)
    random.Random(seed).shuffle(samples)
    step = Split({"train": 0.8, "test": 0.2}, seed=seed, group=group)
    split_of = {sample.image.name: sample.split for sample in step(samples)}
    assert Counter(split_of.values()) == {"train": 32, "test": 8}
    assert all(len({split_of[name] for name in names[i : i + 4]}) == 1 for i in range(0, 40, 4))
    assert f"40 images in 10 groups by {group}, each kept together" in step.notes()


def test_groups_by_an_attribute_and_images_without_it() -> None:
    cameras = ["left", "left", "right", "right", "right", 7, 7, None, None, None]
    samples = named(*(f"{n}.jpg" for n in range(10)), camera=cameras)
    for seed in range(10):
        step = Split({"train": 0.5, "test": 0.5}, seed=seed, group="image.camera")
        parts = [str(sample.split) for sample in step(samples)]
        assert Counter(parts) == {"train": 5, "test": 5}
        assert all(len({parts[i] for i in group}) == 1 for group in ([0, 1], [2, 3, 4], [5, 6]))
    assert step.notes()[-2:] == [
        "7 images in 3 groups by image.camera, each kept together",
        "3 images without image.camera, in no group",
    ]


def test_classes_are_in_every_split_if_groups_allow_it() -> None:
    """The fig is in two of ten groups; each split gets one of them."""
    samples = [
        sample.replace(boxes=Boxes(["fig"], [(0, 0, 9, 9)])) if sample.image.name[0] in "ab" else sample
        for sample in named(*(f"{letter}{n}.jpg" for letter in "abcdefghij" for n in range(3)))
    ]
    for seed in range(10):
        split_of = splits_of(samples, seed=seed, group="^.")
        assert {split_of["a0.jpg"], split_of["b0.jpg"]} == {"train", "test"}
        assert Counter(split_of.values()) == {"train": 24, "test": 6}


def test_a_note_reports_sizes_that_groups_prevent() -> None:
    step = Split({"train": 0.5, "test": 0.5}, group="^(.)")
    parts = Counter(sample.split for sample in step(named("a1", "a2", "a3", "b1")))
    assert sorted(parts.values()) == [1, 3]
    assert "groups allow no sizes closer to train 2, test 2" in step.notes()


def test_a_split_that_large_groups_leave_empty_gets_the_smallest_group() -> None:
    names = [f"{letter}{n}" for letter, count in (("a", 50), ("b", 40), ("c", 10)) for n in range(count)]
    for seed in range(5):
        split_of = splits_of(named(*names), parts={"train": 0.98, "test": 0.02}, seed=seed, group="^.")
        assert {name for name, part in split_of.items() if part == "test"} == set(names[90:])


def test_groups_and_near_duplicates_are_merged(tmp_path: Path) -> None:
    """a1 and a2 share a group, a2 and b1 look alike, b1 and b2 share a group: all four stay together."""
    seed_of = {"a1": 1, "a2": 2, "b1": 2, "b2": 3, "c": 4, "d": 5, "e": 6, "f": 7}
    samples = [saved(tmp_path, f"{name}.png", photo(seed)) for name, seed in seed_of.items()]
    for seed in range(5):
        split_of = splits_of(
            samples, parts={"train": 0.5, "test": 0.5}, seed=seed, group="^([ab])", near_duplicates=True
        )
        assert len({split_of[f"{name}.png"] for name in ("a1", "a2", "b1", "b2")}) == 1
        assert Counter(split_of.values()) == {"train": 4, "test": 4}


def test_a_group_of_no_image_is_an_error() -> None:
    for group in (r"^(cam\d+)_", "image.camera"):
        with pytest.raises(UsageError, match=r"split: group=.* matches none of 3 images") as caught:
            splits_of(named("a", "b", "c"), group=group)
        assert "folder" in caught.value.remedy


def test_one_group_cannot_be_split() -> None:
    with pytest.raises(UsageError, match="too many belong together by folder") as caught:
        splits_of(named("a", "b", "c"), parts={"a": 0.5, "b": 0.5}, group="folder")
    assert caught.value.remedy


def test_a_comma_in_brackets_belongs_to_the_expression_and_a_bare_one_is_explained() -> None:
    make_transform(r"split:train=0.8,test=0.2,group=^(cam\d{1,3})_")
    with pytest.raises(UsageError, match="is not a regular expression") as caught:
        make_transform(r"split:train=0.8,test=0.2,group=^(cam_")
    assert "comma" in caught.value.remedy


def test_in_the_order_of_names_two_comes_before_ten() -> None:
    names = [f"frame_{n}.jpg" for n in range(1, 21)]
    samples = named(*names)
    random.Random(1).shuffle(samples)
    split_of = splits_of(samples, parts={"train": 0.7, "val": 0.2, "test": 0.1}, order="name")
    assert [split_of[name] for name in names] == ["train"] * 14 + ["val"] * 4 + ["test"] * 2


@pytest.mark.parametrize(
    "times", [[3, 1.5, 20, 100], ["2024-03-01", "2023-12-31", "2024-10-01T08:00", "2024-10-01T09:30"]]
)
def test_in_the_order_of_an_attribute(times: list[Any]) -> None:
    split_of = splits_of(named(*"abcd", date=times), parts={"train": 0.5, "test": 0.5}, order="image.date")
    assert split_of == {"b": "train", "a": "train", "c": "test", "d": "test"}


def test_consecutive_splits_keep_groups_together() -> None:
    """The splits have five and four images; the middle of the group 4-7 is at the end of the first, which gets it."""
    samples = named(*(f"{n}" for n in range(1, 10)), scene=list("aaabbbbcc"))
    step = Split({"train": 0.5, "test": 0.5}, order="name", group="image.scene")
    assert [sample.split for sample in step(samples)] == ["train"] * 7 + ["test"] * 2
    assert "groups allow no sizes closer to train 5, test 4" in step.notes()


def test_an_image_without_the_attribute_of_the_order_is_an_error() -> None:
    with pytest.raises(DataError, match=r"b: the image has no attribute 'date'") as caught:
        splits_of(named("a", "b", date=["1", None]), parts={"a": 0.5, "b": 0.5}, order="image.date")
    assert caught.value.remedy
