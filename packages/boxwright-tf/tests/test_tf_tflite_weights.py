"""Weights of a TensorFlow Lite model, against those of the Keras model that TensorFlow converted."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("tensorflow")

import keras
import tensorflow as tf

from boxwright_tf.tflite_weights import read_convolutions

pytestmark = pytest.mark.tensorflow


@pytest.mark.parametrize(("half", "tolerance"), [(False, 0.0), (True, 2**-11)])
def test_the_convolutions_of_a_converted_network(half: bool, tolerance: float) -> None:
    network = keras.Sequential(
        [
            keras.layers.Input((16, 16, 3), batch_size=1),
            keras.layers.Conv2D(64, (3, 5), strides=2, bias_initializer="ones"),
            keras.layers.DepthwiseConv2D(3, bias_initializer="ones"),
        ]
    )
    converter = tf.lite.TFLiteConverter.from_keras_model(network)
    if half:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.target_spec.supported_types = [tf.float16]
    first, second = read_convolutions(converter.convert())
    assert (first.kind, second.kind) == ("CONV_2D", "DEPTHWISE_CONV_2D")
    (kernel, bias), (depthwise, _) = (layer.get_weights() for layer in network.layers)
    np.testing.assert_allclose(first.kernel, kernel.transpose(3, 0, 1, 2), rtol=tolerance, atol=1e-7)
    np.testing.assert_array_equal(first.bias, bias)
    np.testing.assert_allclose(second.kernel, depthwise.transpose(3, 0, 1, 2), rtol=tolerance, atol=1e-7)


@pytest.mark.parametrize("content", [b"", b"not a model", bytes(100), b"\x18\0\0\0TFL3" + bytes(60)])
def test_bytes_that_are_not_a_model(content: bytes) -> None:
    with pytest.raises(ValueError, match="not a TensorFlow Lite model"):
        read_convolutions(content)
