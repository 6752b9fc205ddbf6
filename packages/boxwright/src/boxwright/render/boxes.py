"""Pictures with boxes that a person can read, and the colours of their classes.

    from boxwright.render import draw_boxes, palette

    colors = palette(["key", "leaf", "mug"])
    drawn = draw_boxes(image, boxes, labels, scores, colors=colors)

Boxes are ``xyxy`` arrays, shape (n, 4), in pixels of the picture that is given, with continuous edges: a box from 0 to
the picture's width spans it exactly. Line width and letters follow the picture's size, tiny pictures are enlarged and
huge ones reduced first, and every label stands on a chip that stays inside the picture and, where there is room, clear
of the other chips.
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
"""``emphasis`` for the pages, which show pictures at about a third of their size until one is opened."""

_Floats: TypeAlias = npt.NDArray[np.float64]

_BLACK: Final[Color] = (0, 0, 0)
_WHITE: Final[Color] = (255, 255, 255)

# Colours -----------------------------------------------------------------------------------------------------------

_FIRST_COLORS: Final[tuple[Color, ...]] = (
    (86, 180, 233),
    (230, 159, 0),
    (0, 158, 115),
    (204, 121, 167),
    (240, 228, 66),
    (213, 94, 0),
    (0, 114, 178),
)
"""Okabe and Ito, "Color Universal Design" (2008), without black: told apart with every common colour blindness."""


def palette(names: Sequence[str]) -> dict[str, Color]:
    """One colour for each class, decided by its place in ``names`` alone, so a label map always looks the same.

    The first seven are those of Okabe and Ito; each further one is the colour farthest from all before it, for the
    normal eye and the one without green cones alike. After about 170 classes the colours repeat.

    Args:
        names: Class names in the order of the label map; a repeated name keeps its first place.
    """
    unique = list(dict.fromkeys(names))
    colors = _color_series(len(unique))
    return {name: colors[place % len(colors)] for place, name in enumerate(unique)}


def contrast_ratio(first: Color, second: Color) -> float:
    """Contrast of two colours, 1 to 21, as WCAG 2.2 defines it; text needs 4.5."""
    lights = sorted((_luminance(first), _luminance(second)))
    return (lights[1] + 0.05) / (lights[0] + 0.05)


def text_color(background: Color) -> Color:
    """Black or white, whichever contrasts more: at least 4.58 : 1 on any background."""
    return max(_BLACK, _WHITE, key=lambda ink: contrast_ratio(ink, background))


def _luminance(color: Color) -> float:
    red, green, blue = _linear(np.asarray(color, float))
    return float(0.2126 * red + 0.7152 * green + 0.0722 * blue)


def _linear(srgb: _Floats) -> _Floats:
    """Light intensities, 0 to 1, of sRGB values, 0 to 255 (IEC 61966-2-1)."""
    value = srgb / 255.0
    linear: _Floats = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    return linear


@lru_cache(maxsize=32)
def _color_series(count: int) -> tuple[Color, ...]:
    chosen = list(_FIRST_COLORS)[:count]
    if count > len(chosen):
        steps = (30, 75, 120, 165, 210, 245)
        grid = np.array([(r, g, b) for r in steps for g in steps for b in steps], float)
        # Lines in a near-black, near-white or grey tone look like part of the photo or of the halo.
        spread, light = np.ptp(grid, axis=1), np.array([_luminance((int(r), int(g), int(b))) for r, g, b in grid])
        grid = grid[(spread >= 75) & (light > 0.09) & (light < 0.8)]
        seen = np.full(len(grid), np.inf)
        places = _eye(grid)
        for place in _eye(np.array(chosen, float)):
            seen = np.minimum(seen, _difference(places, place))
        while len(chosen) < count and seen.max() > 0.0:
            best = int(seen.argmax())
            red, green, blue = grid[best].astype(int).tolist()
            chosen.append((red, green, blue))
            seen = np.minimum(seen, _difference(places, places[best]))
    return tuple(chosen) or _FIRST_COLORS[:1]


def _eye(colors: _Floats) -> _Floats:
    """(n, 2, 3): OKLab (Ottosson, 2020) of the colours, (n, 3), as seen with and without green cones (Vienot, 1999)."""
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
    """How different colours look to the eye that tells them apart worse; shapes (n, 2, 3) and (2, 3) give (n,)."""
    distances: _Floats = np.linalg.norm(many - one, axis=-1).min(axis=-1)
    return distances


# One picture -------------------------------------------------------------------------------------------------------


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
    """Draw boxes with their labels over a copy of a picture.

    Args:
        image: The picture, of any mode that :func:`boxwright.images.to_rgb` takes; it is not changed.
        boxes: Shape (n, 4), ``xmin ymin xmax ymax`` in pixels of ``image``; may be empty. Boxes reach the border at
            most; those outside the picture, or with an edge that is not a number, are left out.
        labels: The n class names.
        scores: The n confidences, 0 to 1, written behind the name in percent; None for ground truth.
        colors: Colour of each class name, as :func:`palette` makes them from a label map. Names that it lacks, or all
            where it is None, get one by their order within this picture.
        line_width: In pixels of the result; by default according to its size. Small boxes get thinner lines.
        font_size: In pixels of the result; by default according to its size and to how small the boxes are.
        show_labels: False for boxes alone.
        min_side: A picture whose longer side is shorter than this is enlarged to it before anything is drawn.
        max_side: A picture whose longer side is longer than this is reduced to it.
        emphasis: How much larger lines and letters are than by default, for drawings that are first seen small.

    Returns:
        The drawing, mode RGB.

    Raises:
        ValueError: If the lengths or shapes do not agree, or if ``min_side`` exceeds ``max_side``.
    """
    edges = np.asarray(boxes, np.float64)
    edges = edges.reshape(0, 4) if edges.size == 0 else edges
    if edges.ndim != 2 or edges.shape[1] != 4:
        raise ValueError(f"boxes must have shape (n, 4), not {edges.shape}")
    if len(labels) != len(edges) or (scores is not None and len(scores) != len(edges)):
        counts = f"{len(edges)} boxes, {len(labels)} labels" + ("" if scores is None else f", {len(scores)} scores")
        raise ValueError(f"every box needs one label and, if any, one score: {counts}")
    if not 1 <= min_side <= max_side:
        raise ValueError(f"min_side must not exceed max_side: {min_side}, {max_side}")
    canvas = resized(to_rgb(image), min_side, max_side)
    canvas = canvas.copy() if canvas is image else canvas
    width, height = canvas.size
    scale = np.array([width / image.width, height / image.height] * 2)
    # A box without area is still worth seeing, a corner in the wrong order too.
    edges = edges * scale
    edges = np.concatenate([np.minimum(edges[:, :2], edges[:, 2:]), np.maximum(edges[:, :2], edges[:, 2:])], axis=1)
    visible = (edges[:, 2:] >= 0.0).all(axis=1) & (edges[:, 0] <= width) & (edges[:, 1] <= height)
    edges = np.clip(edges, 0.0, [width, height, width, height])
    areas = np.prod(edges[:, 2:] - edges[:, :2], axis=1)
    # Large ones first, so that what lies within them stays on top.
    order = [int(i) for i in np.argsort(-areas, kind="stable") if visible[i]]
    long_side = max(width, height)
    line = line_width if line_width is not None else max(2, round(emphasis * long_side / 320))
    shown = {name: colors[name] for name in labels if name in colors} if colors else {}
    shown = palette(sorted(set(labels) - set(shown))) | shown

    draw = ImageDraw.Draw(canvas, "RGBA")
    outlines = np.zeros((len(edges), 4))
    for i in order:
        color = shown[labels[i]]
        outlines[i] = _draw_outline(draw, edges[i], line, color, (width, height), fixed=line_width is not None)
    if show_labels and order:
        size = font_size if font_size is not None else round(emphasis * _letter_size(long_side, edges[order]))
        texts = [(clean(labels[i]), _percent(scores[i]) if scores is not None else "") for i in order]
        chips = _place_chips(texts, [shown[labels[i]] for i in order], outlines[order], size, (width, height))
        # The smallest boxes have had the first choice of place; where chips still meet, theirs are on top.
        for chip in chips:
            _draw_chip(canvas, chip, size)
    return canvas


def resized(image: Image.Image, min_side: int, max_side: int) -> Image.Image:
    """The picture with its longer side brought to between ``min_side`` and ``max_side``, in pixels; may be itself."""
    long_side = max(image.size)
    target = min(max(long_side, min_side), max_side)
    if target == long_side:
        return image
    size = (max(1, round(image.width * target / long_side)), max(1, round(image.height * target / long_side)))
    return image.resize(size, Image.Resampling.LANCZOS if target < long_side else Image.Resampling.BICUBIC)


def _draw_outline(
    draw: ImageDraw.ImageDraw, edges: _Floats, line: int, color: Color, room: tuple[int, int], *, fixed: bool
) -> tuple[int, int, int, int]:
    """Draw one box, its line centred on the edges but inside the picture; returns the line's outer bounds."""
    short = float(min(edges[2] - edges[0], edges[3] - edges[1]))
    width = line if fixed else max(1, min(line, int(short / 7)))
    halo = text_color(color)
    left, top = (max(0, math.floor(edge - width / 2.0 + 0.5)) for edge in edges[:2])
    right, bottom = (min(r, math.floor(e + width / 2.0 + 0.5)) for e, r in zip(edges[2:], room, strict=True))
    left, top = min(left, room[0] - 1), min(top, room[1] - 1)
    right, bottom = max(right, left + 1), max(bottom, top + 1)
    # One softer pixel on either side of the line, so that it shows on a background of its own colour.
    for outset in (1, -width):
        bounds = (left - outset, top - outset, right - 1 + outset, bottom - 1 + outset)
        if bounds[0] <= bounds[2] and bounds[1] <= bounds[3]:
            draw.rectangle(bounds, outline=(*halo, 120), width=1)
    inner = min(width, math.ceil(min(right - left, bottom - top) / 2))
    draw.rectangle((left, top, right - 1, bottom - 1), outline=(*color, 255), width=inner)
    return left, top, right, bottom


