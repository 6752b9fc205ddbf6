"""Networks that compute in bfloat16, on CPUs that have instructions for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import tensorflow as tf
from tensorflow.core.protobuf import config_pb2
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2
from tensorflow.python.grappler import tf_optimizer

from boxwright import ExportError, UsageError

_CONVOLUTIONS = frozenset({"Conv2D", "DepthwiseConv2dNative", "Conv2DBackpropInput", "Conv3D", "MatMul"})
_FIRST = 2
"""How many convolutions after the input compute in float32: two, because that halves the errors of the presets."""
_PASSES = ("auto_mixed_precision_onednn_bfloat16", "constfold")
"""TensorFlow's choice of the operations that bfloat16 does not harm, and the weights as bfloat16."""
_CPU = Path("/proc/cpuinfo")
_FLAGS = frozenset({"avx512_bf16", "amx_bf16", "bf16"})
"""The instructions by the names of Linux (arch/x86/include/asm/cpufeatures.h, arch/arm64/kernel/cpuinfo.c)."""


def computes_in_bfloat16() -> bool:
    """Whether this CPU has instructions for bfloat16, as Linux lists them."""
    try:
        return not _FLAGS.isdisjoint(_CPU.read_text("utf-8").split())
    except OSError:
        return False


def require_bfloat16() -> None:
    """Checks that this CPU computes in bfloat16: the check of the export would measure an emulation otherwise.

    Raises:
        UsageError: It does not, or does not say so.
    """
    if not computes_in_bfloat16():
        raise UsageError(
            f"the CPU of this computer does not compute in bfloat16, or this is not Linux: none of"
            f" {', '.join(sorted(_FLAGS))} is in {_CPU}",
            "export saved-model:fp32, or export on a computer with such a CPU",
        )


def in_bfloat16(infer: Any) -> Any:
    """Returns a network that computes its convolutions, and what is between them, in bfloat16.

    Both ends remain float32: the first convolutions, whose errors pass through all others, and what follows the last
    ones, the decoding of boxes and scores. 8 bits are too few for coordinates. Weights become constants of the graph.

    Args:
        infer: The signature of a network.

    Raises:
        ExportError: TensorFlow left all convolutions in float32.
    """
    frozen = convert_variables_to_constants_v2(infer, lower_control_flow=False)
    content = tf.compat.v1.train.export_meta_graph(graph_def=frozen.graph.as_graph_def(), graph=frozen.graph)
    # Grappler leaves the outputs of a graph unchanged.
    kept = sorted(each.name for each in _before_convolutions(frozen) | _after_convolutions(frozen))
    content.collection_def["train_op"].node_list.value.extend(kept)
    config = config_pb2.ConfigProto()
    rewriting = config.graph_options.rewrite_options
    rewriting.min_graph_nodes = -1
    rewriting.optimizers.extend(_PASSES)
    graph = tf_optimizer.OptimizeGraph(config, content)
    types = {node.attr["T"].type for node in graph.node if node.op in _CONVOLUTIONS and node.name not in kept}
    if types and tf.bfloat16.as_datatype_enum not in types:
        raise ExportError(
            "TensorFlow leaves all convolutions of this network in float32",
            "unset TF_ENABLE_ONEDNN_OPTS if it is 0, or export saved-model:fp32",
        )
    for node in graph.node:
        # A network only calculates, so these keep nothing but the float32 weights alive.
        node.input[:] = [each for each in node.input if not each.startswith("^")]
        if node.op == "Const":
            _shorten(node.attr["value"].tensor)
    imported = tf.compat.v1.wrap_function(lambda: tf.graph_util.import_graph_def(graph, name=""), [])
    outputs = zip(sorted(infer.structured_outputs), frozen.outputs, strict=True)
    return imported.prune(frozen.inputs[0].name, {name: tensor.name for name, tensor in outputs})


def _before_convolutions(function: Any) -> set[Any]:
    """Returns the operations on the way from the input to the first convolutions, and these."""
    passed = {function.inputs[0].op: 0}
    for each in function.graph.get_operations():  # in the order of calculation
        before = [passed[tensor.op] for tensor in each.inputs if tensor.op in passed]
        if before:
            passed[each] = max(before) + (each.type in _CONVOLUTIONS)
    return {each for each, number in passed.items() if number <= _FIRST}


def _after_convolutions(function: Any) -> set[Any]:
    """Returns the operations from which the outputs are calculated without a convolution."""
    found: set[Any] = set()
    left = [tensor.op for tensor in function.outputs]
    while left:
        each = left.pop()
        if each.type not in _CONVOLUTIONS and each not in found:
            found.add(each)
            left += [tensor.op for tensor in each.inputs]
    return found


def _shorten(tensor: Any) -> None:
    """Stores bfloat16 in two bytes instead of three."""
    if tensor.dtype == tf.bfloat16.as_datatype_enum and len(tensor.half_val) > 1:
        content = tf.make_ndarray(tensor).tobytes()
        del tensor.half_val[:]
        tensor.tensor_content = content
