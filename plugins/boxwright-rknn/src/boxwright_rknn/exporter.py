"""The exporter ``rknn``."""

from __future__ import annotations

import json
import sys
import weakref
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import numpy as np
from PIL import Image

from boxwright.environments import Environment
from boxwright.models import Network, NetworkExporter
from boxwright_rknn import ENVIRONMENT, TARGETS

NETWORK: Final = "network.onnx"
DECODER: Final = "decoder.onnx"
SETTINGS: Final = "rknn.json"
IMAGES: Final = "calibration"
SCRIPT: Final = "build_rk3399pro.py"
_MOST_IMAGES = 32


class RKNNExporter(NetworkExporter):
    """``model.rknn`` for the NPU, and ``decoder.onnx`` for the CPU of the board, which decodes the boxes in float32.

    ``network.onnx`` is what ``model.rknn`` was made of: the toolkit simulates only what it has just built. So opening
    an artifact builds it again, and compares both.

    Args:
        target: The chip.
    """

    model = "model.rknn"
    packages = ("onnxruntime", "rknn-toolkit-lite2")

    def __init__(self, target: str = TARGETS[0]) -> None:
        self.target = target

    def convert(self, network: Network, folder: Path, precision: str) -> None:
        """Writes everything, and builds the model in the environment of rknn-toolkit2.

        Raises:
            MissingLibraryError: The environment is not installed.
            ExportError: The network has no convolutions.
        """
        from boxwright_rknn.graph import split
        from boxwright_tf.onnx import to_onnx

        environment = Environment(ENVIRONMENT)
        environment.require()
        size = network.inputs.height, network.inputs.width
        parts = split(to_onnx(network.saved_model), *size)
        (folder / NETWORK).write_bytes(parts.network.SerializeToString())
        (folder / DECODER).write_bytes(parts.decoder.SerializeToString())
        if precision == "int8":
            self._write_images(network, folder / IMAGES)
        (folder / SETTINGS).write_text(json.dumps({"target": self.target, "precision": precision}) + "\n", "utf-8")
        (folder / SCRIPT).write_text(_script(precision), "utf-8")
        with environment.worker() as worker:
            worker.call("toolkit:build", _request(folder) | {"out": str((folder / self.model).absolute())})

    def _write_images(self, network: Network, folder: Path) -> None:
        folder.mkdir()
        for number, pixels in enumerate(self.calibration_images(network)):
            if number == _MOST_IMAGES:
                break
            image = Image.fromarray(np.clip(pixels[0] + 0.5, 0, 255).astype(np.uint8))
            image.save(folder / f"{number:03d}.png")

    def opened(self, artifact: Path, **options: Any) -> Any:
        """Returns the network in the toolkit's simulator: the NPU is on another board.

        Raises:
            MissingLibraryError: The environment is not installed.
            RunError: The model is not what the toolkit makes of ``network.onnx``.
        """
        import onnxruntime

        decoder = onnxruntime.InferenceSession(
            artifact.with_name(DECODER).read_bytes(), providers=["CPUExecutionProvider"]
        )
        worker = Environment(ENVIRONMENT).worker()
        try:
            worker.call("toolkit:simulate", _request(artifact.parent) | {"model": str(artifact.absolute())})
        except BaseException:
            worker.end()
            raise
        names = [each.name for each in decoder.get_inputs()]

        def run(images: Any) -> Any:
            with TemporaryDirectory() as folder:
                request = {"images": f"{folder}/images.npy", "out": f"{folder}/outputs.npz"}
                np.save(request["images"], images)
                worker.call("toolkit:run", request)
                with np.load(request["out"]) as outputs:
                    found = {name: outputs[f"arr_{number}"] for number, name in enumerate(names)}
            return decoder.run(["boxes", "scores"], found)

        weakref.finalize(run, worker.end)  # with the last model that uses it, and at the latest at exit
        return run

    @staticmethod
    def load_network(path: str) -> Any:
        """Loads a model on the NPU of this board, and the decoder on its CPU."""
        from importlib import import_module

        import onnxruntime

        npu = import_module("rknnlite.api").RKNNLite()  # of the board's rknn-toolkit-lite2
        decoder = onnxruntime.InferenceSession(str(Path(path).with_name("decoder.onnx")))
        if npu.load_rknn(path) or npu.init_runtime():
            sys.exit(f"{path} cannot be run on this board")
        names = [each.name for each in decoder.get_inputs()]
        outputs = ["boxes", "scores"]
        return lambda images: decoder.run(outputs, dict(zip(names, npu.inference(inputs=[images]), strict=True)))


def _request(folder: Path) -> dict[str, Any]:
    settings = json.loads((folder / SETTINGS).read_text("utf-8"))
    images = [str(path.absolute()) for path in sorted((folder / IMAGES).glob("*.png"))]
    return {"network": str((folder / NETWORK).absolute()), "target": settings["target"], "images": images}


def _script(precision: str) -> str:
    """Returns the script for the RK3399Pro, whose toolkit, of the first generation, is not on PyPI."""
    quantize = precision == "int8"
    return f'''"""Builds model_rk3399pro.rknn: python build_rk3399pro.py

Needs Rockchip's rknn-toolkit 1.7.5 (Python 3.6 to 3.8), from https://github.com/airockchip/rknn-toolkit.
"""
import glob
import os

from rknn.api import RKNN

os.chdir(os.path.dirname(os.path.abspath(__file__)))
images = sorted(glob.glob("{IMAGES}/*.png"))
with open("images.txt", "w") as file:
    file.write("".join(image + "\\n" for image in images))
rknn = RKNN()
rknn.config(target_platform=["rk3399pro"], reorder_channel="0 1 2", mean_values=[[0, 0, 0]], std_values=[[1, 1, 1]])
for step in (
    lambda: rknn.load_onnx(model="{NETWORK}"),
    lambda: rknn.build(do_quantization={quantize}, dataset="images.txt"),
    lambda: rknn.export_rknn("model_rk3399pro.rknn"),
):
    if step() != 0:
        raise SystemExit("rknn-toolkit failed; its messages are above")
'''
