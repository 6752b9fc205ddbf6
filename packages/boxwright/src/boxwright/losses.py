"""What a conversion drops or changes, counted against what the target format says it carries."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from boxwright.schemas import Sample
from boxwright.specs import FormatSpec

BOOKKEEPING = frozenset({"folder", "path"})
"""Attributes of a picture that say where an annotation tool found it. They mean nothing elsewhere: dropping them is
counted and shown, and ``strict`` does not mind."""


@dataclass
class Losses:
    """How often each thing was dropped or changed: ``{"difficult": 12, "sub-pixel edges": 40}``."""

    dropped: Counter[str] = field(default_factory=Counter)
    bookkeeping: Counter[str] = field(default_factory=Counter)

    def __bool__(self) -> bool:
        return bool(self.dropped)

    def describe(self) -> str:
        """``difficult: 12 boxes, sub-pixel edges: 40 boxes``; empty where nothing was lost."""
        return ", ".join(f"{what}: {count} {unit(what, count)}" for what, count in sorted(self.dropped.items()))


_PICTURES = frozenset({"embedded pictures", "pictures without boxes", "split"})


def unit(what: str, count: int) -> str:
    """``boxes`` or ``pictures``: what a loss is counted in."""
    if what in _PICTURES or what.startswith("image "):
        return "picture" if count == 1 else "pictures"
    return "box" if count == 1 else "boxes"


class LossCounter:
    """Counts, sample by sample, what a format does not carry.

    Args:
        spec: The target format; its ``carries`` says what a written dataset holds.
        split_in_name: Whether each split goes to a target of its own, which says it by its name.
    """

    def __init__(self, spec: FormatSpec, *, split_in_name: bool = False) -> None:
        self.losses = Losses()
        carries = spec.carries
        self._images = "images" in carries
        self._empty = "empty" in carries
        self._subpixel = "subpixel" in carries
        self._split = "split" in carries or split_in_name
        self._every_box = "box.*" in carries
        self._every_image = "image.*" in carries
        self._box = {name.removeprefix("box.") for name in carries if name.startswith("box.")}
        self._image = {name.removeprefix("image.") for name in carries if name.startswith("image.")}

    def count(self, sample: Sample) -> None:
        """Adds what one sample would lose."""
        dropped = self.losses.dropped
        boxes = sample.boxes
        if sample.split is not None and not self._split:
            dropped["split"] += 1
        if sample.image.data is not None and not self._images:
            dropped["embedded pictures"] += 1
        if not boxes.labels:
            if not self._empty:
                dropped["pictures without boxes"] += 1
        elif not self._subpixel:
            for xmin, ymin, xmax, ymax in boxes.edges:
                if xmin % 1 or ymin % 1 or xmax % 1 or ymax % 1:
                    dropped["sub-pixel edges"] += 1
        if boxes.has_attributes and not self._every_box:
            for attributes in boxes.attributes:
                for name in attributes:
                    if name not in self._box:
                        dropped[name] += 1
        if sample.attributes and not self._every_image:
            for name in sample.attributes:
                if name not in self._image:
                    if name in BOOKKEEPING:
                        self.losses.bookkeeping[f"image {name}"] += 1
                    else:
                        dropped[f"image {name}"] += 1
