"""The step ``split``: sizes, classes in every part, near-duplicates; cases worked out by hand and drawn at random."""

from __future__ import annotations

import io
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageEnhance

from boxwright import Boxes, DataError, ImageRef, Sample, UsageError
from boxwright.datasets import make_transform
from boxwright_transforms.duplicates import MOST_DIFFERENT_BITS, difference_hash, near_groups
from boxwright_transforms.split import Split
from boxwright_transforms.stratify import Unit, share_out, shares_to_sizes


def pictures(*labels: Sequence[str]) -> list[Sample]:
    return [
        Sample(
            image=ImageRef(name=f"{number:03d}.jpg", width=100, height=100),
            boxes=Boxes(found, [(0.0, 0.0, 9.0, 9.0)] * len(found)),
        )
        for number, found in enumerate(labels)
    ]


def parts_of(samples: Sequence[Sample], **options: Any) -> dict[str, str]:
    options.setdefault("parts", {"train": "0.8", "test": "0.2"})
    return {sample.image.name: str(sample.split) for sample in Split(**options)(samples)}


def classes_by_part(samples: Sequence[Sample], part_of: dict[str, str]) -> dict[str, Counter[str]]:
    found: dict[str, Counter[str]] = {}
    for sample in samples:
        found.setdefault(part_of[sample.image.name], Counter()).update(set(sample.boxes.labels))
    return found


@pytest.mark.parametrize("seed", range(20))
def test_a_rare_class_in_two_of_ten_pictures_is_in_both_parts(seed: int) -> None:
    samples = pictures(*[["apple"]] * 8, ["apple", "fig"], ["apple", "fig"])
    part_of = parts_of(samples, seed=seed)
    assert Counter(part_of.values()) == {"train": 8, "test": 2}
    assert classes_by_part(samples, part_of) == {
        "train": Counter(apple=8, fig=1),
        "test": Counter(apple=2, fig=1),
    }


@pytest.mark.parametrize("seed", range(20))
def test_five_classes_share_the_two_pictures_of_the_test_part(seed: int) -> None:
    """Only the last two pictures together hold all five classes, and each class stands in one other picture."""
    singles = [[label] for label in "abcde"]
    samples = pictures(*singles, ["x"], ["x"], ["x"], ["a", "b", "x"], ["c", "d", "e"])
    part_of = parts_of(samples, seed=seed)
    assert {name for name, part in part_of.items() if part == "test"} == {"008.jpg", "009.jpg"}


@pytest.mark.parametrize("seed", range(10))
def test_three_parts_with_a_class_in_three_pictures(seed: int) -> None:
    samples = pictures(*[["apple"]] * 17, ["fig"], ["fig"], ["fig"])
    part_of = parts_of(samples, parts={"train": 0.7, "val": 0.15, "test": 0.15}, seed=seed)
    assert Counter(part_of.values()) == {"train": 14, "val": 3, "test": 3}
    found = classes_by_part(samples, part_of)
    assert [found[part]["fig"] for part in ("train", "val", "test")] == [1, 1, 1]


def test_large_classes_stand_in_each_part_in_proportion() -> None:
    chance = random.Random(0)
    weights = {"a": 0.6, "b": 0.3, "c": 0.1}
    samples = pictures(*[[label for label, w in weights.items() if chance.random() < w] for _ in range(1000)])
    found = classes_by_part(samples, parts_of(samples))
    everywhere = sum(found.values(), Counter())
    for label in weights:
        assert abs(found["test"][label] - 0.2 * everywhere[label]) <= 1, f"{label}: {found['test'][label]}"


def test_pictures_without_boxes_are_shared_out_too() -> None:
    samples = pictures(*[["apple"]] * 50, *[[]] * 50)
    part_of = parts_of(samples)
    assert Counter(part_of.values()) == {"train": 80, "test": 20}
    assert classes_by_part(samples, part_of)["test"]["apple"] == 10


def test_a_class_in_one_picture_is_said_to_be_missing() -> None:
    step = Split({"train": "0.8", "test": "0.2"})
    samples = pictures(*[["apple"]] * 9, ["fig", "apple"])
    part_of = {sample.image.name: sample.split for sample in step(samples)}
    lacking = "test" if part_of["009.jpg"] == "train" else "train"
    assert f"no picture of {lacking} has the class 'fig': 1 picture in all" in step.notes()


