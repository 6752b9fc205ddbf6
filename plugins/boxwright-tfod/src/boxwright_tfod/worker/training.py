"""Training: the API's own steps, in a loop that can be watched, stopped and resumed.

It does the same as ``object_detection/model_lib_v2.py: train_loop`` on one device, with its functions. In addition, it
reports every step, saves a checkpoint of the last one, and ends if the loss is not a finite number.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from . import prepare  # noqa: F401  isort:skip

import tensorflow as tf
from object_detection import inputs, model_lib_v2
from object_detection.builders import model_builder, optimizer_builder
from object_detection.core import standard_fields
from object_detection.utils import config_util, variables_helper

from .pipeline import load

_SUMMARIES = 200
_IMAGE_SUMMARIES = 5


def train(
    connection: Any, *, pipeline: str, folder: str, tensorboard: str, every: int, keep: int, seed: int
) -> dict[str, Any]:
    """Trains to the last step, from the newest checkpoint in the folder if there is one.

    Args:
        connection: Receives ``step`` after each step and ``checkpoint`` after each checkpoint.
        pipeline: The ``pipeline.config``.
        folder: The folder of the checkpoints.
        tensorboard: The folder of the event files.
        every: Steps between checkpoints.
        keep: Number of checkpoints to keep.
        seed: The seed of the weights; the API decides the order of the images.

    Returns:
        The first step and the last loss.
    """
    _, configs = load(pipeline)
    config = configs["train_config"]
    tf.keras.utils.set_random_seed(seed)
    with memory_errors(connection, config):
        model = build(connection, configs["model"], is_training=True)
        data = inputs.train_input(
            train_config=config,
            train_input_config=configs["train_input_config"],
            model_config=configs["model"],
            model=model,
        ).repeat()
        step = tf.Variable(0, trainable=False, dtype=tf.int64, name="global_step")
        optimizer, (rate,) = optimizer_builder.build(config.optimizer, global_step=step)
        if config.optimizer.use_moving_average:
            _run_once(model, data, config)
            optimizer.shadow_copy(model)
        checkpoint = tf.train.Checkpoint(step=step, model=model, optimizer=optimizer)
        manager = tf.train.CheckpointManager(checkpoint, folder, max_to_keep=keep)
        if manager.latest_checkpoint:
            _restore(connection, checkpoint, manager.latest_checkpoint)
        elif config.fine_tune_checkpoint:
            _load_pretrained(connection, model, data, config, folder)
        start = int(step.numpy())
        connection.event("start", step=start)
        learning_rate = rate if callable(rate) else lambda: rate
        writer = tf.summary.create_file_writer(tensorboard)
        advance = _step_function(model, data, optimizer, step, config, writer)
        loss = _loop(connection, advance, step, learning_rate, manager, writer, config.num_steps, every)
        writer.close()
    return {"start": start, "loss": loss}


def build(connection: Any, config: Any, *, is_training: bool) -> Any:
    """Builds the model, or refuses with the API's message."""
    try:
        return model_builder.build(config, is_training=is_training)
    except (ValueError, KeyError, AttributeError, AssertionError, NotImplementedError) as error:
        raise connection.Refusal(
            f"the API cannot build this model: {error}", "correct the model's fields", "usage"
        ) from error


@contextmanager
def memory_errors(connection: Any, config: Any) -> Iterator[None]:
    """Turns TensorFlow's errors about memory into a plain message."""
    try:
        yield
    except (tf.errors.ResourceExhaustedError, MemoryError) as error:
        raise connection.Refusal(
            f"out of memory with {config.batch_size} images per step: {str(error)[:200]}",
            "set a smaller --batch-size or --image-size, and train again or with --resume",
        ) from error


