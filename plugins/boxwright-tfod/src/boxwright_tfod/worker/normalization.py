"""Batch normalization of pretrained weights that were folded into their convolutions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from . import prepare  # noqa: F401  isort:skip

import numpy as np
import tensorflow as tf
from object_detection.core.freezable_batch_norm import FreezableBatchNorm


def fold(layer: Any, bias: Any) -> None:
    """Makes a normalization add a bias and nothing else, as one that is folded into its convolution."""
    ones, zeros = np.ones_like(bias), np.zeros_like(bias)
    layer.set_weights([ones, bias, zeros, ones - layer.epsilon])


def put_statistics(model: Any, batches: Iterable[Any]) -> None:
    """Sets the statistics of folded normalizations to those of images, without changing what the model computes.

    In training, a normalization uses the mean and variance of the batch. A folded one has no statistics, so that
    the features would suddenly be different. With statistics, they are almost those of inference.

    A batch normalization computes ``a * x + b`` with ``a = gamma / sqrt(variance + epsilon)`` and
    ``b = beta - a * mean``. Gamma and beta are chosen so that a and b remain the same.

    Args:
        model: A model of the API.
        batches: Images, float32 (batch, height, width, 3), as the model's preprocessing returns them. They are read
            only if a normalization of the feature extractor is folded.
    """
    extractor = model._feature_extractor
    parts = extractor._flatten_layers() if isinstance(extractor, tf.keras.Model) else ()  # Faster R-CNN's is not
    layers = [layer for layer in parts if isinstance(layer, FreezableBatchNorm) and _folded(layer)]
    if not layers:
        return
    tf.keras.backend.set_learning_phase(False)
    with _recorded(layers) as moments:
        for batch in batches:
            extractor(batch)
    for layer in layers:
        mean, square = (tf.reduce_mean(tf.stack(values), 0) for values in zip(*moments[id(layer)], strict=True))
        variance = tf.maximum(square - mean**2, 0.0)
        layer.beta.assign_add(mean)
        layer.gamma.assign(tf.sqrt(variance + layer.epsilon))
        layer.moving_mean.assign(mean)
        layer.moving_variance.assign(variance)


def _folded(layer: Any) -> bool:
    """Whether a normalization is as :func:`fold` leaves it; a new one has the variance 1."""
    variance = layer.moving_variance.numpy()
    return bool(np.all(variance == np.ones_like(variance) - layer.epsilon) and not layer.moving_mean.numpy().any())


@contextmanager
def _recorded(layers: list[Any]) -> Iterator[dict[int, list[Any]]]:
    """Records mean and mean square of each layer's input, per channel, by the layer's id."""
    moments: dict[int, list[Any]] = {id(layer): [] for layer in layers}

    def recording(layer: Any) -> Any:
        compute = layer.call

        def call(inputs: Any, training: Any = None) -> Any:
            axes = list(range(inputs.shape.rank - 1))
            moments[id(layer)].append((tf.reduce_mean(inputs, axes), tf.reduce_mean(tf.square(inputs), axes)))
            return compute(inputs, training)

        return call

    for layer in layers:
        layer.call = recording(layer)
    try:
        yield moments
    finally:
        for layer in layers:
            del layer.call
