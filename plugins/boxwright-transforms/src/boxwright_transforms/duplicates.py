"""Pictures that look alike: a 64-bit hash of each, and groups of hashes that differ in a few bits."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Final

import numpy as np
from PIL import Image

from boxwright import Sample
from boxwright.images import open_picture

MOST_DIFFERENT_BITS: Final = 4
"""Hashes that differ in at most so many of their 64 bits are of pictures that look alike."""

_BANDS: Final = MOST_DIFFERENT_BITS + 1
"""Bits are dealt to so many bands; among that many, hashes so near have at least one band in common."""


def difference_hash(sample: Sample) -> int:
    """The difference hash of a picture: 64 bits that survive scaling, encoding again and small changes of light.

    The picture is made grey and 9x8 pixels large; each bit says whether a pixel is darker than its right neighbour
    (Neal Krawetz, "Kind of Like That", 2013). A picture without contrast gives 0.

    Raises:
        DataError: The picture is missing or damaged.
    """
    bare = sample.replace(boxes=())
    image = open_picture(bare, at_least=(72, 64)).image.convert("L")
    small = image.resize((9, 8), Image.Resampling.BOX, reducing_gap=4.0)
    levels = np.asarray(small, dtype=np.int16)
    bits = (levels[:, :-1] < levels[:, 1:]).ravel()
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


def near_groups(hashes: Sequence[int]) -> list[list[int]]:
    """Groups of positions whose hashes are near, directly or through others of the group.

    Only hashes that share a band of bits are compared, so the work grows about as the number of pictures.

    Args:
        hashes: 64-bit numbers.

    Returns:
        Every position once; groups in the order of their first, each in order.
    """
    same: dict[int, list[int]] = {}
    for position, value in enumerate(hashes):
        same.setdefault(value, []).append(position)
    distinct = list(same)
    leader = list(range(len(distinct)))

    def find(item: int) -> int:
        while leader[item] != item:
            leader[item] = leader[leader[item]]
            item = leader[item]
        return item

    for band in range(_BANDS):
        mask = sum(1 << bit for bit in range(band, 64, _BANDS))
        buckets: dict[int, list[int]] = {}
        for item, value in enumerate(distinct):
            buckets.setdefault(value & mask, []).append(item)
        for bucket in buckets.values():
            for one, two in combinations(bucket, 2):
                if (distinct[one] ^ distinct[two]).bit_count() <= MOST_DIFFERENT_BITS:
                    first, second = sorted((find(one), find(two)))
                    leader[second] = first
    groups: dict[int, list[int]] = {}
    for item, value in enumerate(distinct):
        groups.setdefault(find(item), []).extend(same[value])
    return sorted((sorted(group) for group in groups.values()), key=lambda group: group[0])
