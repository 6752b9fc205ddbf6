"""Pictures that a step makes: of which size, in which format and under which name they are written."""

from __future__ import annotations

import io
import re
from pathlib import PurePosixPath

from PIL import Image

from boxwright import UsageError
from boxwright.images import MAX_PIXELS, Header, encode_jpeg

_SUFFIXES = {"jpeg": (".jpg", ".jpeg", ".jpe", ".jfif"), "png": (".png",)}
"""The endings of the two formats that are written; the first is given to pictures that had another."""


def parse_size(text: str, step: str, *, square: bool = False) -> tuple[int, int]:
    """Width and height from ``800x600``.

    Args:
        text: As the user wrote it.
        step: The step, for messages.
        square: Whether one number stands for both.

    Raises:
        UsageError: It is no size, has a side of 0, or more pixels than boxwright handles.
    """
    match = re.fullmatch(r"\s*(\d{1,6})(?:\s*[xX×]\s*(\d{1,6}))?\s*", str(text), re.ASCII)
    whole = match is not None and (square or match[2] is not None)
    size = (int(match[1]), int(match[2] or match[1])) if match and whole else (0, 0)
    if min(size) < 1:
        raise UsageError(f"{step}: the size is {text!r}", f"write WIDTHxHEIGHT in pixels, such as {step}:800x600")
    if size[0] * size[1] > MAX_PIXELS:
        raise UsageError(f"{step}: {text} is more than {MAX_PIXELS:,} pixels", "give a smaller size")
    return size


def check_quality(quality: int, step: str) -> int:
    """The quality of JPEG, which must be 1 to 95, as Pillow counts it.

    Raises:
        UsageError: It is not.
    """
    if not 1 <= quality <= 95:
        raise UsageError(f"{step}: quality={quality}", "give 1 to 95")
    return quality


def written_format(header: Header) -> str:
    """``"png"`` for a picture that was PNG, so that nothing of it is lost, and ``"jpeg"`` for all else."""
    return "png" if header.format == "png" else "jpeg"


def encode_picture(image: Image.Image, form: str, quality: int) -> bytes:
    """An RGB picture as the bytes of a JPEG of that quality, or of a PNG; without EXIF."""
    if form == "jpeg":
        return encode_jpeg(image, quality)
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def name_for(name: str, form: str) -> str:
    """A picture's name with an ending of its format; kept where it has one."""
    path = PurePosixPath(name)
    return name if path.suffix.lower() in _SUFFIXES[form] else str(path.with_suffix(_SUFFIXES[form][0]))
