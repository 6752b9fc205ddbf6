"""Surfaces: colors and patterns of objects, their shadows, and backgrounds.

Colors are float32 arrays, RGB, 0 to 255.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

from boxwright_demo.shapes import Cutout

_Floats: TypeAlias = npt.NDArray[np.float32]
_Range: TypeAlias = tuple[float, float]

_ANY_PAINT: Final[tuple[_Range, _Range, _Range]] = ((0.15, 0.8), (0.32, 0.95), (0.0, 360.0))
_PAINTS: Final[dict[str, tuple[_Range, _Range, _Range]]] = {
    "key": ((0.0, 0.6), (0.5, 0.95), (15.0, 60.0)),
    "leaf": ((0.45, 0.9), (0.32, 0.85), (18.0, 140.0)),
}
"""Ranges of saturation, value and hue of a class: keys are of steel, brass or copper, leaves green to red as in autumn.
Mugs and distractors have any color, so that color is a hint and never sufficient."""


def object_surface(
    rng: np.random.Generator,
    name: str,
    cutout: Cutout,
    below: _Floats,
    light: float,
    *,
    contrast: float,
    pattern: float,
) -> _Floats:
    """Returns the colors of an object, (rows, columns, 3), in contrast to those of the pixels ``below``, (n, 3).

    Args:
        rng: Source of color and pattern.
        name: The class, which decides the range of colors, or the name of a distractor.
        cutout: The object.
        below: Colors that the object covers.
        light: Direction of the light, in radians.
        contrast: Minimum distance from at least three quarters of ``below``, Euclidean in RGB.
        pattern: Probability of a pattern instead of a plain color.
    """
    for color in _colors(rng, name, tries=16):
        near = ((below - color) ** 2).sum(axis=1) < contrast**2
        if 4 * np.count_nonzero(near) <= len(below):
            break
    else:  # nearly white or nearly black, the more distant of the two
        color = np.full(3, 245.0 if float(below.sum()) < 128.0 * below.size else 25.0, np.float32)
    surface = np.broadcast_to(color, (*cutout.mask.shape, 3))
    if rng.random() < pattern:
        weight = _pattern(rng, cutout)[..., None]
        second = np.clip(color * rng.uniform(0.45, 1.5) + rng.uniform(-35.0, 35.0, 3), 10, 250).astype(np.float32)
        surface = surface + weight * (second - surface)
    # Light from one side, on a surface that is slightly higher in the middle and beveled at its edge.
    soft = _blurred(cutout.mask, 0.6 + 0.025 * cutout.length)
    slope_y, slope_x = np.gradient(soft)
    light_x, light_y = math.cos(light), math.sin(light)
    bevel = (slope_x * light_x + slope_y * light_y) * (0.5 + 0.03 * cutout.length)
    shade = 0.86 + 0.18 * soft + np.clip(bevel, -0.28, 0.28) + 0.5 * cutout.tone
    lit: _Floats = np.clip(surface * shade[..., None], 0.0, 255.0).astype(np.float32)
    return lit


def _colors(rng: np.random.Generator, name: str, tries: int) -> Iterator[_Floats]:
    for _ in range(tries):
        yield _color(rng, *_PAINTS.get(name, _ANY_PAINT))


def _color(
    rng: np.random.Generator,
    saturation: tuple[float, float],
    value: tuple[float, float],
    hue: tuple[float, float] = (0.0, 360.0),
) -> _Floats:
    """Returns a color, (3,) float32, 0 to 255; ``hue`` is in degrees from red over green to blue."""
    phase = (rng.uniform(*hue) / 60.0 + np.array([5.0, 3.0, 1.0])) % 6.0
    part = np.clip(np.minimum(phase, 4.0 - phase), 0.0, 1.0)
    color: _Floats = (255.0 * rng.uniform(*value) * (1.0 - rng.uniform(*saturation) * part)).astype(np.float32)
    return color


def _pattern(rng: np.random.Generator, cutout: Cutout) -> _Floats:
    """Returns the fraction of the second color in each pixel, 0 to 1."""
    kind = rng.choice(["gradient", "stripes", "dots", "speckle"])
    angle = rng.uniform(0.0, math.pi)
    along = cutout.u * np.float32(math.cos(angle)) + cutout.v * np.float32(math.sin(angle))
    if kind == "gradient":
        return np.clip(along + np.float32(0.5), 0.0, 1.0)
    if kind == "speckle":
        rows, columns = cutout.mask.shape
        blotches = _noise(rng, rows // 3 + 2, columns // 3 + 2, rows, columns)
        return np.asarray(np.clip((blotches - 0.58) * 6.0, 0.0, 1.0), np.float32)
    # Stripes and dots narrower than about three pixels would be plain gray.
    waves = np.float32(2.0 * math.pi * min(rng.uniform(2.5, 6.0), cutout.length / 6.0))
    wave = np.sin(along * waves)
    if kind == "dots":
        across = cutout.v * np.float32(math.cos(angle)) - cutout.u * np.float32(math.sin(angle))
        wave = wave * np.sin(across * waves) * 1.6 - 0.3
    weight: _Floats = np.clip(wave * 2.5 + 0.5, 0.0, 1.0).astype(np.float32)
    return weight


def cast_shadow(mask: _Floats, dx: float, dy: float, padding: int) -> _Floats:
    """Returns ``mask`` moved by (dx, dy) pixels and blurred; it stays within the patch's padding."""
    step_x, step_y = round(dx), round(dy)
    moved = np.zeros_like(mask)
    inner = mask[padding:-padding, padding:-padding]
    rows, columns = inner.shape
    moved[padding + step_y : padding + step_y + rows, padding + step_x : padding + step_x + columns] = inner
    return _blurred(moved, 0.25 * padding)


