"""Work between steps: checkpoints, metrics, validation, TensorBoard, early stopping.

A training is reported in *rounds* of whole epochs, or of parts of one if an epoch is long: twenty images are an epoch
of three steps, and a checkpoint after each would take longer than the steps.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from boxwright import Dataset, RunError, Sample, Task, TrainJob
from boxwright.datasets import map_samples
from boxwright.images import decode_sample, encode_jpeg
from boxwright.models import DecoderSettings
from boxwright.render import draw_boxes, palette, side_by_side
from boxwright_kerascv.checkpoint import save_checkpoint
from boxwright_kerascv.images import prepare
from boxwright_kerascv.inputs import PAD
from boxwright_kerascv.layers import Detector
from boxwright_kerascv.predictor import KerasCVModel, network_input
from boxwright_kerascv.recipe import Recipe

ROUNDS = 30
LONGEST_ROUND = 500
EVALUATIONS = 10
MOST_VALIDATION_IMAGES = 200
DRAWN = 6
DRAWN_SCORE = 0.3
FOLDER = "pictures"
"""The folder of a run for images with the predictions of the final model."""


def round_steps(recipe: Recipe) -> int:
    """Returns the steps per round: whole epochs if they are short, otherwise an even part of one.

    Rounding the recipe's steps up to whole rounds does not change the length of a round.
    """
    epoch = recipe.steps_per_epoch
    if epoch > LONGEST_ROUND:
        return math.ceil(epoch / math.ceil(epoch / LONGEST_ROUND))
    length = max(1, math.ceil(recipe.steps / ROUNDS / epoch))
    return min(length, max(1, LONGEST_ROUND // epoch)) * epoch


class Watch:
    """Evaluates validation images during a training, and writes TensorBoard's files.

    Validation images never change the weights; they end a training only with early stopping.

    Attributes:
        losses: Every loss on the validation images, in order.
    """

    def __init__(self, job: TrainJob, recipe: Recipe, model: Detector, decoder: DecoderSettings) -> None:
        self._job = job
        self._model = model
        self._predictor = KerasCVModel(model, job.label_map, recipe.image_size, decoder, recipe.oversample)
        self._writer = tf.summary.create_file_writer(str(job.run.file("tensorboard")))
        self._validation = _validation_batches(job, recipe)
        self._samples = _readable(job.val if job.val is not None else job.data, DRAWN)
        self.losses: list[float] = []

    @classmethod
    @contextmanager
    def open(cls, job: TrainJob, recipe: Recipe, model: Detector, decoder: DecoderSettings) -> Iterator[Watch]:
        """Opens the event file during a training."""
        watch = cls(job, recipe, model, decoder)
        try:
            yield watch
        finally:
            watch._writer.close()

    def evaluate(self) -> dict[str, float]:
        """Returns the loss on the validation images: ``{"val_loss": ...}``, empty if there are none."""
        if self._validation is None:
            return {}
        logs = self._model.evaluate(self._validation, verbose=0, return_dict=True)
        self.losses.append(float(logs["loss"]))
        return {f"val_{name}": value for name, value in _numbers(logs).items()}

    def write(self, step: int, metrics: Mapping[str, float]) -> None:
        """Writes numbers to TensorBoard."""
        with self._writer.as_default(step=step):
            for name, value in metrics.items():
                tf.summary.scalar(name, value)
        self._writer.flush()

    def show(self, step: int) -> None:
        """Writes images with ground truth and predictions to TensorBoard."""
        with self._writer.as_default(step=step):
            for position, image in enumerate(self._drawn()):
                tf.summary.image(f"prediction {position + 1}", np.asarray(image)[None])
        self._writer.flush()

    def finish(self) -> None:
        """Writes the same images with the final model to the run folder."""
        for position, image in enumerate(self._drawn()):
            with self._job.run.open_write(f"{FOLDER}/prediction-{position + 1}.jpg") as file:
                file.write(encode_jpeg(image))

    def _drawn(self) -> Iterator[Any]:
        colors = palette(self._job.label_map.names)
        detections = self._predictor.predict(self._samples, batch_size=len(self._samples), score=DRAWN_SCORE)
        for sample, found in zip(self._samples, detections, strict=True):
            annotated = decode_sample(sample)
            predicted = decode_sample(sample.replace(boxes=found.boxes))
            yield side_by_side(
                draw_boxes(annotated.image, annotated.boxes.xyxy, annotated.boxes.labels, colors=colors),
                draw_boxes(predicted.image, predicted.boxes.xyxy, predicted.boxes.labels, found.scores, colors=colors),
            )


class Rounds(keras.callbacks.Callback):
    """The Keras callback that reports and saves the training after each round.

    Args:
        job: The training.
        recipe: Its settings.
        watch: The validation images.
        task: The progress bar.
        start: The number of steps before, if it is resumed.
    """

    def __init__(self, job: TrainJob, recipe: Recipe, watch: Watch, task: Task, start: int) -> None:
        super().__init__()
        self._job, self._recipe, self._watch, self._task = job, recipe, watch, task
        self._length = round_steps(recipe)
        self._last_round = math.ceil(recipe.steps / self._length)
        self._every = max(1, round(self._last_round / EVALUATIONS))
        self._step = start
        self._epoch = start // recipe.steps_per_epoch
        self._round_start = start
        self._began = time.perf_counter()
        self._patience = int(job.settings.get("early_stopping", 0))

    def on_train_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        """Advances the progress bar; a loss that is not finite ends the training."""
        self._step += 1
        self._task.advance()
        if logs and not math.isfinite(logs["loss"]):
            raise RunError(
                f"the loss is {logs['loss']} at step {self._step}",
                f"train with a lower learning rate than {self._recipe.learning_rate:g}: --set learning_rate=...",
            )
        if self._step >= self._recipe.steps:  # the last round may be shorter
            self.model.stop_training = True

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Ends a round; Keras calls it an epoch."""
        seconds = time.perf_counter() - self._began
        done = epoch + 1
        last = done == self._last_round
        metrics = _numbers(logs or {})
        metrics["learning_rate"] = float(self.model.optimizer.learning_rate.numpy())
        images = (self._step - self._round_start) * self._recipe.batch_size
        metrics["images_per_second"] = images / max(seconds, 1e-9)
        evaluating = done % self._every == 0 or last
        if evaluating:
            metrics |= self._watch.evaluate()
        note = f"loss {metrics['loss']:.3f}"
        self._task.update(note=note + (f", val {metrics['val_loss']:.3f}" if "val_loss" in metrics else ""))
        path = save_checkpoint(self._job.run, self.model, self._step)
        finished = self._recipe.epochs if last else self._step // self._recipe.steps_per_epoch
        if finished > self._epoch:
            self._job.epoch_ended(finished, {"step": self._step, **metrics})
            self._epoch = finished
        self._job.checkpoint_written(path, finished)
        self._watch.write(self._step, metrics)
        if evaluating and (done % (2 * self._every) == 0 or last):
            self._watch.show(self._step)
        if evaluating and self._stalled():
            self._job.reporter.message(
                f"Stopped at step {self._step}: {self._patience} evaluations without a lower validation loss."
            )
            self.model.stop_training = True
        self._round_start = self._step
        self._began = time.perf_counter()

    def _stalled(self) -> bool:
        losses = self._watch.losses
        return 0 < self._patience < len(losses) and min(losses[-self._patience :]) >= min(losses[: -self._patience])


