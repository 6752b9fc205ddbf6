"""The layers of a small RetinaNet for any framework of Keras: backbone, pyramid and heads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

PACKAGE = "boxwright_retinanet"

# Short trainings have few batches: a slow average would still contain the first, useless statistics at the end.
_BATCH_NORM_MOMENTUM = 0.97
BACKGROUND_LOGIT = -4.59511985013459
"""log(0.01 / 0.99): an untrained head predicts 1% everywhere (Lin et al. 2017, section 4.1)."""


def _conv_norm(x: Any, filters: int, kernel_size: int, strides: int, activation: str, name: str) -> Any:
    x = keras.layers.Conv2D(
        filters, kernel_size, strides, "same", use_bias=False, kernel_initializer="he_normal", name=f"{name}_conv"
    )(x)
    x = keras.layers.BatchNormalization(momentum=_BATCH_NORM_MOMENTUM, epsilon=1e-3, name=f"{name}_norm")(x)
    return keras.layers.Activation(activation, name=name)(x)


def narrow_features(
    x: Any, channels: Sequence[int], depths: Sequence[int], activation: str = "relu"
) -> tuple[Any, dict[str, Any]]:
    """Applies a small residual backbone that trains from scratch on a CPU.

    A stem and one stage for each number of channels; every stage halves the image with a 3x3 convolution and continues
    with residual blocks of a 1x1 convolution to half the channels and a 3x3 one back (the block of Darknet-53, Redmon
    and Farhadi 2018).

    Args:
        x: The images, a symbolic tensor ``(batch, height, width, 3)`` from -1 to 1.
        channels: The channels of the stages P2, P3, P4 and P5.
        depths: The number of residual blocks of each stage.
        activation: The name of a Keras activation.

    Returns:
        The last features, and those of each level by name, ``P2`` to ``P5``.
    """
    x = _conv_norm(x, channels[0] // 2, 3, 2, activation, "stem")
    levels = {}
    for index, (filters, depth) in enumerate(zip(channels, depths, strict=True)):
        level = f"P{index + 2}"
        x = _conv_norm(x, filters, 3, 2, activation, f"{level}_down")
        for block in range(depth):
            narrow = _conv_norm(x, filters // 2, 1, 1, activation, f"{level}_{block}_in")
            wide = _conv_norm(narrow, filters, 3, 1, activation, f"{level}_{block}_out")
            x = keras.layers.Add(name=f"{level}_{block}")([x, wide])
        levels[level] = x
    return x, levels


@keras.saving.register_keras_serializable(package=PACKAGE)
class Pyramid(keras.layers.Layer):
    """A feature pyramid (Lin et al. 2017, "Feature Pyramid Networks") of any width and number of levels.

    Its input is the backbone's P3, P4 and P5, and P2 if that is the first level, its output a tuple of ``levels``
    feature maps from the first level on, each half the size of the one before. Levels from P6 on are computed from P5
    by strided convolutions, as in RetinaNet. The last convolution of each level is followed by a separate batch
    normalization, so that heads trained from scratch start from equal scales.

    Args:
        channels: The channels of every level.
        levels: The number of levels, 1 to 5.
        first_level: The finest level: 3 for P3, 2 for P2.
    """

    def __init__(self, channels: int = 64, levels: int = 5, first_level: int = 3, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.channels = channels
        self.levels = levels
        self.first_level = first_level
        self.names = [f"P{level}" for level in range(first_level, 6)]
        self.lateral = [keras.layers.Conv2D(channels, 1, name=f"lateral_{index}") for index in range(len(self.names))]
        inner = min(levels, len(self.names))
        self.output_convs = [
            keras.layers.Conv2D(
                channels,
                3,
                strides=1 if index < inner else 2,
                padding="same",
                use_bias=False,
                kernel_initializer="he_normal",
                name=f"output_{index}",
            )
            for index in range(levels)
        ]
        self.norms = [
            keras.layers.BatchNormalization(momentum=_BATCH_NORM_MOMENTUM, epsilon=1e-3, name=f"norm_{index}")
            for index in range(levels)
        ]
        self.upsample = keras.layers.UpSampling2D(2, interpolation="nearest")

    def build(self, input_shape: dict[str, tuple[int | None, ...]]) -> None:
        for level, layer in zip(self.names, self.lateral, strict=True):
            layer.build(input_shape[level])
        inside = (None, None, None, self.channels)
        for index, (conv, norm) in enumerate(zip(self.output_convs, self.norms, strict=True)):
            conv.build(input_shape["P5"] if index == len(self.names) else inside)
            norm.build(inside)
        self.built = True

    def call(self, inputs: dict[str, Any], training: bool | None = None) -> tuple[Any, ...]:
        merged = [self.lateral[-1](inputs["P5"])]
        for name, lateral in reversed(list(zip(self.names[:-1], self.lateral[:-1], strict=True))):
            merged.insert(0, lateral(inputs[name]) + self.upsample(merged[0]))
        last = len(merged)
        outputs: list[Any] = []
        for index, (conv, norm) in enumerate(zip(self.output_convs, self.norms, strict=True)):
            source = merged[index] if index < last else inputs["P5"] if index == last else outputs[-1]
            outputs.append(keras.ops.relu(norm(conv(source), training=training)))
        return tuple(outputs)

    def compute_output_shape(
        self, input_shape: dict[str, tuple[int | None, ...]]
    ) -> tuple[tuple[int | None, ...], ...]:
        shapes: list[tuple[int | None, ...]] = []
        for index in range(self.levels):
            if index < len(self.names):
                batch, height, width, _ = input_shape[self.names[index]]
            else:
                batch, height, width, _ = shapes[-1] if index > len(self.names) else input_shape["P5"]
                height, width = (None if side is None else -(-side // 2) for side in (height, width))
            shapes.append((batch, height, width, self.channels))
        return tuple(shapes)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "channels": self.channels,
            "levels": self.levels,
            "first_level": self.first_level,
        }


@keras.saving.register_keras_serializable(package=PACKAGE)
class Head(keras.layers.Layer):
    """The prediction head of RetinaNet: 3x3 convolutions, one set of weights for all levels.

    Args:
        output_filters: The number of anchors per location times the numbers predicted for each.
        channels: The channels of the hidden convolutions.
        convolutions: The number of hidden convolutions.
        background: Whether to start from the logit of 1%, as a classification head must.
    """

    def __init__(
        self, output_filters: int, channels: int = 64, convolutions: int = 2, background: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.output_filters = output_filters
        self.channels = channels
        self.convolutions = convolutions
        self.background = background
        self.hidden = [
            keras.layers.Conv2D(
                channels, 3, padding="same", activation="relu", kernel_initializer="he_normal", name=f"hidden_{index}"
            )
            for index in range(convolutions)
        ]
        self.prediction = keras.layers.Conv2D(
            output_filters,
            3,
            padding="same",
            kernel_initializer=keras.initializers.RandomNormal(stddev=0.01),
            bias_initializer=keras.initializers.Constant(BACKGROUND_LOGIT if background else 0.0),
            name="prediction",
        )

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        inside = tuple(input_shape)
        for layer in self.hidden:
            layer.build(inside)
            inside = (*inside[:-1], self.channels)
        self.prediction.build(inside)
        self.built = True

    def call(self, x: Any) -> Any:
        for layer in self.hidden:
            x = layer(x)
        return self.prediction(x)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return (*input_shape[:-1], self.output_filters)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "output_filters": self.output_filters,
            "channels": self.channels,
            "convolutions": self.convolutions,
            "background": self.background,
        }
