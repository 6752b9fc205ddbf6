"""Starting a training from the weights of another one: what fits is used, and the rest begins from the start.

Keras stores weights in HDF5 files by the place of their layer in the model, such as
``layers/functional/layers/conv2d_3/vars/0``; a ``.keras`` file is a zip archive that contains such a file.
"""

from __future__ import annotations

import io
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h5py  # type: ignore[import-untyped]
import keras
import numpy as np
from numpy.typing import NDArray

from boxwright_kerascv.layers import Detector
from boxwright_kerascv.starting import Start

BACKBONE, PYRAMID = "layers/functional/", "layers/pyramid/"
BOX_HEAD, CLASS_HEAD = "layers/head/", "layers/head_1/"
_PREDICTION = "prediction/vars/"

Arrays = dict[str, NDArray[Any]]


class WeightsError(Exception):
    """Weights are not available or do not match; the message contains the remedy."""


def start_from(model: Detector, start: Start, classes: Sequence[str]) -> str:
    """Copies the weights that fit into a network.

    The backbone is copied completely or the weights are refused, because the other parts read its features. Of the
    pyramid and the heads, each layer with the same shape is copied. The outputs of a class are copied by its name, if
    the names are known, and otherwise all of them if their number is the same.

    Args:
        model: The network, which has just been built.
        start: The weights.
        classes: The classes of the network, in the order of its outputs.

    Returns:
        What was copied and what begins from the start, in one line.

    Raises:
        WeightsError: The file cannot be read, or the backbone is another one; the network is unchanged.
    """
    source = _read(start.path)
    if not any(name.startswith(BACKBONE) for name in source):
        source = {f"{BACKBONE}{name}": value for name, value in source.items()}
    with tempfile.TemporaryDirectory(prefix="boxwright-") as folder:
        path = Path(folder) / "start.weights.h5"
        model.save_weights(path)
        with h5py.File(path, "r+") as target:
            copied, new = _copy(source, target, start, tuple(classes))
        model.load_weights(path)
    begun = f"; new: {', '.join(new)}" if new else ""
    return f"Starting with {', '.join(copied)}{begun}."


def _read(path: str) -> Arrays:
    """Returns the arrays of a file by their place in the model."""
    if not path.endswith((".weights.h5", ".keras")):
        raise WeightsError(f"{path} is not a weights file, which ends in .weights.h5 or .keras")
    try:
        content = Path(path).read_bytes()
        if path.endswith(".keras"):
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                content = archive.read("model.weights.h5")
        found: Arrays = {}

        def add(name: str, node: Any) -> None:
            if isinstance(node, h5py.Dataset):
                found[name] = node[()]

        with h5py.File(io.BytesIO(content)) as file:
            file.visititems(add)
    except (OSError, KeyError, zipfile.BadZipFile) as error:
        raise WeightsError(f"{path} cannot be read as the weights of a Keras model: {error}") from error
    return found


def _copy(source: Arrays, target: Any, start: Start, classes: tuple[str, ...]) -> tuple[list[str], list[str]]:
    """Copies into an open file; returns the names of the copied and of the new parts."""
    names: list[str] = []
    target.visititems(lambda name, node: names.append(name) if isinstance(node, h5py.Dataset) else None)
    fits = {name for name in names if name in source and source[name].shape == target[name].shape}
    if not fits >= {name for name in names if name.startswith(BACKBONE)}:
        raise WeightsError(f"the backbone of {start.path} is not that of the network; pass the --preset of the weights")
    outputs = {name for name in names if name.startswith(CLASS_HEAD + _PREDICTION)}
    for name in fits - outputs:
        target[name][...] = source[name]
    copied, new = ["the backbone"], []
    for part, prefix in (("the pyramid", PYRAMID), ("the box head", BOX_HEAD)):
        mine = {name for name in names if name.startswith(prefix)}
        if mine & fits:
            copied.append(part if mine <= fits else f"a part of {part}")
        if not mine <= fits:
            new.append(part if not mine & fits else f"the rest of {part}")
    # A class's outputs mean the same only behind the same layers, for the same number of anchors.
    head = {name for name in names if name.startswith((CLASS_HEAD, BOX_HEAD + _PREDICTION))} - outputs
    known = _copy_classes(source, target, outputs, start.classes, classes) if head <= fits else ()
    if known:
        copied.append("the classes " + ", ".join(known) if known != classes else "all classes")
    if known != classes:
        new.append("the classes " + ", ".join(name for name in classes if name not in known))
    return copied, new


def _copy_classes(
    source: Arrays, target: Any, outputs: set[str], theirs: tuple[str, ...], ours: tuple[str, ...]
) -> tuple[str, ...]:
    """Copies the outputs of the classes that both networks have, and returns these classes.

    The outputs of a location are those of its first anchor, class by class, then those of the next.
    """
    if not outputs <= source.keys():
        return ()
    if not theirs:
        if any(source[name].shape != target[name].shape for name in outputs):
            return ()
        theirs = ours
    both = tuple(name for name in ours if name in theirs)
    for name in outputs if both else ():
        mine, other = target[name][()], source[name]
        mine = mine.reshape(*mine.shape[:-1], -1, len(ours))
        other = other.reshape(*other.shape[:-1], -1, len(theirs))
        if mine.shape[:-1] != other.shape[:-1]:
            return ()
        mine[..., [ours.index(each) for each in both]] = other[..., [theirs.index(each) for each in both]]
        target[name][...] = np.reshape(mine, target[name].shape)
    return both


def backbone_of(start: Start, image_size: tuple[int, int]) -> Any:
    """Returns the backbone of the run that a training starts from, for another image size; its weights are random."""
    config = dict(start.backbone)
    config["config"] = {**config["config"], "input_shape": [*image_size, 3]}
    return keras.saving.deserialize_keras_object(config)
