"""Checks of a training's settings that take no framework: they run before the data is read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from boxwright_kerascv.starting import find_start
from boxwright_retinanet.checks import check_settings


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
    check_settings(config, backend="kerascv", held_out=held_out)
    find_start(settings.get("weights"), config["preset"])
