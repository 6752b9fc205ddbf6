"""The networks: a narrow one and KerasHub's ResNets, with boxwright's pyramid and heads or KerasHub's own."""

from __future__ import annotations

from typing import Any

import keras
import keras_hub
import numpy as np
from keras import ops
from numpy.typing import NDArray

from boxwright import DataError
from boxwright_kerashub.checks import NONE
from boxwright_retinanet.anchors import AnchorSettings, all_anchors
from boxwright_retinanet.layers import BACKGROUND_LOGIT, Head, Pyramid, narrow_features
from boxwright_retinanet.recipe import Recipe
from boxwright_retinanet.targets import decode_boxes, loss_inputs, match_anchors
from boxwright_retinanet.training import build_optimizer

PACKAGE = "boxwright_kerashub"

FROM_0_TO_255 = (1 / 127.5, -1.0)
"""The scale and the offset from the levels of an image to -1 to 1."""

# Channels of the pyramid and the heads, and hidden convolutions of each head, as in boxwright-kerascv.
_HEADS = {"tiny": (64, 1)}
_USUAL_HEADS = (256, 4)
_RESNETS: dict[str, dict[str, Any]] = {
    "resnet18": {"stackwise_num_blocks": [2, 2, 2, 2], "block_type": "basic_block"},
    "resnet50": {"stackwise_num_blocks": [3, 4, 6, 3], "block_type": "bottleneck_block"},
}


@keras.saving.register_keras_serializable(package=PACKAGE)
class NarrowBackbone(keras_hub.models.FeaturePyramidBackbone):
    """:func:`boxwright_retinanet.layers.narrow_features` as a backbone of KerasHub; images are from -1 to 1."""

    def __init__(
        self,
        channels: list[int],
        depths: list[int],
        image_shape: tuple[int | None, int | None, int] = (None, None, 3),
        **kwargs: Any,
    ) -> None:
        inputs = keras.layers.Input(shape=tuple(image_shape))
        features, levels = narrow_features(inputs, channels, depths)
        super().__init__(inputs=inputs, outputs=features, **kwargs)
        self.channels = list(channels)
        self.depths = list(depths)
        self.image_shape = tuple(image_shape)
        self.pyramid_outputs = levels

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "channels": self.channels,
            "depths": self.depths,
            "image_shape": self.image_shape,
        }


class Detector(keras.Model):
    """A RetinaNet whose outputs are ``box`` ``(batch, A, 4)``, encoded, and ``classification``, logits.

    Args:
        inputs: The images, symbolic.
        outputs: The outputs, symbolic.
        backbone: The backbone.
        anchors: ``(A, 4)`` float32, ``xyxy`` in pixels of the input.
        num_classes: The number of classes.
    """

    def __init__(
        self, inputs: Any, outputs: Any, backbone: Any, anchors: NDArray[np.float32], num_classes: int
    ) -> None:
        super().__init__(inputs=inputs, outputs=outputs)
        self.backbone = backbone
        self.anchors = anchors
        self.num_classes = num_classes

    def compute_loss(
        self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None, training: bool = True, **kwargs: Any
    ) -> Any:
        """Returns the loss of a batch, with the targets of :func:`boxwright_retinanet.targets.match_anchors`."""
        anchors = ops.convert_to_tensor(self.anchors)
        labels = ops.cast(y["boxes"], "float32"), ops.cast(y["classes"], "int32")
        boxes, classes = ops.map(lambda each: match_anchors(anchors, *each), labels)
        targets, weights = loss_inputs(boxes, classes, self.num_classes)
        return super().compute_loss(x=x, y=targets, y_pred=y_pred, sample_weight=weights, training=training)


