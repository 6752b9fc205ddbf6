"""The best epoch of a training, and what follows from it: early stopping and a lower learning rate.

Patience is counted in epochs, as by Keras' ``EarlyStopping`` and ``ReduceLROnPlateau``. No framework is imported.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

MONITORS = ("auto", "val_loss", "val_AP", "val_AP50")
"""The metrics that can decide; ``auto`` is ``val_AP`` if it is measured, otherwise ``val_loss``."""

_PLATEAU_DELTA = 1e-4
"""The smallest improvement that restarts the patience of a plateau: the default of Keras' ``ReduceLROnPlateau``."""


@dataclass
class Monitor:
    """Decides after each evaluation; its fields are the state that a checkpoint contains.

    Attributes:
        name: The metric that decides, one of :data:`MONITORS`. Of two epochs with the same average precision, the one
            with the lower ``val_loss`` is better: at the start of a training, many have an average precision of 0.
        early_stopping: Epochs without improvement after which the training stops; 0 for never.
        patience: Epochs without improvement after which the learning rate is reduced; 0 for never.
        best: The values of the best epoch: the deciding metric and a tie-breaker, both higher for better.
        best_epoch: The best epoch, counted from 1; 0 before the first evaluation.
        best_step: The steps done at its end.
        reference: The best values for the plateau, from which an epoch must differ by at least 0.0001.
        reference_epoch: The epoch of ``reference``, or of the last reduction if that is later.
        stopped: Whether early stopping has ended the training.
    """

    name: str = "auto"
    early_stopping: int = 0
    patience: int = 0
    best: tuple[float, ...] = ()
    best_epoch: int = 0
    best_step: int = 0
    reference: tuple[float, ...] = ()
    reference_epoch: int = 0
    stopped: bool = False

    def add(self, epoch: int, step: int, metrics: Mapping[str, float]) -> bool:
        """Adds the result of an evaluation, and returns whether it is the best so far.

        Args:
            epoch: The epoch, counted from 1.
            step: The steps done.
            metrics: At least ``val_loss``.
        """
        values = self._values(metrics)
        if _better(values, self.reference, _PLATEAU_DELTA):
            self.reference, self.reference_epoch = values, epoch
        improved = _better(values, self.best, 0.0)
        if improved:
            self.best, self.best_epoch, self.best_step = values, epoch, step
        self.stopped = 0 < self.early_stopping <= epoch - self.best_epoch
        return improved

    def plateau(self, epoch: int) -> bool:
        """Returns whether to reduce the learning rate after an evaluation; then the patience starts again."""
        reached = 0 < self.patience <= epoch - self.reference_epoch
        if reached:
            self.reference_epoch = epoch
        return reached

    def metric(self, metrics: Mapping[str, float]) -> str:
        """Returns the name of the metric that decides, of those that were measured."""
        name = "val_AP" if self.name == "auto" else self.name
        return name if name in metrics else "val_loss"

    def state(self) -> dict[str, Any]:
        """Returns the fields as JSON values."""
        return asdict(self)

    @classmethod
    def restored(cls, state: Mapping[str, Any]) -> Monitor:
        """Returns the monitor of :meth:`state`.

        Raises:
            TypeError: A field is unknown.
            KeyError: A field is missing.
        """
        return cls(**{**state, "best": tuple(state["best"]), "reference": tuple(state["reference"])})

    def _values(self, metrics: Mapping[str, float]) -> tuple[float, ...]:
        name, loss = self.metric(metrics), -metrics["val_loss"]
        return (loss,) if name == "val_loss" else (metrics[name], loss)


def _better(values: tuple[float, ...], best: tuple[float, ...], delta: float) -> bool:
    if not math.isfinite(values[0]):
        return False
    if not best:
        return True
    return values[0] - delta > best[0] or (values[0] == best[0] and values[1:] > best[1:])
