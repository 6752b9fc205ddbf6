"""A trained network as a model: samples in, detections in pixels of the images out."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from boxwright import DataError, Detections, LabelMap, Sample, scale
from boxwright.datasets import map_samples
from boxwright.images import DecodedImage, decode_sample
from boxwright.models import DecoderSettings, shrink
from boxwright_kerascv.augment import resize
from boxwright_kerascv.decode import make_detector
from boxwright_kerascv.layers import Detector


class KerasCVModel:
    """A trained network with its classes and decoder.

    Args:
        network: The network.
        label_map: The classes, in the order of the network's outputs.
        image_size: Height and width of the network's input.
        decoder: How detections are chosen.
        oversample: The multiple of the network's size at which training caches images; prediction resizes images in
            the same two steps.
    """

    def __init__(
        self,
        network: Detector,
        label_map: LabelMap,
        image_size: tuple[int, int],
        decoder: DecoderSettings,
        oversample: float,
    ) -> None:
        self.network = network
        self.label_map = label_map
        self.image_size = image_size
        self.decoder = decoder
        self.oversample = oversample
        self._detect = make_detector(network, decoder, image_size)
        self._names = np.array(label_map.names, dtype=object)

    def predict(self, samples: Iterable[Sample], *, batch_size: int = 8, score: float = 0.0) -> Iterator[Detections]:
        """Yields one ``Detections`` per sample, in order.

        Args:
            samples: The images; their boxes are ignored.
            batch_size: The number of images per batch.
            score: Detections with a lower score are dropped.

        Raises:
            DataError: An image cannot be read.
        """
        batch: list[tuple[Sample, DecodedImage, Any]] = []
        for item in map_samples(self._prepare, samples, _raise, workers=min(8, os.cpu_count() or 1)):
            batch.append(item)
            if len(batch) == batch_size:
                yield from self._predict(batch, score)
                batch = []
        if batch:
            yield from self._predict(batch, score)

    def _prepare(self, sample: Sample) -> tuple[Sample, DecodedImage, Any]:
        height, width = self.image_size
        size = (round(width * self.oversample), round(height * self.oversample))
        decoded = decode_sample(sample.replace(boxes=()), at_least=size)
        return sample, decoded, network_input(shrink(decoded.image, size), self.image_size)

    def _predict(self, batch: list[tuple[Sample, DecodedImage, Any]], score: float) -> Iterator[Detections]:
        found = {name: value.numpy() for name, value in self._detect(tf.stack([row[2] for row in batch])).items()}
        height, width = self.image_size
        for position, (sample, decoded, _) in enumerate(batch):
            number = int(found["num"][position])
            scores: NDArray[Any] = np.clip(found["scores"][position, :number], 0.0, 1.0)
            kept = scores >= score
            boxes = found["boxes"][position, :number][kept]
            labels = self._names[found["classes"][position, :number][kept]]
            boxes = scale(boxes, decoded.image.width / width, decoded.image.height / height)
            yield Detections.from_arrays(sample.image, labels.tolist(), decoded.to_annotation(boxes), scores[kept])


def network_input(image: Any, image_size: tuple[int, int]) -> Any:
    """Returns an image at the network's size, float32, as in evaluation.

    Args:
        image: A Pillow image, mode RGB.
        image_size: Height and width.
    """
    empty = {"images": tf.constant(np.asarray(image)), "boxes": tf.zeros((0, 4)), "classes": tf.zeros((0,))}
    return resize(empty, image_size)["images"]  # type: ignore[arg-type]


def _raise(error: DataError) -> None:
    raise error
