"""Training: the API's own steps, in a loop that can be watched, stopped and resumed.

It does the same as ``object_detection/model_lib_v2.py: train_loop`` on one device, with its functions. In addition, it
reports every step, evaluates, saves a checkpoint of the last step, and ends if the loss is not a finite number.
"""

from __future__ import annotations

import math
import os
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

from .evaluation import Evaluation, History
from .normalization import put_statistics
from .pipeline import load

BEST = "best"
"""The folder with the best checkpoint, in the folder of the checkpoints."""

HISTORY = "evaluations.json"
_TOTAL = "Loss/total_loss"
_SUMMARIES = 200
_IMAGE_SUMMARIES = 5
_MEASURED_IMAGES = 16


def train(
    connection: Any,
    *,
    pipeline: str,
    folder: str,
    tensorboard: str,
    every: int,
    keep: int,
    seed: int,
    evaluate_every: int | None = None,
    patience: int | None = None,
) -> dict[str, Any]:
    """Trains to the last step, from the newest checkpoint in the folder if there is one.

    Args:
        connection: Receives ``start`` with the number of GPUs, ``step`` after each step, with the metrics if the model
            was evaluated after it, and ``checkpoint`` after each checkpoint.
        pipeline: The ``pipeline.config``.
        folder: The folder of the checkpoints. Its subfolder ``best`` gets the weights with the highest AP.
        tensorboard: The folder of the event files: ``train`` and ``eval`` in it.
        every: Steps between checkpoints.
        keep: Number of checkpoints to keep.
        seed: The seed of the weights; the API decides the order of the images.
        evaluate_every: Steps between evaluations on the held-out records; ``None`` for no evaluation.
        patience: Steps without a higher AP after which training stops; ``None`` for no limit.

    Returns:
        ``start``, the first step; ``step`` and ``loss``, the last ones; ``stopped``, whether this was before the end;
        if the model was evaluated, ``last`` and ``best`` with ``step`` and ``values``; ``best`` is ``None`` if there is
        no AP.
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
            put_statistics(model, _images(data, math.ceil(_MEASURED_IMAGES / config.batch_size)))
        start = int(step.numpy())
        connection.event("start", step=start, gpus=len(tf.config.list_physical_devices("GPU")))
        learning_rate = rate if callable(rate) else lambda: rate
        writer = tf.summary.create_file_writer(os.path.join(tensorboard, "train"))
        looks = None
        if evaluate_every is not None:
            evaluation = Evaluation(model, configs, os.path.join(tensorboard, "eval"))
            looks = _Looks(evaluation, tf.train.Checkpoint(step=step, model=model), folder, evaluate_every, patience)
            looks.resume(start, config.num_steps)
        advance = _step_function(model, data, optimizer, step, config, writer)
        loss = _loop(connection, advance, step, learning_rate, manager, writer, config.num_steps, every, looks)
        writer.close()
    end = int(step.numpy())
    seen = {} if looks is None else {"last": looks.history.last, "best": looks.history.best}
    return {"start": start, "step": end, "loss": loss, "stopped": end < config.num_steps, **seen}


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


class _Looks:
    """Evaluations at intervals, the weights of the best one, and early stopping.

    Args:
        evaluation: Evaluates the model.
        checkpoint: The model and its step.
        folder: The folder of the checkpoints.
        every: Steps between evaluations.
        patience: Steps without a higher AP after which training stops.

    Attributes:
        history: The evaluations so far.
    """

    def __init__(
        self, evaluation: Evaluation, checkpoint: tf.train.Checkpoint, folder: str, every: int, patience: int | None
    ) -> None:
        self.history = History(os.path.join(folder, HISTORY))
        self._evaluation = evaluation
        self._best = tf.train.CheckpointManager(checkpoint, os.path.join(folder, BEST), max_to_keep=1)
        self._every, self._patience = every, patience

    def due(self, step: int, steps: int) -> bool:
        """Whether the model is evaluated after a step."""
        return step % self._every == 0 or step == steps

    def resume(self, step: int, steps: int) -> None:
        """Continues after a step; what was evaluated later is trained again."""
        self.history.rewind(step)
        last = self.history.last
        if step and self.due(step, steps) and (last is None or last["step"] != step):  # killed in that evaluation
            self.evaluate(step)

    def evaluate(self, step: int) -> dict[str, float]:
        """Evaluates the model after a step, and keeps its weights if they are the best."""
        values = self._evaluation(step)
        self.history.add(step, values)
        best = self.history.best
        if best is not None and best["step"] == step:
            self._best.save(checkpoint_number=step)
        return values

    @property
    def finished(self) -> bool:
        """Whether early stopping ends the training."""
        return self._patience is not None and self.history.stalled(self._patience)


def _loop(
    connection: Any,
    advance: Callable[[], dict[str, Any]],
    step: tf.Variable,
    learning_rate: Callable[[], Any],
    manager: tf.train.CheckpointManager,
    writer: Any,
    steps: int,
    every: int,
    looks: _Looks | None,
) -> float | None:
    log_every = max(1, steps // _SUMMARIES)
    total = None
    for number in range(int(step.numpy()) + 1, steps + 1):
        if looks is not None and looks.finished:
            break
        started = time.perf_counter()
        rate = float(learning_rate())
        losses = {name: float(value) for name, value in advance().items()}
        total = losses[_TOTAL]
        if not math.isfinite(total):
            raise connection.Refusal(
                f"the loss is {total} at step {number}",
                "train with a lower learning rate: --set train_config.optimizer....learning_rate...=",
            )
        seconds = time.perf_counter() - started
        if number % log_every == 0 or number == steps:
            with writer.as_default(step=number):
                for name, value in {**losses, "learning_rate": rate, "steps_per_sec": 1 / seconds}.items():
                    tf.summary.scalar(name, value)
            writer.flush()
        looking = looks is not None and looks.due(number, steps)
        if number % every == 0 or number == steps or looking:
            path = manager.save(checkpoint_number=number)
            connection.event("checkpoint", step=number, path=path)
        seen = looks.evaluate(number) if looks is not None and looking else None
        connection.event("step", step=number, losses=losses, learning_rate=rate, seconds=seconds, evaluation=seen)
    return total


def _images(data: Any, batches: int) -> Iterator[Any]:
    """Yields batches of training images as the model takes them."""
    for features, _ in data.take(batches):
        yield features[standard_fields.InputDataFields.image]


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
