"""The format ``demo``: samples that are drawn while they are read."""

from __future__ import annotations

from collections.abc import Iterator

from boxwright import Boxes, DataError, DatasetInfo, ImageRef, LabelMap, Sample, UsageError
from boxwright.datasets import OnProblem
from boxwright.images import encode_jpeg
from boxwright.plugins import parse_size
from boxwright.storage import is_remote
from boxwright_demo.scenes import CLASSES, DEFAULT_SETTINGS, MIN_SIDE, draw_scene, scene_rng, small_objects

_PARTS = {"train": ("train",), "test": ("test",), "all": ("train", "test")}


class DemoReader:
    """Draws its samples while it is read; the images are JPEG bytes in ``ImageRef.data``.

    An image depends on the seed, the name of its split and its number within the split, nothing else.

    Args:
        location: The part of the dataset: ``train``, ``test`` or ``all``.
        images: Number of images in ``train``, at least 1; ``test`` has a quarter of it, at least 1.
        seed: Seed of everything random, 0 or larger.
        small: Whether there are many small objects, of 14 to 32 pixels, in large images.
        size: Width and height of each image in pixels, ``WIDTHxHEIGHT``, each at least 48; 192x160, or 960x720 if
            ``small``.

    Raises:
        DataError: The dataset has no such part.
        UsageError: The location is a URL, or an option is out of range.
    """

    def __init__(
        self, location: str, images: int = 240, seed: int = 0, small: bool = False, size: str | None = None
    ) -> None:
        remedy = f"use one of: {', '.join(f'demo:{part}' for part in _PARTS)}"
        if is_remote(location):
            raise UsageError(f"demo draws its images and does not read a URL: {location}", remedy)
        if location not in _PARTS:
            raise DataError(location, "demo has no such part", remedy)
        if images < 1:
            raise UsageError(f"images is {images}", "use at least 1")
        if seed < 0:
            raise UsageError(f"the seed is {seed}", "use 0 or a larger whole number")
        size = size or ("960x720" if small else "192x160")
        self._width, self._height = parse_size(size)
        if min(self._width, self._height) < MIN_SIDE:
            raise UsageError(
                f"images of {size} pixels are too small for the drawn objects", f"use at least {MIN_SIDE}x{MIN_SIDE}"
            )
        counts = {"train": images, "test": max(1, images // 4)}
        self._counts = {split: counts[split] for split in _PARTS[location]}
        self._seed = seed
        self._settings = small_objects(min(self._width, self._height)) if small else DEFAULT_SETTINGS
        self.info = DatasetInfo(
            format="demo",
            location=location,
            label_map=LabelMap.from_names(CLASSES),
            num_samples=sum(self._counts.values()),
            splits=tuple(self._counts),
        )

    def read(self, on_problem: OnProblem) -> Iterator[Sample]:
        """Draws the images, split by split."""
        return (self._sample(split, index) for split, count in self._counts.items() for index in range(count))

    def _sample(self, split: str, index: int) -> Sample:
        width, height = self._width, self._height
        image, objects = draw_scene(scene_rng(self._seed, split, index), width, height, self._settings)
        # The split is part of the name, so that the images of both splits can go to one folder.
        name = f"{split}-{index + 1:04d}.jpg"
        return Sample(
            image=ImageRef(name=name, width=width, height=height, data=encode_jpeg(image), format="jpeg"),
            boxes=Boxes([o.label for o in objects], [(o.xmin, o.ymin, o.xmax, o.ymax) for o in objects]),
            split=split,
            source=f"demo image {name}",
        )
