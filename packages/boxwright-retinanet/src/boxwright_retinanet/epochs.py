"""The Keras callbacks of a training: they evaluate, report and save it, epoch by epoch."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import keras

from boxwright import RunError, Task, TrainJob
from boxwright_retinanet.checkpoint import best_weights, remove_best, save_checkpoint, save_weights
from boxwright_retinanet.monitor import Monitor
from boxwright_retinanet.recipe import Recipe, checkpoint_steps
from boxwright_retinanet.watch import Watch, averaged, numbers

_LATE = 0.25
"""The share of its time that a training may wait for images without a warning."""

_FIRST_STEPS = 5
"""Steps that do not count for it: the network is traced, and the input adapts its threads."""

_SHOWN = 5
"""How often a training reports images with its predictions."""


@dataclass
class Progress:
    """How far a training is: with the weights and the optimizer, all that its continuation depends on.

    Attributes:
        step: The number of steps done.
        monitor: The best epoch so far.
        before: The mean losses of the steps of the current epoch that an interrupted training did.
        steps_before: The number of these steps.
    """

    step: int
    monitor: Monitor
    before: dict[str, float] = field(default_factory=dict)
    steps_before: int = 0

    def state(self, losses: Mapping[str, float], steps: int) -> dict[str, Any]:
        """Returns the state as JSON values.

        Args:
            losses: The mean losses of the current epoch, if it is not complete.
            steps: The number of steps of which.
        """
        return {"monitor": self.monitor.state(), "losses": dict(losses), "losses_steps": steps}

    @classmethod
    def restored(cls, step: int, state: Mapping[str, Any]) -> Progress:
        """Returns the progress of :meth:`state` after ``step`` steps."""
        return cls(step, Monitor.restored(state["monitor"]), dict(state["losses"]), int(state["losses_steps"]))

    def merged(self, losses: Mapping[str, float], steps: int) -> dict[str, float]:
        """Returns the mean losses of an epoch, of which ``steps`` steps were done since it was resumed."""
        if not self.steps_before:
            return dict(losses)
        total = self.steps_before + steps
        return {name: (self.before[name] * self.steps_before + value * steps) / total for name, value in losses.items()}


class Clock:
    """Measures how long the training waits for its batches.

    A batch is late if it becomes ready after the training has asked for it.
    """

    def __init__(self) -> None:
        self._ready: deque[float] = deque()
        self._asked = 0.0

    def record(self) -> None:
        """Records that a batch has become ready."""
        self._ready.append(time.perf_counter())

    def ask(self) -> None:
        """Records that the training asks for the next batch."""
        self._asked = time.perf_counter()

    def waited(self) -> float:
        """Returns for how many seconds the training waited for the batch that it has just used."""
        return max(0.0, self._ready.popleft() - self._asked)


class Evaluate(keras.callbacks.Callback):
    """The first callback: completes the logs of an epoch for the others, and decides what follows from them.

    Args:
        job: The training.
        recipe: Its settings.
        watch: The validation images.
        progress: What has been done.
        task: The progress bar.
        clock: Measures the input.
    """

    def __init__(
        self, job: TrainJob, recipe: Recipe, watch: Watch, progress: Progress, task: Task, clock: Clock
    ) -> None:
        super().__init__()
        self._clock = clock
        self._seen, self._warned = 0, False
        self._job, self._recipe, self._watch, self._progress, self._task = job, recipe, watch, progress, task
        self._began = time.perf_counter()
        self._steps = 0
        self._waited = 0.0
        self._shorter = False

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Starts the clock."""
        self._began, self._steps, self._waited, self._shorter = time.perf_counter(), 0, 0.0, False

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Asks for a batch."""
        self._clock.ask()

    def on_train_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        """Counts the step; a loss that is not finite, or the last step, ends the training."""
        waited = self._clock.waited()
        self._steps += 1
        self._seen += 1
        if self._seen > _FIRST_STEPS:
            self._waited += waited
        self._progress.step += 1
        step, epoch = self._progress.step, self._recipe.steps_per_epoch
        self._task.advance()
        if logs and not math.isfinite(logs["loss"]):
            raise RunError(
                f"the loss is {logs['loss']} at step {step}",
                f"train with a lower learning rate than {self._recipe.learning_rate:g}: --set learning_rate=...",
            )
        # The last epoch may be shorter, and that in which an interrupted training resumes.
        self._shorter = self._steps < epoch and (step % epoch == 0 or step >= self._recipe.steps)
        if self._shorter:
            self.model.stop_training = True

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Adds the metrics of an epoch to its logs."""
        assert logs is not None
        seconds = time.perf_counter() - self._began
        if self._shorter and self._progress.step < self._recipe.steps:
            self.model.stop_training = False
        progress, done = self._progress, epoch + 1
        losses = progress.merged(numbers(logs), self._steps)
        progress.before, progress.steps_before = {}, 0
        logs.clear()
        logs.update(losses)
        logs["learning_rate"] = _learning_rate(self.model)
        logs["images_per_second"] = self._steps * self._recipe.batch_size / max(seconds, 1e-9)
        logs["input_wait"] = self._waited / max(seconds, 1e-9)
        if logs["input_wait"] > _LATE and not self._warned:
            self._warned = True
            self._job.reporter.warning(
                f"The training waits {logs['input_wait']:.0%} of its time for images: use fewer augmenters, "
                "cache=memory, a smaller oversample, or more processor cores"
            )
        last = progress.step >= self._recipe.steps
        if self._watch.measures and (done % self._recipe.eval_every == 0 or last):
            logs.update(self._watch.evaluate())
            self._decide(done, logs)
        self._task.update(note=_note(logs))

    def _decide(self, done: int, logs: Mapping[str, float]) -> None:
        monitor, step = self._progress.monitor, self._progress.step
        if monitor.add(done, step, logs):
            with averaged(self._watch.network):
                save_weights(self._job.run, self._watch.network, best_weights(step))
        if monitor.stopped:
            self._job.reporter.message(
                f"Stopped after epoch {done}: {monitor.early_stopping} epochs without a better {monitor.metric(logs)}."
            )
            self.model.stop_training = True
        rate = _learning_rate(self.model)
        if monitor.plateau(done) and rate > self._recipe.min_learning_rate:
            rate = max(rate * self._recipe.decay_factor, self._recipe.min_learning_rate)
            self.model.optimizer.learning_rate = rate


