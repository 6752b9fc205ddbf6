"""The headers of the images in records."""

from __future__ import annotations

from dataclasses import replace

from boxwright.images import Header, is_complete, parse_header

_MAGIC = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n")


def jpeg_or_png_header(data: bytes, name: str) -> Header | None:
    """Returns the header of a JPEG or PNG image; ``None`` for any other format.

    Args:
        data: The encoded image.
        name: Its name, for messages.

    Raises:
        DataError: Pillow cannot read the header.
        ValueError: The image ends before its pixels.
    """
    header = parse_header(data)
    if header is not None or not data.startswith(_MAGIC):
        return header
    if not is_complete(data):
        raise ValueError("the image is cut off")
    from boxwright.images import read_header  # Pillow, which most images do not need

    header = read_header(data, name)
    return replace(header, format="jpeg") if header.format == "mpo" else header
