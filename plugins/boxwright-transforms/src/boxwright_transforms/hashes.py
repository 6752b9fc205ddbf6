"""Hashes of images: of their bytes, and of how they look."""

from __future__ import annotations

import hashlib

from boxwright import Sample
from boxwright.images import MIN_SIZE, decode_sample, difference_hash


class ImageHashes:
    """Hashes of images, each computed once, because a conversion may read its source more than once."""

    def __init__(self) -> None:
        self._digests: dict[int, int] = {}
        self._difference_hashes: dict[int, int] = {}

    def digest(self, sample: Sample) -> int:
        """Returns the SHA-256 of an image's bytes as a number.

        Raises:
            DataError: The image is missing.
        """
        key = _key(sample)
        if key not in self._digests:
            self._digests[key] = int.from_bytes(hashlib.sha256(sample.image.read()).digest(), "big")
        return self._digests[key]

    def difference_hash(self, sample: Sample) -> int:
        """Returns the :func:`~boxwright.images.difference_hash` of an image, which it decodes.

        Raises:
            DataError: The image is missing or damaged.
        """
        key = _key(sample)
        if key not in self._difference_hashes:
            image = decode_sample(sample.replace(boxes=()), at_least=MIN_SIZE).image
            self._difference_hashes[key] = difference_hash(image)
        return self._difference_hashes[key]


def _key(sample: Sample) -> int:
    image = sample.image
    return hash((image.name, image.location, image.width, image.height, len(image.data or b"")))
