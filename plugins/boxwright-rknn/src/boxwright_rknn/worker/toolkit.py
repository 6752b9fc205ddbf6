"""Converts a network, and runs it in the toolkit's simulator."""

from __future__ import annotations

import os
import tempfile
from typing import Any

from . import prepare  # noqa: F401  isort:skip

import cv2
import numpy as np
from rknn.api import RKNN

_opened: list[Any] = []
"""The network that the simulator runs: one for each worker."""
_ADDRESSES, _ADDRESSES_SHARE = 2048, 0.01
"""How many bytes may differ between two builds: the toolkit writes addresses of its memory into the file."""


def build(connection: Any, *, network: str, target: str, images: list[str], out: str) -> None:
    """Converts an ONNX file.

    Args:
        connection: The connection to the main process.
        network: The ONNX file; its input is ``(1, 3, height, width)``.
        target: The chip.
        images: PNG files to calibrate int8 with; none for half precision.
        out: The ``.rknn`` file to write.
    """
    _write(connection, _built(connection, network, target, images), out)


def simulate(connection: Any, *, model: str, network: str, target: str, images: list[str]) -> None:
    """Opens a converted model in the simulator, which runs only what was built in the same process.

    So it is built again, and must be the same.

    Args:
        connection: The connection to the main process.
        model: The ``.rknn`` file.
        network: The ONNX file that it was built from.
        target: As for :func:`build`.
        images: As for :func:`build`.
    """
    rknn = _built(connection, network, target, images)
    with tempfile.TemporaryDirectory() as folder:
        again = os.path.join(folder, "again.rknn")
        _write(connection, rknn, again)
        one, other = np.fromfile(model, np.uint8), np.fromfile(again, np.uint8)
    if one.size != other.size or np.count_nonzero(one != other) > max(_ADDRESSES, _ADDRESSES_SHARE * one.size):
        raise connection.Refusal(
            f"{model} is not what rknn-toolkit2 makes of {network} for {target}", "export the model again"
        )
    _check(connection, rknn.init_runtime(), "simulate it")
    _opened[:] = [rknn]


def _built(connection: Any, network: str, target: str, images: list[str]) -> Any:
    with tempfile.TemporaryDirectory() as folder:
        listed = os.path.join(folder, "images.txt")
        with open(listed, "w", encoding="utf-8") as file:
            for number, image in enumerate(images):
                read: Any = cv2.imread(image)
                pixels = read[..., ::-1].transpose(2, 0, 1)[None]
                name = os.path.join(folder, f"{number}.npy")
                np.save(name, pixels.astype(np.float32))
                file.write(f"{name}\n")
        rknn = RKNN(verbose=False)
        rknn.config(target_platform=target)
        _check(connection, rknn.load_onnx(network), "read the network")
        quantized = bool(images)
        _check(connection, rknn.build(do_quantization=quantized, dataset=listed if quantized else None), "build it")
    return rknn


def _write(connection: Any, rknn: Any, out: str) -> None:
    _check(connection, rknn.export_rknn(out), f"write {out}")


def run(connection: Any, *, images: str, out: str) -> None:
    """Runs the simulator.

    Args:
        connection: The connection to the main process.
        images: A ``.npy`` file, ``(1, height, width, 3)`` float32.
        out: The ``.npz`` file to write, with the outputs as ``arr_0``, ``arr_1``, ...
    """
    outputs = _opened[0].inference([np.load(images)], data_format=["nhwc"])
    if outputs is None:
        raise connection.Refusal("the simulator of rknn-toolkit2 failed", "export the model again")
    np.savez(out, *outputs)


def _check(connection: Any, code: int, what: str) -> None:
    if code:
        raise connection.Refusal(f"rknn-toolkit2 cannot {what}", "use another preset, or another target")
