"""Shapes: outlines of mugs, leaves, keys and distractors, and their cutouts in pixels.

Outlines are polygons of length about 1, x to the right and y down. Each kind of shape is a function that takes a random
number generator and returns one of its many forms; :func:`cut_out` turns it into a patch of pixels.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

_Floats: TypeAlias = npt.NDArray[np.float32]
_Points: TypeAlias = npt.NDArray[np.float64]

_SUPERSAMPLE: Final = 3
"""Silhouettes are drawn this many times larger along each axis and averaged: antialiasing by area."""


@dataclass(frozen=True)
class Shape:
    """An outline with markings.

    ``fills`` are polygons, (n, 2) each, drawn in order: True adds to the silhouette, False cuts a hole. ``marks`` are
    polygons with a tone from -1 (much darker than the surface) to 1 (much lighter).
    """

    fills: list[tuple[_Points, bool]]
    marks: list[tuple[_Points, float]] = field(default_factory=list)


ShapeMaker: TypeAlias = Callable[[np.random.Generator], Shape]
"""Creates one form of a kind of shape."""


def _ellipse(x: float, y: float, rx: float, ry: float, steps: int = 40) -> _Points:
    angles = np.linspace(0.0, 2.0 * math.pi, steps, endpoint=False)
    return np.column_stack([x + rx * np.cos(angles), y + ry * np.sin(angles)])


def _box(xmin: float, ymin: float, xmax: float, ymax: float) -> _Points:
    return np.array([(xmin, ymin), (xmax, ymin), (xmax, ymax), (xmin, ymax)])


def _ribbon(spine: _Points, half_widths: npt.ArrayLike) -> _Points:
    """Returns a band along ``spine``, (n, 2), with a half width for each of its points."""
    along = np.gradient(spine, axis=0)
    normal = np.column_stack([-along[:, 1], along[:, 0]]) / np.hypot(along[:, 0], along[:, 1])[:, None]
    offset = normal * np.broadcast_to(np.asarray(half_widths, float), (len(spine),))[:, None]
    return np.concatenate([spine + offset, (spine - offset)[::-1]])


def _mug(rng: np.random.Generator) -> Shape:
    top, bottom = rng.uniform(0.30, 0.38), rng.uniform(0.26, 0.33)
    tall, tilt = rng.uniform(0.38, 0.5), rng.uniform(0.05, 0.1)
    reach, loop, thick = rng.uniform(0.2, 0.27), rng.uniform(0.6, 0.72) * tall, rng.uniform(0.075, 0.1)
    turn = np.linspace(0.0, math.pi, 16)
    base = np.column_stack([bottom * np.cos(turn), tall + tilt * np.sin(turn)])
    body = np.concatenate([[(-top, -tall), (top, -tall)], base])
    side = (top + bottom) / 2 - 0.04
    mouth = _ellipse(0.0, -tall, top, tilt)
    inside = _ellipse(0.0, -tall + 0.006, top - 0.035, max(tilt - 0.025, 0.02))
    return Shape(
        fills=[
            (_ellipse(side, 0.0, reach, loop), True),
            (_ellipse(side, 0.0, reach - thick, loop - thick), False),
            (body, True),
            (mouth, True),
        ],
        marks=[(mouth, 0.45), (inside, -0.65)],
    )


def _leaf(rng: np.random.Generator) -> Shape:
    wide, bend = rng.uniform(0.17, 0.27), rng.uniform(-0.12, 0.12)
    along = np.linspace(0.0, 1.0, 41)
    # The widest part is nearer to the stem than to the tip, and the tip is pointed.
    belly = np.sin(math.pi * along**0.75) ** 0.9 * wide
    if rng.random() < 0.5:
        belly = belly * (1.0 - 0.13 * (np.arange(41) % 5) / 4.0)
    spine = np.column_stack([bend * np.sin(math.pi * along), 0.34 - 0.84 * along])
    stem = np.column_stack([np.linspace(-0.4 * bend, 0.0, 9), np.linspace(0.5, 0.3, 9)])
    tone = -0.45 if rng.random() < 0.5 else 0.5
    marks = [(_ribbon(spine[1:-2], np.linspace(0.016, 0.006, 38)), tone)]
    for at in range(8, 33, 6):
        for side in (-1.0, 1.0):
            end = spine[at + 5] + [side * 0.72 * belly[at + 5], 0.0]
            marks.append((_ribbon(np.linspace(spine[at], end, 3), 0.009), 0.75 * tone))
    fills = [(_ribbon(stem, np.linspace(0.028, 0.02, 9)), True), (_ribbon(spine, belly), True)]
    return Shape(fills=fills, marks=marks)


def _key(rng: np.random.Generator) -> Shape:
    head, shaft = rng.uniform(0.18, 0.23), rng.uniform(0.045, 0.06)
    hole = head * rng.uniform(0.42, 0.6)
    at = -0.5 + head
    style = rng.integers(3)
    if style == 0:
        bow = [_ellipse(0.0, at, head, head)]
    elif style == 1:
        bow = [_ellipse(0.0, at, head * 1.2, head * 0.9)]
    else:
        third = head * 0.58
        bow = [_ellipse(x, y, third, third) for x, y in ((-third, at), (third, at), (0.0, at - third * 0.75))]
        bow.append(_ellipse(0.0, at + 0.1 * head, third, third))
        hole = third * 0.6
    fills = [(part, True) for part in bow]
    fills += [(_ellipse(0.0, at - 0.02, hole, hole), False), (_box(-shaft, at + head * 0.75, shaft, 0.5), True)]
    fills.append((_box(-shaft * 1.5, at + head * 1.05, shaft * 1.5, at + head * 1.05 + 0.045), True))
    teeth, low = int(rng.integers(2, 4)), 0.5
    for _ in range(teeth):
        tall, long = rng.uniform(0.055, 0.07), rng.uniform(0.11, 0.18)
        fills.append((_box(0.0, low - tall, shaft + long, low), True))
        low -= tall + rng.uniform(0.03, 0.05)
    return Shape(fills=fills, marks=[(_box(-shaft * 0.2, at + head * 1.2, shaft * 0.3, 0.46), -0.3)])


def _star(rng: np.random.Generator) -> Shape:
    points = int(rng.integers(4, 8))
    radii = np.where(np.arange(2 * points) % 2 == 0, 0.5, rng.uniform(0.2, 0.32))
    angles = np.arange(2 * points) * math.pi / points
    return Shape([(np.column_stack([radii * np.cos(angles), radii * np.sin(angles)]), True)])


def _ring(rng: np.random.Generator) -> Shape:
    hole, flat = rng.uniform(0.2, 0.36), rng.uniform(0.7, 1.0)
    return Shape([(_ellipse(0.0, 0.0, 0.5, 0.5 * flat), True), (_ellipse(0.0, 0.0, hole, hole * flat), False)])


def _cross(rng: np.random.Generator) -> Shape:
    arm = rng.uniform(0.1, 0.18)
    return Shape([(_box(-0.5, -arm, 0.5, arm), True), (_box(-arm, -0.5, arm, 0.5), True)])


def _crescent(rng: np.random.Generator) -> Shape:
    return Shape([(_ellipse(0.0, 0.0, 0.5, 0.5), True), (_ellipse(rng.uniform(0.18, 0.3), 0.0, 0.42, 0.42), False)])


def _polygon(rng: np.random.Generator) -> Shape:
    angles = np.arange(sides := int(rng.integers(3, 7))) * 2.0 * math.pi / sides
    flat = rng.uniform(0.7, 1.0)
    return Shape([(np.column_stack([0.5 * np.cos(angles), 0.5 * flat * np.sin(angles)]), True)])


def _bar(rng: np.random.Generator) -> Shape:
    thick = rng.uniform(0.07, 0.16)
    ends = [(_ellipse(x, 0.0, thick, thick), True) for x in (-0.5 + thick, 0.5 - thick)]
    return Shape([(_box(-0.5 + thick, -thick, 0.5 - thick, thick), True), *ends])


def _pebble(rng: np.random.Generator) -> Shape:
    angles = np.linspace(0.0, 2.0 * math.pi, 48, endpoint=False)
    radii = 0.4 + sum(rng.uniform(-0.08, 0.08) * np.cos(n * angles + rng.uniform(0.0, 6.3)) for n in (2, 3, 4))
    return Shape([(np.column_stack([radii * np.cos(angles), radii * np.sin(angles)]), True)])


OBJECTS: Final[dict[str, ShapeMaker]] = {"key": _key, "leaf": _leaf, "mug": _mug}
"""The shapes of the classes, by class name."""

DISTRACTORS: Final[dict[str, ShapeMaker]] = {
    "star": _star,
    "ring": _ring,
    "cross": _cross,
    "crescent": _crescent,
    "polygon": _polygon,
    "bar": _bar,
    "pebble": _pebble,
}
"""Shapes without a class."""


# From a shape to pixels ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Cutout:
    """A shape at its final size and rotation, in a patch with ``padding`` empty pixels on each side.

    ``mask`` is (rows, columns) float32, the covered fraction of each pixel; ``tone``, of the same shape, contains the
    markings, -1 to 1; ``u`` and ``v`` are each pixel's coordinates along the shape's axes, in units of its length.
    """

    mask: _Floats
    tone: _Floats
    u: _Floats
    v: _Floats
    length: float
    extent: tuple[float, float]
    padding: int


def cut_out(shape: Shape, length: float, angle: float, *, mirrored: bool) -> Cutout:
    """Scales a shape to ``length`` pixels along its longer axis, mirrored first if requested, rotated by ``angle``.

    Angles are in radians.
    """
    outline = np.concatenate([points for points, added in shape.fills if added])
    low, high = outline.min(axis=0), outline.max(axis=0)
    scale = length / float((high - low).max())
    cosine, sine = math.cos(angle), math.sin(angle)
    matrix = np.array([(cosine, sine), (-sine, cosine)]) * scale
    if mirrored:
        matrix[0] *= -1.0
    turned = outline @ matrix
    start, extent = turned.min(axis=0), np.ptp(turned, axis=0)
    padding = 4 + round(0.12 * length)
    columns, rows = (math.ceil(side) + 2 * padding for side in extent)
    size = (columns * _SUPERSAMPLE, rows * _SUPERSAMPLE)
    solid, marks = Image.new("L", size, 0), Image.new("L", size, 128)
    draw_solid, draw_marks = ImageDraw.Draw(solid), ImageDraw.Draw(marks)
    for points, added in shape.fills:
        draw_solid.polygon(_pixels(points @ matrix - start, padding), fill=255 if added else 0)
    for points, tone in shape.marks:
        draw_marks.polygon(_pixels(points @ matrix - start, padding), fill=128 + round(tone * 127))
    x = np.arange(columns, dtype=np.float32) + np.float32(0.5 - padding + start[0])
    y = np.arange(rows, dtype=np.float32)[:, None] + np.float32(0.5 - padding + start[1])
    return Cutout(
        mask=np.asarray(solid.reduce(_SUPERSAMPLE), np.float32) / np.float32(255.0),
        tone=(np.asarray(marks.reduce(_SUPERSAMPLE), np.float32) - np.float32(128.0)) / np.float32(127.0),
        u=((x * cosine + y * sine) / length).astype(np.float32),
        v=((y * cosine - x * sine) / length).astype(np.float32),
        length=length,
        extent=(float(extent[1]), float(extent[0])),
        padding=padding,
    )


def _pixels(points: _Points, padding: int) -> list[float]:
    # Pillow places polygon corners at pixel centers, this module at pixel edges: half a small pixel apart.
    flat: list[float] = ((points + padding) * _SUPERSAMPLE - 0.5).ravel().tolist()
    return flat
