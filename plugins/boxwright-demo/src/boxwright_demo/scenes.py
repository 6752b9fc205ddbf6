"""Scenes: mugs, leaves and keys on a table, drawn together with their boxes.

A newcomer needs a dataset before annotating the first photo, and one from which a detector can learn: the three classes
differ by *shape* alone. Color, texture, size, rotation, light and background are drawn from the same distributions for
all of them, and for the distractors (stars, rings, crosses and others), which have no class. A detector that learns
only colors finds nothing.

    from boxwright_demo.scenes import draw_scene, scene_rng

    image, objects = draw_scene(scene_rng(seed=0, split="train", index=7))
    for drawn in objects:
        print(drawn.label, drawn.xmin, drawn.ymin, drawn.xmax, drawn.ymax)

Coordinates are pixels, continuous and 0-based: ``xmin`` is the first column in which the object is visible and ``xmax``
the last one plus 1. A pixel belongs to the topmost object that covers at least half of it. The parts of an object that
are outside the image or hidden behind another object do not count, as in Pascal VOC.

:class:`SceneSettings` sets how hard the images are.
"""

from __future__ import annotations

import math
import zlib
from dataclasses import dataclass, field
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

from boxwright_demo.shapes import DISTRACTORS, OBJECTS, Cutout, ShapeMaker, cut_out
from boxwright_demo.surfaces import background, cast_shadow, object_surface

_Floats: TypeAlias = npt.NDArray[np.float32]

CLASSES: Final[tuple[str, ...]] = ("key", "leaf", "mug")
"""The class names, sorted, as in a label map made from the data."""

MIN_SIDE: Final = 48
"""Minimum width and height of a scene, in pixels."""

_MIN_LENGTH: Final = 12.0
"""Minimum length of an object, in pixels. A shorter key covers no pixel by half and cannot be recognized."""

_PLACEMENT_TRIES: Final = 14
_MAX_MUG_ROTATION: Final = 40.0
"""Degrees. Leaves and keys point in any direction; a mug is roughly upright."""


@dataclass(frozen=True)
class SceneSettings:
    """How crowded, varied and hard the images are; the defaults are those of ``boxwright demo``.

    To make scenes easier, raise ``contrast`` and the minimum of ``size``, and lower ``distractors``, ``overlap``,
    ``border``, ``pattern``, ``noise`` and ``blur``; to make them harder, do the opposite.
    """

    objects: tuple[int, int] = (1, 5)
    """Minimum and maximum number of objects. A crowded image may have fewer than the minimum, but at least one."""
    distractors: tuple[int, int] = (0, 2)
    """Minimum and maximum number of shapes without class and box. They are drawn below the objects."""
    size: tuple[float, float] = (0.24, 0.6)
    """Minimum and maximum length of an object along its longer axis, as a fraction of the image's shorter side."""
    rotation: float = 60.0
    """Maximum rotation in either direction, in degrees; for mugs at most 40."""
    overlap: float = 0.15
    """Probability that an object may cover parts of earlier ones; otherwise it does not overlap them."""
    max_hidden: float = 0.25
    """Maximum fraction of an object's area in the image that other objects may hide."""
    border: float = 0.1
    """Probability that an object is placed across the image's border."""
    max_outside: float = 0.25
    """Maximum fraction of such an object's width or height that is outside the image."""
    contrast: float = 70.0
    """Minimum distance of an object's color from at least three quarters of the pixels that it covers, Euclidean in
    RGB, channels 0 to 255. If no color has this distance, the object is nearly white or nearly black."""
    pattern: float = 0.5
    """Probability that an object has a pattern (gradient, stripes, dots, speckle) instead of a plain color."""
    shadow: float = 0.4
    """Darkness of the deepest shadow, 0 (none) to 1 (black)."""
    noise: float = 4.0
    """Maximum standard deviation of the sensor noise, in gray levels, 0 to 255."""
    blur: float = 0.5
    """Maximum radius of the lens blur, in pixels."""

    def __post_init__(self) -> None:
        """Checks the ranges.

        Raises:
            ValueError: A setting is out of range; the message names it.
        """
        if not 1 <= self.objects[0] <= self.objects[1] <= 100:
            raise ValueError(f"objects must be (min, max) with 1 <= min <= max <= 100, not {self.objects}")
        if not 0 <= self.distractors[0] <= self.distractors[1] <= 100:
            raise ValueError(f"distractors must be (min, max) with 0 <= min <= max <= 100, not {self.distractors}")
        if not 0.002 <= self.size[0] <= self.size[1] <= 0.9:
            raise ValueError(f"size must be (min, max) with 0.002 <= min <= max <= 0.9, not {self.size}")
        limits = {"rotation": 180.0, "overlap": 1.0, "max_hidden": 0.9, "border": 1.0, "max_outside": 0.6}
        limits |= {"contrast": 150.0, "pattern": 1.0, "shadow": 1.0, "noise": 80.0, "blur": 10.0}
        for name, limit in limits.items():
            if not 0.0 <= getattr(self, name) <= limit:
                raise ValueError(f"{name} must be between 0 and {limit:g}, not {getattr(self, name)}")


