"""Hashes of pictures that look alike are near, those of others are far, and the groups are those of all pairs."""

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

from boxwright.images.similarity import MOST_DIFFERENT_BITS, difference_hash, near_groups

SHARED = Path(os.environ.get("BOXWRIGHT_SHARED_DATA", Path(__file__).resolve().parents[4] / "shared" / "data"))


def scene(seed: int, size: tuple[int, int] = (320, 240)) -> Image.Image:
    """A smooth picture of large blotches."""
    values = np.random.default_rng(seed).integers(0, 255, (6, 8, 3), dtype=np.uint8)
    return Image.fromarray(values).resize(size, Image.Resampling.BICUBIC)


def distance(one: Image.Image, two: Image.Image) -> int:
    return (difference_hash(one) ^ difference_hash(two)).bit_count()


def jpeg(image: Image.Image, quality: int) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return Image.open(buffer)


def test_bits_by_hand() -> None:
    # Nine columns that grow lighter: every pixel is darker than its right neighbour.
    rising = Image.fromarray(np.tile(np.arange(0, 90, 10, dtype=np.uint8), (8, 1)))
    assert difference_hash(rising) == 2**64 - 1
    assert difference_hash(rising.transpose(Image.Transpose.FLIP_LEFT_RIGHT)) == 0
    assert difference_hash(Image.new("RGB", (90, 80), "teal")) == 0


@pytest.mark.parametrize("seed", range(5))
def test_scaling_encoding_and_light_keep_pictures_near(seed: int) -> None:
    image = scene(seed)
    assert distance(image, image.resize((160, 120))) <= MOST_DIFFERENT_BITS
    assert distance(image, jpeg(image, 50)) <= MOST_DIFFERENT_BITS
    assert distance(image, ImageEnhance.Brightness(image).enhance(0.8)) <= MOST_DIFFERENT_BITS
    assert distance(image, image.convert("RGBA")) == 0


def test_other_pictures_are_far() -> None:
    scenes = [scene(seed) for seed in range(12)]
    assert min(distance(one, two) for one, two in combinations(scenes, 2)) > 3 * MOST_DIFFERENT_BITS


@pytest.mark.parametrize("seed", range(3))
def test_a_reduced_grey_decoding_is_near_the_whole(seed: int) -> None:
    encoded = jpeg(scene(seed, (1600, 1200)), 90)
    whole = difference_hash(encoded.convert("RGB"))
    encoded = jpeg(scene(seed, (1600, 1200)), 90)
    encoded.draft("L", (72, 64))
    encoded.load()
    assert encoded.size == (200, 150)
    assert (difference_hash(encoded) ^ whole).bit_count() <= MOST_DIFFERENT_BITS // 2


def brute(hashes: list[int]) -> list[list[int]]:
    groups = [{i} for i in range(len(hashes))]
    for one, two in combinations(range(len(hashes)), 2):
        if (hashes[one] ^ hashes[two]).bit_count() <= MOST_DIFFERENT_BITS:
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
def test_groups_are_those_of_all_pairs(made: list[tuple[int, list[int]]]) -> None:
    hashes = [flipped(value, bits) for value, bits in made]
    assert near_groups(hashes) == brute(hashes)


def test_many_that_share_a_band_are_grouped_the_same() -> None:
    # Frames of a video: hundreds of hashes a few bits apart; the quick way must find what the plain one does.
    chance = random.Random(4)
    base = chance.getrandbits(64)
    hashes = [flipped(base, chance.sample(range(64), chance.randint(2, 9))) for _ in range(300)]
    assert near_groups(hashes) == brute(hashes)


@pytest.mark.skipif(not SHARED.is_dir(), reason="the photos of shared/data are not here")
def test_two_shots_of_one_smear_of_blood() -> None:
    # BCCD's own split has two photos of one field of view, one in each part; they differ in focus.
    train, val = (SHARED / "bccd" / name for name in ("train/BloodImage_00038.jpg", "val/BloodImage_00037.jpg"))
    with Image.open(train) as one, Image.open(val) as two:
        assert distance(one, two) <= MOST_DIFFERENT_BITS
