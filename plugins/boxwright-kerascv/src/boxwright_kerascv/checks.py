"""Checks of a training's settings that take no framework: they run before the data is read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from boxwright import UsageError
from boxwright.models import check_augmenters
from boxwright_kerascv.starting import find_start
from boxwright_retinanet.recipe import Recipe


def check(config: Mapping[str, Any], *, held_out: bool) -> None:
    """Checks what the options of the backend cannot declare.

    Args:
        config: The configuration of the training.
        held_out: Whether there is validation data.

    Raises:
        UsageError: A setting requires validation data, an augmenter is unknown or has a wrong option, or the weights to
            start from are not found or belong to another preset.
        RunError: The run to start from has no model.
        MissingLibraryError: The package with the weights of the preset is not installed.
        DataError: Its file has another digest.
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
    check_augmenters(config["augment"] or (), backend="kerascv")
    find_start(settings.get("weights"), config["preset"])
