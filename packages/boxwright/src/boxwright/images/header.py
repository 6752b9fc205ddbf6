"""Sizes and EXIF orientation from the headers of image files.

JPEG: ITU-T T.81, annex B. PNG: https://www.w3.org/TR/png-3/. EXIF orientation: EXIF 2.32, tag 0x0112.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from boxwright.storage.filesystem import filesystem, open_regular
from boxwright.storage.uri import is_remote

_AMOUNTS = (1 << 12, 1 << 16, 1 << 20)
_JPEG_MAGIC, _PNG_MAGIC = b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"
_JPEG_END, _PNG_END = b"\xff\xd9", b"\0\0\0\0IEND\xaeB`\x82"
_SOS, _APP1, _APP2 = 0xDA, 0xE1, 0xE2
_BARE_MARKERS = frozenset(range(0xD0, 0xD9))  # RSTn and SOI have no length
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # DHT, JPG and DAC are not frames
_SEGMENTS = _FRAMES | {0xC4, 0xCC, _SOS, 0xDB, 0xDC, 0xDD, 0xDF, *range(0xE0, 0xF0), 0xFE}
_SEGMENT, _FRAME = struct.Struct(">BBH"), struct.Struct(">BHHB")
_XMP = b"http://ns.adobe.com/xap/1.0/\0"
_PNG_TEXTS = (b"XML:com.adobe.xmp\0", b"Raw profile type exif\0")
_TIFF_MAGIC = {
    magic: tuple(struct.Struct(order + entry) for entry in ("H", "I", "HHI4s"))
    for magic, order in ((b"II*\0", "<"), (b"MM\0*", ">"))
}
_ORIENTATION, _SHORT = 0x0112, 3
_TYPE_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8}


@dataclass(frozen=True)
class Header:
    """The size, format and EXIF orientation of an image file; the size is that of the stored pixels."""

    width: int
    height: int
    format: str
    orientation: int = 1

    @property
    def upright_size(self) -> tuple[int, int]:
        """Width and height after EXIF orientation is applied."""
        return (self.height, self.width) if self.orientation >= 5 else (self.width, self.height)


def parse_header(source: bytes | str) -> Header | None:
    """Parses the header of a JPEG or PNG image without Pillow, usually from the first 4 KiB.

    Args:
        source: The encoded image, or the path or URL of its file.

    Returns:
        The same as :func:`read_header`, or ``None`` if only Pillow can tell: other formats, damaged headers, several
        images in one file, an orientation outside EXIF. Also ``None`` for a file that cannot be read. The number of
        pixels is not limited.

    Raises:
        UsageError, MissingLibraryError: fsspec cannot open the URL.
    """
    try:
        if isinstance(source, bytes):
            return _parse(source)
        return _parse_remote(source) if is_remote(source) else _parse_local(source)
    except (OSError, struct.error):
        return None


def is_complete(data: bytes) -> bool:
    """Returns whether a JPEG or PNG image has its end marker; bytes may follow it, as some cameras append them."""
    if data.startswith(_PNG_MAGIC):
        return data.endswith(_PNG_END) or _png_ends(data)
    if data.endswith(_JPEG_END):
        return True
    try:
        *_, (_, scan, _) = _segments(data)
    except (ValueError, struct.error):
        return False
    # In compressed pixels 0xFF is always followed by 0 or a restart marker; a thumbnail is before the scan.
    return data.rfind(_JPEG_END, scan) >= 0


def _parse_local(path: str) -> Header | None:
    file = open_regular(path)
    try:
        data = b""
        for amount in _AMOUNTS:
            data += os.read(file, amount)
            try:
                return _parse(data)
            except struct.error:  # the header is longer
                continue
    finally:
        os.close(file)
    return None


def _parse_remote(url: str) -> Header | None:
    files, path = filesystem(url)
    for amount in _AMOUNTS:
        try:
            data = files.cat_file(path, start=0, end=amount)
        except Exception as error:  # fsspec's file systems raise many kinds of errors
            raise OSError(str(error)) from None
        try:
            return _parse(data)
        except struct.error:
            continue
    return None


def _parse(data: bytes) -> Header | None:
    """Parses the header at the beginning of a file.

    Raises:
        struct.error: The bytes end before the header does.
    """
    try:
        if data.startswith(_JPEG_MAGIC):
            return _jpeg(data)
        return _png(data) if data.startswith(_PNG_MAGIC) else None
    except ValueError:
        return None


def _jpeg(data: bytes) -> Header | None:
    width, height, orientation, has_exif, in_xmp = 0, 0, 0, False, False
    for marker, position, length in _segments(data):
        if marker in _FRAMES:
            bits, height, width, layers = _FRAME.unpack_from(data, position)
            if bits != 8 or layers not in (1, 3, 4):
                return None
        elif marker == _APP1 and data.startswith(b"Exif\0\0", position):
            if has_exif:
                return None
            has_exif, orientation = True, _exif_orientation(data[position + 6 : position + length])
        elif marker == _APP1 and data.startswith(_XMP, position):
            in_xmp = in_xmp or data.find(b"tiff:Orientation", position, position + length) >= 0
        elif marker == _APP2 and data.startswith(b"MPF\0", position):
            return None  # several images in one file
    if not (width and height) or (in_xmp and not orientation):
        return None
    return Header(width, height, "jpeg", orientation or 1)


def _segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Yields marker, position and length of each segment's content, up to the first scan.

    Raises:
        ValueError: The header is damaged.
        struct.error: The bytes end before the header does.
    """
    position, marker = 2, 0
    while marker != _SOS:
        first, marker, length = _SEGMENT.unpack_from(data, position)
        if first == 0xFF and marker in _SEGMENTS and length >= 2:
            yield marker, position + 4, length - 2
            position += 2 + length
        elif first == 0xFF and marker == 0xFF:  # a fill byte
            position += 1
        elif first == 0xFF and marker in _BARE_MARKERS:
            position += 2
        else:
            raise ValueError(f"not a JPEG segment at byte {position}")


