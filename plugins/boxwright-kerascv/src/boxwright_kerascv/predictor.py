"""A trained network as a model: samples in, detections in pixels of the images out."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from boxwright import DataError, Detections, LabelMap, Sample, scale
from boxwright.datasets import map_samples
from boxwright.models import ChosenModel, DecoderSettings, Found, InputSettings, choose_detections, raw, shrink
from boxwright_kerascv.augmentation import resize
from boxwright_kerascv.decode import make_detector
from boxwright_kerascv.own import Adapter, make_own_detector
from boxwright_retinanet.images import Origin, decode_for


class KerasCVModel:
    """A trained network with its classes and decoder.

    Args:
        network: The network.
        label_map: The classes, in the order of the network's outputs.
        image_size: Height and width of the network's input.
        decoder: How detections are chosen.
        oversample: The multiple of the network's size at which training caches images; prediction resizes images in
            the same two steps.
        adapter: For a detector of the user, which has its own decoder.
    """

    def __init__(
        self,
        network: Any,
        label_map: LabelMap,
        image_size: tuple[int, int],
        decoder: DecoderSettings,
        oversample: float,
        adapter: Adapter | None = None,
    ) -> None:
        self.network = network
        self.label_map = label_map
        self.image_size = image_size
        self.decoder = decoder
        self.oversample = oversample
        self.adapter = adapter
        self._separately = adapter is None and not replace(decoder, soft_nms_sigma=0.0).is_common
        if adapter is None:
            self._detect = make_detector(network, raw(decoder) if self._separately else decoder, image_size)
        else:
            self._detect = make_own_detector(adapter, decoder, image_size)
        self._names = np.array(label_map.names, dtype=object)

    @property
    def is_raw(self) -> bool:
        """Whether the predictions before suppression can be chosen from: not those of a detector of the user."""
        return self.adapter is None

    def with_decoder(self, decoder: DecoderSettings) -> KerasCVModel | ChosenModel:
        """Returns the model with another choice of detections."""
        if self.adapter is not None:
            return ChosenModel(self, decoder)
        return KerasCVModel(self.network, self.label_map, self.image_size, decoder, self.oversample)

    def predict(self, samples: Iterable[Sample], *, batch_size: int = 8, score: float = 0.0) -> Iterator[Detections]:
        """Yields one ``Detections`` per sample, in order.

        Args:
            samples: The images; their boxes are ignored.
            batch_size: The number of images per batch.
            score: Detections with a lower score are dropped.

        Raises:
            DataError: An image cannot be read.
        """
        batch: list[tuple[Any, Origin]] = []
        for item in map_samples(self._prepare, samples, _raise, workers=min(8, os.cpu_count() or 1)):
            batch.append(item)
            if len(batch) == batch_size:
                yield from self._predict(batch, score)
                batch = []
        if batch:
            yield from self._predict(batch, score)

    @property
    def inputs(self) -> InputSettings:
        """How an image becomes the input."""
        height, width = self.image_size
        return InputSettings(width, height, self.oversample)

    def forward(self, images: Any) -> Any:
        """Runs the network alone by ``model.predict`` of Keras, which also decodes if the model is one of the user."""
        return self._plain.predict(images, verbose=0)

    @cached_property
    def _plain(self) -> Any:
        # KerasCV's own predict decodes.
        return self.network if self.adapter else keras.Model(self.network.inputs, self.network.outputs)

    def _prepare(self, sample: Sample) -> tuple[Any, Origin]:
        decoded = decode_for(sample.replace(boxes=()), self.image_size, self.oversample)
        height, width = self.image_size
        small = shrink(decoded.image, (round(width * self.oversample), round(height * self.oversample)))
        return network_input(small, self.image_size), Origin.of(sample, decoded)

    def _predict(self, batch: list[tuple[Any, Origin]], score: float) -> Iterator[Detections]:
        yield from self.detections(tf.stack([image for image, _ in batch]), [origin for _, origin in batch], score)

    def detections(self, images: Any, origins: Sequence[Origin], score: float = 0.0) -> Iterator[Detections]:
        """Yields the detections of images that are decoded already, in pixels of their samples.

        Args:
            images: ``(batch, height, width, 3)`` float32, of the network's size.
            origins: The sample of each.
            score: Detections with a lower score are dropped.
        """
        found = {name: value.numpy() for name, value in self._detect(images).items()}
        height, width = self.image_size
        for position, origin in enumerate(origins):
            number = int(found["num"][position])
            chosen = Found(*(found[name][position, :number] for name in ("boxes", "scores", "classes")))
            if self._separately:
                chosen = choose_detections(*chosen, self.decoder)
            scores: NDArray[Any] = np.clip(chosen.scores, 0.0, 1.0)
            kept = scores >= score
            boxes = scale(chosen.boxes[kept], 1 / width, 1 / height)
            labels = self._names[chosen.classes[kept]].tolist()
            yield Detections.from_arrays(origin.sample.image, labels, origin.decoded.to_annotation(boxes), scores[kept])


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
