"""What the loggers of services send of a training."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any


def flat(config: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yields settings by dotted names, such as ``settings.learning_rate``, without those that are not set."""
    for name, value in config.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{prefix}{name}.")
        elif value is not None and value != []:
            yield f"{prefix}{name}", value


def step_of(epoch: int, metrics: Mapping[str, float]) -> int:
    """Returns the step that ends an epoch, or the epoch if the backend does not report steps."""
    return int(metrics.get("step", epoch))


def kept_identity(path: Path) -> str:
    """Returns the id in a file of the run folder, by which a resumed training continues its log; empty without one."""
    return path.read_text("utf-8").strip() if path.is_file() else ""
