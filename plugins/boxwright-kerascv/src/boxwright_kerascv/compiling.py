"""The losses of a recipe: KerasCV's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras_cv

from boxwright_kerascv.own import Adapter
from boxwright_retinanet.recipe import Recipe
from boxwright_retinanet.training import build_optimizer


def compile_network(
    model: Any, recipe: Recipe, objects: Mapping[str, Any] | None = None, adapter: Adapter | None = None
) -> None:
    """Compiles a network for ``fit``.

    If the recipe sets ``ema``, the optimizer keeps a moving average of the weights, which replaces them at the end of
    ``fit``.

    Args:
        model: The result of :func:`boxwright_kerascv.network.build_network`, or the model of an adapter.
        recipe: The settings.
        objects: The user's ``optimizer``, ``box_loss`` and ``classification_loss``, which replace those of the recipe.
        adapter: For a model of the user: the names of its outputs.
    """
    box, classification = ("box", "classification") if adapter is None else adapter.outputs
    own = objects or {}
    box_loss = keras_cv.losses.SmoothL1Loss(l1_cutoff=recipe.smooth_l1_cutoff, reduction="sum")
    classification_loss = keras_cv.losses.FocalLoss(
        alpha=recipe.focal_alpha,
        gamma=recipe.focal_gamma,
        from_logits=True,
        label_smoothing=recipe.label_smoothing,
        reduction="sum",
    )
    if adapter is None:
        model.box_loss_weight = recipe.box_loss_weight
    model.compile(
        box_loss=own.get("box_loss", box_loss),
        classification_loss=own.get("classification_loss", classification_loss),
        loss_weights={box: recipe.box_loss_weight, classification: 1.0},
        optimizer=own["optimizer"] if "optimizer" in own else build_optimizer(recipe),
        jit_compile=False,
    )
