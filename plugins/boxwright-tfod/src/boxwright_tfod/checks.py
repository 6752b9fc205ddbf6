"""Checks of a training's settings that run before the data is read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from boxwright import UsageError


def check(config: Mapping[str, Any], *, held_out: bool) -> None:
    """Checks what the options of the backend cannot declare.

    Args:
        config: The configuration of the training.
        held_out: Whether there is validation data.

    Raises:
        UsageError: A setting requires validation data, or contradicts another one.
    """
    settings = config["settings"]
    if not held_out:
        for name in ("early_stopping", "eval_steps"):
            if name in settings:
                raise UsageError(f"{name} requires validation images", "pass --val, or remove the setting")
    if "eval_steps" in settings and config.get("eval_every"):
        raise UsageError("both --eval-every and eval_steps are set", "remove one of them")
