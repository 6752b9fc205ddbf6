"""A network with everything around it, as one SavedModel."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import tensorflow as tf

from boxwright.models import Network
from boxwright_savedmodel.bfloat16 import in_bfloat16, require_bfloat16
from boxwright_savedmodel.images import read, resize
from boxwright_savedmodel.serving import write_warm_up
from boxwright_tf.quiet import quiet_stderr
from boxwright_tf.suppression import suppress


def convert(network: Network, folder: Path, precision: str) -> None:
    """Writes a SavedModel from images to detections.

    Its signatures return, for a batch of images, ``boxes`` ``(batch, D, 4)`` float32, ``xyxy`` in pixels of each image,
    ``scores`` ``(batch, D)`` float32, and ``classes`` ``(batch, D)`` int32 from 0, best first and padded with -1, and
    ``num_detections`` ``(batch,)`` int32. ``serving_default`` takes ``image_bytes``, ``(batch,)`` JPEG or PNG files of
    any sizes; boxes are in pixels of the upright image. ``images`` takes ``images``, ``(batch, height, width, 3)``
    uint8 RGB of any size.

    Args:
        network: The network.
        folder: The folder to write.
        precision: Of the network, ``fp32`` or ``bf16``.

    Raises:
        UsageError: This CPU does not compute in bfloat16, for ``bf16``.
        ExportError: TensorFlow does not convert the network to bfloat16.
    """
    if precision == "bf16":
        require_bfloat16()
    inputs = network.inputs
    input_spec = tf.TensorSpec((inputs.height, inputs.width, 3), tf.float32)
    with quiet_stderr():
        loaded = tf.saved_model.load(str(network.saved_model))
        infer = loaded.signatures["serving_default"]
        run = in_bfloat16(infer) if precision == "bf16" else lambda images: infer(images=images)

        def detect(pixels: Any, sizes: Any) -> dict[str, Any]:
            outputs = run(pixels)
            found = suppress(outputs["boxes"], outputs["scores"], (inputs.height, inputs.width), network.decoder)
            factors = tf.cast(sizes, tf.float32) / [inputs.width, inputs.height]
            boxes = found["boxes"] * tf.tile(factors, (1, 2))[:, None]
            valid = found["classes"][..., None] >= 0
            return {
                "boxes": tf.where(valid, boxes, -1.0),
                "scores": found["scores"],
                "classes": found["classes"],
                "num_detections": found["num"],
            }

        @tf.function(input_signature=[tf.TensorSpec((None,), tf.string, name="image_bytes")], autograph=False)
        def from_files(image_bytes: Any) -> dict[str, Any]:
            sizes = tf.TensorSpec((2,), tf.int32)
            prepared = tf.map_fn(lambda each: read(each, inputs), image_bytes, fn_output_signature=(input_spec, sizes))
            return detect(*prepared)

        @tf.function(input_signature=[tf.TensorSpec((None, None, None, 3), tf.uint8, name="images")], autograph=False)
        def from_pixels(images: Any) -> dict[str, Any]:
            size = tf.shape(images)[2:0:-1]
            pixels = tf.map_fn(lambda each: resize(each, inputs), images, fn_output_signature=input_spec)
            return detect(pixels, tf.tile(size[None], (tf.shape(images)[0], 1)))

        module = tf.Module()
        if precision == "fp32":
            module.variables_of_network = loaded
        with TemporaryDirectory() as temporary:
            labels = Path(temporary, "labels.txt")
            labels.write_text("".join(f"{name}\n" for name in network.label_map.names), "utf-8")
            module.labels = tf.saved_model.Asset(str(labels))
            signatures = {"serving_default": from_files, "images": from_pixels}
            tf.saved_model.save(module, str(folder), signatures=signatures)
        gray = tf.zeros((inputs.height, inputs.width, 3), tf.uint8)
        requests = {"serving_default": {"image_bytes": [tf.io.encode_jpeg(gray).numpy()]}}
        write_warm_up(folder, requests | {"images": {"images": gray.numpy()[None]}})
