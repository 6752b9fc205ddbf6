"""The layer under the name by which Keras finds it: with ``import boxwright_keras.registered``, it loads our files."""

from __future__ import annotations

import keras

from boxwright_keras.layer import detector_layer

Detector = keras.saving.register_keras_serializable("boxwright", "Detector")(detector_layer(keras))
"""A TensorFlow graph whose constants are the weights of the layer."""