def _png(data: bytes) -> Header | None:
    kind, width, height, checksum = struct.unpack_from(">8sII5xI", data, 8)
    if kind != b"\0\0\0\x0dIHDR" or checksum != zlib.crc32(data[12:29]) or not (width and height):
        return None
    orientation, position, kind = 0, 33, b""
    while kind != b"IDAT":  # EXIF after the pixels is not looked for: it would take reading the whole file
        length, kind = struct.unpack_from(">I4s", data, position)
        content = position + 8
        if kind in (b"IHDR", b"IEND"):  # of two headers, Pillow takes the last
            return None
        if kind == b"eXIf" and not orientation:
            orientation = _exif_orientation(data[content : content + length])
        elif kind in (b"tEXt", b"zTXt", b"iTXt") and data.startswith(_PNG_TEXTS, content):
            return None
        position = content + length + 4
    return Header(width, height, "png", orientation or 1)


def _png_ends(data: bytes) -> bool:
    position, kind = 8, b""
    while position + 12 <= len(data) and kind != b"IEND":
        length, kind = struct.unpack_from(">I4s", data, position)
        position += 12 + length
    return kind == b"IEND" and position <= len(data)


def _exif_orientation(tiff: bytes) -> int:
    """Returns the orientation in a TIFF block, 1 to 8; 0 if it contains none.

    Raises:
        ValueError: The block is unusual or damaged, so that readers differ.
    """
    if tiff[:4] not in _TIFF_MAGIC:
        raise ValueError("not a TIFF block")
    short, long, entry = _TIFF_MAGIC[tiff[:4]]
    try:
        (directory,) = long.unpack_from(tiff, 4)
        (count,) = short.unpack_from(tiff, directory)
        for position in range(directory + 2, directory + 2 + 12 * count, 12):
            tag, kind, number, value = entry.unpack_from(tiff, position)
            if tag == _ORIENTATION:
                if kind != _SHORT or number != 1:
                    raise ValueError("the orientation is not one number")
                (orientation,) = short.unpack_from(value)
                return orientation if 1 <= orientation <= 8 else 1
            size = number * _TYPE_SIZES.get(kind, 0)
            if size > 4 and long.unpack(value)[0] + size > len(tiff):
                raise ValueError("a value is outside the block")
    except struct.error:  # what is cut off does not count
        return 0
    return 0
