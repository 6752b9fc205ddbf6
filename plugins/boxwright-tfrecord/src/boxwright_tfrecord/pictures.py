"""Pictures as files: safe names, and what JPEG and PNG say before their pixels, read by hand.

``boxwright.images.read_header`` says the same through Pillow; importing that costs a conversion of thousands of
pictures more time and memory than all their headers together.

JPEG: ITU-T T.81, annex B. PNG: https://www.w3.org/TR/png/#5DataRep. EXIF orientation: EXIF 2.32, tag 0x0112.
"""

from __future__ import annotations

import re
import struct
from pathlib import PurePosixPath
from typing import NamedTuple

_ORIENTATION = 0x0112
_SOS, _EOI, _APP1 = 0xDA, 0xD9, 0xE1
_FRAME_MARKERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # DHT, JPG and DAC are no frames
_BARE_MARKERS = frozenset({0x01, *range(0xD0, 0xD9)})  # TEM, RSTn and SOI have no length
_PNG_MAGIC = b"\x89PNG\r\n\x1a\n"


class PictureHeader(NamedTuple):
    """Size in pixels as stored, format, and EXIF orientation (1 where there is none).

    ``complete`` is false where the file breaks off before its end marker.
    """

    format: str
    width: int
    height: int
    orientation: int
    complete: bool

    @property
    def upright_size(self) -> tuple[int, int]:
        """Width and height after EXIF orientation is applied."""
        return (self.height, self.width) if self.orientation >= 5 else (self.width, self.height)


def read_picture_header(data: bytes) -> PictureHeader | None:
    """Reads the header of a JPEG or PNG picture; ``None`` for any other format.

    Raises:
        ValueError: It begins as one of the two and is broken before its size.
    """
    try:
        if data.startswith(b"\xff\xd8\xff"):
            return _jpeg(data)
        if data.startswith(_PNG_MAGIC):
            return _png(data)
    except (struct.error, IndexError):
        raise ValueError("the picture breaks off in its header") from None
    return None


def _jpeg(data: bytes) -> PictureHeader:
    position, size, orientation = 2, (0, 0), 1
    while True:
        if data[position] != 0xFF:
            raise ValueError(f"the picture is damaged: no JPEG marker at byte {position}")
        marker = data[position + 1]
        if marker == 0xFF:  # fill byte
            position += 1
            continue
        if marker in _BARE_MARKERS:
            position += 2
            continue
        if marker == _EOI:
            raise ValueError("the picture ends before its pixels")
        (length,) = struct.unpack_from(">H", data, position + 2)
        if marker in _FRAME_MARKERS:
            height, width = struct.unpack_from(">HH", data, position + 5)
            size = (width, height)
        elif marker == _APP1 and orientation == 1 and data[position + 4 : position + 10] == b"Exif\0\0":
            orientation = _orientation(data[position + 10 : position + 2 + length])
        elif marker == _SOS:
            break
        position += 2 + length
    if not (size[0] and size[1]):
        raise ValueError("the picture has no size in its header")
    # In the pixels 0xFF is always followed by 0 or a restart marker, so this finds nothing but the end marker. Some
    # cameras append more after it; a thumbnail's own end marker lies before the pixels.
    complete = data.rfind(b"\xff\xd9", position) >= 0
    return PictureHeader("jpeg", *size, orientation, complete)


def _png(data: bytes) -> PictureHeader:
    width, height = struct.unpack_from(">II", data, 16)
    if data[12:16] != b"IHDR" or not (width and height):
        raise ValueError("the picture is damaged: it has no size in its header")
    orientation, position, complete = 1, 8, False
    while position + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, position)
        kind = data[position + 4 : position + 8]
        if kind == b"eXIf":
            orientation = _orientation(data[position + 8 : position + 8 + length])
        position += 12 + length
        if kind == b"IEND":
            complete = position <= len(data)
            break
    return PictureHeader("png", width, height, orientation, complete)


def _orientation(tiff: bytes) -> int:
    """EXIF orientation from a TIFF block; 1 where it has none or is no such block."""
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2])
    if order is None:
        return 1
    try:
        (first,) = struct.unpack_from(f"{order}I", tiff, 4)
        (count,) = struct.unpack_from(f"{order}H", tiff, first)
        for entry in range(first + 2, first + 2 + 12 * count, 12):
            tag, kind = struct.unpack_from(f"{order}HH", tiff, entry)
            if tag == _ORIENTATION:
                (number,) = struct.unpack_from(f"{order}{'I' if kind == 4 else 'H'}", tiff, entry + 8)
                return number if 1 <= number <= 8 else 1
    except struct.error:
        return 1
    return 1


def is_safe_name(name: str) -> bool:
    """Whether a picture's name stays inside its folder on every system: no ``..``, no root, drive or backslash."""
    if name.startswith("/") or re.search(r"\0|\\|^[A-Za-z]:", name):
        return False
    return ".." not in name or ".." not in PurePosixPath(name).parts
