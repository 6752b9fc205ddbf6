"""The network as ONNX for TensorRT, and what builds an engine from it."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from boxwright import UsageError
from boxwright.models import Network
from boxwright_tf.onnx import keep_best, quantize, require_common, to_onnx

MODEL: Final = "model.onnx"
NETWORK: Final = "network.onnx"
ENGINE: Final = "model.engine"
CACHE: Final = "calibration.cache"
BATCHES: Final = (1, 4, 8)
"""The smallest, usual and largest batch of the engine."""
_DOMAIN = "TRT"
LARGEST_TOP_K: Final = 3840
"""The limit of TensorRT's ``ITopKLayer``, and of the scores of an image that enter the plugin here."""
_FLAGS = {"fp32": (), "fp16": ("FP16",), "int8": ("FP16", "INT8")}
"""The precisions that the engine may use, by those of the exporter; FP16 for what is not int8."""


def convert(network: Network, folder: Path, precision: str, calibration: Iterable[Any] = ()) -> bool:
    """Writes everything into the folder of an artifact.

    Args:
        network: The network.
        folder: The folder.
        precision: ``fp32``; ``fp16``, which changes only the scripts; or ``int8``, of the convolutions.
        calibration: Inputs for ``int8``.

    Returns:
        Whether fewer scores enter the suppression than in the run, because of :data:`LARGEST_TOP_K`.

    Raises:
        UsageError: Its decoder is Soft-NMS, or has IoU thresholds by class, which the plugin does not have; or it keeps
            more than :data:`LARGEST_TOP_K` detections.
    """
    require_common(network.decoder, "TensorRT")
    if network.decoder.max_detections > LARGEST_TOP_K:
        raise UsageError(
            f"TensorRT chooses among {LARGEST_TOP_K:,} scores of an image at most, and the run keeps up to"
            f" {network.decoder.max_detections:,} detections",
            f"run: boxwright tune RUN --set max_detections={LARGEST_TOP_K}",
        )
    model = to_onnx(network.saved_model)
    if precision == "int8":
        model = quantize(model, calibration, for_tensorrt=True)
        (folder / CACHE).write_text(calibration_cache(model), "utf-8")
    onnx.checker.check_model(model)
    (folder / NETWORK).write_bytes(model.SerializeToString())
    reduced = _add_suppression(model, network)
    (folder / MODEL).write_bytes(model.SerializeToString())
    size = f"{network.inputs.height}x{network.inputs.width}x3"
    (folder / "build.py").write_text(build_script(precision, size), "utf-8")
    (folder / "build.sh").write_text(build_command(precision, size), "utf-8")
    (folder / "build.sh").chmod(0o755)
    return reduced


def _add_suppression(model: Any, network: Network) -> bool:
    """Adds TensorRT's plugin ``EfficientNMS_TRT`` to the end of a network.

    Its outputs are ``num_detections`` ``(batch, 1)`` int32, ``detection_boxes`` ``(batch, D, 4)``, ``xyxy`` in pixels
    of the input, ``detection_scores`` ``(batch, D)`` and ``detection_classes`` ``(batch, D)`` int32 from 0.
    """
    decoder, inputs = network.decoder, network.inputs
    graph = model.graph
    limits = {"origin": np.zeros(4, np.float32), "corner": np.array([inputs.width, inputs.height] * 2, np.float32)}
    graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in limits.items())
    scores = keep_best(graph, "scores", min(decoder.pre_nms, LARGEST_TOP_K))
    outputs = {
        "num_detections": (TensorProto.INT32, ["batch", 1]),
        "detection_boxes": (TensorProto.FLOAT, ["batch", decoder.max_detections, 4]),
        "detection_scores": (TensorProto.FLOAT, ["batch", decoder.max_detections]),
        "detection_classes": (TensorProto.INT32, ["batch", decoder.max_detections]),
    }
    candidates, found = ("clipped", "detection_boxes") if decoder.clips_first else ("boxes", "unclipped")
    source, target = ("boxes", "clipped") if decoder.clips_first else ("unclipped", "detection_boxes")
    clip = [
        helper.make_node("Max", [source, "origin"], ["not_negative"]),
        helper.make_node("Min", ["not_negative", "corner"], [target]),
    ]
    graph.node.extend(
        [
            *(clip if decoder.clips_first else ()),
            helper.make_node(
                "EfficientNMS_TRT",
                [candidates, scores],
                [found if name == "detection_boxes" else name for name in outputs],
                domain=_DOMAIN,
                plugin_version="1",
                score_threshold=decoder.score_threshold,
                iou_threshold=decoder.iou_threshold,
                max_output_boxes=decoder.max_detections,
                background_class=-1,
                score_activation=0,
                class_agnostic=int(decoder.suppression == "all"),
                box_coding=0,  # corners
            ),
            *(() if decoder.clips_first else clip),
        ]
    )
    del graph.output[:]
    graph.output.extend(helper.make_tensor_value_info(name, kind, shape) for name, (kind, shape) in outputs.items())
    model.opset_import.append(helper.make_opsetid(_DOMAIN, 1))
    return scores != "scores" and decoder.pre_nms > LARGEST_TOP_K