def test_notes_give_every_part_with_its_classes() -> None:
    step = Split({"train": "0.8", "test": "0.2"})
    assert step.notes() == []
    list(step(pictures(*[["apple"]] * 8, ["apple", "fig"], ["fig", "apple"])))
    assert step.notes() == ["train: 8 pictures (apple in 8, fig in 1)", "test: 2 pictures (apple in 2, fig in 1)"]


def test_an_older_split_is_replaced_and_that_is_said() -> None:
    step = Split({"a": "0.5", "b": "0.5"})
    samples = [sample.replace(split="old") for sample in pictures(["x"], ["x"])]
    assert {sample.split for sample in step(samples)} == {"a", "b"}
    assert step.notes()[-1] == "2 pictures belonged to a split before, which was replaced"


def test_the_stream_keeps_its_order_and_all_else() -> None:
    samples = pictures(*[["apple"]] * 30)
    random.Random(1).shuffle(samples)
    split = list(Split({"train": "0.5", "test": "0.5"})(samples))
    assert [sample.replace(split=None) for sample in split] == samples


def test_the_split_does_not_depend_on_the_order_of_the_pictures() -> None:
    chance = random.Random(2)
    samples = pictures(*[[label for label in "abc" if chance.random() < 0.5] for _ in range(60)])
    one = parts_of(samples)
    shuffled = list(samples)
    chance.shuffle(shuffled)
    assert parts_of(shuffled) == one


def test_the_seed_decides() -> None:
    samples = pictures(*[["apple"]] * 40)
    assert parts_of(samples, seed=3) == parts_of(samples, seed=3)
    assert parts_of(samples, seed=3) != parts_of(samples, seed=4)


@pytest.mark.parametrize(
    ("count", "shares", "sizes"),
    [
        (10, [0.8, 0.2], [8, 2]),
        (20, [0.7, 0.15, 0.15], [14, 3, 3]),
        (16, [0.8, 0.2], [13, 3]),  # 12.8 and 3.2: the larger remainder gets the picture
        (7, [0.5, 0.5], [4, 3]),  # equal remainders: the first
        (10, [1 / 3, 1 / 3, 1 / 3], [4, 3, 3]),
        (10, [0.7, 0.2, 0.1], [7, 2, 1]),  # 0.7 + 0.2 + 0.1 is 0.9999999999999999 in a computer
        (1000, [0.29, 0.57, 0.14], [290, 570, 140]),  # 1000 * 0.29 is 290.0, 100 * 0.29 is 28.999999999999996
        (100, [0.29, 0.57, 0.14], [29, 57, 14]),
        (5, [1.0], [5]),
    ],
)
def test_sizes_by_largest_remainder_by_hand(count: int, shares: list[float], sizes: list[int]) -> None:
    assert shares_to_sizes(count, shares) == sizes


@pytest.mark.parametrize("seed", range(150))
def test_sizes_are_exact_and_every_class_that_can_be_everywhere_is(seed: int) -> None:
    """Random datasets. That a class *can* be everywhere is sure where each part has room for all that it lacks."""
    chance = random.Random(seed)
    parts = chance.randint(1, 4)
    count = chance.randint(parts * 3, 120)
    classes = [f"c{i}" for i in range(chance.randint(1, 6))]
    weights = [chance.random() ** 2 for _ in classes]
    labels = [frozenset(c for c, w in zip(classes, weights, strict=True) if chance.random() < w) for _ in range(count)]
    raw = [chance.uniform(1, 5) for _ in range(parts)]
    shares = [value / sum(raw) for value in raw]
    sizes = shares_to_sizes(count, shares)
    assert sum(sizes) == count
    assert all(abs(size - count * share) < 1 for size, share in zip(sizes, shares, strict=True))
    part_of = share_out([Unit(1, found) for found in labels], sizes, seed)
    assert [part_of.count(part) for part in range(parts)] == sizes
    for label in classes:
        holders = [part for part, found in zip(part_of, labels, strict=True) if label in found]
        if len(holders) >= parts * len(classes) and min(sizes) >= len(classes):
            assert set(holders) == set(range(parts)), f"{label} is missing from a part"


