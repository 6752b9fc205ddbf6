"""Checkpoints: the state from which a training resumes as if it had not been interrupted.

A checkpoint is a numpy archive without pickles: the step, the network's variables and the optimizer's, by position. The
order of images and their augmentation depend only on the seed and the step, so a checkpoint does not contain them.
"""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from boxwright import RunError
from boxwright.models import Run

CHECKPOINT = "checkpoints/last.npz"


def save_checkpoint(run: Run, model: Any, step: int) -> Path:
    """Writes the state after a step, replaces the previous one when it is complete, and returns the path."""
    arrays = {f"model_{i}": value for i, value in enumerate(model.get_weights())}
    arrays |= {f"optimizer_{i}": np.asarray(variable) for i, variable in enumerate(model.optimizer.variables)}
    with run.open_write(CHECKPOINT) as file:
        np.savez(file, step=np.int64(step), **arrays)
    return run.file(CHECKPOINT)


def newest_checkpoint(run: Run) -> Path | None:
    """Returns the checkpoint of a run, or ``None`` if there is none yet."""
    path = run.file(CHECKPOINT)
    return path if path.is_file() else None


def load_checkpoint(path: Path, model: Any) -> int:
    """Restores a state into a compiled model of the same shape, completely or not at all; returns its step.

    Raises:
        RunError: The file is damaged, or belongs to another network.
    """
    try:
        # Everything is read and compared with the model before the model changes.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            step = int(arrays["step"])
            weights, state = _numbered(arrays, "model"), _numbered(arrays, "optimizer")
        model.optimizer.build(model.trainable_variables)
        if _shapes(weights) != _shapes(model.weights):
            raise ValueError("it belongs to another network")
        if _shapes(state) != _shapes(model.optimizer.variables):
            raise ValueError("its optimizer has other variables")
        model.set_weights(weights)
        for variable, value in zip(model.optimizer.variables, state, strict=True):
            variable.assign(value)
        return step
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise RunError(f"{path} cannot be resumed: {error}", "train again into another folder") from error


def _shapes(variables: Any) -> list[tuple[int, ...]]:
    return [tuple(variable.shape) for variable in variables]


def _numbered(arrays: Any, prefix: str) -> list[Any]:
    count = sum(name.startswith(f"{prefix}_") for name in arrays.files)
    return [arrays[f"{prefix}_{i}"] for i in range(count)]
