"""The network of a run as a SavedModel, which exporters convert; Keras must use TensorFlow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import tensorflow as tf

from boxwright.models import Network, Run
from boxwright_kerashub.backend import load
from boxwright_tf.quiet import quiet_stderr


def write_network(run: Run, folder: Path) -> Network:
    """Writes the network of a run; see :class:`boxwright.models.Network`.

    Raises:
        RunError: The run has no model yet, or its files are inconsistent.
    """
    model = load(run)
    size = model.inputs.height, model.inputs.width

    @tf.function(input_signature=[tf.TensorSpec((None, *size, 3), tf.float32, name="images")], autograph=False)
    def serve(images: Any) -> dict[str, Any]:
        boxes, scores = model.decoded(images, training=False)
        return {"boxes": boxes, "scores": scores}

    module = tf.Module()
    module.network = model.decoded
    with quiet_stderr():
        tf.saved_model.save(module, str(folder), signatures={"serving_default": serve})
    return Network(folder, model.inputs, model.decoder, run.label_map)
