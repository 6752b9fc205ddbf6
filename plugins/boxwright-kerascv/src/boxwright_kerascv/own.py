"""A detector of the user in the training: KerasCV's or KerasHub's RetinaNet, built by any program."""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

import keras
import keras_cv
import tensorflow as tf

from boxwright import LabelMap, UsageError
from boxwright.models import DecoderSettings
from boxwright_retinanet.images import PAD
from boxwright_retinanet.recipe import LOSS_SETTINGS, OPTIMIZER_SETTINGS, Recipe

OWN_SETTINGS = ("network", "freeze_backbone", "precision", "weights")
"""The settings that such a detector replaces."""


class Adapter(Protocol):
    """How the labels and the output of a detector are converted; boxes are ``xyxy`` in pixels of its input."""

    model: Any
    outputs: tuple[str, str]

    def labels(self, images: Any, labels: Mapping[str, Any]) -> dict[str, Any]:
        """Converts a batch of ``boxes`` and ``classes``, padded with -1."""
        ...

    def found(self, images: Any) -> tuple[Any, Any, Any]:
        """Returns boxes ``(batch, N, 4)``, scores and classes ``(batch, N)``, with a score of -1 for padding."""
        ...


class _KerasCV:
    """A ``keras_cv.models.RetinaNet``."""

    outputs = ("box", "classification")

    def __init__(self, model: Any) -> None:
        self.model = model

    def labels(self, images: Any, labels: Mapping[str, Any]) -> dict[str, Any]:
        boxes = keras_cv.bounding_box.convert_format(
            labels["boxes"], source="xyxy", target=self.model.bounding_box_format, images=images
        )
        return {"boxes": tf.where(labels["classes"][..., None] >= 0, boxes, PAD), "classes": labels["classes"]}

    def found(self, images: Any) -> tuple[Any, Any, Any]:
        decoded = self.model.decode_predictions(self.model({"images": images}, training=False), images)
        boxes = keras_cv.bounding_box.convert_format(
            decoded["boxes"], source=self.model.bounding_box_format, target="xyxy", images=images
        )
        return boxes, decoded["confidence"], decoded["classes"]


class _KerasHub:
    """A ``keras_hub.models.RetinaNetObjectDetector``, with its preprocessor."""

    outputs = ("bbox_regression", "cls_logits")

    def __init__(self, model: Any) -> None:
        self.model = model

    def labels(self, images: Any, labels: Mapping[str, Any]) -> dict[str, Any]:
        height, width = images.shape[1:3]
        boxes = keras.utils.bounding_boxes.convert_format(
            labels["boxes"], source="xyxy", target=self.model.bounding_box_format, height=height, width=width
        )
        return {"boxes": tf.where(labels["classes"][..., None] >= 0, boxes, PAD), "labels": labels["classes"]}

    def found(self, images: Any) -> tuple[Any, Any, Any]:
        height, width = images.shape[1:3]
        preprocessor = self.model.preprocessor
        inputs = images if preprocessor is None else preprocessor.image_converter(images)
        raw = self.model(inputs, training=False)

        def decode(row: tuple[Any, Any, Any]) -> tuple[Any, Any, Any]:
            one = {name: value[None] for name, value in zip(self.outputs, row, strict=False)}
            decoded = self.model.decode_predictions(one, row[2][None])
            values = (decoded[name][0] for name in ("boxes", "confidence", "labels"))
            boxes, scores, classes = (tf.cast(value, tf.float32) for value in values)
            return boxes, scores, classes

        # Image by image, because KerasHub's suppression fails for an unknown number of images.
        rows = (*(raw[name] for name in self.outputs), inputs)
        boxes, scores, classes = tf.map_fn(decode, rows, fn_output_signature=(tf.float32,) * 3)
        boxes = keras.utils.bounding_boxes.convert_format(
            boxes, source=self.model.bounding_box_format, target="xyxy", height=height, width=width
        )
        return boxes, scores, classes


def adapter_of(model: object) -> Adapter:
    """Returns the adapter of a detector.

    Raises:
        UsageError: It is neither KerasCV's nor KerasHub's RetinaNet.
    """
    if isinstance(model, keras_cv.models.RetinaNet):
        return _KerasCV(model)
    hub = sys.modules.get("keras_hub")  # imported already if the model comes from it
    if hub is not None and isinstance(model, hub.models.RetinaNetObjectDetector):
        return _KerasHub(model)
    raise UsageError(
        f"the model is a {type(model).__module__}.{type(model).__name__}",
        "pass a keras_cv.models.RetinaNet or a keras_hub.models.RetinaNetObjectDetector",
    )


def make_own_detector(adapter: Adapter, decoder: DecoderSettings, image_size: tuple[int, int]) -> Any:
    """Returns a function like that of :func:`boxwright_kerascv.decode.make_detector`.

    The detector's own decoder chooses the detections; of the settings, ``score_threshold`` and ``max_detections`` apply
    to its result.
    """
    height, width = image_size

    @tf.function(input_signature=[tf.TensorSpec((None, height, width, 3), tf.float32)])
    def detect(images: Any) -> dict[str, Any]:
        boxes, scores, classes = adapter.found(images)
        boxes = tf.clip_by_value(tf.cast(boxes, tf.float32), 0.0, tf.constant([width, height] * 2, tf.float32))
        area = tf.reduce_min(boxes[..., 2:] - boxes[..., :2], axis=-1)
        valid = (scores >= decoder.score_threshold) & (area > 0)
        count = min(decoder.max_detections, scores.shape[1])
        best, places = tf.math.top_k(tf.where(valid, tf.cast(scores, tf.float32), -1.0), count)
        return {
            "boxes": tf.gather(boxes, places, batch_dims=1),
            "scores": best,
            "classes": tf.cast(tf.gather(classes, places, batch_dims=1), tf.int32),
            "num": tf.reduce_sum(tf.cast(best >= 0, tf.int32), axis=1),
        }

    return detect


