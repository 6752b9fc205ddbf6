"""Changes the brightness, inside ``tf.data``."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
from boxwright import UsageError


class MyPluginAugmenter:
    """Multiplies all values of an image by one number.

    Args:
        strength: The maximum difference of the number from 1.

    Raises:
        UsageError: ``strength`` is not between 0 and 1.
    """

    def __init__(self, strength: float = 0.3) -> None:
        if not 0 < strength <= 1:
            raise UsageError(f"strength is {strength:g}", "set a number greater than 0, at most 1")
        self._strength = strength

    def __call__(self, example: dict[str, Any], seed: Any) -> dict[str, Any]:
        """Returns a changed example; see :class:`boxwright.models.Augmenter`.

        Args:
            example: ``images`` (height, width, 3) float32 0..255; ``boxes`` (N, 4) float32 ``xyxy`` in pixels;
                ``classes`` (N,).
            seed: Shape (2,), int32: the only source of randomness.
        """
        low, high = 1 - self._strength, 1 + self._strength
        factor = tf.random.stateless_uniform([], seed, low, high)
        return example | {"images": tf.clip_by_value(example["images"] * factor, 0.0, 255.0)}
