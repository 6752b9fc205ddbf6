"""Networks in LiteRT: converted with TensorFlow, and run without it.

Loading LiteRT takes a fraction of a second, TensorFlow and Keras more than ten.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from boxwright import DataError, RunError
from boxwright.models import models_trusted, untrusted_model
from boxwright_tf.quiet import quiet_stderr

_LARGE = 1024
"""Weights with fewer numbers stay float32: they need no space."""


def to_litert(
    network: Callable[[Any], Any],
    image_size: tuple[int, int],
    precision: str = "fp32",
    calibration: Callable[[], Iterable[Any]] = tuple,
) -> bytes:
    """Converts a network to a ``.tflite`` file, whose input and outputs are float32.

    With ``int8``, all operations up to the last convolutions are int8, and the decoder after them is float32: boxes
    need more than 256 steps.

    Args:
        network: A function from a tensor ``(1, height, width, 3)`` float32 to a tuple of tensors.
        image_size: Height and width.
        precision: Of the weights: ``fp32``, ``fp16``, or ``dynamic`` for int8 with activations quantized at run time;
            ``int8`` for weights and activations.
        calibration: Yields inputs for ``int8``, ``(1, height, width, 3)`` float32.
    """
    import tensorflow as tf

    signature = tf.TensorSpec((1, *image_size, 3), tf.float32)
    with quiet_stderr():
        concrete = tf.function(network, autograph=False).get_concrete_function(signature)
        converter = tf.lite.TFLiteConverter.from_concrete_functions([concrete])
        if precision == "int8":
            plain = bytes(converter.convert())
            decoder = decoder_tensors(plain)
            if decoder is None:
                return plain
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
            converter.representative_dataset = lambda: ([image] for image in calibration())
            # It looks for bad layers, but is also TensorFlow's only way to leave some in float32.
            options = tf.lite.experimental.QuantizationDebugOptions(denylisted_nodes=decoder)
            debugger = tf.lite.experimental.QuantizationDebugger(converter=converter, debug_options=options)
            return bytes(debugger.get_nondebug_quantized_model())
        if precision == "dynamic":
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        content = bytes(converter.convert())
        return _halve_weights(content) if precision == "fp16" else content


def decoder_tensors(content: bytes) -> list[str] | None:
    """Returns the names of the results in a ``.tflite`` file that are calculated after the last convolutions.

    Returns:
        ``None`` if it contains no convolution.
    """
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content))
    graph = model.subgraphs[0]
    codes = [code.builtinCode for code in model.operatorCodes]
    convolutions = _convolutions(schema)
    if not convolutions.intersection(codes):
        return None
    makers = {int(tensor): operator for operator in graph.operators for tensor in operator.outputs}
    found: set[int] = set()
    left = [int(tensor) for tensor in graph.outputs]
    while left:
        tensor = left.pop()
        maker = makers.get(tensor)
        if maker is not None and tensor not in found and codes[maker.opcodeIndex] not in convolutions:
            found.add(tensor)
            left += [int(each) for each in maker.inputs]
    return [graph.tensors[tensor].name.decode() for tensor in sorted(found)]


def _halve_weights(content: bytes) -> bytes:
    """Stores the large weights of convolutions as float16, which interpreters convert to float32 when they load it.

    TensorFlow's own way also stores anchors as float16, whose steps at 256 pixels are a quarter of a pixel.
    """
    import numpy as np
    from ai_edge_litert import schema_py_generated as schema
    from ai_edge_litert.tools import flatbuffer_utils

    model = flatbuffer_utils.read_model_from_bytearray(content)
    graph, half = model.subgraphs[0], schema.OperatorCodeT()
    half.builtinCode = half.deprecatedBuiltinCode = schema.BuiltinOperator.DEQUANTIZE
    half.version = 3  # the first for float16
    codes = [code.builtinCode for code in model.operatorCodes]
    convolutions = _convolutions(schema)
    weights = {int(each.inputs[1]) for each in graph.operators if codes[each.opcodeIndex] in convolutions}
    added = []
    for weight in sorted(weights):
        tensor = graph.tensors[weight]
        stored = model.buffers[tensor.buffer].data
        if stored is None or tensor.type != schema.TensorType.FLOAT32 or len(stored) < 4 * _LARGE:
            continue
        values = np.frombuffer(bytes(stored), np.float32).astype(np.float16)
        halved, buffer, operator = schema.TensorT(), schema.BufferT(), schema.OperatorT()
        halved.name, halved.shape, halved.type = tensor.name + b"_half", tensor.shape, schema.TensorType.FLOAT16
        halved.buffer, tensor.buffer = len(model.buffers), 0
        buffer.data = np.frombuffer(values.tobytes(), np.uint8)
        operator.inputs, operator.outputs = [len(graph.tensors)], [weight]
        operator.opcodeIndex = len(model.operatorCodes)
        model.buffers.append(buffer)
        graph.tensors.append(halved)
        added.append(operator)
    model.operatorCodes.append(half)
    graph.operators = [*added, *graph.operators]
    used = {each.buffer for part in model.subgraphs for each in part.tensors}
    used.update(each.buffer for each in model.metadata or ())
    for number, buffer in enumerate(model.buffers):
        if number not in used:
            buffer.data = None
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))


def _convolutions(schema: Any) -> set[int]:
    kinds = schema.BuiltinOperator
    return {kinds.CONV_2D, kinds.DEPTHWISE_CONV_2D, kinds.TRANSPOSE_CONV, kinds.FULLY_CONNECTED}


def refuse_tflite(path: Path, content: bytes) -> None:
    """Checks a ``.tflite`` file before it is run.

    LiteRT has operations that only calculate. Those of TensorFlow in such a file, "Flex" operations, may also use files
    or run Python code, in an interpreter that supports them.

    Raises:
        DataError: It contains operations of TensorFlow, and the user does not trust it; or it is damaged.
    """
    from ai_edge_litert import schema_py_generated as schema

    if models_trusted():
        return
    try:
        model = schema.Model.GetRootAs(content)
        codes = [model.OperatorCodes(number).CustomCode() or b"" for number in range(model.OperatorCodesLength())]
    except (ValueError, TypeError, IndexError, struct.error, OverflowError) as error:
        raise DataError(path, f"it is not a .tflite file, or damaged: {error}", "copy or export it again") from None
    found = sorted({code.decode("utf-8", "replace") for code in codes if code.startswith(b"Flex")})
    if found:
        raise untrusted_model(path, f"it contains operations of TensorFlow: {', '.join(found[:5])}")


def load_network(path: str) -> Any:
    """Loads a converted network: a function from images to the tuple of arrays that the network returns."""
    from ai_edge_litert.interpreter import Interpreter

    threads = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0] or os.cpu_count() or 1
    interpreter = Interpreter(path, num_threads=int(threads))
    interpreter.allocate_tensors()
    (images,) = (each["index"] for each in interpreter.get_input_details())
    outputs = [each["index"] for each in sorted(interpreter.get_output_details(), key=lambda each: each["name"])]

    def network(pixels: Any) -> Any:
        interpreter.set_tensor(images, pixels)
        interpreter.invoke()
        return [interpreter.get_tensor(output) for output in outputs]

    return network


def open_network(path: Path) -> Any:
    """Returns the function of :func:`load_network`.

    Raises:
        RunError: LiteRT cannot run the network.
        ImportError: LiteRT is not installed.
    """
    try:
        with quiet_stderr():
            return load_network(str(path))
    except (ValueError, RuntimeError) as error:
        raise RunError(f"LiteRT cannot run {path}: {error}", "train or export it again") from None
