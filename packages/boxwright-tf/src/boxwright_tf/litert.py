"""Networks in LiteRT: converted with TensorFlow, and run without it.

Loading LiteRT takes a fraction of a second, TensorFlow and Keras more than ten.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

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


def load_network(path: str) -> Any:
    """Loads a converted network: a function from images to the tuple of arrays that the network returns."""
    from ai_edge_litert.interpreter import Interpreter

    threads = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0] or os.cpu_count() or 1
    interpreter = Interpreter(path, num_threads=int(threads))
    interpreter.allocate_tensors()
    (images,) = (each["index"] for each in interpreter.get_input_details())
    outputs = [each["index"] for each in sorted(interpreter.get_output_details(), key=lambda each: each["name"])]

    def network(pixels: Any) -> Any:
        interpreter.set_tensor(images, pixels)
        interpreter.invoke()
        return [interpreter.get_tensor(output) for output in outputs]

    return network


def open_network(path: Path) -> Any:
    """Returns the function of :func:`load_network`.

    Raises:
        RunError: LiteRT cannot run the network.
        ImportError: LiteRT is not installed.
    """
    try:
        with quiet_stderr():
            return load_network(str(path))
    except (ValueError, RuntimeError) as error:
        raise RunError(f"LiteRT cannot run {path}: {error}", "train or export it again") from None
