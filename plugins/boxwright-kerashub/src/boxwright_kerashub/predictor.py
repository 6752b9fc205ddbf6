"""A trained network as a model: samples in, detections in pixels of the images out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from boxwright import Detections, LabelMap, scale
from boxwright.models import DecoderSettings, InputSettings, PortableModel, Suppressed, select_detections
from boxwright_kerashub.network import Decode, Detector
from boxwright_retinanet.images import Origin


class KerasHubModel(PortableModel):
    """A trained network with its classes and decoder.

    Args:
        network: The network as it is trained.
        decoded: The same network from images to the boxes and scores before suppression.
        label_map: The classes, in the order of the scores.
        inputs: How an image becomes the input.
        decoder: How detections are chosen.
    """

    def __init__(
        self, network: Any, decoded: Any, label_map: LabelMap, inputs: InputSettings, decoder: DecoderSettings
    ) -> None:
        self.network = network
        self.decoded = decoded
        super().__init__(label_map, inputs, Suppressed(self._run, inputs, decoder))

    def _run(self, images: NDArray[np.float32]) -> Sequence[NDArray[np.float32]]:
        found: Sequence[NDArray[np.float32]] = self.decoded.predict_on_batch(images)
        return found

    def detections(self, images: NDArray[np.float32], origins: Sequence[Origin]) -> Iterator[Detections]:
        """Yields the detections of images that are decoded already, in pixels of their samples.

        Args:
            images: ``(batch, height, width, 3)`` float32, of the network's size.
            origins: The sample of each.
        """
        names = np.array(self.label_map.names, dtype=object)
        for boxes, scores, origin in zip(*self._run(images), origins, strict=True):
            found = select_detections(boxes, scores, self.inputs, self.decoder)
            relative = scale(found.boxes, 1 / self.inputs.width, 1 / self.inputs.height)
            labels = names[found.classes].tolist()
            yield Detections.from_arrays(
                origin.sample.image, labels, origin.decoded.to_annotation(relative), np.clip(found.scores, 0, 1)
            )


def decoded(network: Detector) -> Any:
    """Returns a Keras model from images to the boxes and scores of all anchors, with the weights of a network."""
    images = keras.layers.Input(network.input_shape[1:], name="images")
    return keras.Model(images, Decode(network.anchors)(**network(images)))
