"""Checks of a training's settings that take no framework: they run before the data is read."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from boxwright import UsageError
from boxwright_kerashub import PRESETS
from boxwright_kerashub.frameworks import choose_framework
from boxwright_retinanet.checks import check_settings

NONE = "none"


def check(config: Mapping[str, Any], *, held_out: bool) -> None:
    """Checks what the options of the backend cannot declare.

    Args:
        config: The configuration of the training.
        held_out: Whether there is validation data.

    Raises:
        UsageError: A setting requires validation data, an augmenter is unknown or has a wrong option, or the weights
            are not found.
        MissingLibraryError: The framework is not installed.
    """
    settings = config["settings"]
    choose_framework(settings.get("framework"))
    check_settings(config, backend="kerashub", held_out=held_out)
    weights = settings.get("weights")
    if weights not in (None, NONE, *PRESETS) and not (Path(weights) / "config.json").is_file():
        raise UsageError(
            f"weights={weights}: neither a preset folder of KerasHub nor the name of a preset",
            "pass the folder that backbone.save_to_preset() wrote, or none",
        )
