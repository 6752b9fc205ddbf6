"""Commands that a user can type."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from boxwright.models.run import Run


def command(*words: object) -> str:
    """Returns ``boxwright`` with words, quoted for a shell."""
    return shlex.join(["boxwright", *map(str, words)])


def train_again(run: Run | None, name: str, *changes: object) -> str:
    """Returns the command that repeats a training with changes.

    Args:
        run: The run; ``None`` for a model of which no training is known.
        name: What is added to the name of its folder.
        changes: Further options; one that the training has is replaced.
    """
    if run is None:
        return command("train", "--data", "URI", "--out", f"runs/{name}", *changes)
    changed = set(map(str, changes))
    words: list[object] = []
    for option, value in _options(run.config):
        if option == "--set" or option not in changed:
            words += [option, value]
    return command("train", *words, "--out", f"{Path(run.path)}-{name}", *changes)


def _options(config: Mapping[str, Any]) -> list[tuple[str, object]]:
    """Returns the options of a training that are not left to their defaults."""
    size, augment = config.get("image_size"), config.get("augment")
    found = [
        ("--data", config.get("data") or "URI"),
        ("--val", config.get("val")),
        ("--backend", config.get("backend")),
        ("--preset", config.get("preset")),
        ("--epochs", config.get("epochs")),
        ("--batch-size", config.get("batch_size")),
        ("--image-size", f"{size[0]}x{size[1]}" if size else None),
        *(("--augment", step) for step in (["none"] if augment == [] else augment or [])),
        *(("--set", f"{name}={value}") for name, value in (config.get("settings") or {}).items()),
    ]
    return [(option, value) for option, value in found if value not in (None, "")]
