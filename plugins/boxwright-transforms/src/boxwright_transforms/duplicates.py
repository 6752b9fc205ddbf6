"""Pictures that are the same or look alike: digests and hashes, and what is near among them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from itertools import combinations
from typing import Final

import numpy as np
from PIL import Image

from boxwright import Sample
from boxwright.images import decode_sample
from boxwright_transforms.groups import Joined

MOST_DIFFERENT_BITS: Final = 4
"""Hashes that differ in at most so many of their 64 bits are of pictures that look alike."""


def difference_hash(sample: Sample) -> int:
    """The difference hash of a picture: 64 bits that survive scaling, encoding again and small changes of light.

    The picture is made grey and 9x8 pixels large; each bit says whether a pixel is darker than its right neighbour
    (Neal Krawetz, "Kind of Like That", 2013). A picture without contrast gives 0.

    Raises:
        DataError: The picture is missing or damaged.
    """
    bare = sample.replace(boxes=())
    image = decode_sample(bare, at_least=(72, 64)).image.convert("L")
    small = image.resize((9, 8), Image.Resampling.BOX, reducing_gap=4.0)
    levels = np.asarray(small, dtype=np.int16)
    bits = (levels[:, :-1] < levels[:, 1:]).ravel()
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


class PictureHashes:
    """Digests and hashes of pictures, each made once: a conversion may read its source more than once."""

    def __init__(self) -> None:
        self._digests: dict[int, bytes] = {}
        self._hashes: dict[int, int] = {}

    def digest(self, sample: Sample) -> bytes:
        """The SHA-256 of a picture's bytes, 32 bytes.

        Raises:
            DataError: The picture is missing.
        """
        key = _key(sample)
        if key not in self._digests:
            self._digests[key] = hashlib.sha256(sample.image.read()).digest()
        return self._digests[key]

    def difference_hash(self, sample: Sample) -> int:
        """The picture's :func:`difference_hash`.

        Raises:
            DataError: The picture is missing or damaged.
        """
        key = _key(sample)
        if key not in self._hashes:
            self._hashes[key] = difference_hash(sample)
        return self._hashes[key]


def _key(sample: Sample) -> int:
    image = sample.image
    return hash((image.name, image.location, image.width, image.height, len(image.data or b"")))


class Bands:
    """The bits of 64-bit hashes dealt to bands, so that hashes which differ in few bits have a band in common.

    Only hashes that share a band need to be compared: with ``bits`` different bits at most, one of ``bits + 1`` bands
    is the same. The fewer bits, the more there is in a band, and the fewer are compared.
    """

    def __init__(self, bits: int) -> None:
        count = bits + 1
        self._masks = [sum(1 << bit for bit in range(band, 64, count)) for band in range(count)]

    def of(self, value: int) -> list[tuple[int, int]]:
        """The bands of a hash, each with its number."""
        return [(band, value & mask) for band, mask in enumerate(self._masks)]


class NearIndex:
    """Hashes, among which one that is near another is looked for.

    Args:
        bits: By how many bits hashes may differ to be near.
    """

    def __init__(self, bits: int) -> None:
        self._bits = bits
        self._bands = Bands(bits)
        self._buckets: dict[tuple[int, int], list[int]] = {}
        self._known: dict[int, int] = {}

    def find(self, value: int) -> int | None:
        """The item whose hash is nearest, and the first of several; ``None`` where no hash is near."""
        if value in self._known:
            return self._known[value]
        best: tuple[int, int] | None = None
        for band in self._bands.of(value):
            for other in self._buckets.get(band, ()):
                distance = (value ^ other).bit_count()
                if distance <= self._bits:
                    found = (distance, self._known[other])
                    best = found if best is None else min(best, found)
        return None if best is None else best[1]

    def add(self, value: int, item: int) -> None:
        """Adds a hash, unless it is there."""
        if value not in self._known:
            self._known[value] = item
            for band in self._bands.of(value):
                self._buckets.setdefault(band, []).append(value)


def near_groups(hashes: Sequence[int]) -> list[list[int]]:
    """Groups of positions whose hashes are near, directly or through others of the group.

    Only hashes that share a band of bits are compared, so the work grows about as the number of pictures.

    Args:
        hashes: 64-bit numbers.

    Returns:
        Every position once; groups in the order of their first, each in order.
    """
    first_of: dict[int, int] = {}
    joined = Joined(len(hashes))
    for position, value in enumerate(hashes):
        joined.join(first_of.setdefault(value, position), position)
    buckets: dict[tuple[int, int], list[int]] = {}
    bands = Bands(MOST_DIFFERENT_BITS)
    for value in first_of:
        for band in bands.of(value):
            buckets.setdefault(band, []).append(value)
    for bucket in buckets.values():
        for one, two in combinations(bucket, 2):
            if (one ^ two).bit_count() <= MOST_DIFFERENT_BITS:
                joined.join(first_of[one], first_of[two])
    return joined.groups()
