"""The weights of a TensorFlow Lite model, for building the same network in a library that can train it.

The file is a FlatBuffer (tensorflow/compiler/mlir/lite/schema/schema.fbs). It is parsed without running anything.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from boxwright_tf.quiet import quiet_import

with quiet_import():
    from tensorflow.lite.python import schema_py_generated as schema

_DAMAGE = (ValueError, TypeError, IndexError, AttributeError, struct.error, MemoryError)


class Convolution(NamedTuple):
    """One convolution of a network.

    Attributes:
        kind: ``"CONV_2D"`` or ``"DEPTHWISE_CONV_2D"``.
        output: The name of the tensor that it writes.
        kernel: float32, ``(outputs, height, width, inputs)``; depthwise: ``(1, height, width, channels)``.
        bias: float32, one value per output.
    """

    kind: str
    output: str
    kernel: NDArray[np.float32]
    bias: NDArray[np.float32]


def read_convolutions(content: bytes) -> list[Convolution]:
    """Returns the convolutions of a model in the order of its operators.

    Args:
        content: The ``.tflite`` file; its weights are float32 or float16.

    Raises:
        ValueError: The bytes are not such a model.
    """
    try:
        model = schema.ModelT.InitFromPackedBuf(content, 0)
        graph = model.subgraphs[0]
        codes = [max(code.builtinCode, code.deprecatedBuiltinCode) for code in model.operatorCodes]
        kinds = {
            schema.BuiltinOperator.CONV_2D: "CONV_2D",
            schema.BuiltinOperator.DEPTHWISE_CONV_2D: "DEPTHWISE_CONV_2D",
        }
        source = {
            int(operator.outputs[0]): int(operator.inputs[0])
            for operator in graph.operators
            if codes[operator.opcodeIndex] == schema.BuiltinOperator.DEQUANTIZE
        }

        def values(index: int) -> NDArray[np.float32]:
            tensor = graph.tensors[source.get(index, index)]
            dtypes = {schema.TensorType.FLOAT32: np.float32, schema.TensorType.FLOAT16: np.float16}
            stored = bytes(model.buffers[tensor.buffer].data)
            return np.frombuffer(stored, dtypes[tensor.type]).reshape(tensor.shape).astype(np.float32)

        found = []
        for operator in graph.operators:
            kind = kinds.get(codes[operator.opcodeIndex])
            if kind is not None:
                _, kernel, bias = (int(index) for index in operator.inputs)
                name = graph.tensors[int(operator.outputs[0])].name.decode()
                found.append(Convolution(kind, name, values(kernel), values(bias)))
    except (*_DAMAGE, KeyError) as error:
        raise ValueError(f"not a TensorFlow Lite model with weights of float32 or float16: {error!r}") from None
    return found
