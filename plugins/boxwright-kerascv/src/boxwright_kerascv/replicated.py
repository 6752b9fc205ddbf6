"""A training on several replicas of the network, step by step.

``fit`` of Keras 3.15 fails with several computers for any model, and clips the gradients of each replica before they
are added. This step adds the gradients first: clipping, weight decay and the update are those of a single replica that
trains the whole batch. Batch normalization uses the statistics of the whole batch as well.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any, cast

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from boxwright import Task
from boxwright.models import Replicas, Shard
from boxwright_kerascv.inputs import InputClock
from boxwright_kerascv.plan import Plan
from boxwright_retinanet.epochs import Evaluate, Progress, Report
from boxwright_retinanet.training import warmup
from boxwright_retinanet.watch import averaged


class _EarlyClock(InputClock):
    """The clock for a training whose batches are fetched before its step begins."""

    def ask(self) -> None:
        """Does nothing: the batch is here."""

    def ask_next(self) -> None:
        """Records that the next batch is asked for now."""
        self._asked = time.perf_counter()


class ReplicatedFit:
    """A training on several replicas; see :class:`boxwright.models.ReplicatedTraining`.

    Args:
        plan: The training.
        replicas: The replicas.
        task: The progress bar.
    """

    def __init__(self, plan: Plan, replicas: Replicas, task: Task) -> None:
        self._plan, self._replicas, self._task = plan, replicas, task
        self._model = plan.model
        self._clock = _EarlyClock()
        self._watch = plan.watch(self._refresh)
        self._train: Any = None
        self._callbacks: Any = None
        self._stopped = False
        self._steps = 0
        self._sums: dict[str, float] = {}
        # The gradients are sums already, which Keras would add once more.
        self._model.optimizer._all_reduce_sum_gradients = list
        for layer in self._model._flatten_layers():  # those of the backbone as well
            if isinstance(layer, keras.layers.BatchNormalization):
                layer._moments = partial(self._moments, layer)

    @property
    def batch_size(self) -> int:
        """The number of images per step, of all replicas together."""
        return self._plan.recipe.batch_size

    @property
    def settings(self) -> Mapping[str, Any]:
        """What the weights depend on."""
        job = self._plan.job
        return {
            "version": job.run.state["versions"].get("boxwright-kerascv"),
            "recipe": self._plan.recipe.to_dict(),
            "images": self._plan.images.count,
            "weights": [list(variable.shape) for variable in self._model.weights],
        }

    @property
    def done(self) -> bool:
        """Whether the last step has been done, or the training was stopped."""
        progress = self._plan.progress
        return self._stopped or progress.monitor.stopped or progress.step >= self._plan.recipe.steps

    def state(self) -> Mapping[str, NDArray[Any]]:
        """The weights, the state of the optimizer, and the progress."""
        progress = self._plan.progress
        losses = progress.merged({name: value / self._steps for name, value in self._sums.items()}, self._steps)
        steps = progress.steps_before + self._steps
        about = progress.state(losses or progress.before, steps) | {"step": progress.step}
        arrays = {f"model_{i}": np.asarray(value) for i, value in enumerate(self._model.weights)}
        arrays |= {f"optimizer_{i}": np.asarray(value) for i, value in enumerate(self._model.optimizer.variables)}
        return arrays | {"progress": np.array(json.dumps(about))}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Continues from a state."""
        plan, replicas, job = self._plan, self._replicas, self._plan.job
        about = json.loads(str(state["progress"]))
        restored = Progress.restored(about["step"], about)
        plan.progress.__dict__.update(restored.__dict__)  # callbacks and checkpoints refer to it
        for name, variables in (("model", self._model.weights), ("optimizer", self._model.optimizer.variables)):
            for i, variable in enumerate(variables):
                variable.assign(state[f"{name}_{i}"])
        step = plan.progress.step
        self._task.advance(step)
        callbacks: list[Any] = [
            Evaluate(job, plan.recipe, self._watch, plan.progress, self._task, self._clock),
            *warmup(plan.recipe, step),
        ]
        if replicas.main:
            callbacks += cast("Sequence[Any]", job.objects.get("callbacks", ()))
            callbacks.append(Report(job, plan.recipe, self._watch, plan.progress))
        self._callbacks = keras.callbacks.CallbackList(callbacks, model=self._model)
        self._model.stop_training = False
        self._callbacks.on_train_begin()

    def batches(self, shard: Shard) -> Iterator[Any]:
        """Yields images and labels of a part of every following batch."""
        batches = self._plan.batches(shard, self._clock if shard.index == self._replicas.indexes[0] else None)
        if self._train is None:
            spec = [batches.element_spec] * len(self._replicas.indexes)
            self._train = tf.function(self._step, input_signature=[spec], autograph=False)
        return iter(batches)

    def step(self, parts: Sequence[Any]) -> None:
        """Trains one step; the last one of an epoch evaluates and reports it."""
        progress, recipe = self._plan.progress, self._plan.recipe
        epoch, place = divmod(progress.step, recipe.steps_per_epoch)
        if not self._steps:
            self._callbacks.on_epoch_begin(epoch)
        self._callbacks.on_train_batch_begin(place)
        losses = {name: float(value) for name, value in self._train(list(parts)).items()}
        self._steps += 1
        self._sums = {name: self._sums.get(name, 0.0) + value for name, value in losses.items()}
        logs = {name: value / self._steps for name, value in self._sums.items()}
        self._callbacks.on_train_batch_end(place, logs)
        if progress.step % recipe.steps_per_epoch == 0 or progress.step >= recipe.steps:
            self._callbacks.on_epoch_end(epoch, logs)
            self._steps, self._sums = 0, {}
            self._agree()
        self._clock.ask_next()

    def _step(self, parts: Sequence[Any]) -> dict[str, Any]:
        return cast("dict[str, Any]", self._replicas.run(self._update, parts))

    def _update(self, part: tuple[Any, Any]) -> dict[str, Any]:
        """Updates the weights of one replica, and returns the losses of the whole batch."""
        images, labels = part
        variables = self._model.trainable_variables
        weights = [variable.value for variable in variables]
        with tf.GradientTape() as tape:
            predicted = self._model(images, training=True)
            losses = self._model.losses_of(images, labels, predicted, self._replicas)
        gradients = tape.gradient(losses["loss"], weights, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        summed = self._replicas.sum([*gradients, *losses.values()])
        self._model.optimizer.apply(summed[: len(gradients)], variables)
        return dict(zip(losses, summed[len(gradients) :], strict=True))

    def _moments(self, layer: Any, inputs: Any, mask: Any) -> tuple[Any, Any]:
        """Returns the mean and the variance of each channel over the whole batch.

        Keras' ``synchronized`` subtracts the square of the mean from the mean of the squares, which is less accurate.
        """
        axes = layer._reduction_axes
        count = tf.cast(tf.size(inputs) / tf.shape(inputs)[layer.axis], inputs.dtype)
        total, count = self._replicas.sum([tf.reduce_sum(inputs, axes), count])
        mean = total / count
        # The derivative by the mean is 0.
        squares = tf.math.squared_difference(inputs, tf.stop_gradient(mean))
        (squares,) = self._replicas.sum([tf.reduce_sum(squares, axes)])
        return mean, squares / count

    def _agree(self) -> None:
        """Brings the decisions of the main process, which alone evaluates, to all processes."""
        optimizer, monitor = self._model.optimizer, self._plan.progress.monitor
        rate = float(keras.ops.convert_to_numpy(optimizer.learning_rate))
        stopped = bool(monitor.stopped or self._model.stop_training)
        decided = json.loads(self._replicas.share(json.dumps({"rate": rate, "stopped": stopped}).encode()))
        self._stopped = decided["stopped"]
        if self._plan.recipe.schedule == "plateau" and not self._replicas.main:
            optimizer.learning_rate = decided["rate"]

    def _refresh(self) -> None:
        """Copies the weights of the replicas to the network that is evaluated."""
        with averaged(self._model):
            self._plan.shown.set_weights([np.asarray(variable) for variable in self._model.weights])

    def finish(self) -> None:
        """Writes the model to the run."""
        self._callbacks.on_train_end()
        self._refresh()
        self._plan.finish(self._watch)