DEFAULT_SETTINGS: Final = SceneSettings()


def small_objects(side: int) -> SceneSettings:
    """Returns the settings of images with many small objects, as in aerial photos.

    Args:
        side: The shorter side of the images, in pixels; objects are 14 to 32 pixels long.
    """
    return SceneSettings(objects=(12, 32), distractors=(4, 12), size=(min(14 / side, 0.3), min(32 / side, 0.6)))


@dataclass(frozen=True)
class DrawnObject:
    """One object of a scene: its label and the tight box around its visible part, coordinates in pixels."""

    label: str
    xmin: float
    ymin: float
    xmax: float
    ymax: float


def scene_rng(seed: int, split: str, index: int) -> np.random.Generator:
    """Returns the random number generator of one image, which depends on the three arguments alone.

    Image 7 of a split is the same if 10 or 10,000 are drawn, in any order and any process.

    Args:
        seed: The dataset's seed, 0 or larger.
        split: Name of the split, such as ``train``.
        index: Number of the image within its split, 0 or larger.

    Raises:
        ValueError: ``seed`` or ``index`` is negative.
    """
    if seed < 0 or index < 0:
        raise ValueError(f"seed and index must not be negative: seed={seed}, index={index}")
    # The hash of a str differs between Python processes; a checksum does not.
    return np.random.default_rng([seed, zlib.crc32(split.encode("utf-8")), index])


def draw_scene(
    rng: np.random.Generator, width: int = 192, height: int = 160, settings: SceneSettings = DEFAULT_SETTINGS
) -> tuple[Image.Image, list[DrawnObject]]:
    """Draws one image.

    Args:
        rng: Source of everything random; the same state draws the same image. See :func:`scene_rng`.
        width: Width of the image in pixels, at least 48.
        height: Height of the image in pixels, at least 48.
        settings: How crowded, varied and hard the scene is.

    Returns:
        The image, mode RGB, and its objects in the order in which they were drawn, at least one.

    Raises:
        ValueError: The image is smaller than 48 x 48.
    """
    if min(width, height) < MIN_SIDE:
        raise ValueError(f"a scene needs at least {MIN_SIDE} x {MIN_SIDE} pixels, not {width} x {height}")
    # One generator per layer: another number of objects leaves the background and the noise unchanged.
    ground_rng, clutter_rng, object_rng, camera_rng = (np.random.default_rng(s) for s in rng.integers(2**62, size=4))
    canvas = background(ground_rng, height, width)
    light = ground_rng.uniform(0.0, 2.0 * math.pi)
    table = _Table(canvas, light, settings)
    for _ in range(clutter_rng.integers(settings.distractors[0], settings.distractors[1] + 1)):
        table.draw(clutter_rng, str(clutter_rng.choice(list(DISTRACTORS))), DISTRACTORS, counts=False)
    for _ in range(object_rng.integers(settings.objects[0], settings.objects[1] + 1)):
        table.draw(object_rng, str(object_rng.choice(CLASSES)), OBJECTS, counts=True)
    return _photographed(camera_rng, table.canvas, settings), table.objects()


# The table: where objects are, and which pixel shows which object ------------------------------------------------