def lacking(labels: Sequence[frozenset[str]], part_of: Sequence[int], parts: int) -> int:
    """How many classes, of those with a picture for each part, are missing from how many parts."""
    every = set().union(*labels)
    return sum(
        not any(label in found and where == part for found, where in zip(labels, part_of, strict=True))
        for label in every
        if sum(label in found for found in labels) >= parts
        for part in range(parts)
    )


@pytest.mark.parametrize("seed", [*range(60), 488])  # in 488, exchanges alone would not find it
def test_no_other_split_of_a_small_dataset_has_more_classes_in_more_parts(seed: int) -> None:
    """Judged by trying every split there is."""
    chance = random.Random(seed)
    parts, count = (2, chance.randint(6, 10)) if seed % 3 else (3, chance.randint(5, 7))
    classes = [f"c{i}" for i in range(chance.randint(2, 6))]
    weights = [chance.random() ** 1.5 for _ in classes]
    labels = [frozenset(c for c, w in zip(classes, weights, strict=True) if chance.random() < w) for _ in range(count)]
    small = chance.randint(1, 2)
    sizes = [count - small * (parts - 1)] + [small] * (parts - 1)
    least = min(
        lacking(labels, part_of, parts)
        for part_of in product(range(parts), repeat=count)
        if [part_of.count(part) for part in range(parts)] == sizes
    )
    assert lacking(labels, share_out([Unit(1, found) for found in labels], sizes, seed), parts) == least


def test_too_few_pictures_for_a_part() -> None:
    with pytest.raises(UsageError, match=r"of 3 pictures, the part 'test' \(0.1\) would get none") as caught:
        parts_of(pictures(["a"], ["a"], ["a"]), parts={"train": "0.9", "test": "0.1"})
    assert caught.value.remedy == "give it a larger share, or add pictures"


class Changing:
    """A dataset to which something happens between two readings."""

    def __init__(self, *readings: list[Sample]) -> None:
        self.readings = list(readings)

    def __iter__(self) -> Iterator[Sample]:
        return iter(self.readings.pop(0))


def test_a_dataset_that_changes_meanwhile_is_a_data_error() -> None:
    samples = pictures(*[["apple"]] * 10)
    for second in (samples[:-1], [*samples, *pictures(["fig"])], samples[::-1]):
        with pytest.raises(DataError, match="changed"):
            list(Split({"train": "0.8", "test": "0.2"})(Changing(samples, second)))


def test_through_the_command_line_s_words() -> None:
    step = make_transform("split:train=0.5,test=0.5,seed=7")
    samples = pictures(*[["apple"]] * 10)
    direct = [sample.split for sample in Split({"train": 0.5, "test": 0.5}, seed=7)(samples)]
    assert [sample.split for sample in step(samples)] == direct
    assert set(direct) == {"train", "test"}


def photo(seed: int, size: tuple[int, int] = (160, 120)) -> Image.Image:
    """A picture with large shapes, as unlike the next as two photos are."""
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


def test_the_hash_of_a_slope_by_hand() -> None:
    """Brighter to the right: every pixel is darker than its right neighbour, so all 64 bits are set; mirrored, none."""
    slope = Image.linear_gradient("L").rotate(90)  # rotated so that the left is black
    for image, expected in ((slope, 2**64 - 1), (slope.transpose(Image.Transpose.FLIP_LEFT_RIGHT), 0)):
        buffer = io.BytesIO()
        image.save(buffer, "PNG")
        reference = ImageRef(name="a.png", width=256, height=256, data=buffer.getvalue())
        assert difference_hash(Sample(image=reference)) == expected


def test_copies_hash_alike_and_others_do_not(tmp_path: Path) -> None:
    image = photo(1)
    original = difference_hash(saved(tmp_path, "a.png", image))
    copies = [
        saved(tmp_path, "b.jpg", image, quality=40),
        saved(tmp_path, "c.jpg", image.resize((80, 60))),
        saved(tmp_path, "d.png", ImageEnhance.Brightness(image).enhance(0.8)),
    ]
    for copy in copies:
        assert (difference_hash(copy) ^ original).bit_count() <= MOST_DIFFERENT_BITS, copy.image.name
    for seed in range(2, 30):
        other = difference_hash(saved(tmp_path, f"{seed}.jpg", photo(seed)))
        assert (other ^ original).bit_count() > MOST_DIFFERENT_BITS


