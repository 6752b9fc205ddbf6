"""Drawing boxes with readable labels, and the colors of classes.

    from boxwright.render import draw_boxes, palette

    colors = palette(["key", "leaf", "mug"])
    drawn = draw_boxes(image, boxes, labels, scores, colors=colors)

Boxes are ``xyxy`` arrays, shape (n, 4), in pixels of the image, with continuous coordinates: a box from 0 to the
image's width spans it exactly. Line width and letters follow the image's size; small images are enlarged and large ones
reduced first. Every label has a chip, a small background, that stays inside the image and does not overlap other chips
if there is space.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from boxwright.images.decode import to_rgb
from boxwright.render.text import clean, shortened, text_width, write_line

__all__ = [
    "ON_A_PAGE",
    "Color",
    "contrast_ratio",
    "draw_boxes",
    "palette",
    "resized",
    "rounded_mask",
    "text_color",
]

Color: TypeAlias = tuple[int, int, int]
"""Red, green and blue in sRGB, 0 to 255."""

ON_A_PAGE: Final = 1.7
"""``emphasis`` for pages, which show images at about a third of their size until one is opened."""

_Floats: TypeAlias = npt.NDArray[np.float64]

_BLACK: Final[Color] = (0, 0, 0)
_WHITE: Final[Color] = (255, 255, 255)

# Colors -----------------------------------------------------------------------------------------------------------

_FIRST_COLORS: Final[tuple[Color, ...]] = (
    (86, 180, 233),
    (230, 159, 0),
    (0, 158, 115),
    (204, 121, 167),
    (240, 228, 66),
    (213, 94, 0),
    (0, 114, 178),
)
"""Okabe and Ito, "Color Universal Design" (2008), without black: distinguishable with any common color blindness."""


def palette(names: Sequence[str]) -> dict[str, Color]:
    """Returns a color for each class, which depends only on its position, so that a label map always looks the same.

    The first seven are those of Okabe and Ito. Each further color is the one that differs most from all before it, both
    for normal eyes and for eyes without green cones. After about 170 classes the colors repeat.

    Args:
        names: Class names in the order of the label map; a duplicate name keeps its first position.
    """
    unique = list(dict.fromkeys(names))
    colors = _color_series(len(unique))
    return {name: colors[position % len(colors)] for position, name in enumerate(unique)}


def contrast_ratio(first: Color, second: Color) -> float:
    """Returns the contrast of two colors, 1 to 21, as defined by WCAG 2.2; text needs 4.5."""
    lights = sorted((_luminance(first), _luminance(second)))
    return (lights[1] + 0.05) / (lights[0] + 0.05)


def text_color(background: Color) -> Color:
    """Returns black or white, whichever has the higher contrast: at least 4.58 : 1 on any background."""
    return max(_BLACK, _WHITE, key=lambda ink: contrast_ratio(ink, background))


def _luminance(color: Color) -> float:
    red, green, blue = _linear(np.asarray(color, float))
    return float(0.2126 * red + 0.7152 * green + 0.0722 * blue)


def _linear(srgb: _Floats) -> _Floats:
    """Converts sRGB values, 0 to 255, to light intensities, 0 to 1 (IEC 61966-2-1)."""
    value = srgb / 255.0
    linear: _Floats = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    return linear


@lru_cache(maxsize=32)
def _color_series(count: int) -> tuple[Color, ...]:
    chosen = list(_FIRST_COLORS)[:count]
    if count > len(chosen):
        steps = (30, 75, 120, 165, 210, 245)
        grid = np.array([(r, g, b) for r in steps for g in steps for b in steps], float)
        # Lines in a near-black, near-white or gray tone look like part of the photo or of the halo.
        spread, light = np.ptp(grid, axis=1), np.array([_luminance((int(r), int(g), int(b))) for r, g, b in grid])
        grid = grid[(spread >= 75) & (light > 0.09) & (light < 0.8)]
        seen = np.full(len(grid), np.inf)
        perceived = _perceived(grid)
        for color in _perceived(np.array(chosen, float)):
            seen = np.minimum(seen, _difference(perceived, color))
        while len(chosen) < count and seen.max() > 0.0:
            best = int(seen.argmax())
            red, green, blue = grid[best].astype(int).tolist()
            chosen.append((red, green, blue))
            seen = np.minimum(seen, _difference(perceived, perceived[best]))
    return tuple(chosen) or _FIRST_COLORS[:1]


def _perceived(colors: _Floats) -> _Floats:
    """Returns the OKLab values (Ottosson, 2020) of colors, (n, 3), with and without green cones (Vienot, 1999).

    The shape is (n, 2, 3).
    """
    linear = _linear(colors)
    deuteranopia = np.array([(0.29275, 0.70725, 0.0), (0.29275, 0.70725, 0.0), (-0.02234, 0.02234, 1.0)])
    seen = np.stack([linear, np.clip(linear @ deuteranopia.T, 0.0, 1.0)], axis=1)
    to_cones = np.array(
        [
            (0.4122214708, 0.5363325363, 0.0514459929),
            (0.2119034982, 0.6806995451, 0.1073969566),
            (0.0883024619, 0.2817188376, 0.6299787005),
        ]
    )
    to_lab = np.array(
        [
            (0.2104542553, 0.7936177850, -0.0040720468),
            (1.9779984951, -2.4285922050, 0.4505937099),
            (0.0259040371, 0.7827717662, -0.8086757660),
        ]
    )
    lab: _Floats = np.cbrt(seen @ to_cones.T) @ to_lab.T
    return lab


def _difference(many: _Floats, one: _Floats) -> _Floats:
    """Returns the differences, (n,), of colors, (n, 2, 3) and (2, 3), for the eye that distinguishes them less."""
    distances: _Floats = np.linalg.norm(many - one, axis=-1).min(axis=-1)
    return distances


# One image ---------------------------------------------------------------------------------------------------------


def draw_boxes(
    image: Image.Image,
    boxes: npt.ArrayLike,
    labels: Sequence[str],
    scores: Sequence[float] | None = None,
    *,
    colors: Mapping[str, Color] | None = None,
    line_width: int | None = None,
    font_size: int | None = None,
    show_labels: bool = True,
    min_side: int = 480,
    max_side: int = 2048,
    emphasis: float = 1.0,
) -> Image.Image:
    """Draws boxes with their labels on a copy of an image.

    Args:
        image: The image, of any mode that :func:`boxwright.images.to_rgb` accepts; it is not changed.
        boxes: Shape (n, 4), ``xmin ymin xmax ymax`` in pixels of ``image``; may be empty. Boxes are clipped to the
            image; those outside it, or with a coordinate that is not a number, are omitted.
        labels: The n class names.
        scores: The n confidences, 0 to 1, shown after the name in percent; ``None`` for ground truth.
        colors: The color of each class name, as returned by :func:`palette` for a label map. Missing names receive a
            color by their order in this image.
        line_width: In pixels of the result; by default it depends on the image's size. Small boxes have thinner lines.
        font_size: In pixels of the result; by default it depends on the sizes of the image and of the boxes.
        show_labels: Whether to draw the labels.
        min_side: An image with a shorter longer side is enlarged to this size first.
        max_side: An image with a longer side above this is reduced to this size first.
        emphasis: The factor for lines and letters, for drawings that are first shown small.

    Returns:
        The drawing, mode RGB.

    Raises:
        ValueError: The lengths or shapes do not match, or ``min_side`` exceeds ``max_side``.
    """
    xyxy = np.asarray(boxes, np.float64)
    xyxy = xyxy.reshape(0, 4) if xyxy.size == 0 else xyxy
    if xyxy.ndim != 2 or xyxy.shape[1] != 4:
        raise ValueError(f"boxes must have shape (n, 4), not {xyxy.shape}")
    if len(labels) != len(xyxy) or (scores is not None and len(scores) != len(xyxy)):
        counts = f"{len(xyxy)} boxes, {len(labels)} labels" + ("" if scores is None else f", {len(scores)} scores")
        raise ValueError(f"every box needs one label and, if any, one score: {counts}")
    if not 1 <= min_side <= max_side:
        raise ValueError(f"min_side must not exceed max_side: {min_side}, {max_side}")
    canvas = resized(to_rgb(image), min_side, max_side)
    canvas = canvas.copy() if canvas is image else canvas
    width, height = canvas.size
    scale = np.array([width / image.width, height / image.height] * 2)
    # Boxes with zero area or with coordinates in the wrong order are drawn as well.
    xyxy = xyxy * scale
    xyxy = np.concatenate([np.minimum(xyxy[:, :2], xyxy[:, 2:]), np.maximum(xyxy[:, :2], xyxy[:, 2:])], axis=1)
    visible = (xyxy[:, 2:] >= 0.0).all(axis=1) & (xyxy[:, 0] <= width) & (xyxy[:, 1] <= height)
    xyxy = np.clip(xyxy, 0.0, [width, height, width, height])
    areas = np.prod(xyxy[:, 2:] - xyxy[:, :2], axis=1)
    # Large ones first, so that small ones inside them stay visible.
    order = [int(i) for i in np.argsort(-areas, kind="stable") if visible[i]]
    long_side = max(width, height)
    line = line_width if line_width is not None else max(2, round(emphasis * long_side / 320))
    shown = {name: colors[name] for name in labels if name in colors} if colors else {}
    shown = palette(sorted(set(labels) - set(shown))) | shown

    draw = ImageDraw.Draw(canvas, "RGBA")
    outlines = np.zeros((len(xyxy), 4))
    for i in order:
        color = shown[labels[i]]
        outlines[i] = _draw_outline(draw, xyxy[i], line, color, (width, height), fixed=line_width is not None)
    if show_labels and order:
        size = font_size if font_size is not None else round(emphasis * _letter_size(long_side, xyxy[order]))
        texts = [(clean(labels[i]), _percent(scores[i]) if scores is not None else "") for i in order]
        chips = _place_chips(texts, [shown[labels[i]] for i in order], outlines[order], size, (width, height))
        # The chips of the smallest boxes were placed first; if chips still overlap, these are on top.
        for chip in chips:
            _draw_chip(canvas, chip, size)
    return canvas


def resized(image: Image.Image, min_side: int, max_side: int) -> Image.Image:
    """Returns the image, resized if its longer side is not between ``min_side`` and ``max_side`` pixels."""
    long_side = max(image.size)
    target = min(max(long_side, min_side), max_side)
    if target == long_side:
        return image
    size = (max(1, round(image.width * target / long_side)), max(1, round(image.height * target / long_side)))
    return image.resize(size, Image.Resampling.LANCZOS if target < long_side else Image.Resampling.BICUBIC)


def _draw_outline(
    draw: ImageDraw.ImageDraw, box: _Floats, line: int, color: Color, room: tuple[int, int], *, fixed: bool
) -> tuple[int, int, int, int]:
    """Draws one box, its line centered on the box but inside the image, and returns the line's outer bounds."""
    short = float(min(box[2] - box[0], box[3] - box[1]))
    width = line if fixed else max(1, min(line, int(short / 7)))
    halo = text_color(color)
    left, top = (max(0, math.floor(low - width / 2.0 + 0.5)) for low in box[:2])
    right, bottom = (min(end, math.floor(high + width / 2.0 + 0.5)) for high, end in zip(box[2:], room, strict=True))
    left, top = min(left, room[0] - 1), min(top, room[1] - 1)
    right, bottom = max(right, left + 1), max(bottom, top + 1)
    # One softer pixel on either side of the line, so that it is visible on a background of the same color.
    for outset in (1, -width):
        bounds = (left - outset, top - outset, right - 1 + outset, bottom - 1 + outset)
        if bounds[0] <= bounds[2] and bounds[1] <= bounds[3]:
            draw.rectangle(bounds, outline=(*halo, 120), width=1)
    inner = min(width, math.ceil(min(right - left, bottom - top) / 2))
    draw.rectangle((left, top, right - 1, bottom - 1), outline=(*color, 255), width=inner)
    return left, top, right, bottom


