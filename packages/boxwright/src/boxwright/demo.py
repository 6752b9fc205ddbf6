"""The pictures of ``boxwright demo``: mugs, leaves and keys on a table, drawn and annotated by the program itself.

A newcomer needs a dataset before the first photo is annotated, and one that teaches something: the three classes differ
by *shape* alone. Colour, texture, size, rotation, light and background are drawn from the same distributions for all of
them, and for the distractors (stars, rings, crosses, ...) that belong to no class, so a detector that only learns
colours finds nothing.

    from boxwright.demo import draw_scene, scene_rng

    image, objects = draw_scene(scene_rng(seed=0, split="train", index=7))
    for thing in objects:
        print(thing.label, thing.xmin, thing.ymin, thing.xmax, thing.ymax)

Boxes are in pixels with continuous, 0-based edges: ``xmin`` is the first column in which the object can be seen and
``xmax`` the last one plus 1. A pixel belongs to the topmost object that covers at least half of it, so what is cut off
by the picture's border or hidden behind another object does not count, as in Pascal VOC.

How hard the pictures are is set in one place, :class:`SceneSettings`.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFilter

__all__ = ["CLASSES", "DEFAULT_SETTINGS", "DrawnObject", "SceneSettings", "draw_scene", "scene_rng"]

_Floats: TypeAlias = npt.NDArray[np.float32]
_Points: TypeAlias = npt.NDArray[np.float64]

CLASSES: Final[tuple[str, ...]] = ("key", "leaf", "mug")
"""The class names, sorted, which is also the order of a label map that was made from the data."""

_SUPERSAMPLE: Final = 3
"""Silhouettes are drawn this many times larger along each axis and averaged down: antialiasing by area."""

_SMALLEST_PICTURE: Final = 48
_SHORTEST_OBJECT: Final = 12.0
"""Pixels. Below this a key has no pixel that it covers by half, and nobody could tell what it is."""

_PLACEMENT_TRIES: Final = 14
_MOST_TILT_OF_A_MUG: Final = 40.0
"""Degrees. Leaves and keys lie in any direction; a mug stands, more or less."""


@dataclass(frozen=True)
class SceneSettings:
    """How full, varied and hard the pictures are; the defaults are those of ``boxwright demo``.

    To make scenes easier, raise ``contrast`` and the lower end of ``size``, and lower ``distractors``, ``overlap``,
    ``border``, ``pattern``, ``noise`` and ``blur``; to make them harder, the other way round.
    """

    objects: tuple[int, int] = (1, 5)
    """Fewest and most objects of a class. A crowded picture may end up with fewer, but never with none."""
    distractors: tuple[int, int] = (0, 2)
    """Fewest and most shapes that are of no class and have no box. They lie below the objects."""
    size: tuple[float, float] = (0.24, 0.6)
    """Smallest and largest length of an object (along its own longer axis), as a share of the picture's short side."""
    turn: float = 60.0
    """Largest rotation to either side, in degrees. Mugs never turn by more than 40."""
    overlap: float = 0.15
    """Probability that an object is allowed to cover parts of earlier ones; otherwise it keeps clear of them."""
    most_hidden: float = 0.25
    """Largest share of an object's area in the picture that others may hide."""
    border: float = 0.1
    """Probability that an object is placed across the picture's border."""
    most_outside: float = 0.25
    """Largest share of such an object's width or height that lies outside the picture."""
    contrast: float = 70.0
    """Least distance of an object's colour from at least three quarters of the pixels that it covers: Euclidean in RGB,
    channels 0 to 255. Where no colour keeps it, the object is nearly white or nearly black."""
    pattern: float = 0.5
    """Probability that an object carries a pattern (gradient, stripes, dots, speckle) instead of one plain colour."""
    shadow: float = 0.4
    """Darkness of the deepest shadow, 0 (none) to 1 (black)."""
    noise: float = 4.0
    """Largest standard deviation of the sensor noise, in grey levels of 255."""
    blur: float = 0.5
    """Largest radius of the lens blur, in pixels."""

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            ValueError: If a setting is out of its range; the message names it.
        """
        if not 1 <= self.objects[0] <= self.objects[1] <= 100:
            raise ValueError(f"objects must be (fewest, most) with 1 <= fewest <= most <= 100, not {self.objects}")
        if not 0 <= self.distractors[0] <= self.distractors[1] <= 100:
            raise ValueError(f"distractors must be (fewest, most) with 0 <= fewest <= most <= 100: {self.distractors}")
        if not 0.05 <= self.size[0] <= self.size[1] <= 0.9:
            raise ValueError(f"size must be (smallest, largest), both between 0.05 and 0.9, not {self.size}")
        limits = {"turn": 180.0, "overlap": 1.0, "most_hidden": 0.9, "border": 1.0, "most_outside": 0.6}
        limits |= {"contrast": 150.0, "pattern": 1.0, "shadow": 1.0, "noise": 80.0, "blur": 10.0}
        for name, most in limits.items():
            if not 0.0 <= getattr(self, name) <= most:
                raise ValueError(f"{name} must lie between 0 and {most:g}, not {getattr(self, name)}")


DEFAULT_SETTINGS: Final = SceneSettings()


@dataclass(frozen=True)
class DrawnObject:
    """One object of a scene: its class name and the tight box of what can be seen of it, edges in pixels."""

    label: str
    xmin: float
    ymin: float
    xmax: float
    ymax: float


def scene_rng(seed: int, split: str, index: int) -> np.random.Generator:
    """The random numbers of one picture, which depend on nothing but the three arguments.

    Picture 7 of a split is therefore the same whether 10 or 10,000 are drawn, in whatever order or process.

    Args:
        seed: The dataset's seed, 0 or larger.
        split: Name of the split, such as ``train``.
        index: Number of the picture within its split, 0 or larger.

    Raises:
        ValueError: If ``seed`` or ``index`` is negative.
    """
    if seed < 0 or index < 0:
        raise ValueError(f"seed and index must not be negative: seed={seed}, index={index}")
    # str hashes change from one Python process to the next; a checksum does not.
    return np.random.default_rng([seed, zlib.crc32(split.encode("utf-8")), index])


def draw_scene(
    rng: np.random.Generator, width: int = 192, height: int = 160, settings: SceneSettings = DEFAULT_SETTINGS
) -> tuple[Image.Image, list[DrawnObject]]:
    """Draw one picture and say what is on it.

    Args:
        rng: Where the scene comes from; the same state gives the same picture. See :func:`scene_rng`.
        width: Width of the picture in pixels, at least 48.
        height: Height of the picture in pixels, at least 48.
        settings: How full, varied and hard the scene is.

    Returns:
        The picture, mode RGB, and its objects in the order in which they were laid down, at least one.

    Raises:
        ValueError: If the picture would be smaller than 48 x 48.
    """
    if min(width, height) < _SMALLEST_PICTURE:
        raise ValueError(f"a scene needs at least {_SMALLEST_PICTURE} x {_SMALLEST_PICTURE} pixels: {width}x{height}")
    # A generator for each layer: another number of objects leaves the background and the noise as they are.
    ground_rng, clutter_rng, object_rng, camera_rng = (np.random.default_rng(s) for s in rng.integers(2**62, size=4))
    canvas = _background(ground_rng, height, width)
    light = ground_rng.uniform(0.0, 2.0 * math.pi)
    table = _Table(canvas, light, settings)
    for _ in range(clutter_rng.integers(settings.distractors[0], settings.distractors[1] + 1)):
        table.lay(clutter_rng, str(clutter_rng.choice(list(_DISTRACTORS))), _DISTRACTORS, counts=False)
    for _ in range(object_rng.integers(settings.objects[0], settings.objects[1] + 1)):
        table.lay(object_rng, str(object_rng.choice(CLASSES)), _OBJECTS, counts=True)
    return _photograph(camera_rng, table.canvas, settings), table.objects()


# The table: where things lie, and which pixel shows which of them ------------------------------------------------


@dataclass
class _Table:
    """A picture that is being laid out.

    ``canvas`` is (height, width, 3) float32, 0 to 255; ``owner`` is (height, width) int16: 0 where nothing that counts
    lies, otherwise 1 + the number of the object on top.
    """

    canvas: _Floats
    light: float
    settings: SceneSettings
    labels: list[str] = field(default_factory=list)
    areas: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.owner: npt.NDArray[np.int16] = np.zeros(self.canvas.shape[:2], np.int16)

    def lay(self, rng: np.random.Generator, name: str, shapes: dict[str, _ShapeMaker], *, counts: bool) -> None:
        """Draw one shape where it fits; leave it out when there is no such place."""
        smallest, largest = self.settings.size
        short = min(self.canvas.shape[:2])
        # Small ones are as frequent as large ones per octave, as in photographs.
        length = max(short * math.exp(rng.uniform(math.log(smallest), math.log(largest))), _SHORTEST_OBJECT)
        turn = min(self.settings.turn, _MOST_TILT_OF_A_MUG) if name == "mug" else self.settings.turn
        angle, mirrored = math.radians(rng.uniform(-turn, turn)), rng.random() < 0.5
        cutout = _cut_out(shapes[name](rng), length, angle, mirrored=mirrored)
        may_overlap = rng.random() < self.settings.overlap
        for _ in range(_PLACEMENT_TRIES):
            place = _Place.of(cutout.mask.shape, self._corner(rng, cutout), self.owner.shape)
            covered = cutout.mask[place.inner] >= 0.5
            if not counts or self._fits(place, covered, may_overlap=may_overlap):
                break
        else:
            return
        self._paint(rng, name, cutout, place)
        if counts:
            self.labels.append(name)
            self.areas.append(int(covered.sum()))
            self.owner[place.outer][covered] = len(self.labels)

    def objects(self) -> list[DrawnObject]:
        found = []
        for number, label in enumerate(self.labels, start=1):
            visible = self.owner == number
            columns, rows = np.flatnonzero(visible.any(axis=0)), np.flatnonzero(visible.any(axis=1))
            edges = (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)
            found.append(DrawnObject(label, *(float(edge) for edge in edges)))
        return found

    def _corner(self, rng: np.random.Generator, cutout: _Cutout) -> tuple[int, int]:
        """The row and column of the patch's first pixel: the silhouette inside, or across one side of the picture."""
        corner = []
        across = int(rng.integers(4)) if rng.random() < self.settings.border else -1
        for axis, (room, extent) in enumerate(zip(self.owner.shape, cutout.extent, strict=True)):
            outside = rng.uniform(0.0, self.settings.most_outside) * extent
            if across == 2 * axis:
                start = -outside
            elif across == 2 * axis + 1:
                start = room - extent + outside
            else:
                start = rng.uniform(0.0, max(room - extent, 0.0))
            corner.append(round(start) - cutout.padding)
        return corner[0], corner[1]

    def _fits(self, place: _Place, covered: npt.NDArray[np.bool_], *, may_overlap: bool) -> bool:
        if not covered.any():
            return False
        before = np.bincount(self.owner.ravel(), minlength=len(self.areas) + 1)[1:]
        lost = np.bincount(self.owner[place.outer][covered], minlength=len(self.areas) + 1)[1:]
        if not may_overlap:
            return not lost.any()
        keep = (1.0 - self.settings.most_hidden) * np.asarray(self.areas)
        return bool((before - lost >= keep).all())

    def _paint(self, rng: np.random.Generator, name: str, cutout: _Cutout, place: _Place) -> None:
        below = self.canvas[place.outer]
        mask = cutout.mask[place.inner]
        if self.settings.shadow:
            drop = 0.05 * cutout.length + 1.0
            shadow = _shadow(cutout.mask, drop * math.cos(self.light), drop * math.sin(self.light), cutout.padding)
            below *= 1.0 - rng.uniform(0.4, 1.0) * self.settings.shadow * shadow[place.inner][..., None]
        solid = mask[..., None]
        hidden = below[mask >= 0.5]
        # Some eighty pixels say enough about the colours below, in a tenth of the time.
        surface = _surface(rng, name, cutout, hidden[:: 1 + len(hidden) // 80], self.light, self.settings)[place.inner]
        below += solid * (surface - below)


@dataclass(frozen=True)
class _Place:
    """Where a patch meets the picture: ``inner`` slices the patch, ``outer`` the picture, and both have one shape."""

    inner: tuple[slice, slice]
    outer: tuple[slice, slice]

    @classmethod
    def of(cls, patch: tuple[int, ...], corner: tuple[int, int], picture: tuple[int, ...]) -> _Place:
        inner, outer = [], []
        for extent, start, room in zip(patch, corner, picture, strict=True):
            low, high = max(start, 0), min(start + extent, room)
            inner.append(slice(low - start, max(high - start, low - start)))
            outer.append(slice(low, max(high, low)))
        return cls((inner[0], inner[1]), (outer[0], outer[1]))


# Shapes: outlines in units of their own, x to the right and y down -----------------------------------------------


@dataclass(frozen=True)
class _Shape:
    """An outline and what is drawn on it.

    ``fills`` are polygons, (n, 2) each, in order: True adds to the silhouette, False cuts a hole. ``marks`` are
    polygons with a tone from -1 (much darker than the surface) to 1 (much lighter).
    """

    fills: list[tuple[_Points, bool]]
    marks: list[tuple[_Points, float]] = field(default_factory=list)


_Range: TypeAlias = tuple[float, float]

_ANY_PAINT: Final[tuple[_Range, _Range, _Range]] = ((0.15, 0.8), (0.32, 0.95), (0.0, 360.0))
_PAINTS: Final[dict[str, tuple[_Range, _Range, _Range]]] = {
    "key": ((0.0, 0.6), (0.5, 0.95), (15.0, 60.0)),
    "leaf": ((0.45, 0.9), (0.32, 0.85), (18.0, 140.0)),
}
"""Saturation, value and hue of a class: keys are of steel, brass or copper, leaves green to red as in autumn. Mugs and
the shapes that are of no class come in every colour, so that colour is a hint and never the answer."""

_ShapeMaker: TypeAlias = Callable[[np.random.Generator], _Shape]


def _ellipse(x: float, y: float, rx: float, ry: float, steps: int = 40) -> _Points:
    angles = np.linspace(0.0, 2.0 * math.pi, steps, endpoint=False)
    return np.column_stack([x + rx * np.cos(angles), y + ry * np.sin(angles)])


def _box(xmin: float, ymin: float, xmax: float, ymax: float) -> _Points:
    return np.array([(xmin, ymin), (xmax, ymin), (xmax, ymax), (xmin, ymax)])


def _ribbon(spine: _Points, half_widths: npt.ArrayLike) -> _Points:
    """A band along ``spine``, (n, 2), whose half width is given for each of its points."""
    along = np.gradient(spine, axis=0)
    normal = np.column_stack([-along[:, 1], along[:, 0]]) / np.hypot(along[:, 0], along[:, 1])[:, None]
    offset = normal * np.broadcast_to(np.asarray(half_widths, float), (len(spine),))[:, None]
    return np.concatenate([spine + offset, (spine - offset)[::-1]])


def _mug(rng: np.random.Generator) -> _Shape:
    top, bottom = rng.uniform(0.30, 0.38), rng.uniform(0.26, 0.33)
    tall, tilt = rng.uniform(0.38, 0.5), rng.uniform(0.05, 0.1)
    reach, loop, thick = rng.uniform(0.2, 0.27), rng.uniform(0.6, 0.72) * tall, rng.uniform(0.075, 0.1)
    turn = np.linspace(0.0, math.pi, 16)
    base = np.column_stack([bottom * np.cos(turn), tall + tilt * np.sin(turn)])
    body = np.concatenate([[(-top, -tall), (top, -tall)], base])
    side = (top + bottom) / 2 - 0.04
    mouth = _ellipse(0.0, -tall, top, tilt)
    inside = _ellipse(0.0, -tall + 0.006, top - 0.035, max(tilt - 0.025, 0.02))
    return _Shape(
        fills=[
            (_ellipse(side, 0.0, reach, loop), True),
            (_ellipse(side, 0.0, reach - thick, loop - thick), False),
            (body, True),
            (mouth, True),
        ],
        marks=[(mouth, 0.45), (inside, -0.65)],
    )


def _leaf(rng: np.random.Generator) -> _Shape:
    wide, bend = rng.uniform(0.17, 0.27), rng.uniform(-0.12, 0.12)
    along = np.linspace(0.0, 1.0, 41)
    # The belly sits nearer to the stem than to the tip, and the tip is pointed.
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
    return _Shape(fills=fills, marks=marks)


def _key(rng: np.random.Generator) -> _Shape:
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
    return _Shape(fills=fills, marks=[(_box(-shaft * 0.2, at + head * 1.2, shaft * 0.3, 0.46), -0.3)])


def _star(rng: np.random.Generator) -> _Shape:
    points = int(rng.integers(4, 8))
    radii = np.where(np.arange(2 * points) % 2 == 0, 0.5, rng.uniform(0.2, 0.32))
    angles = np.arange(2 * points) * math.pi / points
    return _Shape([(np.column_stack([radii * np.cos(angles), radii * np.sin(angles)]), True)])


def _ring(rng: np.random.Generator) -> _Shape:
    hole, flat = rng.uniform(0.2, 0.36), rng.uniform(0.7, 1.0)
    return _Shape([(_ellipse(0.0, 0.0, 0.5, 0.5 * flat), True), (_ellipse(0.0, 0.0, hole, hole * flat), False)])


def _cross(rng: np.random.Generator) -> _Shape:
    arm = rng.uniform(0.1, 0.18)
    return _Shape([(_box(-0.5, -arm, 0.5, arm), True), (_box(-arm, -0.5, arm, 0.5), True)])


def _crescent(rng: np.random.Generator) -> _Shape:
    return _Shape([(_ellipse(0.0, 0.0, 0.5, 0.5), True), (_ellipse(rng.uniform(0.18, 0.3), 0.0, 0.42, 0.42), False)])


def _polygon(rng: np.random.Generator) -> _Shape:
    angles = np.arange(sides := int(rng.integers(3, 7))) * 2.0 * math.pi / sides
    flat = rng.uniform(0.7, 1.0)
    return _Shape([(np.column_stack([0.5 * np.cos(angles), 0.5 * flat * np.sin(angles)]), True)])


def _bar(rng: np.random.Generator) -> _Shape:
    thick = rng.uniform(0.07, 0.16)
    ends = [(_ellipse(x, 0.0, thick, thick), True) for x in (-0.5 + thick, 0.5 - thick)]
    return _Shape([(_box(-0.5 + thick, -thick, 0.5 - thick, thick), True), *ends])


def _pebble(rng: np.random.Generator) -> _Shape:
    angles = np.linspace(0.0, 2.0 * math.pi, 48, endpoint=False)
    radii = 0.4 + sum(rng.uniform(-0.08, 0.08) * np.cos(n * angles + rng.uniform(0.0, 6.3)) for n in (2, 3, 4))
    return _Shape([(np.column_stack([radii * np.cos(angles), radii * np.sin(angles)]), True)])


_OBJECTS: Final[dict[str, _ShapeMaker]] = {"key": _key, "leaf": _leaf, "mug": _mug}
_DISTRACTORS: Final[dict[str, _ShapeMaker]] = {
    "star": _star,
    "ring": _ring,
    "cross": _cross,
    "crescent": _crescent,
    "polygon": _polygon,
    "bar": _bar,
    "pebble": _pebble,
}


# From a shape to pixels ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Cutout:
    """A shape at its size and rotation, in a patch with ``padding`` empty pixels on each side.

    ``mask`` is (rows, columns) float32, the covered share of each pixel; ``tone`` of the same shape is -1 to 1, what is
    drawn on the surface; ``u`` and ``v`` are each pixel's place along the shape's own axes in units of its length.
    """

    mask: _Floats
    tone: _Floats
    u: _Floats
    v: _Floats
    length: float
    extent: tuple[float, float]
    padding: int


def _cut_out(shape: _Shape, length: float, angle: float, *, mirrored: bool) -> _Cutout:
    outline = np.concatenate([points for points, added in shape.fills if added])
    low, high = outline.min(axis=0), outline.max(axis=0)
    scale = length / float((high - low).max())
    cosine, sine = math.cos(angle), math.sin(angle)
    turn = np.array([(cosine, sine), (-sine, cosine)]) * scale
    if mirrored:
        turn[0] *= -1.0
    turned = outline @ turn
    start, extent = turned.min(axis=0), np.ptp(turned, axis=0)
    padding = 4 + round(0.12 * length)
    columns, rows = (math.ceil(side) + 2 * padding for side in extent)
    size = (columns * _SUPERSAMPLE, rows * _SUPERSAMPLE)
    solid, marks = Image.new("L", size, 0), Image.new("L", size, 128)
    draw_solid, draw_marks = ImageDraw.Draw(solid), ImageDraw.Draw(marks)
    for points, added in shape.fills:
        draw_solid.polygon(_pixels(points @ turn - start, padding), fill=255 if added else 0)
    for points, tone in shape.marks:
        draw_marks.polygon(_pixels(points @ turn - start, padding), fill=128 + round(tone * 127))
    x = np.arange(columns, dtype=np.float32) + np.float32(0.5 - padding + start[0])
    y = np.arange(rows, dtype=np.float32)[:, None] + np.float32(0.5 - padding + start[1])
    return _Cutout(
        mask=np.asarray(solid.reduce(_SUPERSAMPLE), np.float32) / np.float32(255.0),
        tone=(np.asarray(marks.reduce(_SUPERSAMPLE), np.float32) - np.float32(128.0)) / np.float32(127.0),
        u=((x * cosine + y * sine) / length).astype(np.float32),
        v=((y * cosine - x * sine) / length).astype(np.float32),
        length=length,
        extent=(float(extent[1]), float(extent[0])),
        padding=padding,
    )


def _pixels(points: _Points, padding: int) -> list[float]:
    # Pillow's polygon has its corners at pixel centres, ours at pixel edges: half a small pixel apart.
    flat: list[float] = ((points + padding) * _SUPERSAMPLE - 0.5).ravel().tolist()
    return flat


def _surface(
    rng: np.random.Generator, name: str, cutout: _Cutout, below: _Floats, light: float, settings: SceneSettings
) -> _Floats:
    """The colours of an object, (rows, columns, 3), that stand out from those of the pixels ``below``, (n, 3)."""
    for colour in _colours(rng, name, tries=16):
        near = ((below - colour) ** 2).sum(axis=1) < settings.contrast**2
        if 4 * np.count_nonzero(near) <= len(below):
            break
    else:  # White or black, whichever is farther away.
        colour = np.full(3, 245.0 if float(below.sum()) < 128.0 * below.size else 25.0, np.float32)
    surface = np.broadcast_to(colour, (*cutout.mask.shape, 3))
    if rng.random() < settings.pattern:
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


def _pattern(rng: np.random.Generator, cutout: _Cutout) -> _Floats:
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


def _shadow(mask: _Floats, dx: float, dy: float, padding: int) -> _Floats:
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


# The ground and the camera ---------------------------------------------------------------------------------------


def _noise(rng: np.random.Generator, cells_y: int, cells_x: int, rows: int, columns: int) -> _Floats:
    """Smooth noise, (rows, columns), about 0 to 1, with one random value for each cell."""
    cells = Image.fromarray(rng.random((cells_y, cells_x), dtype=np.float32))
    return np.asarray(cells.resize((columns, rows), Image.Resampling.BICUBIC), np.float32)


def _background(rng: np.random.Generator, rows: int, columns: int) -> _Floats:
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


def _photograph(rng: np.random.Generator, canvas: _Floats, settings: SceneSettings) -> Image.Image:
    """Blur of a lens, then noise of a sensor (so the noise stays sharp), rounded to 8 bits."""
    radius, sigma = rng.uniform(0.0, settings.blur), rng.uniform(0.0, settings.noise)
    image = Image.fromarray(np.clip(canvas + 0.5, 0.0, 255.0).astype(np.uint8))
    if radius > 0.15:
        image = image.filter(ImageFilter.GaussianBlur(radius))
    if sigma > 0.5:
        grain = rng.standard_normal(canvas.shape, dtype=np.float32) * np.float32(sigma)
        image = Image.fromarray(np.clip(np.asarray(image) + grain + 0.5, 0.0, 255.0).astype(np.uint8))
    return image
