"""Images that augmenters combine with others: a sample of a dataset, encoded in memory."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from boxwright import DataError, Sample
from boxwright.images import DecodedImage, decode_sample

_MAX_IMAGES: Final = 64


class Pool:
    """Images to combine with.

    Attributes:
        labels: The class number of each label.
        attributes: The attributes of all boxes, by their row.
        classes: The class numbers of the boxes of each image.
    """

    def __init__(self) -> None:
        self.labels: dict[str, int] = {}
        self.attributes: list[Mapping[str, Any]] = []
        self.classes: list[NDArray[np.int64]] = []
        self._samples: list[Sample] = []
        self._starts: list[int] = []

    @classmethod
    def of(cls, samples: Iterable[Sample], seed: int) -> Pool:
        """Returns a pool of at most 64 images at random, in which each class occurs about equally often if possible.

        Args:
            samples: The samples, which are read twice. Images that cannot be read are left out here.
            seed: Another seed chooses others.

        Raises:
            DataError: No image can be read.
        """
        chosen = _chosen([frozenset(sample.boxes.labels) for sample in samples], seed)
        pool = cls()
        problem = None
        for position, sample in enumerate(samples):
            if position in chosen:
                try:
                    pool._add(sample)
                except DataError as error:
                    problem = problem or error
        if problem is not None and not pool.classes:
            raise problem
        return pool

    def _add(self, sample: Sample) -> None:
        decode_sample(sample)
        image = sample.image.model_copy(update={"data": sample.image.read()})
        for label in sample.boxes.labels:
            self.labels.setdefault(label, len(self.labels))
        self._samples.append(sample.replace(image=image))
        self._starts.append(len(self.attributes))
        self.attributes += sample.boxes.attributes
        self.classes.append(np.array([self.labels[label] for label in sample.boxes.labels], np.int64))

    def example(self, index: int) -> dict[str, Any]:
        """Returns one of the images as an example for augmenters, with the rows of its boxes."""
        decoded = decode_sample(self._samples[index])
        return example_of(decoded, self.labels, self._starts[index] + np.arange(len(decoded.boxes)))


def example_of(decoded: DecodedImage, labels: dict[str, int], rows: NDArray[Any]) -> dict[str, Any]:
    """Returns a decoded image as an example for augmenters; see :class:`boxwright.models.ArrayAugmenter`.

    Args:
        decoded: The image.
        labels: The class number of each label; new labels are added.
        rows: A number for each box.
    """
    classes = [labels.setdefault(label, len(labels)) for label in decoded.boxes.labels]
    return {
        "images": np.asarray(decoded.image),
        "boxes": decoded.boxes.xyxy.astype(np.float32),
        "classes": np.array(classes, np.int64),
        "rows": rows,
    }


def _chosen(labels: Sequence[frozenset[str]], seed: int) -> set[int]:
    """Returns the positions of images: in turns, the next one of each class in a random order, then any others."""
    order = list(range(len(labels)))
    random.Random(seed).shuffle(order)
    queues = [[position for position in order if name in labels[position]] for name in sorted(set().union(*labels))]
    chosen: dict[int, None] = {}
    turn = 0
    while len(chosen) < _MAX_IMAGES and any(turn < len(queue) for queue in queues):
        for queue in queues:
            if turn < len(queue) and len(chosen) < _MAX_IMAGES:
                chosen[queue[turn]] = None
        turn += 1
    for position in order:
        if len(chosen) >= _MAX_IMAGES:
            break
        chosen[position] = None
    return set(chosen)
