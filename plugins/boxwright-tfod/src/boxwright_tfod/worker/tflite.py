"""SSD models for TensorFlow Lite: the API's own intermediate SavedModel, converted.

The API does not include resizing and normalization in such a model (object_detection/export_tflite_graph_lib_tf2.py);
the values that a program needs to do both are derived from the model here.
"""

from __future__ import annotations

import tempfile
from typing import Any

from . import prepare  # noqa: F401  isort:skip

import tensorflow as tf
from object_detection import export_tflite_graph_lib_tf2

from .pipeline import load
from .training import build, memory_errors

BILINEAR = 0  # ResizeType of object_detection/protos/image_resizer.proto
_SIDE = 16


def export(connection: Any, *, pipeline: str, folder: str, target: str, precision: str, source: str) -> dict[str, Any]:
    """Writes the newest checkpoint as a ``.tflite`` file that ends in ``TFLite_Detection_PostProcess``.

    Its input is float32 ``(1, height, width, 3)``, resized and normalized; the custom operation decodes the boxes and
    does non-maximum suppression with the thresholds, the number of detections and the kind (by class or over all
    classes) of the configuration.

    Args:
        connection: The connection to the main process.
        pipeline: The ``pipeline.config``.
        folder: The folder of the checkpoint.
        target: The file to write.
        precision: ``fp32``; ``fp16`` for weights of half the size; ``int8`` for weights of a quarter of it, with which
            the interpreter calculates in integers where it can.
        source: The exported run, for messages.

    Returns:
        ``mean`` and ``std``, three numbers each: the model takes ``(pixel - mean) / std`` of pixels 0..255; and
        ``resizer``, empty if an image is stretched to the size of the input, else with ``min_dimension``,
        ``max_dimension`` and ``pad`` (three numbers, after normalization) of a ``keep_aspect_ratio_resizer``.
    """
    config, _ = load(pipeline)
    kind = config.model.WhichOneof("model")
    if kind != "ssd":
        raise connection.Refusal(
            f"{source} is a model of type {kind}, and TensorFlow Lite supports only SSD",
            "train one: --preset ssd_mobilenet_v2_fpnlite_320; or export to tfod-saved-model",
            "usage",
        )
    resizer = _resizer(connection, config.model.ssd.image_resizer, source)
    nms = config.model.ssd.post_processing.batch_non_max_suppression
    if nms.soft_nms_sigma > 0:
        connection.warning(
            f"{source} has soft_nms_sigma={nms.soft_nms_sigma:g}, which TensorFlow Lite does not support."
        )
    with memory_errors(connection, config.train_config), tempfile.TemporaryDirectory() as temporary:
        model = build(connection, config.model, is_training=False)
        mean, std = _normalization(connection, model, source)
        module = _Module(config, model, nms.max_total_detections, not nms.use_class_agnostic_nms)
        _save(model, module, folder, temporary)
        converter = tf.lite.TFLiteConverter.from_saved_model(temporary)
        converter.allow_custom_ops = True
        if precision != "fp32":
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if precision == "fp16":
            converter.target_spec.supported_types = [tf.float16]
        content = converter.convert()
    with open(target, "wb") as file:
        file.write(content)
    return {"mean": mean, "std": std, "resizer": resizer}


def _resizer(connection: Any, config: Any, source: str) -> dict[str, Any]:
    """Returns the resizer's settings; the configuration is changed to a fixed shape, which the API requires."""
    kind = config.WhichOneof("image_resizer_oneof")
    chosen: Any = getattr(config, kind) if kind else None
    if kind not in ("fixed_shape_resizer", "keep_aspect_ratio_resizer") or (
        kind == "keep_aspect_ratio_resizer" and not chosen.pad_to_max_dimension
    ):
        raise connection.Refusal(
            f"{source} takes images of varying sizes ({kind}), and TensorFlow Lite requires a fixed size",
            "train it with --image-size WIDTHxHEIGHT",
            "usage",
        )
    if chosen.resize_method != BILINEAR or chosen.convert_to_grayscale:
        raise connection.Refusal(
            f"{source} resizes with another method than BILINEAR, or to gray, which cannot be exported",
            "export to tfod-saved-model, which includes resizing",
            "usage",
        )
    if kind == "fixed_shape_resizer":
        return {}
    settings = {
        "min_dimension": chosen.min_dimension,
        "max_dimension": chosen.max_dimension,
        "pad": list(chosen.per_channel_pad_value) or [0.0, 0.0, 0.0],
    }
    config.fixed_shape_resizer.height = config.fixed_shape_resizer.width = settings["max_dimension"]
    return settings


def _normalization(connection: Any, model: Any, source: str) -> tuple[list[float], list[float]]:
    """Derives the mean and standard deviation per channel from the preprocessing of black, white and noise."""
    preprocess = model._feature_extractor.preprocess
    shape = (1, _SIDE, _SIDE, 3)
    black, white = preprocess(tf.zeros(shape)).numpy(), preprocess(tf.fill(shape, 255.0)).numpy()
    scale, offset = (white - black)[0, 0, 0] / 255.0, black[0, 0, 0]
    noise = tf.random.stateless_uniform(shape, (1, 2), 0.0, 255.0)
    difference = abs(preprocess(noise).numpy() - (noise.numpy() * scale + offset)).max()
    if not (scale > 0).all() or difference > 1e-4 * abs(white).max():
        raise connection.Refusal(
            f"{source} does not normalize pixels by (pixel - mean) / std per channel",
            "export to tfod-saved-model, which includes the normalization",
            "usage",
        )
    return [float(value) for value in -offset / scale], [float(value) for value in 1.0 / scale]


class _Module(export_tflite_graph_lib_tf2.SSDModule):  # type: ignore[misc]
    """The API's module with one more option of the custom operation, which is 100 by default."""

    def postprocess_implements_signature(self) -> str:
        nms = self._pipeline_config.model.ssd.post_processing.batch_non_max_suppression
        most = nms.max_detections_per_class
        return (
            f'{super().postprocess_implements_signature()} attr {{ key: "detections_per_class" value {{ i: {most} }} }}'
        )


def _save(model: Any, module: Any, folder: str, target: str) -> None:
    """Writes the SavedModel to convert: as ``export_tflite_model`` does, but only the graph and its variables.

    Keras layers in it would each be traced again, which takes most of the time and is not needed.
    """
    checkpoint = tf.train.CheckpointManager(tf.train.Checkpoint(model=model), folder, max_to_keep=1)
    status = checkpoint.checkpoint.restore(checkpoint.latest_checkpoint).expect_partial()
    image = tf.TensorSpec(module.input_shape(), tf.float32, name="input")
    function = module.inference_fn.get_concrete_function(image)  # creates the variables
    status.assert_existing_objects_matched()
    kept = tf.Module()
    kept.variables_of_graph = list(function.graph.variables)
    tf.saved_model.save(kept, target, signatures=function)
