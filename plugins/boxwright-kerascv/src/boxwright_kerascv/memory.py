"""The memory that a training step takes, and the batch size that fits."""

from __future__ import annotations

import math
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from boxwright import Reporter
from boxwright_retinanet.recipe import Recipe

_ENOUGH = 8_000
"""Bytes per pixel of a batch that suffice for every preset; with less, the network is measured."""

_SHARE = 0.8
"""The part of the available memory that a training may take."""

_STATES = 16
"""Bytes per parameter: the weight, its gradient, and two averages of the optimizer, in float32."""


def fitting(recipe: Recipe, model: Any, reporter: Reporter, *, fixed: bool) -> Recipe:
    """Returns the recipe with a batch size that fits in memory.

    A smaller batch is accumulated, so that each update of the weights is made from as many images as before.

    Args:
        recipe: The settings.
        model: The network.
        reporter: Receives a message about a change, or a warning.
        fixed: Whether the user has set the batch size, which is then kept; so it is with an optimizer of the user.
    """
    available = available_bytes()
    pixels = recipe.width * recipe.height * recipe.batch_size
    if available is None or available > _ENOUGH * pixels:
        return recipe
    size = np.dtype(recipe.precision.removeprefix("mixed_").replace("bfloat16", "float16")).itemsize
    image = activation_bytes(model, recipe.image_size) * size / 4
    states = _STATES * model.count_params()
    fits = int((available * _SHARE - states) / image)
    if fits >= recipe.batch_size:
        return recipe
    needed = states + image * recipe.batch_size
    shortage = (
        f"{recipe.batch_size} images of {recipe.width}x{recipe.height} take about {needed / 1e9:.1f} GB, and "
        f"{available / 1e9:.1f} GB are available"
    )
    if fixed or recipe.optimizer == "object":
        reporter.warning(f"{shortage}: use a smaller --batch-size with --set accumulate=, or a smaller --image-size")
        return recipe
    batch = 2 ** max(0, int(math.log2(max(fits, 1))))
    parts = math.ceil(recipe.batch_size / batch)
    reporter.message(f"{shortage}: each update of the weights is made from {parts} steps of {batch}.")
    return replace(
        recipe,
        batch_size=batch,
        accumulate=recipe.accumulate * parts,
        steps=recipe.steps * parts,
        steps_per_epoch=recipe.steps_per_epoch * parts,
    )


def activation_bytes(model: Any, image_size: tuple[int, int]) -> int:
    """Returns the bytes of one image's activations in a training step, in float32: each once, and once its gradient."""
    inputs = tf.TensorSpec((1, *image_size, 3), tf.float32)
    forward = tf.function(lambda images: model(images, training=True), autograph=False)
    graph = forward.get_concrete_function(inputs).graph
    return 2 * sum(_bytes(output) for output in _outputs(graph))


def _outputs(graph: Any) -> list[Any]:
    found = []
    for operation in graph.get_operations():
        # Constants, variables, and tensors that share the memory of another.
        if operation.type not in ("Const", "Identity", "Placeholder", "ReadVariableOp", "Reshape", "NoOp"):
            found += operation.outputs
    return found


def _bytes(tensor: Any) -> int:
    shape = tensor.shape
    return 0 if not shape.is_fully_defined() else int(np.prod(shape.as_list())) * 4


def available_bytes() -> int | None:
    """Returns the memory that a training can use: of the first GPU if TensorFlow has one, otherwise of the computer.

    Returns:
        Bytes, or ``None`` if the system does not state them.
    """
    if tf.config.list_physical_devices("GPU"):
        return _gpu_bytes()
    known = [number for number in (_machine_bytes(), _cgroup_bytes()) if number is not None]
    return min(known, default=None)


def _gpu_bytes() -> int | None:
    command = ["nvidia-smi", "--query-gpu=memory.total", "--format=csv,noheader,nounits", "--id=0"]
    try:
        output = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout
        return int(output.split()[0]) * 2**20
    except (OSError, subprocess.SubprocessError, ValueError, IndexError):
        return None


def _machine_bytes() -> int | None:
    try:
        lines = Path("/proc/meminfo").read_text("ascii").splitlines()
        values = dict(line.split(":", 1) for line in lines)
        return int(values["MemAvailable"].split()[0]) * 1024
    except (OSError, ValueError, KeyError, IndexError):
        return None


def _cgroup_bytes() -> int | None:
    folder = Path("/sys/fs/cgroup")
    try:
        limit = int((folder / "memory.max").read_text("ascii"))
        return limit - int((folder / "memory.current").read_text("ascii"))
    except (OSError, ValueError):  # "max" for no limit
        return None
