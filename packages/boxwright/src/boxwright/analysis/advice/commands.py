"""Commands that a user can type."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from boxwright.models.run import Run

LABEL_MAP = "label_map.pbtxt"
"""The file of a run with its classes."""


def command(*words: object) -> str:
    """Returns ``boxwright`` with words, quoted for a shell."""
    return shlex.join(["boxwright", *map(str, words)])


def train_again(run: Run | None, name: str, *changes: object) -> str:
    """Returns the command that repeats a training with changes.

    Args:
        run: The run; ``None`` for a model of which no training is known.
        name: What is added to the name of its folder.
        changes: Further options, each with its value; one that the training has is replaced.
    """
    if run is None:
        return command("train", "--data", "URI", "--out", f"runs/{name}", *changes)
    changed = {_key(option, value) for option, value in zip(changes[::2], changes[1::2], strict=True)}
    words: list[object] = []
    for option, value in _options(run.config):
        if _key(option, value) not in changed:
            words += [option, value]
    if run.file(LABEL_MAP).is_file():
        words += ["--label-map", run.file(LABEL_MAP)]
    if run.config.get("allow_overlap"):
        words.append("--allow-overlap")
    return command("train", *words, "--out", f"{Path(run.path)}-{name}", *changes)


def _key(option: object, value: object) -> tuple[str, str]:
    """Returns what an option sets: ``--set`` a setting for each name, others one value."""
    return str(option), str(value).partition("=")[0] if option == "--set" else ""


def _options(config: Mapping[str, Any]) -> list[tuple[str, object]]:
    """Returns the options of a training that are not left to their defaults."""
    size, augment = config.get("image_size"), config.get("augment")
    found = [
        ("--data", config.get("data") or "URI"),
        ("--val", config.get("val")),
        ("--backend", config.get("backend")),
        ("--preset", config.get("preset")),
        ("--trainer", config.get("trainer") if config.get("trainer") != "local" else None),
        ("--epochs", config.get("epochs")),
        ("--batch-size", config.get("batch_size")),
        ("--eval-every", config.get("eval_every")),
        ("--seed", config.get("seed") or None),
        ("--image-size", f"{size[0]}x{size[1]}" if size else None),
        *(("--augment", step) for step in (["none"] if augment == [] else augment or [])),
        *(("--set", f"{name}={value}") for name, value in (config.get("settings") or {}).items()),
    ]
    return [(option, value) for option, value in found if value not in (None, "")]