@dataclass
class _Table:
    """A scene in progress.

    ``canvas`` is (height, width, 3) float32, 0 to 255; ``owner`` is (height, width) int16: 1 + the index of the topmost
    object, 0 for background and distractors.
    """

    canvas: _Floats
    light: float
    settings: SceneSettings
    labels: list[str] = field(default_factory=list)
    areas: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.owner: npt.NDArray[np.int16] = np.zeros(self.canvas.shape[:2], np.int16)

    def draw(self, rng: np.random.Generator, name: str, shapes: dict[str, ShapeMaker], *, counts: bool) -> None:
        """Draws one shape at a random position that fits; leaves it out if none is found."""
        smallest, largest = self.settings.size
        short = min(self.canvas.shape[:2])
        # The logarithm of the length is uniform, as in photos.
        length = max(short * math.exp(rng.uniform(math.log(smallest), math.log(largest))), _MIN_LENGTH)
        rotation = min(self.settings.rotation, _MAX_MUG_ROTATION) if name == "mug" else self.settings.rotation
        angle, mirrored = math.radians(rng.uniform(-rotation, rotation)), rng.random() < 0.5
        cutout = cut_out(shapes[name](rng), length, angle, mirrored=mirrored)
        may_overlap = rng.random() < self.settings.overlap
        for _ in range(_PLACEMENT_TRIES):
            region = _Region.of(cutout.mask.shape, self._corner(rng, cutout), self.owner.shape)
            covered = cutout.mask[region.inner] >= 0.5
            if not counts or self._fits(region, covered, may_overlap=may_overlap):
                break
        else:
            return
        self._paint(rng, name, cutout, region)
        if counts:
            self.labels.append(name)
            self.areas.append(int(covered.sum()))
            self.owner[region.outer][covered] = len(self.labels)

    def objects(self) -> list[DrawnObject]:
        found = []
        for number, label in enumerate(self.labels, start=1):
            visible = self.owner == number
            columns, rows = np.flatnonzero(visible.any(axis=0)), np.flatnonzero(visible.any(axis=1))
            coordinates = (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)
            found.append(DrawnObject(label, *(float(coordinate) for coordinate in coordinates)))
        return found

    def _corner(self, rng: np.random.Generator, cutout: Cutout) -> tuple[int, int]:
        """Returns row and column of the patch's first pixel; the silhouette is inside the image, or across one edge."""
        corner = []
        across = int(rng.integers(4)) if rng.random() < self.settings.border else -1
        for axis, (side, extent) in enumerate(zip(self.owner.shape, cutout.extent, strict=True)):
            outside = rng.uniform(0.0, self.settings.max_outside) * extent
            if across == 2 * axis:
                start = -outside
            elif across == 2 * axis + 1:
                start = side - extent + outside
            else:
                start = rng.uniform(0.0, max(side - extent, 0.0))
            corner.append(round(start) - cutout.padding)
        return corner[0], corner[1]

    def _fits(self, region: _Region, covered: npt.NDArray[np.bool_], *, may_overlap: bool) -> bool:
        if not covered.any():
            return False
        before = np.bincount(self.owner.ravel(), minlength=len(self.areas) + 1)[1:]
        lost = np.bincount(self.owner[region.outer][covered], minlength=len(self.areas) + 1)[1:]
        if not may_overlap:
            return not lost.any()
        keep = (1.0 - self.settings.max_hidden) * np.asarray(self.areas)
        return bool((before - lost >= keep).all())

    def _paint(self, rng: np.random.Generator, name: str, cutout: Cutout, region: _Region) -> None:
        below = self.canvas[region.outer]
        mask = cutout.mask[region.inner]
        if self.settings.shadow:
            drop = 0.05 * cutout.length + 1.0
            shadow = cast_shadow(cutout.mask, drop * math.cos(self.light), drop * math.sin(self.light), cutout.padding)
            below *= 1.0 - rng.uniform(0.4, 1.0) * self.settings.shadow * shadow[region.inner][..., None]
        solid = mask[..., None]
        hidden = below[mask >= 0.5]
        # About eighty pixels represent the colors below, in a tenth of the time.
        sampled, contrast, pattern = hidden[:: 1 + len(hidden) // 80], self.settings.contrast, self.settings.pattern
        surface = object_surface(rng, name, cutout, sampled, self.light, contrast=contrast, pattern=pattern)
        below += solid * (surface[region.inner] - below)


@dataclass(frozen=True)
class _Region:
    """The intersection of a patch and the image: ``inner`` slices the patch, ``outer`` the image, to the same shape."""

    inner: tuple[slice, slice]
    outer: tuple[slice, slice]

    @classmethod
    def of(cls, patch: tuple[int, ...], corner: tuple[int, int], image: tuple[int, ...]) -> _Region:
        inner, outer = [], []
        for extent, start, side in zip(patch, corner, image, strict=True):
            low, high = max(start, 0), min(start + extent, side)
            inner.append(slice(low - start, max(high - start, low - start)))
            outer.append(slice(low, max(high, low)))
        return cls((inner[0], inner[1]), (outer[0], outer[1]))


# The camera ---------------------------------------------------------------------------------------------------


def _photographed(rng: np.random.Generator, canvas: _Floats, settings: SceneSettings) -> Image.Image:
    """Applies the blur of a lens, then the noise of a sensor, which stays sharp, and rounds to 8 bits."""
    radius, sigma = rng.uniform(0.0, settings.blur), rng.uniform(0.0, settings.noise)
    image = Image.fromarray(np.clip(canvas + 0.5, 0.0, 255.0).astype(np.uint8))
    if radius > 0.15:
        image = image.filter(ImageFilter.GaussianBlur(radius))
    if sigma > 0.5:
        grain = rng.standard_normal(canvas.shape, dtype=np.float32) * np.float32(sigma)
        image = Image.fromarray(np.clip(np.asarray(image) + grain + 0.5, 0.0, 255.0).astype(np.uint8))
    return image
