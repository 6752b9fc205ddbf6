"""MediaPipe Objectron's detector as a checkpoint of the API: SSD with MobileNetV2, trained on Open Images V4.

It was trained with the API and converted to TensorFlow Lite, where each batch normalization is folded into its
convolution. Here the weights are put back into the API's model, whose outputs are compared with those of the file.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import Any

from . import prepare  # noqa: F401  isort:skip

import numpy as np
import tensorflow as tf

from .normalization import fold
from .pipeline import parse, write
from .training import build

BACKBONE = "backbone"
_TOLERANCE = 1e-3
"""Of box encodings up to 80 and of logits up to 20, both calculated in float32."""


def convert(
    connection: Any, *, names: list[str], weights: str, tflite: str, text: str, source: str, folder: str
) -> float:
    """Writes the detector's and the backbone's checkpoint, in the layout of the model zoo.

    Args:
        connection: The connection to the main process.
        names: The names of the convolutions in the order of the file's operators.
        weights: The ``.npz`` file with kernel (outputs, height, width, inputs) and bias of each, in this order.
        tflite: The ``.tflite`` file, for the comparison.
        text: The configuration of the model.
        source: The name of the configuration, for messages.
        folder: The folder to write to: ``pipeline.config``, ``checkpoint/`` and ``backbone/``.

    Returns:
        The largest difference between the outputs of model and file.
    """
    config = parse(connection, text, source)
    model = build(connection, config.model, is_training=False)
    size = config.model.ssd.image_resizer.fixed_shape_resizer
    image = np.random.default_rng(0).uniform(0, 255, (1, size.height, size.width, 3)).astype(np.float32)
    model.predict(*model.preprocess(tf.constant(image)))  # creates the variables
    with np.load(weights) as stored:
        _assign(model, [(name, stored[f"arr_{2 * i}"], stored[f"arr_{2 * i + 1}"]) for i, name in enumerate(names)])
    prepared, shapes = model.preprocess(tf.constant(image))
    outputs = model.predict(prepared, shapes)
    found = [outputs["box_encodings"].numpy(), outputs["class_predictions_with_background"].numpy()]
    difference = max(
        float(np.abs(a.reshape(b.shape) - b).max()) for a, b in zip(found, _run(tflite, prepared.numpy()), strict=True)
    )
    if difference > _TOLERANCE:
        raise RuntimeError(f"the outputs of the converted model and the file differ by {difference}")
    os.makedirs(folder, exist_ok=True)
    write(config, os.path.join(folder, "pipeline.config"))
    # save, not write: the API requires the save_counter.
    tf.train.Checkpoint(model=model).save(os.path.join(folder, "checkpoint", "ckpt"))
    backbone = model._feature_extractor.classification_backbone
    tf.train.Checkpoint(feature_extractor=backbone).save(os.path.join(folder, BACKBONE, "ckpt"))
    return difference


def _assign(model: Any, convolutions: list[tuple[str, Any, Any]]) -> None:
    """Sets every weight of the model; the two lists have the same order, and each shape is checked by Keras."""
    features = [part for part in convolutions if not part[0].startswith("BoxPredictor")]
    heads = [part for part in convolutions if part[0].startswith("BoxPredictor")]
    extractor = model._feature_extractor
    layers = [*_with_weights(extractor.classification_backbone.layers), *_maps(extractor)]
    for (_, kernel, bias), convolution, normalization in zip(features, layers[::2], layers[1::2], strict=True):
        convolution.set_weights([_keras_kernel(kernel)])
        fold(normalization, bias)
    for (_, kernel, bias), layer in zip(heads, _predictors(model), strict=True):
        layer.set_weights([_keras_kernel(kernel), bias])


def _keras_kernel(kernel: Any) -> Any:
    """Converts (outputs, height, width, inputs) to Keras' (height, width, inputs, outputs), also of a depthwise one."""
    return kernel.transpose(1, 2, 3, 0)


def _with_weights(layers: Iterable[Any]) -> list[Any]:
    return [layer for layer in layers if layer.weights]


def _maps(extractor: Any) -> Iterator[Any]:
    """Yields the layers of the additional, smaller feature maps."""
    for block in extractor.feature_map_generator.convolutions:
        yield from _with_weights(block)


def _predictors(model: Any) -> Iterator[Any]:
    """Yields the last layers for the boxes and the classes of each feature map."""
    heads = model._box_predictor._prediction_heads
    for boxes, classes in zip(heads["box_encodings"], heads["class_predictions_with_background"], strict=True):
        (layer,) = _with_weights(boxes._box_encoder_layers)
        yield layer
        (layer,) = _with_weights(classes._class_predictor_layers)
        yield layer


def _run(tflite: str, prepared: Any) -> list[Any]:
    interpreter = tf.lite.Interpreter(tflite)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], prepared)
    interpreter.invoke()
    return [interpreter.get_tensor(output["index"]) for output in interpreter.get_output_details()]