@keras.saving.register_keras_serializable(package=PACKAGE)
class Decode(keras.layers.Layer):
    """Decodes the outputs of a :class:`Detector` to the boxes and scores of all anchors.

    Args:
        anchors: ``(A, 4)`` float32, ``xyxy`` in pixels of the input.
    """

    def __init__(self, anchors: NDArray[np.float32], **kwargs: Any) -> None:
        super().__init__(dtype="float32", **kwargs)
        self.anchors = anchors

    def call(self, box: Any, classification: Any) -> tuple[Any, Any]:
        """Returns boxes ``(batch, A, 4)``, ``xyxy`` in pixels, not clipped, and scores ``(batch, A, classes)``."""
        return decode_boxes(ops.convert_to_tensor(self.anchors)[None], box), ops.sigmoid(classification)


def build_network(
    preset: str,
    *,
    num_classes: int,
    image_size: tuple[int, int],
    anchors: AnchorSettings,
    network: str = "boxwright",
    backbone: Any,
    scaling: tuple[Any, Any] = FROM_0_TO_255,
) -> Detector:
    """Returns a RetinaNet for images from 0 to 255.

    Args:
        preset: A key of :data:`boxwright_kerashub.PRESETS`.
        num_classes: The number of classes without the background, at least 1.
        image_size: Height and width of the input in pixels, multiples of 32.
        anchors: The anchors; the number of sizes is the number of pyramid levels, from ``first_level`` on.
        network: ``boxwright`` for its pyramid and heads, ``kerashub`` for KerasHub's own, which take five levels from
            P3 on.
        backbone: A backbone of KerasHub, such as that of :func:`scratch_backbone`.
        scaling: Scale and offset that the backbone expects, one number or one per color.

    Returns:
        The model, not compiled.
    """
    images = keras.layers.Input((*image_size, 3), name="images")
    scaled = keras.layers.Rescaling(*scaling, name="scaling")(images)
    if network == "kerashub":
        box, classification = _kerashub_outputs(backbone, scaled, num_classes, image_size)
    else:
        box, classification = _outputs(backbone, scaled, num_classes, anchors, *_HEADS.get(preset, _USUAL_HEADS))
    # Losses and decoding are float32 with every precision.
    outputs = {
        "box": keras.layers.Activation("linear", dtype="float32", name="box")(box),
        "classification": keras.layers.Activation("linear", dtype="float32", name="classification")(classification),
    }
    return Detector(images, outputs, backbone, all_anchors(anchors, image_size), num_classes)


def _outputs(
    backbone: Any, images: Any, num_classes: int, anchors: AnchorSettings, channels: int, convolutions: int
) -> tuple[Any, Any]:
    pyramid = Pyramid(channels, len(anchors.sizes), anchors.first_level)
    extractor = keras.Model(backbone.inputs, {name: backbone.pyramid_outputs[name] for name in pyramid.names})
    box_head = Head(anchors.per_location * 4, channels, convolutions)
    class_head = Head(anchors.per_location * num_classes, channels, convolutions, background=True)
    boxes, classes = [], []
    for feature in pyramid(extractor(images)):
        boxes.append(keras.layers.Reshape((-1, 4))(box_head(feature)))
        classes.append(keras.layers.Reshape((-1, num_classes))(class_head(feature)))
    return keras.layers.Concatenate(axis=1)(boxes), keras.layers.Concatenate(axis=1)(classes)


def _kerashub_outputs(backbone: Any, images: Any, num_classes: int, image_size: tuple[int, int]) -> tuple[Any, Any]:
    shape = (*image_size, 3)
    encoder = keras_hub.models.RetinaNetBackbone(backbone, min_level=3, max_level=7, use_p5=False, image_shape=shape)
    detector = keras_hub.models.RetinaNetObjectDetector(encoder, num_classes, bounding_box_format="xyxy")
    # In KerasHub 0.32, the box head has the prior of the classes, so that the first losses are in the thousands.
    for head, bias in ((detector.box_head, 0.0), (detector.classification_head, BACKGROUND_LOGIT)):
        layer = head.prediction_layer
        layer.bias.assign(ops.full(layer.bias.shape, bias))
    outputs = detector(images)
    return outputs["bbox_regression"], outputs["cls_logits"]


