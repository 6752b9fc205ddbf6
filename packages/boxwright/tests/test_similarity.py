"""Hashes of similar images are close, those of others are not; the searches find what comparing all pairs finds."""

from __future__ import annotations

import io
import os
import random
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, strategies as st
from PIL import Image, ImageEnhance

from boxwright.images.similarity import MAX_DISTANCE, SimilarityIndex, difference_hash, merge_groups, near_groups

SHARED = Path(os.environ.get("BOXWRIGHT_SHARED_DATA", Path(__file__).resolve().parents[4] / "shared" / "data"))


def scene(seed: int, size: tuple[int, int] = (320, 240)) -> Image.Image:
    """Returns a smooth image of large shapes."""
    values = np.random.default_rng(seed).integers(0, 255, (6, 8, 3), dtype=np.uint8)
    return Image.fromarray(values).resize(size, Image.Resampling.BICUBIC)


def distance(one: Image.Image, two: Image.Image) -> int:
    return (difference_hash(one) ^ difference_hash(two)).bit_count()


def jpeg(image: Image.Image, quality: int) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return Image.open(buffer)


def test_the_hash_of_a_gradient() -> None:
    # Nine columns that get lighter: every pixel is darker than its right neighbor.
    rising = Image.fromarray(np.tile(np.arange(0, 90, 10, dtype=np.uint8), (8, 1)))
    assert difference_hash(rising) == 2**64 - 1
    assert difference_hash(rising.transpose(Image.Transpose.FLIP_LEFT_RIGHT)) == 0
    assert difference_hash(Image.new("RGB", (90, 80), "teal")) == 0


@pytest.mark.parametrize("seed", range(5))
def test_resized_encoded_and_darkened_images_are_close(seed: int) -> None:
    image = scene(seed)
    assert distance(image, image.resize((160, 120))) <= MAX_DISTANCE
    assert distance(image, jpeg(image, 50)) <= MAX_DISTANCE
    assert distance(image, ImageEnhance.Brightness(image).enhance(0.8)) <= MAX_DISTANCE
    assert distance(image, image.convert("RGBA")) == 0


def test_other_images_are_not_close() -> None:
    scenes = [scene(seed) for seed in range(12)]
    assert min(distance(one, two) for one, two in combinations(scenes, 2)) > 3 * MAX_DISTANCE


@pytest.mark.parametrize("seed", range(3))
def test_a_reduced_gray_image_is_close_to_the_full_one(seed: int) -> None:
    encoded = jpeg(scene(seed, (1600, 1200)), 90)
    whole = difference_hash(encoded.convert("RGB"))
    encoded = jpeg(scene(seed, (1600, 1200)), 90)
    encoded.draft("L", (72, 64))
    encoded.load()
    assert encoded.size == (200, 150)
    assert (difference_hash(encoded) ^ whole).bit_count() <= MAX_DISTANCE // 2


def brute(hashes: list[int]) -> list[list[int]]:
    groups = [{i} for i in range(len(hashes))]
    for one, two in combinations(range(len(hashes)), 2):
        if (hashes[one] ^ hashes[two]).bit_count() <= MAX_DISTANCE:
            first = next(g for g in groups if one in g)
            second = next(g for g in groups if two in g)
            if first is not second:
                groups.remove(second)
                first |= second
    return sorted(sorted(group) for group in groups)


def flipped(value: int, bits: list[int]) -> int:
    for bit in bits:
        value ^= 1 << bit
    return value


@given(
    st.lists(st.tuples(st.sampled_from([0, 2**64 - 1, 0x0F0F]), st.lists(st.integers(0, 63), max_size=7)), max_size=12)
)
def test_groups_are_those_of_comparing_all_pairs(made: list[tuple[int, list[int]]]) -> None:
    hashes = [flipped(value, bits) for value, bits in made]
    assert near_groups(hashes) == brute(hashes)


def test_many_hashes_that_share_a_band_are_grouped_correctly() -> None:
    # Frames of a video: hundreds of hashes a few bits apart, which are compared by NumPy.
    chance = random.Random(4)
    base = chance.getrandbits(64)
    hashes = [flipped(base, chance.sample(range(64), chance.randint(2, 9))) for _ in range(300)]
    assert near_groups(hashes) == brute(hashes)


@pytest.mark.skipif(not SHARED.is_dir(), reason="the photos of shared/data are missing")
def test_two_photos_of_one_blood_smear() -> None:
    # BCCD contains two photos of one field of view, one in each split; they differ in focus.
    train, val = (SHARED / "bccd" / name for name in ("train/BloodImage_00038.jpg", "val/BloodImage_00037.jpg"))
    with Image.open(train) as one, Image.open(val) as two:
        assert distance(one, two) <= MAX_DISTANCE


near_by = st.tuples(st.integers(0, 3), st.lists(st.integers(0, 63), max_size=5)).map(
    lambda drawn: flipped(random.Random(drawn[0]).getrandbits(64), sorted(set(drawn[1])))
)


@given(st.lists(near_by, max_size=30), st.integers(0, 8))
def test_the_index_finds_what_comparing_with_all_hashes_finds(hashes: list[int], bits: int) -> None:
    index = SimilarityIndex(bits)
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


def test_the_index_compares_few_of_many_hashes() -> None:
    """The number does not grow with the square: of 20,000 random hashes, each is compared with a few dozen."""
    chance = random.Random(0)
    index = SimilarityIndex(4)
    for position in range(20_000):
        index.add(chance.getrandbits(64), position)
    sizes = [len(bucket) for bucket in index._buckets.values()]
    assert sum(size * size for size in sizes) / 20_000 < 60
    assert max(sizes) < 40


def test_merged_groups_are_transitive_and_sorted() -> None:
    assert merge_groups(7, [[5, 1], [2, 4], [4, 5], [6]]) == [[0], [1, 2, 4, 5], [3], [6]]
    assert merge_groups(2, []) == [[0], [1]]
    assert merge_groups(0, []) == []


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


def photo(seed: int) -> Image.Image:
    """Returns an image with large shapes, as different from others as two photos."""
    blots = Image.frombytes("L", (6, 5), random.Random(seed).randbytes(30))
    return blots.resize((160, 120), Image.Resampling.BICUBIC).convert("RGB")


def test_the_hash_is_close_to_that_of_imagehash() -> None:
    """Both are Krawetz's difference hash; imagehash resizes with Lanczos, this module with the faster box filter."""
    ours = {seed: difference_hash(photo(seed)) for seed in IMAGEHASH}
    for seed, theirs in IMAGEHASH.items():
        assert (ours[seed] ^ int(theirs, 16)).bit_count() <= 6
    for one, two in combinations(IMAGEHASH, 2):
        expected = (int(IMAGEHASH[one], 16) ^ int(IMAGEHASH[two], 16)).bit_count()
        assert (ours[one] ^ ours[two]).bit_count() == pytest.approx(expected, abs=8)
