"""The step ``augment``: randomly changed copies of images and their boxes."""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any, Final

import numpy as np
from PIL import Image

from boxwright import Boxes, DataError, ImageRef, Sample, UsageError
from boxwright.datasets import OnProblem, split_outside_brackets
from boxwright.images import decode_sample
from boxwright.models import ArrayAugmentation, Augmenter, AugmenterChoice, make_augmenters
from boxwright_transforms.encoding import check_quality, encode_image, name_for, target_format
from boxwright_transforms.groups import ORIGIN
from boxwright_transforms.notes import Ledger, Merging, amount
from boxwright_transforms.pool import Pool, example_of

_STALE: Final = ("segmentation", "area", "id")
"""Attributes of boxes that no longer describe a box in a changed image."""

_UNKNOWN: Final = np.iinfo(np.int64).max
"""The row of a box whose origin an augmenter does not report; it has no attributes."""


class Augment(Merging[Counter[str]]):
    """The step ``augment:flip+crop(smallest=0.4)+choice(color|blur),copies=2``.

    Each image is followed by its changed copies, which have the same size and the attribute ``origin``, the name of
    the image they were made from; ``split`` and ``kfold`` keep both together.

    Args:
        steps: The augmenters, as for ``boxwright train --augment``, with ``+`` between them, or a list of them.
        copies: The number of copies per image.
        originals: Whether to keep the images themselves.
        splits: Only the images of these splits are augmented, with ``+`` between them; empty for all.
        seed: Another seed makes other copies.
        quality: JPEG quality, 1 to 95, as in Pillow.

    Raises:
        PluginNotFoundError: An augmenter is unknown.
        UsageError: An option is out of range.
    """

    def __init__(
        self,
        steps: str | Sequence[str],
        copies: int = 1,
        originals: bool = True,
        splits: str = "",
        seed: int = 0,
        quality: int = 90,
    ) -> None:
        texts = split_outside_brackets(steps, "+") if isinstance(steps, str) else list(steps)
        if not texts or not all(text.strip() for text in texts):
            raise UsageError("augment: the name of an augmenter is missing", "write augment:flip+color")
        if copies < 1:
            raise UsageError(f"augment: copies={copies}", "use a number of at least 1")
        self.copies, self.originals, self.seed = copies, originals, seed
        self.splits = {split.strip() for split in splits.split("+") if split.strip()}
        self.quality = check_quality(quality, "augment")
        self._augmentation = ArrayAugmentation([_on_arrays(each) for each in make_augmenters(texts)])
        self._pool = Pool()
        self._ledger = Ledger()
        self.per_sample = not self._augmentation.mixes
        self.keeps_labels = originals

    def __call__(self, samples: Iterable[Sample]) -> Iterator[Sample]:
        """Yields each sample and its copies; see :meth:`apply`."""

        def fail(error: DataError) -> None:
            raise error

        return self.apply(samples, fail)

    def apply(self, samples: Iterable[Sample], on_problem: OnProblem) -> Iterator[Sample]:
        """Yields each sample and its copies, which are in memory.

        Args:
            samples: The samples. If an augmenter combines several images, they are read twice before, and some images
                are kept in memory to combine with.
            on_problem: Called with the error of an image that is missing, damaged, or has a size that differs from the
                annotation.
        """
        if self._augmentation.mixes:
            self._pool = Pool.of(samples, self.seed)
            self._augmentation.draw_from(self._pool.example, self._pool.classes)
        for sample in samples:
            changed = not self.splits or sample.split in self.splits
            try:
                copies = self._copies(sample) if changed else []
            except DataError as error:
                on_problem(error)
                continue
            if self.originals or not changed:
                yield sample
            yield from copies

    def notes(self) -> list[str]:
        """Returns the number of copies, and what happened to their boxes."""
        counts: Counter[str] = Counter()
        for entry in self._ledger.entries():
            counts.update(entry)
        notes = []
        for key, word, text in (
            ("copies", "augmented image", f"added; the attribute {ORIGIN!r} keeps each in the split of its image"),
            ("dropped", "box", "not in a copy, because too little of them is visible"),
            ("stale", "box", "in copies without segmentation and area, which do not follow the change"),
        ):
            if counts[key]:
                notes.append(f"{amount(counts[key], word)} {text}")
        return notes

    def _copies(self, sample: Sample) -> list[Sample]:
        decoded = decode_sample(sample)
        own = decoded.boxes
        labels = dict(self._pool.labels)
        # Negative rows are those of the image itself.
        example = example_of(decoded, labels, -1 - np.arange(len(own)))
        form = target_format(decoded.header)
        path = PurePosixPath(name_for(sample.image.name, form))
        attributes = {name: value for name, value in sample.attributes.items() if name != "source_id"}
        copies = []
        counts = Counter(copies=self.copies)
        for number in range(self.copies):
            # By its name, so that a copy does not depend on the order of the images.
            changed = self._augmentation(example, (self.seed, zlib.crc32(sample.image.name.encode()), number))
            rows = changed["rows"].tolist()
            before = [self._attributes(own, row) for row in rows]
            after = [{name: each[name] for name in each if name not in _STALE} for each in before]
            counts["dropped"] += max(0, len(own) - sum(row < 0 or row == _UNKNOWN for row in rows))
            counts["stale"] += sum(any(name in each for name in _STALE[:2]) for each in before)
            names = list(labels)
            image = Image.fromarray(changed["images"])
            reference = ImageRef(
                name=str(path.with_name(f"{path.stem}_augmented{number + 1}{path.suffix}")),
                width=image.width,
                height=image.height,
                data=encode_image(image, form, self.quality),
                format=form,
            )
            boxes = Boxes.from_array([names[int(each)] for each in changed["classes"]], changed["boxes"], after)
            origin = {ORIGIN: sample.image.name} | attributes
            copies.append(sample.replace(image=reference, boxes=boxes, attributes=origin))
        self._ledger.enter(sample.image.name, counts)
        return copies

    def _attributes(self, own: Boxes, row: int) -> Mapping[str, Any]:
        if row == _UNKNOWN:
            return {}
        return own.attributes[-1 - row] if row < 0 else self._pool.attributes[row]


class _OnArrays:
    """An augmenter on tensors, which needs TensorFlow, as one on arrays."""

    def __init__(self, augmenter: Augmenter) -> None:
        self._augmenter = augmenter

    def augment(self, example: dict[str, Any], random: np.random.Generator) -> dict[str, Any]:
        """Returns a changed example; see :class:`boxwright.models.ArrayAugmenter`."""
        import tensorflow as tf  # only an augmenter that requires it is applied in this way

        names = ("images", "boxes", "classes")
        tensors = {name: tf.constant(example[name]) for name in names}
        tensors["images"] = tf.cast(tensors["images"], tf.float32)
        seed = tf.constant(random.integers(0, 2**31, 2), tf.int32)
        result = self._augmenter(tensors, seed)
        changed = {name: np.asarray(result[name]) for name in names}
        rows = example["rows"]
        if not np.array_equal(changed["classes"], example["classes"]):
            rows = np.full(len(changed["classes"]), _UNKNOWN)
        levels = np.rint(np.clip(changed["images"], 0.0, 255.0)).astype(np.uint8)
        return changed | {"images": levels, "rows": rows}


def _on_arrays(augmenter: Any) -> Any:
    if isinstance(augmenter, AugmenterChoice):
        alternatives = tuple(each if each is None else _on_arrays(each) for each in augmenter.alternatives)
        return AugmenterChoice(alternatives, augmenter.probabilities)
    return _OnArrays(augmenter) if isinstance(augmenter, Augmenter) else augmenter
