"""The Python objects that a user passes to a training: a model, callbacks, an optimizer, losses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras

from boxwright import UsageError
from boxwright_kerascv.own import adapter_of
from boxwright_retinanet.recipe import OPTIMIZER_SETTINGS


def check_objects(objects: Mapping[str, object], settings: Mapping[str, Any]) -> None:
    """Checks what the user passes in ``objects``.

    Args:
        objects: The objects by name.
        settings: The settings of the training.

    Raises:
        UsageError: An object has the wrong type, was used before, or contradicts a setting.
    """
    if "model" in objects:
        adapter_of(objects["model"])
    callbacks = objects.get("callbacks", ())
    if not isinstance(callbacks, Sequence) or not all(isinstance(one, keras.callbacks.Callback) for one in callbacks):
        raise UsageError(f"callbacks is {callbacks!r}", "pass a list of keras.callbacks.Callback")
    for name in ("box_loss", "classification_loss"):
        if name in objects:
            _check_loss(name, objects[name])
    if "optimizer" in objects:
        _check_optimizer(objects["optimizer"], settings)


def _check_loss(name: str, loss: object) -> None:
    if not isinstance(loss, keras.losses.Loss):
        raise UsageError(f"{name} is {loss!r}", "pass a keras.losses.Loss")
    if loss.reduction != "sum":
        raise UsageError(
            f"{name} has reduction={loss.reduction!r}",
            "use reduction='sum': the weights of the anchors already divide by the number of objects",
        )


def _check_optimizer(optimizer: object, settings: Mapping[str, Any]) -> None:
    if not isinstance(optimizer, keras.optimizers.Optimizer):
        raise UsageError(f"optimizer is {optimizer!r}", "pass a keras.optimizers.Optimizer")
    if optimizer.built:
        raise UsageError("the optimizer has been used already", "pass a new one")
    for name in OPTIMIZER_SETTINGS:
        if name in settings:
            raise UsageError(f"an optimizer was passed, and the setting {name}", "remove one of them")
    schedule = settings.get("schedule", "constant")
    if schedule not in ("constant", "plateau"):
        raise UsageError(f"an optimizer was passed, and schedule={schedule}", "give the optimizer a schedule instead")
    if schedule == "plateau" and not isinstance(optimizer._learning_rate, keras.Variable):
        raise UsageError(
            "schedule=plateau changes the learning rate", "pass an optimizer whose learning rate is a number"
        )
