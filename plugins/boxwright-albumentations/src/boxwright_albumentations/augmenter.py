"""One transform of Albumentations as an augmenter on arrays."""

from __future__ import annotations

import difflib
import inspect
import threading
from collections.abc import Mapping
from typing import Any

import albumentations
import numpy as np

from boxwright import UsageError
from boxwright.plugins import parse_literal

_MIN_VISIBLE = 0.3
"""A box is dropped if less than this fraction of its area remains in the image."""

_MIN_SIDE = 2.0
"""A box with a side under this many pixels is dropped."""


class AlbumentationsAugmenter:
    """A transform of Albumentations that changes images and boxes.

    Args:
        transform: Its name, such as ``"RandomFog"``.
        arguments: Its arguments; strings are parsed as Python literals: ``{"p": "0.3", "angle_range": "(0.1, 0.2)"}``.

    Raises:
        UsageError: It is unknown, does not change boxes with images, or an argument is invalid.
    """

    def __init__(self, transform: str, arguments: Mapping[str, str] | None = None) -> None:
        names = _names()
        if transform not in names:
            near = difflib.get_close_matches(transform, names, n=1)
            guess = f"did you mean {near[0]!r}? " if near else ""
            raise UsageError(f"Albumentations has no transform {transform!r}", f"{guess}there are: {', '.join(names)}")
        self._make = names[transform]
        self._moves_boxes = issubclass(self._make, albumentations.DualTransform)
        self._arguments = {name: parse_literal(text) for name, text in (arguments or {}).items()}
        known = [name for name in inspect.signature(self._make).parameters if name != "self"]
        if unknown := [name for name in self._arguments if name not in known]:
            raise UsageError(f"{transform} has no argument {unknown[0]!r}", f"it takes: {', '.join(known)}")
        self._local = threading.local()
        try:
            self._pipeline()
        except (TypeError, ValueError) as error:
            raise UsageError(f"{transform}: {error}", "see the documentation of Albumentations") from None

    def augment(self, example: dict[str, Any], random: np.random.Generator) -> dict[str, Any]:
        """Returns a changed example; see :class:`boxwright.models.ArrayAugmenter`."""
        pipeline = self._pipeline()
        pipeline.set_random_seed(int(random.integers(2**31)))
        if not self._moves_boxes:
            return example | {"images": pipeline(image=example["images"].copy())["image"]}
        rows = list(range(len(example["boxes"])))
        changed = pipeline(image=example["images"].copy(), bboxes=example["boxes"].astype(np.float64), rows=rows)
        height, width = changed["image"].shape[:2]
        kept = np.array(changed["rows"], np.int64)
        boxes = np.clip(np.asarray(changed["bboxes"], np.float32).reshape(-1, 4), 0, [width, height, width, height])
        rest = {name: value[kept] for name, value in example.items() if name != "images"}
        return rest | {"images": changed["image"], "boxes": boxes.astype(np.float32)}

    def _pipeline(self) -> Any:
        """Returns the transform of this thread, because its random state must not be shared."""
        pipeline = getattr(self._local, "pipeline", None)
        if pipeline is None:
            boxes = albumentations.BboxParams(
                format="pascal_voc",
                label_fields=["rows"],
                min_visibility=_MIN_VISIBLE,
                min_width=_MIN_SIDE,
                min_height=_MIN_SIDE,
                clip=True,
                filter_invalid_bboxes=True,
            )
            pipeline = albumentations.Compose(
                [self._make(**self._arguments)], bbox_params=boxes if self._moves_boxes else None
            )
            self._local.pipeline = pipeline
        return pipeline


def _names() -> dict[str, Any]:
    """Returns the transforms by name: those that change only the image, and those that change boxes with it."""
    kinds = (albumentations.ImageOnlyTransform, albumentations.DualTransform)
    names = {name: value for name, value in vars(albumentations).items() if inspect.isclass(value)}
    return {
        name: value
        for name, value in sorted(names.items())
        if issubclass(value, kinds) and value not in kinds and name not in _UNSUITABLE and not name.endswith("3D")
    }


_UNSUITABLE = frozenset(
    {
        # They return other value ranges or numbers of channels, or need code, more images or more fields.
        *("FromFloat", "ToFloat", "Normalize", "Lambda", "FDA", "HistogramMatching", "PixelDistributionAdaptation"),
        *("Mosaic", "OverlayElements", "TextImage", "MaskDropout", "CropNonEmptyMaskIfExists", "RandomCropNearBBox"),
        *("Transform3D", "TimeMasking", "TimeReverse", "FrequencyMasking"),
    }
)
