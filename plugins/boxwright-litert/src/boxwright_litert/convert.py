"""Conversion from a SavedModel, with TensorFlow."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from boxwright.models import Network
from boxwright_tf.litert import to_litert
from boxwright_tf.quiet import quiet_import

with quiet_import():
    import tensorflow as tf


def convert(network: Network, precision: str, calibration: Callable[[], Iterable[Any]] = tuple) -> bytes:
    """Returns a network as a ``.tflite`` file.

    Args:
        network: The network; its input gets a batch of one image.
        precision: ``fp32``, ``fp16``, ``dynamic`` or ``int8``.
        calibration: Yields inputs for ``int8``.
    """
    loaded = tf.saved_model.load(str(network.saved_model))  # a signature does not keep its variables alive
    serve = loaded.signatures["serving_default"]

    def boxes_and_scores(images: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        outputs = serve(images=images)
        return outputs["boxes"], outputs["scores"]

    return to_litert(boxes_and_scores, (network.inputs.height, network.inputs.width), precision, calibration)