@pytest.mark.parametrize("seed", range(10))
def test_groups_are_those_of_comparing_all_with_all(seed: int) -> None:
    chance = random.Random(seed)
    hashes = [chance.getrandbits(64) for _ in range(30)]
    for _ in range(60):
        near = chance.choice(hashes)
        for bit in chance.sample(range(64), chance.randint(0, 6)):
            near ^= 1 << bit
        hashes.append(near)
    groups = {position: {position} for position in range(len(hashes))}
    for one in range(len(hashes)):
        for two in range(one):
            if (hashes[one] ^ hashes[two]).bit_count() <= MOST_DIFFERENT_BITS and groups[one] is not groups[two]:
                joined = groups[one] | groups[two]
                for position in joined:
                    groups[position] = joined
    expected = {frozenset(group) for group in groups.values()}
    assert {frozenset(group) for group in near_groups(hashes)} == expected
    assert sum(map(len, near_groups(hashes))) == len(hashes)


@pytest.mark.parametrize("seed", range(5))
def test_near_duplicates_stay_together(tmp_path: Path, seed: int) -> None:
    samples = [saved(tmp_path, f"{n:02d}.jpg", photo(n)) for n in range(16)]
    pairs = [(f"{n:02d}.jpg", f"copy-{n:02d}.jpg") for n in range(4)]
    samples += [saved(tmp_path, copy, photo(int(name[:2])), quality=50) for name, copy in pairs]
    step = Split({"train": "0.7", "test": "0.3"}, seed=seed, near_duplicates=True)
    part_of = {sample.image.name: sample.split for sample in step(samples)}
    assert all(part_of[name] == part_of[copy] for name, copy in pairs)
    assert Counter(part_of.values()) == {"train": 14, "test": 6}
    assert "8 pictures in 4 groups look alike; each group was kept in one part" in step.notes()
    apart = {sample.image.name: sample.split for sample in Split({"train": "0.7", "test": "0.3"}, seed=seed)(samples)}
    assert apart != part_of


def test_a_dataset_of_one_picture_only_cannot_be_split(tmp_path: Path) -> None:
    samples = [saved(tmp_path, f"{n}.png", photo(1)) for n in range(6)]
    with pytest.raises(UsageError, match="as too many look alike"):
        list(Split({"train": "0.5", "test": "0.5"}, near_duplicates=True)(samples))


def test_a_damaged_picture_is_a_data_error_where_pictures_are_looked_at(tmp_path: Path) -> None:
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
    part_of = {sample.image.name: sample.split for sample in step(samples)}
    assert Counter(part_of.values()) == {"train": 32, "test": 8}
    assert all(len({part_of[name] for name in names[i : i + 4]}) == 1 for i in range(0, 40, 4))
    assert f"40 pictures in 10 groups by {group}, each kept together" in step.notes()


def test_groups_by_an_attribute_and_pictures_that_have_none() -> None:
    cameras = ["left", "left", "right", "right", "right", 7, 7, None, None, None]
    samples = named(*(f"{n}.jpg" for n in range(10)), camera=cameras)
    for seed in range(10):
        step = Split({"train": 0.5, "test": 0.5}, seed=seed, group="image.camera")
        parts = [str(sample.split) for sample in step(samples)]
        assert Counter(parts) == {"train": 5, "test": 5}
        assert all(len({parts[i] for i in group}) == 1 for group in ([0, 1], [2, 3, 4], [5, 6]))
    assert step.notes()[-2:] == [
        "7 pictures in 3 groups by image.camera, each kept together",
        "3 pictures without image.camera stand alone",
    ]


def test_classes_are_in_every_part_where_groups_allow_it() -> None:
    """The fig is in two of ten groups; each part gets one of them."""
    samples = [
        sample.replace(boxes=Boxes(["fig"], [(0, 0, 9, 9)])) if sample.image.name[0] in "ab" else sample
        for sample in named(*(f"{letter}{n}.jpg" for letter in "abcdefghij" for n in range(3)))
    ]
    for seed in range(10):
        part_of = parts_of(samples, seed=seed, group="^.")
        assert {part_of["a0.jpg"], part_of["b0.jpg"]} == {"train", "test"}
        assert Counter(part_of.values()) == {"train": 24, "test": 6}


