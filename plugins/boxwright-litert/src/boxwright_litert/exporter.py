"""The exporter ``litert``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from boxwright.models import Network, NetworkExporter
from boxwright_tf.litert import load_network, refuse_tflite
from boxwright_tf.quiet import quiet_stderr


class LiteRTExporter(NetworkExporter):
    """``model.tflite``: boxes and scores of all anchors, for any backend that offers its network.

    ``fp16`` stores the weights in half precision, which halves the file; ``dynamic`` stores them as int8, which
    quarters it, and quantizes activations while it runs. ``int8`` quantizes activations by their calibrated ranges.
    """

    model = "model.tflite"
    packages = ("ai-edge-litert",)
    load_network = staticmethod(load_network)

    def convert(self, network: Network, folder: Path, precision: str) -> None:
        """Writes ``model.tflite``."""
        from boxwright_litert.convert import convert

        content = convert(network, precision, lambda: self.calibration_images(network), suppress=self.suppresses)
        (folder / self.model).write_bytes(content)

    def opened(self, artifact: Path, **options: Any) -> Any:
        """Opens a network in LiteRT, without TensorFlow.

        Raises:
            DataError: The model contains operations of TensorFlow, and is not trusted; or it is damaged.
        """
        refuse_tflite(artifact, artifact.read_bytes())
        with quiet_stderr():
            return super().opened(artifact, **options)


class LiteRTDetectionExporter(LiteRTExporter):
    """``model.tflite`` that ends in ``TFLite_Detection_PostProcess``, whose outputs are detections."""

    suppresses = True

    def convert(self, network: Network, folder: Path, precision: str) -> None:
        """Writes ``model.tflite``.

        Raises:
            UsageError: The decoder of the network is Soft-NMS, or has IoU thresholds by class.
        """
        super().convert(network, folder, precision)

    @staticmethod
    def load_network(path: str) -> Any:
        """Loads a converted network with its suppression."""
        from ai_edge_litert.interpreter import Interpreter

        interpreter = Interpreter(path, num_threads=1)  # with more, the operation omits a class
        interpreter.allocate_tensors()
        (images,) = interpreter.get_input_details()
        outputs = [each["index"] for each in interpreter.get_output_details()]

        def detect(pixels: Any) -> Any:
            interpreter.set_tensor(images["index"], pixels)
            interpreter.invoke()
            boxes, classes, scores, count = (interpreter.get_tensor(output)[0] for output in outputs)
            boxes = boxes[:, [1, 0, 3, 2]].clip(0, 1) * images["shape"][[2, 1, 2, 1]].astype(np.float32)
            return boxes[: int(count)], scores[: int(count)], classes[: int(count)].astype(int)

        return detect
