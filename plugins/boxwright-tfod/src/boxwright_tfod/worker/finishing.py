"""The steps after training: the API's own evaluation and export."""

from __future__ import annotations

import os
from typing import Any

from . import prepare  # noqa: F401  isort:skip

import tensorflow as tf
from object_detection import exporter_lib_v2, inputs, model_lib_v2

from .pipeline import load
from .training import build, memory_errors


def evaluate(connection: Any, *, pipeline: str, folder: str, tensorboard: str) -> dict[str, float]:
    """Computes the metrics of ``eval_config`` on the records of ``eval_input_reader``, with the newest checkpoint.

    Returns:
        The values by the API's names, such as ``DetectionBoxes_Precision/mAP@.50IOU``.
    """
    _, configs = load(pipeline)
    configs["eval_input_config"] = configs["eval_input_configs"][0]
    configs["eval_input_config"].num_epochs = 1
    with memory_errors(connection, configs["train_config"]):
        model = build(connection, configs["model"], is_training=True)
        data = inputs.eval_input(
            eval_config=configs["eval_config"],
            eval_input_config=configs["eval_input_config"],
            model_config=configs["model"],
            model=model,
        )
        step = tf.Variable(0, trainable=False, dtype=tf.int64)
        newest = tf.train.latest_checkpoint(folder)
        tf.train.Checkpoint(step=step, model=model).restore(newest).expect_partial()
        with tf.summary.create_file_writer(tensorboard).as_default():
            found = model_lib_v2.eager_eval_loop(model, configs, data, global_step=step)
    return {name: float(value) for name, value in found.items()}


def export(
    connection: Any, *, pipeline: str, folder: str, out: str, input_type: str = "image_tensor"
) -> dict[str, str]:
    """Exports the newest checkpoint like the zoo: ``saved_model/``, ``checkpoint/`` and ``pipeline.config``.

    Args:
        connection: The connection to the main process.
        pipeline: The ``pipeline.config``.
        folder: The folder of the checkpoints.
        out: A new folder.
        input_type: The input of the SavedModel: ``image_tensor`` for uint8 ``(1, height, width, 3)``.
    """
    config, _ = load(pipeline)
    with memory_errors(connection, config.train_config):
        exporter_lib_v2.export_inference_graph(input_type, config, folder, out)
    return {name: os.path.join(out, name) for name in ("saved_model", "checkpoint", "pipeline.config")}
