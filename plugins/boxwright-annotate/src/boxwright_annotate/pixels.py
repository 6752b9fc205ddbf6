"""The images of the page: complete, reduced, or a part of one."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Final

from PIL import Image

from boxwright.annotation import AnnotationSession
from boxwright.images import decode_image, encode_jpeg, header_of, open_image, read_header, to_rgb

LARGEST: Final = 24_000_000
"""Pixels of an image that a browser receives completely; of a larger one, it requests what it shows."""
_UNCHANGED: Final = {"jpeg": "image/jpeg", "png": "image/png", "webp": "image/webp"}
_CACHE: Final = 32 << 20


class Pixels:
    """Encodes images for the page, in the orientation that the boxes refer to.

    Args:
        session: The images.
    """

    def __init__(self, session: AnnotationSession) -> None:
        self._session = session
        self._decoding = threading.Semaphore(2)  # each decoded image takes memory
        self._lock = threading.Lock()
        self._small: OrderedDict[tuple[int, int], bytes] = OrderedDict()
        self._last: tuple[int, Image.Image] | None = None

    def image(self, position: int, side: int) -> tuple[bytes, str]:
        """Returns an image with its content type.

        Args:
            position: The image.
            side: The largest number of pixels of its longer side; 0 for the image itself.

        Raises:
            DataError: It cannot be read.
        """
        with self._lock:
            if (position, side) in self._small:
                self._small.move_to_end((position, side))
                return self._small[position, side], "image/jpeg"
        sample = self._session.samples[position]
        data = self._session.read_image(position)
        header = read_header(data, sample.image.name)
        if not side and header.orientation == 1 and header.format in _UNCHANGED:
            return data, _UNCHANGED[header.format]
        with self._decoding:
            image = self._decoded(position, data, side)
            if side:
                image.thumbnail((side, side), Image.Resampling.BILINEAR, reducing_gap=2.0)
            content = encode_jpeg(image, 85 if side else 95)
        if side:
            with self._lock:
                self._small[position, side] = content
                while sum(map(len, self._small.values())) > _CACHE:
                    self._small.popitem(last=False)
        return content, "image/jpeg"

    def part(self, position: int, box: tuple[int, int, int, int]) -> tuple[bytes, str]:
        """Returns a part of an image in its full resolution, with its content type.

        Args:
            position: The image.
            box: ``(xmin, ymin, xmax, ymax)`` in whole pixels.

        Raises:
            DataError: It cannot be read.
        """
        with self._decoding:
            if self._last is None or self._last[0] != position:
                self._last = None
                self._last = position, self._decoded(position, self._session.read_image(position), 0)
            return encode_jpeg(self._last[1].crop(box), 95), "image/jpeg"

    def _decoded(self, position: int, data: bytes, side: int) -> Image.Image:
        sample = self._session.samples[position]
        name, size = sample.image.name, (sample.image.width, sample.image.height)
        header = read_header(data, name)
        turned = header.upright_size != (header.width, header.height)
        if size == header.upright_size or not (turned and size[0] * header.height == size[1] * header.width):
            return decode_image(data, name, at_least=(side, side) if side else None)
        with open_image(data, name) as image:  # the boxes refer to the stored pixels
            header_of(image)
            image.load()
            return to_rgb(image)
