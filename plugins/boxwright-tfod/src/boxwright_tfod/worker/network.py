"""The network of an SSD model, for exporters: without resizing and suppression."""

from __future__ import annotations

from typing import Any

from . import prepare  # noqa: F401  isort:skip

import tensorflow as tf

from .pipeline import load
from .tflite import BILINEAR
from .training import build, memory_errors


def export(
    connection: Any, *, pipeline: str, folder: str, target: str, classes: list[int], source: str
) -> dict[str, Any]:
    """Writes the newest checkpoint as a SavedModel, as :class:`boxwright.models.Network` describes it.

    Args:
        connection: The connection to the main process.
        pipeline: The ``pipeline.config``.
        folder: The folder of the checkpoint.
        target: The folder to write.
        classes: The position of each class in the scores of the model, without the background.
        source: The exported run, for messages.

    Returns:
        ``width`` and ``height`` of the input, and ``decoder``, the settings of the non-maximum suppression.
    """
    config, _ = load(pipeline)
    kind = config.model.WhichOneof("model")
    if kind != "ssd":
        raise connection.Refusal(
            f"{source} is a model of type {kind}; only SSD has a network that can be separated from its suppression",
            "train one: --preset ssd_mobilenet_v2_fpnlite_320; or export to tfod-saved-model",
            "usage",
        )
    resizer = config.model.ssd.image_resizer
    shape = resizer.fixed_shape_resizer
    if (
        resizer.WhichOneof("image_resizer_oneof") != "fixed_shape_resizer"
        or shape.resize_method != BILINEAR
        or shape.convert_to_grayscale
    ):
        raise connection.Refusal(
            f"{source} does not stretch images to a fixed size by the method BILINEAR",
            "train it with --image-size WIDTHxHEIGHT, or export to tfod-saved-model, which includes resizing",
            "usage",
        )
    nms = config.model.ssd.post_processing.batch_non_max_suppression
    with memory_errors(connection, config.train_config):
        model = build(connection, config.model, is_training=False)
        _save(model, folder, target, shape.height, shape.width, classes)
    return {
        "width": shape.width,
        "height": shape.height,
        "decoder": {
            "score_threshold": nms.score_threshold,
            "iou_threshold": nms.iou_threshold,
            "max_detections": nms.max_total_detections,
            # The API multiplies scores by exp(-iou**2 / (2 * sigma)), as TensorFlow's NonMaxSuppressionV5 does.
            "soft_nms_sigma": 2 * nms.soft_nms_sigma,
            "suppression": "all" if nms.use_class_agnostic_nms else "class",
        },
    }


def _save(model: Any, folder: str, target: str, height: int, width: int, classes: list[int]) -> None:
    spec = tf.TensorSpec((None, height, width, 3), tf.float32, name="images")

    # autograph=False would leave out the loops of the API's own code.
    @tf.function(input_signature=[spec])  # type: ignore[misc,untyped-decorator,unused-ignore]
    def serve(images: Any) -> dict[str, Any]:
        count = tf.shape(images)[0]
        shapes = tf.tile(tf.constant([[height, width, 3]]), [count, 1])
        pixels = model._feature_extractor.preprocess(images)
        predictions = model.predict(pixels, shapes)
        # As in SSDMetaArch.postprocess, whose assertions no converter supports.
        boxes, _ = model._batch_decode(predictions["box_encodings"], predictions["anchors"])
        scores = model._score_conversion_fn(predictions["class_predictions_with_background"])
        background = int(scores.shape[-1]) - model.num_classes
        corners = tf.gather(boxes, [1, 0, 3, 2], axis=-1) * tf.constant([width, height, width, height], tf.float32)
        return {
            "boxes": tf.identity(corners, name="boxes"),
            "scores": tf.gather(scores, [background + each for each in classes], axis=-1),
        }

    checkpoint = tf.train.CheckpointManager(tf.train.Checkpoint(model=model), folder, max_to_keep=1)
    status = checkpoint.checkpoint.restore(checkpoint.latest_checkpoint).expect_partial()
    function = serve.get_concrete_function()  # creates the variables
    status.assert_existing_objects_matched()
    # How many boxes there are is known only from the anchors, which the graph computes.
    shapes = {name: (None, *found.shape[1:]) for name, found in function(tf.zeros((1, *spec.shape[1:]))).items()}

    @tf.function(input_signature=[spec], autograph=False)  # type: ignore[misc,untyped-decorator,unused-ignore]
    def serve_shaped(images: Any) -> dict[str, Any]:
        return {name: tf.ensure_shape(found, shapes[name], name=name) for name, found in function(images).items()}

    kept = tf.Module()
    kept.variables_of_graph = list(function.graph.variables)
    tf.saved_model.save(kept, target, signatures=serve_shaped.get_concrete_function())