@contextmanager
def plain_inputs() -> Iterator[None]:
    """Suppresses a warning of Keras: KerasCV names the input of its RetinaNet, and ``fit`` passes a plain tensor."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "(?s).*structure of `inputs` doesn't match", UserWarning)
        yield


def adapted(batches: Any, adapter: Adapter, recipe: Recipe) -> Any:
    """Returns the batches of a training with the labels that a detector of the user expects."""

    def convert(images: Any, labels: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        boxes, classes = labels["boxes"], labels["classes"]
        if recipe.batch_size == 1:  # KerasCV's matching fails for one image with an unknown number of boxes
            more = recipe.max_boxes - tf.shape(classes)[1]
            boxes = tf.pad(boxes, [[0, 0], [0, more], [0, 0]], constant_values=PAD)
            classes = tf.pad(classes, [[0, 0], [0, more]], constant_values=PAD)
            boxes = tf.ensure_shape(boxes, (1, recipe.max_boxes, 4))
            classes = tf.ensure_shape(classes, (1, recipe.max_boxes))
        return images, adapter.labels(images, {"boxes": boxes, "classes": classes})

    return batches.map(convert, num_parallel_calls=tf.data.AUTOTUNE)


def check_own(objects: Mapping[str, Any], label_map: LabelMap, recipe: Recipe, settings: Mapping[str, Any]) -> None:
    """Checks a detector against the training.

    Raises:
        UsageError: It has another number of classes or another input, cannot be saved, or a setting contradicts it.
    """
    model = objects["model"]
    if model.num_classes != len(label_map):
        raise UsageError(
            f"the model has {model.num_classes} classes, and the data has {len(label_map)}: "
            f"{', '.join(label_map.names)}",
            "build the model with as many",
        )
    if (size := own_size(model)) not in (None, (recipe.width, recipe.height)):
        raise UsageError(
            f"the model's input is {size[0]}x{size[1]}, and the image size {recipe.width}x{recipe.height}",
            f"pass image_size=({size[0]}, {size[1]}), multiples of 32",
        )
    compiled = compiled_by_user(model)
    for name in (*OWN_SETTINGS, *(OPTIMIZER_SETTINGS + LOSS_SETTINGS if compiled else ())):
        if name in settings:
            kind = "compiled model" if compiled else "model"
            raise UsageError(f"a {kind} was passed, and the setting {name}", "remove one of them")
    if compiled and (also := objects.keys() & {"optimizer", "box_loss", "classification_loss"}):
        raise UsageError(f"a compiled model was passed, and {', '.join(sorted(also))}", "remove one of them")
    try:
        copied = restored(described(model))
    except (TypeError, ValueError, AttributeError, KeyError) as error:
        raise UsageError(f"the model cannot be saved: {error}", "register its classes with Keras") from error
    if [weight.shape for weight in copied.weights] != [weight.shape for weight in model.weights]:
        raise UsageError(
            "the model cannot be saved: the one that its configuration describes has other weights",
            "return all arguments from get_config; keras_cv.models.RetinaNet omits feature_pyramid",
        )


def compiled_by_user(model: Any) -> bool:
    """Returns whether the optimizer and the losses of a detector are used, instead of those of the settings.

    KerasHub compiles every detector when it is created, with ``Adam(5e-5)``, which is not what the user chose.
    """
    if not model.compiled or not isinstance(adapter_of(model), _KerasHub):
        return bool(model.compiled)
    default = keras.optimizers.Adam(5e-5, name=model.optimizer.name)
    return bool(model.optimizer.built or model.optimizer.get_config() != default.get_config())


def described(model: Any) -> dict[str, Any]:
    """Returns the configuration of a detector as JSON values."""
    config = keras.saving.serialize_keras_object(model)
    # KerasCV's compile does not accept the arguments in it.
    config.pop("compile_config", None)
    described: dict[str, Any] = json.loads(json.dumps(config))
    return described


def restored(config: Mapping[str, Any]) -> Any:
    """Returns the detector of :func:`described`, with random weights, not compiled."""
    model = keras.saving.deserialize_keras_object(dict(config))
    if model.compiled:  # by KerasHub: Keras would look for the state of its optimizer in a file of weights
        model.optimizer, model.compiled = None, False
    return model


def own_size(model: Any) -> tuple[int, int] | None:
    """Returns the width and height of a detector's input, or ``None`` if it accepts any."""
    height, width = model.input_shape[1:3]
    converter = getattr(getattr(model, "preprocessor", None), "image_converter", None)  # of KerasHub: it also resizes
    if converter is not None and converter.image_size is not None:
        height, width = converter.image_size
    return None if height is None or width is None else (width, height)
