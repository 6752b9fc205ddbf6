"""MobileNetV2 with the weights of a detector that was trained on Open Images, from MediaPipe Objectron.

The npm package ``@mediapipe/objectron`` contains an SSD with this backbone as a TensorFlow Lite model: float16, with
batch normalization folded into the convolutions. ``boxwright weights import objectron`` converts it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import keras_cv
import numpy as np

from boxwright import DataError, Reporter
from boxwright_kerascv.layers import PACKAGE
from boxwright_tf.tflite_weights import Convolution, read_convolutions

WEIGHTS_FILE = "backbone.weights.h5"
LABELS_LENGTH = 184
"""Bytes of class names before the model in the file of the package."""
_PREDICTORS = "BoxPredictor"
_MOMENTUM = 0.97


@keras.saving.register_keras_serializable(package=PACKAGE)
class MobileNetV2(keras_cv.models.Backbone):
    """The MobileNetV2 of ``keras.applications``, for images from 0 to 255, as a backbone of KerasCV.

    Args:
        input_shape: Height, width, channels.
    """

    def __init__(self, *, input_shape: tuple[int, int, int], **kwargs: Any) -> None:
        inputs = keras.layers.Input(shape=tuple(input_shape))
        x = keras.layers.Rescaling(1 / 127.5, offset=-1.0, name="rescaling")(inputs)
        network = keras.applications.MobileNetV2(input_tensor=x, include_top=False, weights=None)
        for layer in network.layers:
            if isinstance(layer, keras.layers.BatchNormalization):
                layer.momentum = _MOMENTUM
        super().__init__(inputs=inputs, outputs=network.output, **kwargs)
        self.pyramid_level_inputs = {
            "P1": "expanded_conv_project_BN",
            "P2": "block_2_add",
            "P3": "block_5_add",
            "P4": "block_12_add",
            "P5": "out_relu",
        }

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name, "trainable": self.trainable, "input_shape": self.input_shape[1:]}


def convert(source: Path, folder: Path, reporter: Reporter) -> None:
    """Writes the backbone of the detector as a weights file of Keras; a :class:`boxwright.models.WeightsConverter`.

    Raises:
        DataError: The file does not contain the detector.
    """
    try:
        # The box predictors are between the convolutions of the backbone.
        found = read_convolutions(source.read_bytes()[LABELS_LENGTH:])
        convolutions = [each for each in found if not each.output.startswith(_PREDICTORS)]
        backbone = MobileNetV2(input_shape=(32, 32, 3))
        fill(backbone, convolutions)
    except (ValueError, IndexError) as error:
        raise DataError(source, f"it does not contain the detector: {error}", "import it again") from error
    backbone.save_weights(folder / WEIGHTS_FILE)


def fill(backbone: MobileNetV2, convolutions: list[Convolution]) -> None:
    """Fills a backbone with the first convolutions of a network whose batch normalization is folded.

    The normalization of the backbone then only adds the bias: its scale and variance cancel, and its mean is 0.

    Raises:
        ValueError: A convolution has another shape.
    """
    kinds = (keras.layers.Conv2D, keras.layers.DepthwiseConv2D)
    layers = [layer for layer in backbone.layers if isinstance(layer, kinds)]
    norms = [layer for layer in backbone.layers if isinstance(layer, keras.layers.BatchNormalization)]
    for layer, norm, convolution in zip(layers, norms, convolutions[: len(layers)], strict=True):
        # Both kinds have the output first, except that the one output of a depthwise kernel is a channel.
        layer.set_weights([convolution.kernel.transpose(1, 2, 3, 0)])
        size = convolution.bias.size
        norm.set_weights([np.ones(size), convolution.bias, np.zeros(size), np.full(size, 1 - norm.epsilon, np.float32)])