class Report(keras.callbacks.Callback):
    """The last callback: writes metrics and checkpoints.

    Args:
        job: The training.
        recipe: Its settings.
        watch: The validation images.
        progress: What has been done.
    """

    def __init__(self, job: TrainJob, recipe: Recipe, watch: Watch, progress: Progress) -> None:
        super().__init__()
        self._job, self._recipe, self._watch, self._progress = job, recipe, watch, progress
        self._every = checkpoint_steps(recipe)
        self._shown = progress.step // recipe.steps_per_epoch

    def on_train_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        """Writes a checkpoint within a long epoch."""
        step, epoch = self._progress.step, self._recipe.steps_per_epoch
        within = step % epoch
        if self._every < epoch and within and within % self._every == 0 and step < self._recipe.steps:
            losses = self._progress.merged(numbers(logs or {}), within - self._progress.steps_before)
            path = self._save(losses, within)
            self._job.checkpoint_written(path, step // epoch)

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Writes the epoch's metrics, and a checkpoint if one is due."""
        progress, done, metrics = self._progress, epoch + 1, dict(logs or {})
        # A callback of the user may have ended the training.
        progress.monitor.stopped |= self.model.stop_training and progress.step < self._recipe.steps
        ended = progress.step >= self._recipe.steps or progress.monitor.stopped
        due = (
            ended
            or done * self._recipe.steps_per_epoch % self._every == 0
            or self._every < self._recipe.steps_per_epoch
        )
        path = self._save({}, 0) if due else None
        self._job.epoch_ended(done, {"step": progress.step, **metrics})
        if path is not None:
            self._job.checkpoint_written(path, done)
        evaluated = "val_loss" in metrics or not self._watch.measures
        if ended or (evaluated and done - self._shown >= self._recipe.epochs / _SHOWN):
            self._watch.show(done)
            self._shown = done

    def _save(self, losses: Mapping[str, float], steps: int) -> Any:
        progress = self._progress
        path = save_checkpoint(self._job.run, self.model, progress.step, progress.state(losses, steps))
        remove_best(self._job.run, keep=progress.monitor.best_step)
        return path


def _learning_rate(model: Any) -> float:
    return float(keras.ops.convert_to_numpy(model.optimizer.learning_rate))


def _note(logs: Mapping[str, float]) -> str:
    parts = [f"loss {logs['loss']:.3f}"]
    names = {"val_loss": "val", "val_AP": "AP", "val_AP50": "AP50", "val_AR100": "recall"}
    parts += [f"{text} {logs[name]:.3f}" for name, text in names.items() if name in logs]
    return ", ".join(parts)
