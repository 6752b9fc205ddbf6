"""Checks of a training's settings that take no framework: they run before the data is read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from boxwright import UsageError
from boxwright.models import check_augmenters
from boxwright_retinanet.recipe import Recipe


def check_settings(config: Mapping[str, Any], *, backend: str, held_out: bool) -> None:
    """Checks what the options of a recipe cannot declare.

    Args:
        config: The configuration of the training.
        backend: The name of the backend.
        held_out: Whether there is validation data.

    Raises:
        UsageError: A setting requires validation data, or an augmenter is unknown or has a wrong option.
    """
    settings = config["settings"]
    early_stopping, plateau = settings.get("early_stopping", 0), settings.get("schedule") == "plateau"
    for needed, what in ((early_stopping, "early stopping"), (plateau, "schedule=plateau")):
        if needed and not held_out:
            raise UsageError(f"{what} requires validation images", "pass --val, or remove the setting")
    if "milestones" in settings:
        try:
            Recipe(config["preset"], 32, 32, 1, 1, 1).with_settings({"milestones": settings["milestones"]})
        except ValueError as error:
            raise UsageError(str(error), "set increasing fractions, such as milestones=0.67,0.89") from None
    check_augmenters(config["augment"] or (), backend=backend)