def _percent(score: float) -> str:
    return f"{min(max(score, 0.0), 1.0):.0%}" if math.isfinite(score) else ""


def _letter_size(long_side: int, xyxy: _Floats) -> int:
    """Returns the letter size: about 1/50 of the image, smaller for small or many boxes, but always readable."""
    usual = 5.0 + long_side / 70.0
    typical = float(np.median(np.sqrt(np.prod(xyxy[:, 2:] - xyxy[:, :2], axis=1))))
    crowd = 1.0 if len(xyxy) <= 12 else math.sqrt(12.0 / len(xyxy))
    least = max(11.0, long_side / 75.0)
    return round(max(least, min(usual * crowd, typical / 5.0)))


# Chips: labels with a background -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Chip:
    text: str
    color: Color
    left: int
    top: int
    width: int
    height: int
    corners: tuple[bool, bool, bool, bool]
    """Whether corners are round: top left, top right, bottom right, bottom left; those on the box's line are not."""


def _place_chips(
    texts: Sequence[tuple[str, str]], colors: Sequence[Color], outlines: _Floats, size: int, room: tuple[int, int]
) -> list[_Chip]:
    """Positions each label: above its box if possible, else inside or below, where it covers least.

    Args:
        texts: The name and percentage of each box, both may be empty.
        colors: The color of each box.
        outlines: Outer bounds of the boxes' lines, (n, 4), largest first.
        size: Height of the letters in pixels.
        room: Width and height of the image.

    Returns:
        The chips, those of the largest boxes first.
    """
    pad = max(3, round(size * 0.32))
    height = min(round(size * 1.42), room[1])
    areas = np.maximum(np.prod(outlines[:, 2:] - outlines[:, :2], axis=1), 1.0)
    taken = np.empty((0, 4))
    chips: list[_Chip] = []
    for (name, percent), color, outline in zip(texts[::-1], colors[::-1], outlines[::-1], strict=True):
        gap = " " if name and percent else ""
        left, top, right, bottom = (int(bound) for bound in outline)
        # A long name must not cover half of the image.
        limit = min(room[0], max(right - left, round(0.45 * room[0]), 8 * size))
        text = shortened(name, size, limit - 2 * pad, keep=gap + percent)
        if not text:
            continue
        width = min(text_width(text, size) + 2 * pad, room[0])
        positions = [
            (left, top - height, (True, True, False, False)),
            (right - width, top - height, (True, True, False, False)),
            (left, top, (False, False, True, False)),
            (left, bottom, (False, False, True, True)),
            (right - width, top, (False, False, False, True)),
            (left, bottom - height, (False, True, False, False)),
            (right - width, bottom, (False, False, True, True)),
            (right - width, bottom - height, (True, False, False, False)),
        ]
        corners = np.array(
            [(min(max(x, 0), room[0] - width), min(max(y, 0), room[1] - height)) for x, y, _ in positions], float
        )
        spots = np.concatenate([corners, corners + np.array([width, height])], axis=1)
        moved = np.array([(x, y) for x, y, _ in positions]) != corners
        hidden_chips = _shared(spots, taken).sum(axis=1) / (width * height)
        hidden_boxes = (_shared(spots, outlines) / areas).sum(axis=1)
        # A chip that was moved into the image from above or below no longer touches its box's line.
        cost = (
            6.0 * hidden_chips + hidden_boxes + 0.5 * moved[:, 1] + 0.1 * moved[:, 0] + 0.04 * np.arange(len(positions))
        )
        best = int(cost.argmin())
        taken = np.concatenate([taken, spots[best : best + 1]])
        x, y = (int(each) for each in corners[best])
        chips.append(_Chip(text, color, x, y, width, height, positions[best][2]))
    return chips[::-1]


