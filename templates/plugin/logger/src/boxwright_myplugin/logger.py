"""Writes one line per epoch."""

from __future__ import annotations

from collections.abc import Mapping

from boxwright import Run, hookimpl


class MyPluginLogger:
    """Appends one line per epoch to a text file.

    Args:
        path: The name of the file in the run folder.
    """

    def __init__(self, path: str = "myplugin.txt") -> None:
        self._path = path

    @hookimpl
    def boxwright_epoch_ended(self, run: Run, epoch: int, metrics: Mapping[str, float]) -> None:
        """Writes the values of an epoch."""
        values = ", ".join(f"{name} {value:.4g}" for name, value in sorted(metrics.items()))
        with run.file(self._path).open("a", encoding="utf-8") as file:
            file.write(f"epoch {epoch}: {values}\n")
