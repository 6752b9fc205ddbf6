"""Smaller versions of the parts whose size KerasCV fixes.

KerasCV's pyramid and heads have 256 channels and nine anchors. These support any number, and are saved and loaded with
the model.
"""

from __future__ import annotations

from typing import Any

import keras
import keras_cv

from boxwright.models import Replicas

PACKAGE = "boxwright_kerascv"

# Short trainings have few batches: a slow average would still contain the first, useless statistics at the end.
_BATCH_NORM_MOMENTUM = 0.97
# log(0.01 / 0.99): an untrained head predicts 1% everywhere (Lin et al. 2017, section 4.1).
_BACKGROUND_LOGIT = -4.59511985013459


def _conv_norm(x: Any, filters: int, kernel_size: int, strides: int, activation: str, name: str) -> Any:
    x = keras.layers.Conv2D(
        filters, kernel_size, strides, "same", use_bias=False, kernel_initializer="he_normal", name=f"{name}_conv"
    )(x)
    x = keras.layers.BatchNormalization(momentum=_BATCH_NORM_MOMENTUM, epsilon=1e-3, name=f"{name}_norm")(x)
    return keras.layers.Activation(activation, name=name)(x)


@keras.saving.register_keras_serializable(package=PACKAGE)
class NarrowBackbone(keras_cv.models.Backbone):
    """A small residual backbone that trains from scratch on a CPU.

    A stem and one stage for each number of channels; every stage halves the image with a 3x3 convolution and continues
    with residual blocks of a 1x1 convolution to half the channels and a 3x3 one back (the block of Darknet-53, Redmon
    and Farhadi 2018).

    Args:
        channels: The channels of the stages P2, P3, P4 and P5.
        depths: The number of residual blocks of each stage.
        activation: The name of a Keras activation.
        include_rescaling: Whether to rescale images from 0 to 255 to -1 to 1 first.
        input_shape: Height, width, channels.
    """

    def __init__(
        self,
        *,
        channels: list[int],
        depths: list[int],
        activation: str = "relu",
        include_rescaling: bool = True,
        input_shape: tuple[int | None, int | None, int] = (None, None, 3),
        **kwargs: Any,
    ) -> None:
        inputs = keras.layers.Input(shape=tuple(input_shape))
        x = inputs
        if include_rescaling:
            x = keras.layers.Rescaling(1 / 127.5, offset=-1.0, name="rescaling")(x)
        x = _conv_norm(x, channels[0] // 2, 3, 2, activation, "stem")
        levels = {}
        for index, (filters, depth) in enumerate(zip(channels, depths, strict=True)):
            level = f"P{index + 2}"
            x = _conv_norm(x, filters, 3, 2, activation, f"{level}_down")
            for block in range(depth):
                narrow = _conv_norm(x, filters // 2, 1, 1, activation, f"{level}_{block}_in")
                wide = _conv_norm(narrow, filters, 3, 1, activation, f"{level}_{block}_out")
                x = keras.layers.Add(name=f"{level}_{block}")([x, wide])
            levels[level] = f"{level}_{depth - 1}" if depth else f"{level}_down"
        super().__init__(inputs=inputs, outputs=x, **kwargs)
        self.pyramid_level_inputs = levels
        self.channels = list(channels)
        self.depths = list(depths)
        self.activation = activation
        self.include_rescaling = include_rescaling

    def get_config(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "trainable": self.trainable,
            "channels": self.channels,
            "depths": self.depths,
            "activation": self.activation,
            "include_rescaling": self.include_rescaling,
            "input_shape": self.input_shape[1:],
        }


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
class KerasCVPyramid(keras_cv.models.retinanet.FeaturePyramid):
    """KerasCV's own pyramid: P3 to P7 with 256 channels, without normalization.

    Attributes:
        names: The levels that it takes from the backbone.
    """

    names = ("P3", "P4", "P5")


def kerascv_head(output_filters: int, *, background: bool = False) -> Any:
    """Returns KerasCV's own prediction head: three convolutions of 256 channels.

    Args:
        output_filters: See :class:`Head`.
        background: See :class:`Head`.
    """
    bias = keras.initializers.Constant(_BACKGROUND_LOGIT) if background else keras.initializers.Zeros()
    return keras_cv.models.retinanet.PredictionHead(output_filters=output_filters, bias_initializer=bias)


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
            bias_initializer=keras.initializers.Constant(_BACKGROUND_LOGIT if background else 0.0),
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


@keras.saving.register_keras_serializable(package=PACKAGE)
class Detector(keras_cv.models.RetinaNet):
    """KerasCV's RetinaNet with any first level, whose saved configuration also contains the pyramid.

    Args:
        backbone: A KerasCV backbone with the levels that the pyramid takes.
        bounding_box_format: The format of boxes in the training.
        num_classes: The number of classes without the background.
        label_encoder: The targets, with the anchors.
        feature_pyramid: The pyramid.
        classification_head: The head that predicts classes.
        box_head: The head that predicts boxes.
        prediction_decoder: KerasCV's decoder, which this plugin does not use.
    """

    def __init__(
        self,
        backbone: Any,
        bounding_box_format: str,
        num_classes: int,
        *,
        label_encoder: Any,
        feature_pyramid: Pyramid | KerasCVPyramid,
        classification_head: Any,
        box_head: Any,
        prediction_decoder: Any = None,
        **kwargs: Any,
    ) -> None:
        # RetinaNet always takes P3 to P5 from its backbone; the rest of its constructor is repeated here.
        levels = {name: backbone.get_layer(backbone.pyramid_level_inputs[name]) for name in feature_pyramid.names}
        extractor = keras.Model(backbone.inputs, {name: layer.output for name, layer in levels.items()})
        images = keras.layers.Input(extractor.input_shape[1:], name="images")
        boxes, classes = [], []
        for feature in feature_pyramid(extractor(images)):
            boxes.append(keras.layers.Reshape((-1, 4))(box_head(feature)))
            classes.append(keras.layers.Reshape((-1, num_classes))(classification_head(feature)))
        outputs = {
            "box": keras.layers.Concatenate(axis=1, name="box")(boxes),
            "classification": keras.layers.Concatenate(axis=1, name="classification")(classes),
        }
        super(keras_cv.models.RetinaNet, self).__init__(inputs={"images": images}, outputs=outputs, **kwargs)
        self.label_encoder = label_encoder
        self.anchor_generator = label_encoder.anchor_generator
        self.bounding_box_format = bounding_box_format
        self.num_classes = num_classes
        self.backbone = backbone
        self.feature_extractor = extractor
        self.feature_pyramid = feature_pyramid
        self.classification_head = classification_head
        self.box_head = box_head
        self.box_loss_weight = 1.0
        self._prediction_decoder = prediction_decoder or keras_cv.layers.NonMaxSuppression(
            bounding_box_format=bounding_box_format, from_logits=True
        )
        self.build(backbone.input_shape)

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None, **kwargs: Any) -> Any:
        # KerasCV names its input but passes a plain tensor, for which Keras warns.
        named = inputs if isinstance(inputs, dict) else {"images": inputs}
        return super().call(named, training=training, mask=mask, **kwargs)

    def compute_loss(
        self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None, training: bool = True, **kwargs: Any
    ) -> Any:
        """Returns the loss of a batch: both sums over the anchors, divided by max(1, number of positive anchors).

        In KerasCV, every anchor of a batch without a positive one has the weight 0, so that background alone teaches
        nothing. The maximum is that of RetinaNet's first implementation (Detectron, ``retinanet_heads.py``).
        """
        targets, weights = self._targets(x, y)
        # Task, the base class of RetinaNet, which would divide by the positive anchors alone.
        return super(keras_cv.models.RetinaNet, self).compute_loss(
            x=x, y=targets, y_pred=y_pred, sample_weight=weights, training=training
        )

    def losses_of(self, x: Any, y: Any, y_pred: Any, replicas: Replicas) -> dict[str, Any]:
        """Returns the part that one replica has in the losses of a batch; the sums over all replicas are the losses.

        Args:
            x: The images of the replica.
            y: Their labels.
            y_pred: The output of the network.
            replicas: With which the batch is trained.

        Returns:
            ``loss``, ``box_loss`` and ``classification_loss``, as ``fit`` names them.
        """
        targets, weights = self._targets(x, y, replicas)
        box = self.box_loss(targets["box"], y_pred["box"], sample_weight=weights["box"])
        classification = self.classification_loss(
            targets["classification"], y_pred["classification"], sample_weight=weights["classification"]
        )
        loss = self.box_loss_weight * box + classification
        for penalty in self.losses:  # of the weights, which every replica has
            loss += penalty / replicas.count
        return {"loss": loss, "box_loss": box, "classification_loss": classification}

    def _targets(self, images: Any, labels: Any, replicas: Replicas | None = None) -> tuple[Any, Any]:
        """Returns the targets and weights of all anchors; the normalizer is that of the batch of all replicas."""
        boxes, classes = self.label_encoder(images, labels)
        positive = keras.ops.cast(classes >= 0, "float32")
        used = keras.ops.cast(classes >= -1, "float32")  # -2 is ignored
        count = keras.ops.sum(positive)
        if replicas is not None:
            (count,) = replicas.sum([count])
        normalizer = keras.ops.maximum(count, 1.0)
        targets = {"box": boxes, "classification": keras.ops.one_hot(classes, self.num_classes, dtype="float32")}
        return targets, {"box": positive / normalizer, "classification": used / normalizer}

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "feature_pyramid": keras.saving.serialize_keras_object(self.feature_pyramid)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Detector:
        if isinstance(config.get("feature_pyramid"), dict):
            config["feature_pyramid"] = keras.layers.deserialize(config["feature_pyramid"])
        return super().from_config(config)
