"""The size of a picture from the first bytes of its file.

``boxwright.images.read_header`` says the same of a picture that has been read whole. Here every picture has to be
measured and no pixel is needed, so that it counts to read some hundred bytes of each and not all.

JPEG: ITU-T T.81, annex B. PNG: https://www.w3.org/TR/png/#5DataRep. EXIF orientation: EXIF 2.32, tag 0x0112; that of a
PNG counts before the pixels only, as in ``read_header``. What may say the orientation elsewhere is left to that.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable

from boxwright.images import measured_size
from boxwright.storage import filesystem, is_remote

_FIRST = 4096
_ORIENTATION = 0x0112
_SOS, _EOI, _APP1 = 0xDA, 0xD9, 0xE1
_FRAME_MARKERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # DHT, JPG and DAC are no frames
_BARE_MARKERS = frozenset({0x01, *range(0xD0, 0xD9)})  # TEM, RSTn and SOI have no length
_XMP = b"http://ns.adobe.com/xap/1.0/\0"
_PNG_TEXTS = (b"XML:com.adobe.xmp", b"Raw profile type exif")
_PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
_FLAGS = os.O_RDONLY | getattr(os, "O_BINARY", 0)

_At = Callable[[int, int], bytes]
"""The bytes of a file from a position, so many of them; fewer at its end."""


def picture_size(name: str, location: str, file: str) -> tuple[int, int]:
    """Width and height of a picture in pixels, upright, from its header.

    Args:
        name: The picture's name in the dataset.
        location: Its path, or a URL that fsspec opens.
        file: The annotation file, for the message.

    Raises:
        DataError: It is not there, or is no picture.
    """
    try:
        size = _remote_size(location) if is_remote(location) else _local_size(location)
    except (OSError, ValueError, struct.error):
        size = None  # the whole file tells, or its error says what is wrong
    return size or measured_size(name, location, file)


def _local_size(location: str) -> tuple[int, int] | None:
    handle = os.open(location, _FLAGS)
    try:
        first = os.read(handle, _FIRST)

        def at(position: int, count: int) -> bytes:
            if position + count <= len(first):
                return first[position : position + count]
            os.lseek(handle, position, os.SEEK_SET)
            return os.read(handle, count)

        return _size(at)
    finally:
        os.close(handle)


def _remote_size(location: str) -> tuple[int, int] | None:
    files, path = filesystem(location)
    first: bytes = files.cat_file(path, start=0, end=_FIRST)

    def at(position: int, count: int) -> bytes:
        if position + count <= len(first):
            return first[position : position + count]
        content: bytes = files.cat_file(path, start=position, end=position + count)
        return content

    return _size(at)


def _size(at: _At) -> tuple[int, int] | None:
    """The upright size; ``None`` for other formats than JPEG and PNG, and for a header that is damaged."""
    start = at(0, len(_PNG_MAGIC))
    size = _jpeg(at) if start.startswith(b"\xff\xd8\xff") else _png(at) if start == _PNG_MAGIC else None
    if size is None or not (size[0] and size[1]):
        return None
    width, height, orientation = size
    return (height, width) if orientation >= 5 else (width, height)


def _jpeg(at: _At) -> tuple[int, int, int] | None:
    position, width, height, orientation, elsewhere = 2, 0, 0, 1, False
    while True:
        mark, marker = at(position, 2)
        if mark != 0xFF or marker == _EOI:
            return None
        if marker == 0xFF:  # fill byte
            position += 1
        elif marker in _BARE_MARKERS:
            position += 2
        elif marker == _SOS:
            return None if elsewhere and orientation == 1 else (width, height, orientation)
        else:
            (length,) = struct.unpack(">H", at(position + 2, 2))
            if marker in _FRAME_MARKERS:
                height, width = struct.unpack(">HH", at(position + 5, 4))
            elif marker == _APP1 and orientation == 1 and at(position + 4, 6) == b"Exif\0\0":
                orientation = _orientation(at(position + 10, length - 8))
            elif marker == _APP1 and at(position + 4, len(_XMP)) == _XMP:
                elsewhere = b"tiff:Orientation" in at(position + 4, length - 2)
            position += 2 + length


def _png(at: _At) -> tuple[int, int, int] | None:
    length, kind, width, height = struct.unpack(">I4sII", at(8, 16))
    orientation, position = 1, 8
    while kind not in (b"IDAT", b"IEND"):
        if kind == b"eXIf":
            orientation = _orientation(at(position + 8, length))
        elif kind in (b"tEXt", b"zTXt", b"iTXt") and at(position + 8, 32).startswith(_PNG_TEXTS):
            return None
        position += 12 + length
        head = at(position, 8)
        if len(head) < 8:  # it breaks off, which its size does not suffer from
            break
        length, kind = struct.unpack(">I4s", head)
    return width, height, orientation


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