def _percent(score: float) -> str:
    return f"{min(max(score, 0.0), 1.0):.0%}" if math.isfinite(score) else ""


def _letter_size(long_side: int, edges: _Floats) -> int:
    """Letters of about a fiftieth of the picture, smaller where boxes are small or many, never too small to read."""
    usual = 5.0 + long_side / 70.0
    typical = float(np.median(np.sqrt(np.prod(edges[:, 2:] - edges[:, :2], axis=1))))
    crowd = 1.0 if len(edges) <= 12 else math.sqrt(12.0 / len(edges))
    least = max(11.0, long_side / 75.0)
    return round(max(least, min(usual * crowd, typical / 5.0)))


# Chips: the labels' little signs -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Chip:
    text: str
    color: Color
    left: int
    top: int
    width: int
    height: int
    corners: tuple[bool, bool, bool, bool]
    """Which corners are round: top left, top right, bottom right, bottom left; those on the box's line are not."""


def _place_chips(
    texts: Sequence[tuple[str, str]], colors: Sequence[Color], outlines: _Floats, size: int, room: tuple[int, int]
) -> list[_Chip]:
    """Find a place for each label: above its box, else inside or below, wherever it hides least.

    Args:
        texts: Name and percentage of each box, which may be empty.
        colors: Colour of each box.
        outlines: Outer bounds of the boxes' lines, (n, 4), largest first.
        size: Height of the letters in pixels.
        room: Width and height of the picture.

    Returns:
        The chips, those for the largest boxes first.
    """
    pad = max(3, round(size * 0.32))
    height = min(round(size * 1.42), room[1])
    areas = np.maximum(np.prod(outlines[:, 2:] - outlines[:, :2], axis=1), 1.0)
    taken = np.empty((0, 4))
    chips: list[_Chip] = []
    for (name, percent), color, outline in zip(texts[::-1], colors[::-1], outlines[::-1], strict=True):
        gap = " " if name and percent else ""
        left, top, right, bottom = (int(edge) for edge in outline)
        # A name that is a whole sentence must not hide half of the picture.
        limit = min(room[0], max(right - left, round(0.45 * room[0]), 8 * size))
        text = shortened(name, size, limit - 2 * pad, keep=gap + percent)
        if not text:
            continue
        width = min(text_width(text, size) + 2 * pad, room[0])
        places = [
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
            [(min(max(x, 0), room[0] - width), min(max(y, 0), room[1] - height)) for x, y, _ in places], float
        )
        spots = np.concatenate([corners, corners + np.array([width, height])], axis=1)
        moved = np.array([(x, y) for x, y, _ in places]) != corners
        hidden_chips = _shared(spots, taken).sum(axis=1) / (width * height)
        hidden_boxes = (_shared(spots, outlines) / areas).sum(axis=1)
        # A chip that had to be pushed into the picture from above or below no longer touches its box's line.
        cost = 6.0 * hidden_chips + hidden_boxes + 0.5 * moved[:, 1] + 0.1 * moved[:, 0] + 0.04 * np.arange(len(places))
        best = int(cost.argmin())
        taken = np.concatenate([taken, spots[best : best + 1]])
        x, y = (int(edge) for edge in corners[best])
        chips.append(_Chip(text, color, x, y, width, height, places[best][2]))
    return chips[::-1]


