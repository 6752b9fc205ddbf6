"""Checkpoints: the state from which a training resumes as if it had not been interrupted.

A checkpoint is a numpy archive without pickles: the step, the network's variables and the optimizer's by position, and
as JSON the state of early stopping and the schedule. The order of images and their augmentation depend only on the seed
and the step, so a checkpoint does not contain them. The weights of the best epoch are in a separate file, named after
its step: a checkpoint that is older than the best epoch still finds the weights that were the best before.
"""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from boxwright import RunError
from boxwright.models import Run

CHECKPOINT = "checkpoints/last.npz"
NETWORK = "model/network.json"
"""The description of a run's network, with its anchors and decoder."""
WEIGHTS = "model/network.weights.h5"
"""Its weights."""


def save_checkpoint(run: Run, model: Any, step: int, state: Mapping[str, Any]) -> Path:
    """Writes the state after a step, replaces the previous one when it is complete, and returns the path.

    Args:
        run: The run.
        model: The compiled network.
        step: The number of steps done.
        state: JSON values that :func:`load_checkpoint` returns.
    """
    synchronize(model)
    arrays = {f"model_{i}": value for i, value in enumerate(model.get_weights())}
    arrays |= {f"optimizer_{i}": np.asarray(variable) for i, variable in enumerate(model.optimizer.variables)}
    with run.open_write(CHECKPOINT) as file:
        np.savez(file, step=np.int64(step), state=np.array(json.dumps(state)), **arrays)
    return run.file(CHECKPOINT)


def newest_checkpoint(run: Run) -> Path | None:
    """Returns the checkpoint of a run, or ``None`` if there is none yet."""
    path = run.file(CHECKPOINT)
    return path if path.is_file() else None


def load_checkpoint(path: Path, model: Any) -> tuple[int, dict[str, Any]]:
    """Restores a state into a compiled model of the same shape, completely or not at all; returns its step and state.

    Raises:
        RunError: The file is damaged, or belongs to another network.
    """
    try:
        # Everything is read and compared with the model before the model changes.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            step, state = int(arrays["step"]), json.loads(str(arrays["state"]))
            weights, slots = _numbered(arrays, "model"), _numbered(arrays, "optimizer")
        model.optimizer.build(model.trainable_variables)
        if _shapes(weights) != _shapes(model.weights):
            raise ValueError("it belongs to another network")
        if _shapes(slots) != _shapes(model.optimizer.variables):
            raise ValueError("its optimizer has other variables")
        model.set_weights(weights)
        for variable, value in zip(model.optimizer.variables, slots, strict=True):
            variable.assign(value)
        return step, dict(state)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, RecursionError) as error:
        raise RunError(f"{path} cannot be resumed: {error}", "train again into another folder") from error


def save_weights(run: Run, model: Any, name: str) -> None:
    """Writes the weights of a network to a file of the run, which appears when it is complete."""
    synchronize(model)
    target = run.file(name)
    target.parent.mkdir(exist_ok=True)
    # Keras requires the suffix.
    temporary = target.with_name("writing.weights.h5")
    model.save_weights(temporary)
    os.replace(temporary, target)


def synchronize(model: Any) -> None:
    """Copies the state of a training into the variables of its model: with JAX, ``fit`` does so only after an epoch."""
    if hasattr(model, "jax_state_sync"):
        model.jax_state_sync()


def best_weights(step: int) -> str:
    """Returns the name of the file with the weights after a step, the best so far."""
    return f"checkpoints/best-{step}.weights.h5"


def remove_best(run: Run, *, keep: int | None = None) -> None:
    """Removes the best weights of earlier steps; call it when a checkpoint no longer refers to them."""
    for path in run.file("checkpoints").glob("best-*.weights.h5"):
        if keep is None or path != run.file(best_weights(keep)):
            path.unlink(missing_ok=True)


def _shapes(variables: Any) -> list[tuple[int, ...]]:
    return [tuple(variable.shape) for variable in variables]


def _numbered(arrays: Any, prefix: str) -> list[Any]:
    count = sum(name.startswith(f"{prefix}_") for name in arrays.files)
    return [arrays[f"{prefix}_{i}"] for i in range(count)]
