"""Smaller versions of the parts whose size KerasCV fixes.

KerasCV's pyramid and heads have 256 channels and nine anchors. These support any number, and are saved and loaded with
the model.
"""

from __future__ import annotations

from typing import Any

import keras
import keras_cv

from boxwright.models import Replicas
from boxwright_retinanet.layers import BACKGROUND_LOGIT, Head, Pyramid, narrow_features
from boxwright_retinanet.targets import loss_inputs

PACKAGE = "boxwright_kerascv"

for _layer in (Pyramid, Head):  # the names in files of earlier versions
    keras.saving.get_custom_objects()[f"{PACKAGE}>{_layer.__name__}"] = _layer


@keras.saving.register_keras_serializable(package=PACKAGE)
class NarrowBackbone(keras_cv.models.Backbone):
    """:func:`boxwright_retinanet.layers.narrow_features` as a backbone of KerasCV.

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
        x, _ = narrow_features(x, channels, depths, activation)
        super().__init__(inputs=inputs, outputs=x, **kwargs)
        self.pyramid_level_inputs = {
            f"P{index + 2}": f"P{index + 2}_{depth - 1}" if depth else f"P{index + 2}_down"
            for index, depth in enumerate(depths)
        }
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
class KerasCVPyramid(keras_cv.models.retinanet.FeaturePyramid):
    """KerasCV's own pyramid: P3 to P7 with 256 channels, without normalization.

    Attributes:
        names: The levels that it takes from the backbone.
    """

    names = ("P3", "P4", "P5")


def kerascv_head(output_filters: int, *, background: bool = False) -> Any:
    """Returns KerasCV's own prediction head: three convolutions of 256 channels.

    Args:
        output_filters: See :class:`boxwright_retinanet.layers.Head`.
        background: See :class:`boxwright_retinanet.layers.Head`.
    """
    bias = keras.initializers.Constant(BACKGROUND_LOGIT) if background else keras.initializers.Zeros()
    return keras_cv.models.retinanet.PredictionHead(output_filters=output_filters, bias_initializer=bias)


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
        """Returns the loss of a batch; see :func:`boxwright_retinanet.targets.loss_inputs`.

        In KerasCV, every anchor of a batch without a positive one has the weight 0, so that background alone teaches
        nothing.
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
        if replicas is None:
            return loss_inputs(boxes, classes, self.num_classes)
        return loss_inputs(boxes, classes, self.num_classes, lambda count: replicas.sum([count])[0])

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "feature_pyramid": keras.saving.serialize_keras_object(self.feature_pyramid)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Detector:
        if isinstance(config.get("feature_pyramid"), dict):
            config["feature_pyramid"] = keras.layers.deserialize(config["feature_pyramid"])
        return super().from_config(config)