def scratch_backbone(preset: str, image_size: tuple[int, int]) -> Any:
    """Returns the backbone of a preset with random weights."""
    shape = (*image_size, 3)
    if preset == "tiny":
        return NarrowBackbone([32, 64, 128, 192], [1, 1, 2, 1], shape)
    config = _RESNETS["resnet18" if "18" in preset else "resnet50"]
    return keras_hub.models.ResNetBackbone(
        input_conv_filters=[64],
        input_conv_kernel_sizes=[7],
        stackwise_num_filters=[64, 128, 256, 512],
        stackwise_num_strides=[1, 2, 2, 2],
        use_pre_activation=True,
        image_shape=shape,
        **config,
    )


def pretrained_backbone(preset: str, weights: str | None) -> tuple[Any, tuple[Any, Any]]:
    """Returns a backbone with pretrained weights, and the scale and offset that its images need.

    Args:
        preset: The preset, which is downloaded unless ``weights`` is a folder.
        weights: A preset folder, the name of a preset, ``none`` or nothing.

    Raises:
        DataError: It cannot be downloaded or read, or is not a backbone with a pyramid.
    """
    source = weights or preset
    backbone = from_preset(keras_hub.models.Backbone, source)
    converter = from_preset(keras_hub.layers.ImageConverter, source)
    if not {"P3", "P4", "P5"} <= set(getattr(backbone, "pyramid_outputs", ())):
        raise DataError(source, "it is not a backbone with the levels P3, P4 and P5", "pass another one")
    return backbone, scaling_of(converter)


def from_preset(kind: Any, source: str) -> Any:
    """Returns an object of KerasHub with its pretrained weights.

    Args:
        kind: A class of KerasHub.
        source: A preset folder, or the name of a preset, which is downloaded.

    Raises:
        DataError: It cannot be downloaded or read.
    """
    try:
        return kind.from_preset(source)
    except Exception as error:  # the exceptions of downloads have no common class
        raise DataError(
            source,
            f"the pretrained weights could not be loaded ({type(error).__name__}: {_first_line(error)})",
            "check the internet access, or pass a folder that KerasHub's save_to_preset() wrote as weights=",
        ) from error


def scaling_of(converter: Any) -> tuple[Any, Any]:
    """Returns the scale and the offset of a KerasHub image converter."""
    scale, offset = converter.scale, converter.offset
    return 1.0 if scale is None else scale, 0.0 if offset is None else offset


def is_pretrained(preset: str, weights: str | None) -> bool:
    """Returns whether a training starts from a pretrained backbone."""
    return weights != NONE and (weights is not None or preset.endswith("_imagenet"))


def compile_network(model: Detector, recipe: Recipe) -> None:
    """Compiles a network for ``fit``, with losses of Keras that equal those of :mod:`boxwright_kerascv`.

    Except at small errors of a box: KerasCV's smooth L1 loss jumps at the cutoff, and this one does not.
    """
    cutoff = recipe.smooth_l1_cutoff
    model.compile(
        loss={
            "box": keras.losses.Huber(delta=cutoff, reduction="sum"),
            "classification": keras.losses.BinaryFocalCrossentropy(
                apply_class_balancing=True,
                alpha=recipe.focal_alpha,
                gamma=recipe.focal_gamma,
                from_logits=True,
                label_smoothing=recipe.label_smoothing,
                reduction="sum",
            ),
        },
        # Smooth L1 is Huber's loss divided by the cutoff; Keras averages the focal loss over the classes.
        loss_weights={"box": recipe.box_loss_weight / cutoff, "classification": float(model.num_classes)},
        optimizer=build_optimizer(recipe),
        # On a CPU, XLA makes TensorFlow slower.
        jit_compile=keras.backend.backend() == "jax",
    )


def _first_line(error: Exception) -> str:
    line = (str(error).strip() or type(error).__name__).splitlines()[0]
    return line if len(line) <= 100 else line[:97] + "..."
