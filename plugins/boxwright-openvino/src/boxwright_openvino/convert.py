"""Conversion from a SavedModel, through ONNX: OpenVINO does not find the variables of this kind of SavedModel."""

from __future__ import annotations

import io
import logging
import os
from collections.abc import Iterable
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
import openvino
from openvino import opset1
from openvino.preprocess import ColorFormat, PrePostProcessor, ResizeAlgorithm

from boxwright import MissingLibraryError
from boxwright.models import Network
from boxwright_tf.onnx import to_onnx
from boxwright_tf.quiet import quiet_stderr

_QUANTIZED = {"Convolution", "GroupConvolution"}
_WEIGHTED = _QUANTIZED | {"ConvolutionBackpropData", "GroupConvolutionBackpropData", "MatMul"}
_LARGE = 1024
"""Weights with fewer numbers stay float32: they need no space."""
_NO_REPORT = "NNCF_CI"
"""NNCF reports its use to Google Analytics, unless this variable is set when it is imported."""


def convert(network: Network, path: Path, precision: str, calibration: Iterable[Any] = ()) -> None:
    """Writes a network as OpenVINO's intermediate representation.

    Its input is ``images``, ``(batch, height, width, 3)`` float32, RGB, 0 to 255, of any size. It is resized as Pillow
    does, which changes nothing if it has the size of the network.

    Args:
        network: The network.
        path: The file ``.xml``; the weights are written next to it.
        precision: Of the weights ``fp32`` or ``fp16``; ``int8`` of the convolutions.
        calibration: Inputs for ``int8``.

    Raises:
        MissingLibraryError: NNCF is not installed, which ``int8`` requires.
    """
    nncf = _import_nncf() if precision == "int8" else None
    # Not convert_model, which asks for openvino-telemetry.
    model = openvino.Core().read_model(to_onnx(network.saved_model).SerializeToString())
    if nncf is not None:
        model = _quantize(nncf, model, list(calibration))
    processor = PrePostProcessor(model)
    images = processor.input("images")
    images.tensor().set_element_type(openvino.Type.f32).set_layout(openvino.Layout("NHWC"))
    images.tensor().set_color_format(ColorFormat.RGB).set_spatial_dynamic_shape()
    images.preprocess().resize(ResizeAlgorithm.RESIZE_BILINEAR_PILLOW)
    images.model().set_layout(openvino.Layout("NHWC"))
    model = processor.build()
    labels = " ".join(name.replace(" ", "_") for name in network.label_map.names)  # as the Model API reads them
    model.set_rt_info(labels, ["model_info", "labels"])
    if precision == "fp16":
        _halve_weights(model)
    openvino.save_model(model, path, compress_to_fp16=False)


def _halve_weights(model: Any) -> None:
    """Stores the large weights of convolutions as float16, with a conversion to float32 before their use.

    ``compress_to_fp16`` also stores anchors as float16, whose steps at 256 pixels are a quarter of a pixel.
    """
    for node in model.get_ops():
        if node.get_type_name() not in _WEIGHTED:
            continue
        weight = node.input_value(1).get_node()
        while weight.get_type_name() == "Reshape":
            weight = weight.input_value(0).get_node()
        if weight.get_type_name() != "Constant" or weight.get_element_type() != openvino.Type.f32:
            continue
        values = weight.get_data()
        if values.size >= _LARGE:
            halved = opset1.convert(opset1.constant(values.astype(np.float16)), "f32")
            for target in weight.output(0).get_target_inputs():
                target.replace_source_output(halved.output(0))


def _import_nncf() -> Any:
    before, loggers = os.environ.get(_NO_REPORT), logging.getLoggerClass()
    os.environ[_NO_REPORT] = "1"
    try:
        import nncf
    except ImportError as error:
        raise MissingLibraryError(
            "NNCF is not installed, which openvino:int8 requires",
            'run: python -m pip install "boxwright-openvino[cpu]"',
        ) from error
    finally:
        if before is None:
            del os.environ[_NO_REPORT]
        else:
            os.environ[_NO_REPORT] = before
        logging.setLoggerClass(loggers)  # NNCF sets its own for all loggers
    logging.getLogger("nncf").setLevel(logging.ERROR)  # not set_log_level, which changes the handlers of others, too
    return nncf


def _quantize(nncf: Any, model: Any, images: list[Any]) -> Any:
    """Returns a model whose convolutions are int8, and everything else float32.

    Box decoding in int8 would ruin the boxes: their coordinates need more than 256 steps.
    """
    from nncf.quantization.range_estimator import RangeEstimatorParametersSet

    others = {node.get_type_name() for node in model.get_ops()} - _QUANTIZED - {"Parameter", "Constant", "Result"}
    with redirect_stdout(io.StringIO()), quiet_stderr():  # its progress bars
        return nncf.quantize(
            model,
            nncf.Dataset(images),
            subset_size=len(images),
            ignored_scope=nncf.IgnoredScope(types=sorted(others), validate=False),
            # By default, the mean of the largest values of all images: brighter ones would be clipped.
            advanced_parameters=nncf.AdvancedQuantizationParameters(
                activations_range_estimator_params=RangeEstimatorParametersSet.MINMAX
            ),
        )