def _loop(
    connection: Any,
    advance: Callable[[], dict[str, Any]],
    step: tf.Variable,
    learning_rate: Callable[[], Any],
    manager: tf.train.CheckpointManager,
    writer: Any,
    steps: int,
    every: int,
) -> float | None:
    log_every = max(1, steps // _SUMMARIES)
    total = None
    for number in range(int(step.numpy()) + 1, steps + 1):
        started = time.perf_counter()
        rate = float(learning_rate())
        losses = {name.removeprefix("Loss/"): float(value) for name, value in advance().items()}
        total = losses["total_loss"]
        if not math.isfinite(total):
            raise connection.Refusal(
                f"the loss is {total} at step {number}",
                "train with a lower learning rate: --set train_config.optimizer....learning_rate...=",
            )
        seconds = time.perf_counter() - started
        connection.event("step", step=number, losses=losses, learning_rate=rate, seconds=seconds)
        if number % log_every == 0 or number == steps:
            with writer.as_default(step=number):
                for name, value in {**losses, "learning_rate": rate, "steps_per_sec": 1 / seconds}.items():
                    tf.summary.scalar(name, value)
            writer.flush()
        if number % every == 0 or number == steps:
            path = manager.save(checkpoint_number=number)
            connection.event("checkpoint", step=number, path=path)
    return total


def _step_function(
    model: Any, data: Any, optimizer: Any, step: tf.Variable, config: Any, writer: Any
) -> Callable[[], dict[str, Any]]:
    iterator = iter(data)
    clip = config.gradient_clipping_by_norm if config.gradient_clipping_by_norm > 0 else None
    every = tf.constant(max(1, config.num_steps // _IMAGE_SUMMARIES), tf.int64)

    def advance() -> dict[str, Any]:
        features, labels = next(iterator)
        with writer.as_default(), tf.summary.record_if(lambda: tf.equal(step % every, 0)):
            tf.summary.image("train_input_images", features[standard_fields.InputDataFields.image], step, max_outputs=3)
            losses: dict[str, Any] = model_lib_v2.eager_train_step(
                model,
                features,
                labels,
                config.unpad_groundtruth_tensors,
                optimizer,
                training_step=step,
                add_regularization_loss=config.add_regularization_loss,
                clip_gradients_value=clip,
            )
        step.assign_add(1)
        return losses

    compiled: Callable[[], dict[str, Any]] = tf.function(advance)
    return compiled


def _run_once(model: Any, data: Any, config: Any) -> None:
    """Creates the model's variables."""
    model_lib_v2._ensure_model_is_built(model, data, config.unpad_groundtruth_tensors)


def _restore(connection: Any, checkpoint: tf.train.Checkpoint, path: str) -> None:
    try:
        checkpoint.restore(path).assert_existing_objects_matched()
    except (AssertionError, ValueError, tf.errors.OpError) as error:
        raise connection.Refusal(
            f"{path} cannot be resumed: {str(error)[:300]}", "train again into another folder"
        ) from error


def _load_pretrained(connection: Any, model: Any, data: Any, config: Any, folder: str) -> None:
    """Loads the pretrained weights that ``fine_tune_checkpoint_type`` selects."""
    config_util.update_fine_tune_checkpoint_type(config)
    path, kind = config.fine_tune_checkpoint, config.fine_tune_checkpoint_type
    try:
        variables_helper.ensure_checkpoint_supported(path, kind, folder)
        model_lib_v2.load_fine_tune_checkpoint(
            model,
            path,
            kind,
            config.fine_tune_checkpoint_version,
            config.run_fine_tune_checkpoint_dummy_computation,
            data,
            config.unpad_groundtruth_tensors,
        )
    except (AssertionError, ValueError, RuntimeError, OSError, tf.errors.OpError) as error:
        reason = str(error).strip().partition("\n")[0][:300]
        raise connection.Refusal(
            f"{path} does not match this model (as fine_tune_checkpoint_type {kind!r}): {reason}",
            "use the checkpoint of such a model, or the preset of the checkpoint",
            "usage",
        ) from error
    connection.message(f"Starting from {path} ({kind}).")