def _shared(first: _Floats, second: _Floats) -> _Floats:
    """Areas that boxes, (n, 4), share with others, (m, 4): shape (n, m)."""
    low = np.maximum(first[:, None, :2], second[None, :, :2])
    high = np.minimum(first[:, None, 2:], second[None, :, 2:])
    areas: _Floats = np.prod(np.clip(high - low, 0.0, None), axis=-1)
    return areas


@lru_cache(maxsize=256)
def rounded_mask(width: int, height: int, radius: int, corners: tuple[bool, bool, bool, bool]) -> Image.Image:
    """A filled rectangle with some round corners, antialiased, mode L, 255 inside; shared by all callers, not a copy.

    Args:
        width: In pixels.
        height: In pixels.
        radius: Of the round corners, in pixels.
        corners: Which ones are round: top left, top right, bottom right, bottom left.
    """
    times = 4
    mask = Image.new("L", (width * times, height * times), 0)
    bounds = (0, 0, width * times - 1, height * times - 1)
    ImageDraw.Draw(mask).rounded_rectangle(bounds, radius * times, fill=255, corners=corners)
    return mask.reduce(times)


_RIM: Final = [value * 2 // 5 for value in range(256)]
"""A mask's values, 0 to 255, at two fifths of their strength."""


def _draw_chip(canvas: Image.Image, chip: _Chip, size: int) -> None:
    radius, ink = max(2, round(size * 0.25)), text_color(chip.color)
    mask = rounded_mask(chip.width, chip.height, radius, chip.corners)
    # A faint rim parts chips of one colour that touch.
    rim = rounded_mask(chip.width + 2, chip.height + 2, radius + 1, chip.corners).point(_RIM)
    canvas.paste(ink, (chip.left - 1, chip.top - 1), rim)
    canvas.paste(chip.color, (chip.left, chip.top), mask)
    inset = (chip.width - text_width(chip.text, size)) / 2.0
    draw = ImageDraw.Draw(canvas)
    write_line(draw, chip.left + inset, chip.top + chip.height / 2.0, chip.text, size, ink)