def _shared(first: _Floats, second: _Floats) -> _Floats:
    """Returns the areas that boxes, (n, 4), share with others, (m, 4), as shape (n, m)."""
    low = np.maximum(first[:, None, :2], second[None, :, :2])
    high = np.minimum(first[:, None, 2:], second[None, :, 2:])
    areas: _Floats = np.prod(np.clip(high - low, 0.0, None), axis=-1)
    return areas


@lru_cache(maxsize=256)
def rounded_mask(width: int, height: int, radius: int, corners: tuple[bool, bool, bool, bool]) -> Image.Image:
    """Returns a filled rectangle with round corners, antialiased, mode L, 255 inside; do not change it, it is cached.

    Args:
        width: In pixels.
        height: In pixels.
        radius: Radius of the round corners, in pixels.
        corners: Whether corners are round: top left, top right, bottom right, bottom left.
    """
    times = 4
    mask = Image.new("L", (width * times, height * times), 0)
    bounds = (0, 0, width * times - 1, height * times - 1)
    ImageDraw.Draw(mask).rounded_rectangle(bounds, radius * times, fill=255, corners=corners)
    return mask.reduce(times)


_RIM: Final = [value * 2 // 5 for value in range(256)]
"""A lookup table that multiplies the values of a mask by 2/5."""


def _draw_chip(canvas: Image.Image, chip: _Chip, size: int) -> None:
    radius, ink = max(2, round(size * 0.25)), text_color(chip.color)
    mask = rounded_mask(chip.width, chip.height, radius, chip.corners)
    # A faint rim separates touching chips of the same color.
    rim = rounded_mask(chip.width + 2, chip.height + 2, radius + 1, chip.corners).point(_RIM)
    canvas.paste(ink, (chip.left - 1, chip.top - 1), rim)
    canvas.paste(chip.color, (chip.left, chip.top), mask)
    inset = (chip.width - text_width(chip.text, size)) / 2.0
    draw = ImageDraw.Draw(canvas)
    write_line(draw, chip.left + inset, chip.top + chip.height / 2.0, chip.text, size, ink)
