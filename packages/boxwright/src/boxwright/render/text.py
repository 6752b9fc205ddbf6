"""Text on images: fonts, text widths, and shortened lines.

Pillow's own font is preferred; for letters that it does not have, a font of the system is used.
"""

from __future__ import annotations

import math
import unicodedata
from functools import lru_cache
from typing import Final, TypeAlias

from PIL import ImageDraw, ImageFont

__all__ = ["clean", "shortened", "text_width", "write_line"]

_Font: TypeAlias = ImageFont.FreeTypeFont | ImageFont.ImageFont

_FALLBACK_FONTS: Final = (
    "DejaVuSans.ttf",
    "NotoSans-Regular.ttf",
    "NotoSansCJK-Regular.ttc",
    "NotoSansCJKsc-Regular.otf",
    "NotoSansArabic-Regular.ttf",
    "NotoSansDevanagari-Regular.ttf",
    "wqy-microhei.ttc",
    "DroidSansFallbackFull.ttf",
    "Arial Unicode.ttf",
    "ARIALUNI.TTF",
    "arial.ttf",
    "segoeui.ttf",
    "msyh.ttc",
    "YuGothM.ttc",
    "malgun.ttf",
    "Nirmala.ttf",
    "PingFang.ttc",
    "Hiragino Sans GB.ttc",
    "AppleGothic.ttf",
)
"""File names of fonts with many scripts on Linux, Windows and macOS; Pillow searches the folders."""

_NO_SUCH_CHARACTER: Final = "\U0010ffff"


@lru_cache(maxsize=64)
def _load_font(name: str, size: int) -> _Font | None:
    """Returns a font of the system, or Pillow's own for an empty name; ``None`` if the system does not have it."""
    if not name:
        return ImageFont.load_default(size)
    try:
        return ImageFont.truetype(name, size)
    except OSError:
        return None


@lru_cache(maxsize=4096)
def _can_draw(name: str, character: str) -> bool:
    # A font draws the same box for every missing character, so that the cmap table need not be read.
    font = _load_font(name, 16)
    if font is None:
        return False
    mask, missing = font.getmask(character), font.getmask(_NO_SUCH_CHARACTER)
    return mask.size != missing.size or bytes(mask) != bytes(missing)


@lru_cache(maxsize=1024)
def _font_for(text: str, size: int) -> _Font:
    """Returns the first font with all of the letters, or the one with the most of them."""
    characters = {character for character in text if not character.isspace()}
    best, most = "", -1
    for name in ("", *_FALLBACK_FONTS):
        able = sum(_can_draw(name, character) for character in characters)
        if able > most:
            best, most = name, able
        if able == len(characters):
            break
    font = _load_font(best, size)
    assert font is not None  # Pillow's own font always exists, and another is chosen only if it can draw a letter.
    return font


def clean(text: str) -> str:
    """Returns a text as one line that can be drawn and encoded, for any file or class name."""
    shown = "".join(" " if unicodedata.category(character) in ("Cc", "Zl", "Zp") else character for character in text)
    # File names that are not UTF-8 contain unpaired surrogates, which fonts and encoders do not accept.
    return " ".join(shown.encode("utf-8", "replace").decode("utf-8").split())


def text_width(text: str, size: int) -> int:
    """Returns the width in pixels of a line with letters of ``size`` pixels, rounded up."""
    return math.ceil(_font_for(text, size).getlength(text)) if text else 0


def shortened(text: str, size: int, room: int, *, keep: str = "") -> str:
    """Returns ``text + keep``, without the end of ``text`` if it is wider than ``room`` pixels."""
    if text_width(text + keep, size) <= room:
        return text + keep
    low, high = 0, len(text)
    while low < high:  # Bisection, because a class name may be very long.
        middle = (low + high + 1) // 2
        if text_width(text[:middle].rstrip() + "..." + keep, size) <= room:
            low = middle
        else:
            high = middle - 1
    return text[:low].rstrip() + "..." + keep if low else keep.strip() or text[:1]


def write_line(
    draw: ImageDraw.ImageDraw, x: float, y: float, text: str, size: int, color: tuple[int, int, int]
) -> None:
    """Writes one line, vertically centered on ``y`` by the height of the capitals."""
    if text:
        font = _font_for(text, size)
        top, bottom = font.getbbox("H", anchor="ls")[1::2] if isinstance(font, ImageFont.FreeTypeFont) else (-size, 0)
        draw.text((x, y - (top + bottom) / 2.0), text, fill=color, font=font, anchor="ls")
