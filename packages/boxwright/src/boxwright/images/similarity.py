"""Similarity of images: a 64-bit hash of each, and the search for hashes that differ in few bits."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations
from typing import Final

import numpy as np
from PIL import Image

from boxwright.images.decode import to_rgb

MAX_DISTANCE: Final = 4
"""The hashes of images that look alike differ in at most this number of their 64 bits."""

MIN_SIZE: Final = (72, 64)
"""Width and height that are sufficient for a hash: a decoder may reduce the image to this size."""

_MAX_COMBINATIONS: Final = 64
_BIT_COUNTS: Final = np.array([value.bit_count() for value in range(256)], dtype=np.uint8)


def difference_hash(image: Image.Image) -> int:
    """Returns the difference hash of an image: 64 bits that survive resizing, encoding and small changes of light.

    The image is reduced to 9x8 gray pixels; each bit is set if a pixel is darker than its right neighbor (Neal Krawetz,
    "Kind of Like That", 2013). The hash of an image without contrast is 0.

    Args:
        image: Upright, of any mode, at least as large as :data:`MIN_SIZE`.
    """
    gray = image if image.mode == "L" else to_rgb(image).convert("L")
    small = gray.resize((9, 8), Image.Resampling.BOX, reducing_gap=4.0)
    levels = np.frombuffer(small.tobytes(), dtype=np.uint8).reshape(8, 9)  # np.asarray(image) takes three times as long
    bits = (levels[:, :-1] < levels[:, 1:]).ravel()
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


class SimilarityIndex:
    """Finds the closest of the hashes that were added, among those that differ in few bits.

    Only hashes that share a band of bits are compared: of ``max_distance + 1`` bands, at least one is equal. The larger
    the distance, the more hashes share a band, and are compared.

    Args:
        max_distance: In how many bits hashes may differ.
    """

    def __init__(self, max_distance: int) -> None:
        self._max_distance = max_distance
        self._masks = _band_masks(max_distance)
        self._buckets: dict[tuple[int, int], list[int]] = {}
        self._items: dict[int, int] = {}

    def find(self, value: int) -> int | None:
        """Returns the item with the closest hash, the lowest of several; ``None`` if no hash is close enough."""
        if value in self._items:
            return self._items[value]
        best: tuple[int, int] | None = None
        for key in self._keys(value):
            for other in self._buckets.get(key, ()):
                distance = (value ^ other).bit_count()
                if distance <= self._max_distance:
                    found = (distance, self._items[other])
                    best = found if best is None else min(best, found)
        return None if best is None else best[1]

    def add(self, value: int, item: int) -> None:
        """Adds an item with its hash; only the first of equal hashes is kept."""
        if value not in self._items:
            self._items[value] = item
            for key in self._keys(value):
                self._buckets.setdefault(key, []).append(value)

    def _keys(self, value: int) -> list[tuple[int, int]]:
        return [(band, value & mask) for band, mask in enumerate(self._masks)]


def near_groups(hashes: Sequence[int]) -> list[list[int]]:
    """Returns groups of positions whose hashes are close, directly or through others of the group.

    Only hashes that share a band of bits are compared, so the time grows roughly in proportion to the number of images.

    Args:
        hashes: 64-bit numbers.

    Returns:
        Every position once; groups in the order of their first position, each sorted.
    """
    same: dict[int, list[int]] = {}
    for position, value in enumerate(hashes):
        same.setdefault(value, []).append(position)
    firsts = [positions[0] for positions in same.values()]
    near = ((firsts[one], firsts[two]) for one, two in _near_pairs(list(same)))
    return merge_groups(len(hashes), [*same.values(), *near])


def merge_groups(count: int, groups: Iterable[Sequence[int]]) -> list[list[int]]:
    """Returns groups of positions in which all that share a group are together.

    Args:
        count: Number of positions.
        groups: Positions that belong together.

    Returns:
        Every position once; groups in the order of their first position, each sorted.
    """
    leader = list(range(count))

    def find(position: int) -> int:
        while leader[position] != position:
            leader[position] = leader[leader[position]]
            position = leader[position]
        return position

    for group in groups:
        for other in group[1:]:
            first, second = sorted((find(group[0]), find(other)))
            leader[second] = first
    merged: dict[int, list[int]] = {}
    for position in range(count):
        merged.setdefault(find(position), []).append(position)
    return list(merged.values())


def _band_masks(max_distance: int) -> list[int]:
    """Returns masks that divide 64 bits into bands, of which hashes within the distance share at least one."""
    bands = max_distance + 1
    return [sum(1 << bit for bit in range(band, 64, bands)) for band in range(bands)]


def _near_pairs(distinct: Sequence[int]) -> Iterator[tuple[int, int]]:
    for mask in _band_masks(MAX_DISTANCE):
        buckets: dict[int, list[int]] = {}
        for item, value in enumerate(distinct):
            buckets.setdefault(value & mask, []).append(item)
        for bucket in buckets.values():
            yield from _near_pairs_in(bucket, distinct)


def _near_pairs_in(bucket: list[int], distinct: Sequence[int]) -> Iterator[tuple[int, int]]:
    if len(bucket) <= _MAX_COMBINATIONS:
        for one, two in combinations(bucket, 2):
            if (distinct[one] ^ distinct[two]).bit_count() <= MAX_DISTANCE:
                yield one, two
        return
    # Thousands of the frames of a video share bands.
    values = np.array([distinct[item] for item in bucket], dtype=np.uint64)
    for index, one in enumerate(bucket[:-1]):
        different = (values[index + 1 :] ^ values[index]).view(np.uint8).reshape(-1, 8)
        for near in np.flatnonzero(_BIT_COUNTS[different].sum(axis=1) <= MAX_DISTANCE):
            yield one, bucket[index + 1 + int(near)]
