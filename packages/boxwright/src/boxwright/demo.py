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
from dataclasses import dataclass, field
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

from boxwright.demo_shapes import DISTRACTORS, OBJECTS, Cutout, ShapeMaker, cut_out
from boxwright.demo_surfaces import background, cast_shadow, object_surface

__all__ = ["CLASSES", "DEFAULT_SETTINGS", "DrawnObject", "SceneSettings", "draw_scene", "scene_rng"]

_Floats: TypeAlias = npt.NDArray[np.float32]

CLASSES: Final[tuple[str, ...]] = ("key", "leaf", "mug")
"""The class names, sorted, which is also the order of a label map that was made from the data."""

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
    canvas = background(ground_rng, height, width)
    light = ground_rng.uniform(0.0, 2.0 * math.pi)
    table = _Table(canvas, light, settings)
    for _ in range(clutter_rng.integers(settings.distractors[0], settings.distractors[1] + 1)):
        table.lay(clutter_rng, str(clutter_rng.choice(list(DISTRACTORS))), DISTRACTORS, counts=False)
    for _ in range(object_rng.integers(settings.objects[0], settings.objects[1] + 1)):
        table.lay(object_rng, str(object_rng.choice(CLASSES)), OBJECTS, counts=True)
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

    def lay(self, rng: np.random.Generator, name: str, shapes: dict[str, ShapeMaker], *, counts: bool) -> None:
        """Draw one shape where it fits; leave it out when there is no such place."""
        smallest, largest = self.settings.size
        short = min(self.canvas.shape[:2])
        # Small ones are as frequent as large ones per octave, as in photographs.
        length = max(short * math.exp(rng.uniform(math.log(smallest), math.log(largest))), _SHORTEST_OBJECT)
        turn = min(self.settings.turn, _MOST_TILT_OF_A_MUG) if name == "mug" else self.settings.turn
        angle, mirrored = math.radians(rng.uniform(-turn, turn)), rng.random() < 0.5
        cutout = cut_out(shapes[name](rng), length, angle, mirrored=mirrored)
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

    def _corner(self, rng: np.random.Generator, cutout: Cutout) -> tuple[int, int]:
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

    def _paint(self, rng: np.random.Generator, name: str, cutout: Cutout, place: _Place) -> None:
        below = self.canvas[place.outer]
        mask = cutout.mask[place.inner]
        if self.settings.shadow:
            drop = 0.05 * cutout.length + 1.0
            shadow = cast_shadow(cutout.mask, drop * math.cos(self.light), drop * math.sin(self.light), cutout.padding)
            below *= 1.0 - rng.uniform(0.4, 1.0) * self.settings.shadow * shadow[place.inner][..., None]
        solid = mask[..., None]
        hidden = below[mask >= 0.5]
        # Some eighty pixels say enough about the colours below, in a tenth of the time.
        some, contrast, pattern = hidden[:: 1 + len(hidden) // 80], self.settings.contrast, self.settings.pattern
        surface = object_surface(rng, name, cutout, some, self.light, contrast=contrast, pattern=pattern)
        below += solid * (surface[place.inner] - below)


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


# The camera ---------------------------------------------------------------------------------------------------


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
