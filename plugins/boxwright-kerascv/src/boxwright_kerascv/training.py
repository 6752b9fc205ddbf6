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
        peak: largest learning rate.
        warmup_steps: steps of the rise.
        total_steps: the step at which 0 is reached.
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


def compile_network(model: Detector, recipe: Recipe, total_steps: int | None = None) -> None:
    """Compile a network for `fit`.

    The optimizer keeps a moving average of the weights where the recipe asks for one; `fit` puts it in their place when
    it ends.

    Args:
        model: from `boxwright_kerascv.network.build_network`.
        recipe: the numbers.
        total_steps: when the learning rate reaches 0, instead of the recipe's steps.
    """
    steps = total_steps or recipe.steps
    schedule = WarmupCosine(recipe.learning_rate, max(1, round(steps * recipe.warmup_fraction)), steps)
    optimizer = keras.optimizers.AdamW(
        learning_rate=schedule,
        weight_decay=recipe.weight_decay,
        global_clipnorm=recipe.clipnorm or None,
        use_ema=recipe.ema > 0,
        ema_momentum=recipe.ema or 0.99,
    )
    # Decay pulls features towards simple ones; a bias or a normalisation's scale has nothing to simplify.
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