def _blurred(values: _Floats, radius: float) -> _Floats:
    image = Image.fromarray((values * 255.0).astype(np.uint8))
    return np.asarray(image.filter(ImageFilter.GaussianBlur(radius)), np.float32) / np.float32(255.0)


def _noise(rng: np.random.Generator, cells_y: int, cells_x: int, rows: int, columns: int) -> _Floats:
    """Returns smooth noise, (rows, columns), about 0 to 1, with one random value per cell."""
    cells = Image.fromarray(rng.random((cells_y, cells_x), dtype=np.float32))
    return np.asarray(cells.resize((columns, rows), Image.Resampling.BICUBIC), np.float32)


def background(rng: np.random.Generator, rows: int, columns: int) -> _Floats:
    """Returns a background, (rows, columns, 3) float32, 0 to 255."""
    first = _color(rng, (0.05, 0.4), (0.3, 0.95))
    second = np.clip(first * rng.uniform(0.6, 1.35) + rng.uniform(-25.0, 25.0, 3), 5, 250).astype(np.float32)
    angle = rng.uniform(0.0, 2.0 * math.pi)
    y, x = np.ogrid[-1.0 : 1.0 : rows * 1j, -1.0 : 1.0 : columns * 1j]
    sweep = (x * math.cos(angle) + y * math.sin(angle)).astype(np.float32)
    kind = rng.choice(["gradient", "wood", "stone", "checks", "paper", "cloth"])
    grain = _noise(rng, rows // 2, columns // 2, rows, columns)
    if kind == "gradient":
        weight = 0.5 + 0.5 * sweep
    elif kind == "wood":
        first = _wood(rng)
        second = first * np.float32(rng.uniform(0.62, 0.82))
        drift = _noise(rng, 5, 3, rows, columns)
        fibres = _noise(rng, rows // 2, 5, rows, columns)
        rings = 0.5 + 0.5 * np.sin(2.0 * math.pi * (y * rng.uniform(2.0, 4.5) + drift * 2.2))
        planks = int(rng.integers(2, 5))
        seam = np.abs((y * 0.5 + 0.5) * planks % 1.0 - 0.5) > 0.5 - 0.008 * planks
        weight = 0.55 * rings + 0.6 * fibres + 0.9 * seam - 0.1
    elif kind == "stone":
        coarse, middle, fine = (_noise(rng, n + 1, n * 4 // 3 + 1, rows, columns) for n in (3, 9, 36))
        weight = (0.45 * coarse + 0.3 * middle + 0.35 * fine - 0.15) * 1.3
    elif kind == "checks":
        waves = rng.uniform(5.0, 11.0)
        across = y * math.cos(angle) - x * columns / rows * math.sin(angle)
        down = x * columns / rows * math.cos(angle) + y * math.sin(angle)
        weight = np.clip(np.sin(across * waves) * np.sin(down * waves) * 9.0 + 0.5, 0.0, 1.0)
    elif kind == "paper":
        first = _color(rng, (0.02, 0.14), (0.82, 0.98))
        second = first * np.float32(0.86)
        lines = np.abs((y * 0.5 + 0.5) * rows / rng.uniform(9.0, 16.0) % 1.0 - 0.5) > 0.46
        weight = 0.7 * grain + 0.9 * (lines if rng.random() < 0.5 else 0.0) + 0.0 * x
    else:
        pitch = rng.uniform(0.9, 1.6)
        weave = np.sin(np.arange(columns)[None, :] * pitch) + np.sin(np.arange(rows)[:, None] * pitch)
        weight = 0.5 + 0.2 * weave + 0.25 * sweep
    canvas = first + np.asarray(weight, np.float32)[..., None] * (second - first)
    light = np.asarray(1.0 + rng.uniform(0.0, 0.14) * sweep + 0.05 * (grain - 0.5), np.float32)
    return canvas * light[..., None]


def _wood(rng: np.random.Generator) -> _Floats:
    stain = np.array([(196, 148, 98), (222, 184, 135), (138, 94, 62), (170, 122, 84), (210, 200, 186)], np.float32)
    color: _Floats = stain[rng.integers(len(stain))] * np.float32(rng.uniform(0.88, 1.1))
    return color
