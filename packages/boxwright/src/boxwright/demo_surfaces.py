"""The demo's surfaces: colours and patterns of objects, their shadows, and the grounds that they lie on.

Colours are float32 arrays, RGB, 0 to 255.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

from boxwright.demo_shapes import Cutout

__all__ = ["background", "cast_shadow", "object_surface"]

_Floats: TypeAlias = npt.NDArray[np.float32]
_Range: TypeAlias = tuple[float, float]

_ANY_PAINT: Final[tuple[_Range, _Range, _Range]] = ((0.15, 0.8), (0.32, 0.95), (0.0, 360.0))
_PAINTS: Final[dict[str, tuple[_Range, _Range, _Range]]] = {
    "key": ((0.0, 0.6), (0.5, 0.95), (15.0, 60.0)),
    "leaf": ((0.45, 0.9), (0.32, 0.85), (18.0, 140.0)),
}
"""Saturation, value and hue of a class: keys are of steel, brass or copper, leaves green to red as in autumn. Mugs and
the shapes that are of no class come in every colour, so that colour is a hint and never the answer."""


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
    """The colours of an object, (rows, columns, 3), that stand out from those of the pixels ``below``, (n, 3).

    Args:
        rng: Where colour and pattern come from.
        name: The class, which decides the range of colours, or a shape that is of none.
        cutout: The object.
        below: Colours that it will cover.
        light: Direction of the light, in radians.
        contrast: Least distance from at least three quarters of ``below``, Euclidean in RGB.
        pattern: Probability of a pattern instead of one plain colour.
    """
    for colour in _colours(rng, name, tries=16):
        near = ((below - colour) ** 2).sum(axis=1) < contrast**2
        if 4 * np.count_nonzero(near) <= len(below):
            break
    else:  # White or black, whichever is farther away.
        colour = np.full(3, 245.0 if float(below.sum()) < 128.0 * below.size else 25.0, np.float32)
    surface = np.broadcast_to(colour, (*cutout.mask.shape, 3))
    if rng.random() < pattern:
        weight = _pattern(rng, cutout)[..., None]
        second = np.clip(colour * rng.uniform(0.45, 1.5) + rng.uniform(-35.0, 35.0, 3), 10, 250).astype(np.float32)
        surface = surface + weight * (second - surface)
    # Light from one side over a surface that is a little higher in the middle, its edge bevelled.
    soft = _blurred(cutout.mask, 0.6 + 0.025 * cutout.length)
    slope_y, slope_x = np.gradient(soft)
    away_x, away_y = math.cos(light), math.sin(light)
    bevel = (slope_x * away_x + slope_y * away_y) * (0.5 + 0.03 * cutout.length)
    shade = 0.86 + 0.18 * soft + np.clip(bevel, -0.28, 0.28) + 0.5 * cutout.tone
    lit: _Floats = np.clip(surface * shade[..., None], 0.0, 255.0).astype(np.float32)
    return lit


def _colours(rng: np.random.Generator, name: str, tries: int) -> Iterator[_Floats]:
    for _ in range(tries):
        yield _colour(rng, *_PAINTS.get(name, _ANY_PAINT))


def _colour(
    rng: np.random.Generator,
    saturation: tuple[float, float],
    value: tuple[float, float],
    hue: tuple[float, float] = (0.0, 360.0),
) -> _Floats:
    """A colour, (3,) float32, 0 to 255; ``hue`` in degrees from red over green to blue."""
    phase = (rng.uniform(*hue) / 60.0 + np.array([5.0, 3.0, 1.0])) % 6.0
    part = np.clip(np.minimum(phase, 4.0 - phase), 0.0, 1.0)
    colour: _Floats = (255.0 * rng.uniform(*value) * (1.0 - rng.uniform(*saturation) * part)).astype(np.float32)
    return colour


def _pattern(rng: np.random.Generator, cutout: Cutout) -> _Floats:
    """How much of the second colour each pixel has, 0 to 1."""
    kind = rng.choice(["gradient", "stripes", "dots", "speckle"])
    angle = rng.uniform(0.0, math.pi)
    along = cutout.u * np.float32(math.cos(angle)) + cutout.v * np.float32(math.sin(angle))
    if kind == "gradient":
        return np.clip(along + np.float32(0.5), 0.0, 1.0)
    if kind == "speckle":
        rows, columns = cutout.mask.shape
        blotches = _noise(rng, rows // 3 + 2, columns // 3 + 2, rows, columns)
        return np.asarray(np.clip((blotches - 0.58) * 6.0, 0.0, 1.0), np.float32)
    # Stripes and dots narrower than some three pixels would only be grey.
    waves = np.float32(2.0 * math.pi * min(rng.uniform(2.5, 6.0), cutout.length / 6.0))
    wave = np.sin(along * waves)
    if kind == "dots":
        across = cutout.v * np.float32(math.cos(angle)) - cutout.u * np.float32(math.sin(angle))
        wave = wave * np.sin(across * waves) * 1.6 - 0.3
    weight: _Floats = np.clip(wave * 2.5 + 0.5, 0.0, 1.0).astype(np.float32)
    return weight


def cast_shadow(mask: _Floats, dx: float, dy: float, padding: int) -> _Floats:
    """``mask`` moved by (dx, dy) pixels and softened; it stays within the patch's padding."""
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
    """Smooth noise, (rows, columns), about 0 to 1, with one random value for each cell."""
    cells = Image.fromarray(rng.random((cells_y, cells_x), dtype=np.float32))
    return np.asarray(cells.resize((columns, rows), Image.Resampling.BICUBIC), np.float32)


def background(rng: np.random.Generator, rows: int, columns: int) -> _Floats:
    """A ground for the objects, (rows, columns, 3) float32, 0 to 255."""
    first = _colour(rng, (0.05, 0.4), (0.3, 0.95))
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
        first = _colour(rng, (0.02, 0.14), (0.82, 0.98))
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
    colour: _Floats = stain[rng.integers(len(stain))] * np.float32(rng.uniform(0.88, 1.1))
    return colour
