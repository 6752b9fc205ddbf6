"""Encoding of images that a step creates: size, format, quality and name."""

from __future__ import annotations

import io
import re
from pathlib import PurePosixPath

from PIL import Image

from boxwright import UsageError
from boxwright.images import MAX_PIXELS, Header, encode_jpeg

_SUFFIXES = {"jpeg": (".jpg", ".jpeg", ".jpe", ".jfif"), "png": (".png",)}
"""The suffixes of the two formats that are written; the first is for images that had another format."""


def parse_size(text: str, step: str, *, square: bool = False) -> tuple[int, int]:
    """Parses width and height from ``800x600``.

    Args:
        text: The size, as written by the user.
        step: The step, for messages.
        square: Whether a single number is both width and height.

    Raises:
        UsageError: The text is not a size, has a side of 0, or more pixels than :data:`boxwright.images.MAX_PIXELS`.
    """
    match = re.fullmatch(r"\s*(\d{1,6})(?:\s*[xX×]\s*(\d{1,6}))?\s*", str(text), re.ASCII)
    complete = match is not None and (square or match[2] is not None)
    size = (int(match[1]), int(match[2] or match[1])) if match and complete else (0, 0)
    if min(size) < 1:
        raise UsageError(f"{step}: the size is {text!r}", f"write WIDTHxHEIGHT in pixels, such as {step}:800x600")
    if size[0] * size[1] > MAX_PIXELS:
        raise UsageError(f"{step}: {text} is more than {MAX_PIXELS:,} pixels", "use a smaller size")
    return size


def check_quality(quality: int, step: str) -> int:
    """Returns the JPEG quality, which must be 1 to 95, as in Pillow.

    Raises:
        UsageError: The quality is out of range.
    """
    if not 1 <= quality <= 95:
        raise UsageError(f"{step}: quality={quality}", "use 1 to 95")
    return quality


def target_format(header: Header) -> str:
    """Returns ``"png"`` for a PNG, so that nothing is lost, and ``"jpeg"`` for all other images."""
    return "png" if header.format == "png" else "jpeg"


def encode_image(image: Image.Image, format: str, quality: int) -> bytes:
    """Encodes an RGB image as a JPEG of that quality, or as a PNG; without EXIF."""
    if format == "jpeg":
        return encode_jpeg(image, quality)
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def name_for(name: str, format: str) -> str:
    """Returns the name of an image with a suffix of its format; unchanged if it has one."""
    path = PurePosixPath(name)
    return name if path.suffix.lower() in _SUFFIXES[format] else str(path.with_suffix(_SUFFIXES[format][0]))
