"""The step ``dedupe``: the same bytes, pictures that look alike, what stays, splits; and imagehash as a judge."""

from __future__ import annotations

import io
import random
from collections.abc import Iterator, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st
from PIL import Image, ImageEnhance

import boxwright_transforms.duplicates
from boxwright import Boxes, DataError, ImageRef, Sample
from boxwright_transforms.dedupe import Dedupe
from boxwright_transforms.duplicates import NearIndex, difference_hash


def photo(seed: int, size: tuple[int, int] = (160, 120)) -> Image.Image:
    """A picture with large shapes, as unlike the next as two photos are."""
    blots = Image.frombytes("L", (6, 5), random.Random(seed).randbytes(30))
    return blots.resize(size, Image.Resampling.BICUBIC).convert("RGB")


def encoded(image: Image.Image, form: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def sample_of(name: str, data: bytes, boxes: int = 1, split: str | None = None) -> Sample:
    with Image.open(io.BytesIO(data)) as image:
        reference = ImageRef(name=name, width=image.width, height=image.height, data=data)
    edges = [(float(n), 0.0, n + 9.0, 9.0) for n in range(boxes)]
    return Sample(image=reference, boxes=Boxes(["fig"] * boxes, edges), split=split)


def left(samples: Sequence[Sample], *arguments: Any, **options: Any) -> list[str]:
    return [sample.image.name for sample in Dedupe(*arguments, **options)(samples)]


ONE, TWO = encoded(photo(1)), encoded(photo(2))


def test_of_the_same_bytes_the_first_stays() -> None:
    samples = [sample_of("a", ONE), sample_of("b", TWO), sample_of("c", ONE), sample_of("d", TWO), sample_of("e", ONE)]
    assert left(samples) == ["a", "b"]
    step = Dedupe()
    list(step(samples))
    assert step.notes() == [
        "3 pictures of 5 left out for 2 pictures: c is the same as a; d is the same as b; e is the same as a"
    ]


def test_a_copy_with_other_bytes_is_found_by_its_looks_alone() -> None:
    copies = [
        sample_of("original.png", ONE),
        sample_of("small.png", encoded(photo(1).resize((80, 60)))),
        sample_of("jpeg.jpg", encoded(photo(1), "JPEG", quality=40)),
        sample_of("dark.png", encoded(ImageEnhance.Brightness(photo(1)).enhance(0.8))),
        sample_of("other.png", TWO),
    ]
    assert len(left(copies)) == 5
    assert left(copies, "near") == ["original.png", "other.png"]


def test_the_one_with_most_boxes_stays_in_its_place() -> None:
    samples = [sample_of("a", ONE, 1), sample_of("b", TWO, 0), sample_of("c", ONE, 3), sample_of("d", ONE, 3)]
    assert left(samples, keep="most_boxes") == ["b", "c"]
    step = Dedupe(keep="first")
    assert [sample.image.name for sample in step(samples)] == ["a", "b"]
    assert step.notes()[1] == "2 of them had other boxes than the one that stayed: c; d"


def test_splits() -> None:
    samples = [
        sample_of("a", ONE, split="train"),
        sample_of("b", ONE, split="train"),
        sample_of("c", ONE, split="test"),
        sample_of("d", TWO, split="test"),
    ]
    step = Dedupe()
    assert [sample.image.name for sample in step(samples)] == ["a", "d"]
    assert step.notes()[1] == "1 of them stood in another split: c (test), a (train)"
    for how in ("exact", "near"):
        step = Dedupe(how, scope="split")
        assert [sample.image.name for sample in step(samples)] == ["a", "c", "d"]
        assert step.notes()[1] == "1 picture also in another split stayed: c, a"


def test_a_chain_does_not_shrink_to_its_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each differs in 3 bits from the one before: every second one is too far from the last that stayed."""
    hashes = {str(n): (1 << 3 * n) - 1 for n in range(7)}
    monkeypatch.setattr(boxwright_transforms.duplicates, "difference_hash", lambda sample: hashes[sample.image.name])
    samples = [sample_of(name, ONE) for name in hashes]
    assert left(samples, "near") == ["0", "2", "4", "6"]
    assert left(samples, "near", bits=6) == ["0", "3", "6"]
    assert left(samples, "near", bits=2) == list(hashes)


def test_nothing_found_is_said() -> None:
    samples = [sample_of("a", ONE), sample_of("b", TWO)]
    for how, note in (("exact", "no two pictures are the same"), ("near", "no two pictures look alike")):
        step = Dedupe(how)
        assert step.notes() == []
        assert list(step(samples)) == samples
        assert step.notes() == [note]


def test_each_picture_is_read_once_however_often_the_dataset_is(monkeypatch: pytest.MonkeyPatch) -> None:
    read = []
    monkeypatch.setattr(
        boxwright_transforms.duplicates,
        "difference_hash",
        lambda sample: read.append(sample.image.name) or difference_hash(sample),
    )
    step = Dedupe("near")
    samples = [sample_of("a", ONE), sample_of("b", TWO)]
    assert list(step(samples)) == list(step(samples))
    assert read == ["a", "b"]


def test_what_cannot_be_read_is_an_error_or_passes(tmp_path: Path) -> None:
    gone = Sample(image=ImageRef(name="gone", width=5, height=5, location=str(tmp_path / "gone.jpg")))
    damaged = sample_of("cut", ONE)
    damaged = damaged.replace(image=damaged.image.model_copy(update={"data": ONE[: len(ONE) // 2]}))
    samples = [sample_of("a", ONE), gone, damaged, sample_of("b", ONE)]
    for how in ("exact", "near"):
        with pytest.raises(DataError, match=r"gone\.jpg: there is no such picture") as caught:
            left(samples, how)
        assert "unreadable=keep" in caught.value.remedy
        step = Dedupe(how, unreadable="keep")
        assert [sample.image.name for sample in step(samples)] == ["a", "gone", "cut"]
    assert step.notes()[-1] == "2 pictures could not be read: gone; cut"


class Changing:
    """A dataset to which something happens between two readings."""

    def __init__(self, *readings: list[Sample]) -> None:
        self.readings = list(readings)

    def __iter__(self) -> Iterator[Sample]:
        return iter(self.readings.pop(0))


def test_a_dataset_that_changes_meanwhile_is_a_data_error() -> None:
    samples = [sample_of("a", ONE), sample_of("b", TWO)]
    with pytest.raises(DataError, match="changed"):
        list(Dedupe()(Changing(samples, samples[::-1])))


near_by = st.tuples(st.integers(0, 3), st.lists(st.integers(0, 63), max_size=5)).map(
    lambda drawn: random.Random(drawn[0]).getrandbits(64) ^ sum({1 << bit for bit in drawn[1]})
)


@given(st.lists(near_by, max_size=30), st.integers(0, 8))
def test_the_index_finds_what_comparing_with_all_finds(hashes: list[int], bits: int) -> None:
    index = NearIndex(bits)
    added: list[int] = []
    for position, value in enumerate(hashes):
        distances = [(value ^ hashes[other]).bit_count() for other in added]
        found = index.find(value)
        if distances and min(distances) <= bits:
            assert found is not None
            assert (value ^ hashes[found]).bit_count() == min(distances)
        else:
            assert found is None
            index.add(value, position)
            added.append(position)


def test_few_of_many_hashes_are_compared() -> None:
    """Bands keep it from growing with the square: of 20,000 random hashes, each meets a few dozen."""
    chance = random.Random(0)
    index = NearIndex(4)
    for position in range(20_000):
        index.add(chance.getrandbits(64), position)
    met = [len(bucket) for bucket in index._buckets.values()]
    assert sum(size * size for size in met) / 20_000 < 60
    assert max(met) < 40


IMAGEHASH = {
    # str(imagehash.dhash(photo(seed))) of ImageHash 4.3.2
    1: "0706267cf8f0e030",
    2: "f9db1b1818242426",
    3: "24241b8c26272331",
    4: "0e26242418987163",
    5: "d3fb3cc3c7e61b1b",
    6: "1c1b232464d3e3e4",
    7: "e4c4ccdffb606767",
    8: "cc1c3b1c2c240098",
}


def test_the_hash_is_nearly_that_of_imagehash() -> None:
    """Both are Krawetz' difference hash; imagehash scales by Lanczos, and here boxes are averaged, which is quicker."""
    ours = {seed: difference_hash(sample_of("a", encoded(photo(seed)))) for seed in IMAGEHASH}
    for seed, theirs in IMAGEHASH.items():
        assert (ours[seed] ^ int(theirs, 16)).bit_count() <= 6
    for one, two in combinations(IMAGEHASH, 2):
        distance = (int(IMAGEHASH[one], 16) ^ int(IMAGEHASH[two], 16)).bit_count()
        assert (ours[one] ^ ours[two]).bit_count() == pytest.approx(distance, abs=8)
