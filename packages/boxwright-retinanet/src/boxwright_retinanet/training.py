"""Optimizer and learning-rate schedule of a recipe."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras

from boxwright_retinanet.checkpoint import synchronize
from boxwright_retinanet.layers import PACKAGE
from boxwright_retinanet.recipe import Recipe


@keras.saving.register_keras_serializable(package=PACKAGE)
class WarmupCosine(keras.optimizers.schedules.LearningRateSchedule):
    """A linear rise from 0 to the peak, then half a cosine down to 0 (Loshchilov and Hutter 2017, no restarts).

    Args:
        peak: The highest learning rate.
        warmup_steps: The number of steps of the rise.
        total_steps: The step at which it reaches 0.
    """

    def __init__(self, peak: float, warmup_steps: int, total_steps: int) -> None:
        self.peak = peak
        self.warmup_steps = warmup_steps
        self.total_steps = total_steps

    def __call__(self, step: Any) -> Any:
        step = keras.ops.cast(step, "float32")
        rise = (step + 1) / max(self.warmup_steps, 1)
        progress = (step - self.warmup_steps) / max(self.total_steps - self.warmup_steps, 1)
        fall = 0.5 * (1 + keras.ops.cos(math.pi * keras.ops.clip(progress, 0.0, 1.0)))
        return self.peak * keras.ops.minimum(rise, fall)

    def get_config(self) -> dict[str, Any]:
        return {"peak": self.peak, "warmup_steps": self.warmup_steps, "total_steps": self.total_steps}


@keras.saving.register_keras_serializable(package=PACKAGE)
class WarmupSteps(keras.optimizers.schedules.LearningRateSchedule):
    """A linear rise from 0 to the peak, which is multiplied by a factor at each milestone.

    Args:
        peak: The highest learning rate.
        warmup_steps: The number of steps of the rise.
        milestones: The steps of the milestones.
        factor: The factor.
    """

    def __init__(self, peak: float, warmup_steps: int, milestones: list[int], factor: float) -> None:
        self.peak = peak
        self.warmup_steps = warmup_steps
        self.milestones = milestones
        self.factor = factor

    def __call__(self, step: Any) -> Any:
        step = keras.ops.cast(step, "float32")
        rate = self.peak * keras.ops.minimum((step + 1) / max(self.warmup_steps, 1), 1.0)
        for milestone in self.milestones:
            rate = rate * keras.ops.where(step < milestone, 1.0, self.factor)
        return rate

    def get_config(self) -> dict[str, Any]:
        return {
            "peak": self.peak,
            "warmup_steps": self.warmup_steps,
            "milestones": self.milestones,
            "factor": self.factor,
        }


class Warmup(keras.callbacks.Callback):
    """The linear rise of the learning rate for schedules that later change it by epoch.

    Args:
        peak: The highest learning rate.
        warmup_steps: The number of steps of the rise.
        start: The number of steps before, if a training is resumed.
    """

    def __init__(self, peak: float, warmup_steps: int, start: int) -> None:
        super().__init__()
        self._peak, self._warmup_steps, self._step = peak, warmup_steps, start

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Sets the learning rate of a step of the rise."""
        if self._step < self._warmup_steps:
            synchronize(self.model)
            self.model.optimizer.learning_rate = self._peak * (self._step + 1) / self._warmup_steps
        self._step += 1


@contextmanager
def precision(policy: str) -> Iterator[None]:
    """Sets Keras' dtype policy, which applies to the whole process, and restores it afterwards."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def warmup_steps(recipe: Recipe) -> int:
    """Returns the number of steps during which the learning rate rises; at least 1, which has the peak."""
    return max(1, round(recipe.steps * recipe.warmup_fraction))


def warmup(recipe: Recipe, start: int) -> list[Warmup]:
    """Returns the callback for the warm-up of schedules that do not contain it."""
    if recipe.schedule not in ("constant", "plateau") or not recipe.warmup_fraction:
        return []
    return [Warmup(recipe.learning_rate, warmup_steps(recipe), start)]


def build_optimizer(recipe: Recipe) -> Any:
    """Returns the Keras optimizer of a recipe.

    The learning rate is a variable with the schedules ``constant`` and ``plateau``, which callbacks change.
    """
    rate: Any = recipe.learning_rate
    if recipe.schedule == "cosine":
        rate = WarmupCosine(rate, warmup_steps(recipe), recipe.steps)
    elif recipe.schedule == "step":
        milestones = [round(recipe.steps * place) for place in recipe.milestones]
        rate = WarmupSteps(rate, warmup_steps(recipe), milestones, recipe.decay_factor)
    arguments: dict[str, Any] = {
        "learning_rate": rate,
        # With 0, Keras would still compute the decay of every weight; AdamW requires a number.
        "weight_decay": recipe.weight_decay or (0.0 if recipe.optimizer == "adamw" else None),
        "global_clipnorm": recipe.clipnorm or None,
        "use_ema": recipe.ema > 0,
        "ema_momentum": recipe.ema or 0.99,
        "gradient_accumulation_steps": recipe.accumulate if recipe.accumulate > 1 else None,
    }
    if recipe.optimizer == "sgd":
        optimizer = keras.optimizers.SGD(momentum=recipe.momentum, **arguments)
    else:
        kinds = {"adamw": keras.optimizers.AdamW, "adam": keras.optimizers.Adam}
        optimizer = kinds[recipe.optimizer](**arguments)
    # Weight decay simplifies features, which does not apply to biases and the scales of normalization.
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    return optimizer
