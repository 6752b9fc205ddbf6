"""Networks in LiteRT: converted with TensorFlow, and run without it.

Loading LiteRT takes a fraction of a second, TensorFlow and Keras more than ten.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from boxwright import RunError
from boxwright_tf.quiet import quiet_stderr


def to_litert(network: Callable[[Any], Any], image_size: tuple[int, int], precision: str = "fp32") -> bytes:
    """Converts a network to a ``.tflite`` file, whose input and outputs are float32.

    Args:
        network: A function from a tensor ``(1, height, width, 3)`` float32 to a tuple of tensors.
        image_size: Height and width.
        precision: Of the weights: ``fp32``, ``fp16``, or ``dynamic`` for int8 with activations quantized at run time.
    """
    import tensorflow as tf

    signature = tf.TensorSpec((1, *image_size, 3), tf.float32)
    with quiet_stderr():
        concrete = tf.function(network, autograph=False).get_concrete_function(signature)
        converter = tf.lite.TFLiteConverter.from_concrete_functions([concrete])
        if precision != "fp32":
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if precision == "fp16":
            converter.target_spec.supported_types = [tf.float16]
        return bytes(converter.convert())


class LiteRTNetwork:
    """A converted network: a function from images to the tuple that the network returns.

    Args:
        content: The ``.tflite`` file.

    Raises:
        RunError: LiteRT cannot run it.
        ImportError: LiteRT is not installed.
    """

    def __init__(self, content: bytes) -> None:
        from ai_edge_litert.interpreter import Interpreter

        try:
            with quiet_stderr():
                self._interpreter = Interpreter(model_content=content, num_threads=os.cpu_count() or 1)
                self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise RunError(f"LiteRT cannot run the network: {error}", "train or export it again") from None
        (self._input,) = (detail["index"] for detail in self._interpreter.get_input_details())
        outputs = sorted(self._interpreter.get_output_details(), key=lambda detail: detail["name"])
        self._outputs = [detail["index"] for detail in outputs]

    def __call__(self, images: NDArray[np.float32]) -> tuple[NDArray[np.float32], ...]:
        """Runs the network on a batch of the size it was converted with."""
        self._interpreter.set_tensor(self._input, images)
        self._interpreter.invoke()
        return tuple(self._interpreter.get_tensor(index) for index in self._outputs)