def calibration_cache(model: Any) -> str:
    """Returns the scales of the activations of a quantized model in the form of TensorRT's entropy calibrator.

    TensorRT takes the scales from the model itself. The cache is for builders of the float model in TensorRT 8 and 9:
    one line per tensor, with the scale as the bytes of a float32 in hexadecimal.
    """
    values = {each.name: numpy_helper.to_array(each) for each in model.graph.initializer}
    lines = ["TRT-8601-EntropyCalibration2"]
    for node in model.graph.node:
        if node.op_type == "QuantizeLinear" and node.input[0] not in values and values[node.input[1]].size == 1:
            scale = struct.pack(">f", float(values[node.input[1]].reshape(())))
            lines.append(f"{node.input[0]}: {scale.hex()}")
    return "\n".join(dict.fromkeys(lines)) + "\n"


def build_command(precision: str, size: str) -> str:
    """Returns the shell script that builds the engine with ``trtexec``."""
    shapes = " ".join(
        f"--{kind}Shapes=images:{batch}x{size}" for kind, batch in zip(("min", "opt", "max"), BATCHES, strict=True)
    )
    flags = "".join(f" --{flag.lower()}" for flag in _FLAGS[precision])
    return (
        "#!/bin/sh\n# Builds model.engine for the GPU of this computer, with trtexec of TensorRT 8.6 to 10.\n"
        f'cd "$(dirname "$0")" && exec trtexec --onnx={MODEL} --saveEngine={ENGINE} {shapes}{flags}\n'
    )


def build_script(precision: str, size: str) -> str:
    """Returns the Python script that builds the engine."""
    shape = ", ".join(size.split("x"))
    flags = "".join(f"config.set_flag(trt.BuilderFlag.{flag})\n" for flag in _FLAGS[precision])
    return f'''"""Builds {ENGINE} for the GPU of this computer: python build.py   Needs tensorrt 8.6 to 10."""
import sys
from pathlib import Path

import tensorrt as trt

folder = Path(__file__).resolve().parent
logger = trt.Logger(trt.Logger.WARNING)
trt.init_libnvinfer_plugins(logger, "")
builder = trt.Builder(logger)
old = int(trt.__version__.split(".")[0]) < 10  # later ones have no other kind of network
network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.EXPLICIT_BATCH) if old else 0)
parser = trt.OnnxParser(network, logger)
if not parser.parse_from_file(str(folder / "{MODEL}")):
    sys.exit("\\n".join(str(parser.get_error(number)) for number in range(parser.num_errors)))
config = builder.create_builder_config()
{flags}profile = builder.create_optimization_profile()
profile.set_shape("images", *((batch, {shape}) for batch in {BATCHES}))
config.add_optimization_profile(profile)
engine = builder.build_serialized_network(network, config)
if engine is None:
    sys.exit("TensorRT could not build the engine; its messages are above")
(folder / "{ENGINE}").write_bytes(engine)
print(folder / "{ENGINE}")
'''