def test_sizes_that_groups_do_not_allow_are_said() -> None:
    step = Split({"train": 0.5, "test": 0.5}, group="^(.)")
    parts = Counter(sample.split for sample in step(named("a1", "a2", "a3", "b1")))
    assert sorted(parts.values()) == [1, 3]
    assert "whole groups allow no nearer to train 2, test 2" in step.notes()


def test_a_part_that_large_groups_would_leave_empty_gets_the_smallest() -> None:
    names = [f"{letter}{n}" for letter, count in (("a", 50), ("b", 40), ("c", 10)) for n in range(count)]
    for seed in range(5):
        part_of = parts_of(named(*names), parts={"train": 0.98, "test": 0.02}, seed=seed, group="^.")
        assert {name for name, part in part_of.items() if part == "test"} == set(names[90:])


def test_groups_and_near_duplicates_join(tmp_path: Path) -> None:
    """a1 and a2 share a group, a2 and b1 look alike, b1 and b2 share a group: all four stay together."""
    pictures_of = {"a1": 1, "a2": 2, "b1": 2, "b2": 3, "c": 4, "d": 5, "e": 6, "f": 7}
    samples = [saved(tmp_path, f"{name}.png", photo(seed)) for name, seed in pictures_of.items()]
    for seed in range(5):
        part_of = parts_of(samples, parts={"train": 0.5, "test": 0.5}, seed=seed, group="^([ab])", near_duplicates=True)
        assert len({part_of[f"{name}.png"] for name in ("a1", "a2", "b1", "b2")}) == 1
        assert Counter(part_of.values()) == {"train": 4, "test": 4}


def test_a_group_that_no_picture_has() -> None:
    for group in (r"^(cam\d+)_", "image.camera"):
        with pytest.raises(UsageError, match=r"split: group=.*: of 3 pictures, none has it") as caught:
            parts_of(named("a", "b", "c"), group=group)
        assert "folder" in caught.value.remedy


def test_one_group_cannot_be_split() -> None:
    with pytest.raises(UsageError, match="too many belong together by folder") as caught:
        parts_of(named("a", "b", "c"), parts={"a": 0.5, "b": 0.5}, group="folder")
    assert caught.value.remedy


def test_a_comma_in_brackets_belongs_to_the_expression_and_a_bare_one_is_explained() -> None:
    make_transform(r"split:train=0.8,test=0.2,group=^(cam\d{1,3})_")
    with pytest.raises(UsageError, match="is no regular expression") as caught:
        make_transform(r"split:train=0.8,test=0.2,group=^(cam_")
    assert "comma" in caught.value.remedy


def test_in_the_order_of_names_two_comes_before_ten() -> None:
    names = [f"frame_{n}.jpg" for n in range(1, 21)]
    samples = named(*names)
    random.Random(1).shuffle(samples)
    part_of = parts_of(samples, parts={"train": 0.7, "val": 0.2, "test": 0.1}, order="name")
    assert [part_of[name] for name in names] == ["train"] * 14 + ["val"] * 4 + ["test"] * 2


@pytest.mark.parametrize(
    "times", [[3, 1.5, 20, 100], ["2024-03-01", "2023-12-31", "2024-10-01T08:00", "2024-10-01T09:30"]]
)
def test_in_the_order_of_an_attribute(times: list[Any]) -> None:
    part_of = parts_of(named(*"abcd", date=times), parts={"train": 0.5, "test": 0.5}, order="image.date")
    assert part_of == {"b": "train", "a": "train", "c": "test", "d": "test"}


def test_in_order_groups_stay_whole() -> None:
    """The parts have five and four pictures; the group 4-7 has its middle where the first ends, and belongs to it."""
    samples = named(*(f"{n}" for n in range(1, 10)), scene=list("aaabbbbcc"))
    step = Split({"train": 0.5, "test": 0.5}, order="name", group="image.scene")
    assert [sample.split for sample in step(samples)] == ["train"] * 7 + ["test"] * 2
    assert "whole groups allow no nearer to train 5, test 4" in step.notes()


def test_a_picture_without_the_attribute_of_the_order() -> None:
    with pytest.raises(DataError, match=r"b: the picture has no attribute 'date'") as caught:
        parts_of(named("a", "b", date=["1", None]), parts={"a": 0.5, "b": 0.5}, order="image.date")
    assert caught.value.remedy