def _readable(data: Dataset, count: int) -> list[Sample]:
    """Returns the first few samples whose images can be read; others are added to the dataset's problems."""

    def readable(sample: Sample) -> Sample:
        decode_sample(sample)
        return sample

    return list(islice(map_samples(readable, data, data.problems), count))


def _numbers(logs: Mapping[str, Any]) -> dict[str, float]:
    """Returns Keras' logs without ``percent_boxes_matched_with_anchor``, which counts boxes that are *not* matched."""
    return {name: float(value) for name, value in logs.items() if not name.startswith("percent_boxes")}


def _validation_batches(job: TrainJob, recipe: Recipe) -> Any:
    """Returns the first few hundred validation images as batches of the network's size, or ``None``."""
    if job.val is None:
        return None
    label_map = job.label_map

    def one(sample: Sample) -> tuple[Any, Any, Any]:
        ready = prepare(sample, label_map, recipe.image_size, recipe.oversample)
        rows, columns = ready.image.shape[:2]
        height, width = recipe.image_size
        boxes = ready.boxes * np.array([width / columns, height / rows] * 2, np.float32)
        return (
            network_input(ready.image, recipe.image_size),
            boxes[: recipe.max_boxes],
            ready.classes[: recipe.max_boxes],
        )

    found = list(islice(map_samples(one, job.val, job.val.problems, workers=2), MOST_VALIDATION_IMAGES))
    if not found:
        return None
    most = max(1, *(len(classes) for _, _, classes in found))
    images = np.stack([image for image, _, _ in found])
    boxes = np.stack([_padded(rows, (most, 4)) for _, rows, _ in found])
    classes = np.stack([_padded(rows, (most,)) for _, _, rows in found])
    labels = {"boxes": boxes, "classes": classes}
    return tf.data.Dataset.from_tensor_slices((images, labels)).batch(recipe.batch_size)


def _padded(rows: Any, shape: tuple[int, ...]) -> Any:
    padded = np.full(shape, PAD, np.float32)
    padded[: len(rows)] = rows
    return padded
