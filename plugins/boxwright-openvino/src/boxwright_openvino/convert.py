"""Conversion from a SavedModel, through ONNX: OpenVINO does not find the variables of this kind of SavedModel."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import openvino
from openvino.preprocess import ColorFormat, PrePostProcessor, ResizeAlgorithm

from boxwright.models import Network
from boxwright_tf.onnx import quantize, to_onnx


def convert(network: Network, path: Path, precision: str, calibration: Iterable[Any] = ()) -> None:
    """Writes a network as OpenVINO's intermediate representation.

    Its input is ``images``, ``(batch, height, width, 3)`` float32, RGB, 0 to 255, of any size. It is resized as Pillow
    does, which changes nothing if it has the size of the network.

    Args:
        network: The network.
        path: The file ``.xml``; the weights are written next to it.
        precision: Of the weights ``fp32`` or ``fp16``; ``int8`` of the convolutions.
        calibration: Inputs for ``int8``.
    """
    converted = to_onnx(network.saved_model)
    if precision == "int8":
        converted = quantize(converted, calibration)
    # Not convert_model, which asks for openvino-telemetry.
    processor = PrePostProcessor(openvino.Core().read_model(converted.SerializeToString()))
    images = processor.input("images")
    images.tensor().set_element_type(openvino.Type.f32).set_layout(openvino.Layout("NHWC"))
    images.tensor().set_color_format(ColorFormat.RGB).set_spatial_dynamic_shape()
    images.preprocess().resize(ResizeAlgorithm.RESIZE_BILINEAR_PILLOW)
    images.model().set_layout(openvino.Layout("NHWC"))
    model = processor.build()
    labels = " ".join(name.replace(" ", "_") for name in network.label_map.names)  # as the Model API reads them
    model.set_rt_info(labels, ["model_info", "labels"])
    openvino.save_model(model, path, compress_to_fp16=precision == "fp16")
