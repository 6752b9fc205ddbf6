"""A dataset of drawn scenes: a reader like any other, and the two folders that ``boxwright demo`` makes of it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from boxwright.conversion import ConversionReport, convert
from boxwright.dataset import Dataset
from boxwright.demo import CLASSES, DEFAULT_SETTINGS, SceneSettings, draw_scene, scene_rng
from boxwright.errors import OutputError, UsageError
from boxwright.images import encode_jpeg
from boxwright.progress import Reporter
from boxwright.protocols import OnProblem
from boxwright.registry import Registry
from boxwright.schemas import Boxes, DatasetInfo, ImageRef, LabelMap, Sample
from boxwright.uri import DatasetURI

DEFAULT_SIZE = (192, 160)
"""Width and height of the demo's pictures, in pixels."""

_SMALLEST_SIDE = 48


class DemoReader:
    """Draws its samples while it is read; the pictures are JPEG bytes in ``ImageRef.data``.

    Picture 7 of a split depends on the seed, the split's name and the number 7 alone.

    Args:
        splits: How many pictures each split has, by its name.
        seed: Of everything random, 0 or larger.
        size: Width and height of each picture in pixels, at least 48.
        settings: How full, varied and hard the scenes are.

    Raises:
        UsageError: A number of pictures under 1, a negative seed, or a picture under 48x48.
    """

    def __init__(
        self,
        splits: Mapping[str, int],
        seed: int = 0,
        size: tuple[int, int] = DEFAULT_SIZE,
        settings: SceneSettings = DEFAULT_SETTINGS,
    ) -> None:
        for split, images in splits.items():
            if images < 1:
                raise UsageError(f"the split {split!r} would have {images} pictures", "ask for at least 1")
        if seed < 0:
            raise UsageError(f"the seed is {seed}", "give 0 or a larger whole number")
        if min(size) < _SMALLEST_SIDE:
            raise UsageError(
                f"pictures of {size[0]}x{size[1]} are too small for the drawn objects",
                f"give at least {_SMALLEST_SIDE}x{_SMALLEST_SIDE}",
            )
        self.splits, self.seed, self.size, self.settings = dict(splits), seed, size, settings
        self.info = DatasetInfo(
            format="demo",
            location="drawn scenes",
            label_map=LabelMap.from_names(CLASSES),
            num_samples=sum(self.splits.values()),
            splits=tuple(self.splits),
        )

    def read(self, on_problem: OnProblem) -> Iterator[Sample]:
        """Draws every picture, split by split."""
        return (self._sample(split, index) for split, images in self.splits.items() for index in range(images))

    def _sample(self, split: str, index: int) -> Sample:
        width, height = self.size
        image, objects = draw_scene(scene_rng(self.seed, split, index), width, height, self.settings)
        # The split is part of the name, so that both folders can be poured into one.
        name = f"{split}-{index + 1:04d}.jpg"
        return Sample(
            image=ImageRef(name=name, width=width, height=height, data=encode_jpeg(image), format="jpeg"),
            boxes=Boxes([o.label for o in objects], [(o.xmin, o.ymin, o.xmax, o.ymax) for o in objects]),
            split=split,
            source=f"drawn scene {name}",
        )


def write_demo(
    folder: str | Path,
    *,
    images: int = 240,
    seed: int = 0,
    size: tuple[int, int] = DEFAULT_SIZE,
    overwrite: bool = False,
    reporter: Reporter | None = None,
    registry_: Registry | None = None,
) -> ConversionReport:
    """Writes a labelImg dataset to start from: ``folder/train``, and a quarter as many pictures in ``folder/test``.

    Args:
        folder: Where the two folders go.
        images: Pictures to train on.
        seed: Another seed gives other pictures.
        size: Width and height of each picture in pixels, at least 48.
        overwrite: Whether an older dataset in the two folders may be replaced.
        reporter: Where progress goes.
        registry_: The plugins to use, instead of the installed ones.

    Raises:
        UsageError: A number is out of range.
        PluginNotFoundError: The labelImg plugin is not installed.
        OutputError: One of the folders holds something already, or cannot be written.
    """
    reader = DemoReader({"train": images, "test": max(1, images // 4)}, seed, size)
    for split in reader.splits:
        # Asked here and not while writing, so that nothing is drawn for a folder that is refused in the end.
        part = Path(folder, split)
        if not overwrite and part.exists() and not (part.is_dir() and not os.listdir(part)):
            raise OutputError(f"{part} exists already", "choose another folder, or say --overwrite (overwrite=True)")
    return convert(
        Dataset(reader, uri=f"demo:seed={seed}"),
        DatasetURI(f"{folder}/{{split}}".replace("//", "/"), "labelimg"),
        overwrite=overwrite,
        reporter=reporter,
        registry_=registry_,
    )
