"""Pictures that look alike: a 64-bit hash of each, and groups of hashes that differ in a few bits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Final

import numpy as np
from PIL import Image

from boxwright.images.decode import to_rgb

MOST_DIFFERENT_BITS: Final = 4
"""Hashes that differ in at most so many of their 64 bits are of pictures that look alike."""

AT_LEAST: Final = (72, 64)
"""Width and height that are enough for a hash: a decoder that can may give the picture that small."""

_BANDS: Final = MOST_DIFFERENT_BITS + 1
"""Bits are dealt to so many bands; among that many, hashes so near have at least one band in common."""

_FEW: Final = 64
_BITS: Final = np.array([value.bit_count() for value in range(256)], dtype=np.uint8)


def difference_hash(image: Image.Image) -> int:
    """The difference hash of a picture: 64 bits that survive scaling, encoding again and small changes of light.

    The picture is made grey and 9x8 pixels large; each bit says whether a pixel is darker than its right neighbour
    (Neal Krawetz, "Kind of Like That", 2013). A picture without contrast gives 0.

    Args:
        image: Upright, of any mode and any size not below :data:`AT_LEAST`.
    """
    grey = image if image.mode == "L" else to_rgb(image).convert("L")
    small = grey.resize((9, 8), Image.Resampling.BOX, reducing_gap=4.0)
    levels = np.frombuffer(small.tobytes(), dtype=np.uint8).reshape(8, 9)  # np.asarray(image) takes three times as long
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

    for one, two in _near_pairs(distinct):
        first, second = sorted((find(one), find(two)))
        leader[second] = first
    groups: dict[int, list[int]] = {}
    for item, value in enumerate(distinct):
        groups.setdefault(find(item), []).extend(same[value])
    return sorted((sorted(group) for group in groups.values()), key=lambda group: group[0])


def _near_pairs(distinct: Sequence[int]) -> Iterator[tuple[int, int]]:
    for band in range(_BANDS):
        mask = sum(1 << bit for bit in range(band, 64, _BANDS))
        buckets: dict[int, list[int]] = {}
        for item, value in enumerate(distinct):
            buckets.setdefault(value & mask, []).append(item)
        for bucket in buckets.values():
            yield from _near_in(bucket, distinct)


def _near_in(bucket: list[int], distinct: Sequence[int]) -> Iterator[tuple[int, int]]:
    if len(bucket) <= _FEW:
        for one, two in combinations(bucket, 2):
            if (distinct[one] ^ distinct[two]).bit_count() <= MOST_DIFFERENT_BITS:
                yield one, two
        return
    # Frames of a video share bands by the thousand.
    values = np.array([distinct[item] for item in bucket], dtype=np.uint64)
    for place, one in enumerate(bucket[:-1]):
        different = (values[place + 1 :] ^ values[place]).view(np.uint8).reshape(-1, 8)
        for near in np.flatnonzero(_BITS[different].sum(axis=1) <= MOST_DIFFERENT_BITS):
            yield one, bucket[place + 1 + int(near)]
