"""Losses, optimizer and learning-rate schedule of a recipe."""

from __future__ import annotations

import math
from typing import Any

import keras
import keras_cv

from boxwright_kerascv.layers import PACKAGE, Detector
from boxwright_kerascv.recipe import Recipe


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


def compile_network(model: Detector, recipe: Recipe) -> None:
    """Compiles a network for ``fit``.

    If the recipe sets ``ema``, the optimizer keeps a moving average of the weights, which replaces them at the end of
    ``fit``.

    Args:
        model: The result of :func:`boxwright_kerascv.network.build_network`.
        recipe: The settings.
    """
    warmup_steps = max(1, round(recipe.steps * recipe.warmup_fraction))
    schedule = WarmupCosine(recipe.learning_rate, warmup_steps, recipe.steps)
    optimizer = keras.optimizers.AdamW(
        learning_rate=schedule,
        weight_decay=recipe.weight_decay,
        global_clipnorm=recipe.clipnorm or None,
        use_ema=recipe.ema > 0,
        ema_momentum=recipe.ema or 0.99,
    )
    # Weight decay simplifies features, which does not apply to biases and the scales of normalization.
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    model.compile(
        box_loss=keras_cv.losses.SmoothL1Loss(l1_cutoff=recipe.smooth_l1_cutoff, reduction="sum"),
        classification_loss=keras_cv.losses.FocalLoss(
            alpha=recipe.focal_alpha,
            gamma=recipe.focal_gamma,
            from_logits=True,
            label_smoothing=recipe.label_smoothing,
            reduction="sum",
        ),
        loss_weights={"box": recipe.box_loss_weight, "classification": 1.0},
        optimizer=optimizer,
        jit_compile=False,
    )
