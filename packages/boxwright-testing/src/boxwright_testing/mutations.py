"""Mistakes that conversions of detectors make, each planted in a model: the parity check must find every one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from boxwright import LabelMap, iou
from boxwright.models import Found, InputSettings, PortableModel, Suppressed

Floats = NDArray[np.float32]


class NearestInput(InputSettings):
    """An input that is resized by the nearest pixel."""

    def __call__(self, image: Image.Image) -> Floats:
        """Returns the input for an image."""
        resized = image.resize((self.width, self.height), Image.Resampling.NEAREST)
        return np.asarray(resized, np.float32)


def _before(change: Callable[[Floats], Floats]) -> Callable[[PortableModel], PortableModel]:
    """A mistake between the image and the network."""
    return lambda model: PortableModel(model.label_map, model.inputs, lambda images: model.detect(change(images)))


def _network(change: Callable[[Floats, Floats], tuple[Floats, Floats]]) -> Callable[[PortableModel], PortableModel]:
    """A mistake between the network and the suppression."""

    def mutate(model: PortableModel) -> PortableModel:
        after = _suppressed(model)
        network = Suppressed(lambda images: change(*after.network(images)), after.inputs, after.decoder)
        return PortableModel(model.label_map, model.inputs, network)

    return mutate


def _suppressed(model: PortableModel) -> Suppressed:
    assert isinstance(model.detect, Suppressed), "only a network without suppression can be mutated"
    return model.detect


def _swapped_classes(model: PortableModel) -> PortableModel:
    names = model.label_map.names
    return PortableModel(LabelMap.from_names((*names[1:], names[0]), sort=False), model.inputs, model.detect)


def _shifted(model: PortableModel) -> PortableModel:
    def detect(images: Floats) -> Found:
        found = model.detect(images)
        return found._replace(boxes=found.boxes + 1)

    return PortableModel(model.label_map, model.inputs, detect)


def _suppression_of_all(model: PortableModel) -> PortableModel:
    """Keeps the best detection of every place, whatever its class."""
    threshold = _suppressed(model).decoder.iou_threshold

    def detect(images: Floats) -> Found:
        found = model.detect(images)
        kept: list[int] = []
        for position, box in enumerate(found.boxes):
            if not kept or iou(box[None], found.boxes[kept]).max() <= threshold:
                kept.append(position)
        return Found(found.boxes[kept], found.scores[kept], found.classes[kept])

    return PortableModel(model.label_map, model.inputs, detect)


def _logits(scores: Floats) -> Floats:
    inside = np.clip(scores, 1e-6, 1 - 1e-6)
    logits: Floats = np.log(inside / (1 - inside))
    return logits


def _other_resize(model: PortableModel) -> PortableModel:
    return PortableModel(model.label_map, NearestInput(**model.inputs.to_dict()), model.detect)  # type: ignore[arg-type]


MUTATIONS: Mapping[str, Callable[[PortableModel], PortableModel]] = {
    "BGR for RGB": _before(lambda images: images[..., ::-1]),
    "wrong mean": _before(lambda images: images + 8),
    "swapped classes": _swapped_classes,
    "boxes as yxyx": _network(lambda boxes, scores: (boxes[..., [1, 0, 3, 2]], scores)),
    "boxes as xywh": _network(
        lambda boxes, scores: (np.concatenate([boxes[..., :2], boxes[..., 2:] - boxes[..., :2]], -1), scores)
    ),
    "boxes shifted by a pixel": _shifted,
    "wrong resize": _other_resize,
    "score without sigmoid": _network(lambda boxes, scores: (boxes, _logits(scores))),
    "suppression over all classes": _suppression_of_all,
    "no suppression": lambda model: PortableModel(
        model.label_map,
        model.inputs,
        Suppressed(_suppressed(model).network, model.inputs, replace(_suppressed(model).decoder, iou_threshold=1.0)),
    ),
}
"""A mistake by its name: a function that returns a mutated copy of a model whose suppression is ``Suppressed``."""
