"""The exporter ``openvino-myriad``: for the Movidius sticks, whose plugin ended with OpenVINO 2022.3.

The plugin takes few operations, static shapes and half precision. Nothing here has a stick: a static check names what
the plugin does not take, and the model is compared on the CPU.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from boxwright import ExportError
from boxwright.models import Network, NetworkExporter

LAST_OPSET: Final = 8
"""The last operation set of OpenVINO 2022.1 and later with the plugin."""

SUPPORTED: Final = frozenset(
    [
        "Parameter",
        "Constant",
        "Result",
        "Convert",
        "Convolution",
        "GroupConvolution",
        "ConvolutionBackpropData",
        "GroupConvolutionBackpropData",
        "MatMul",
        "MaxPool",
        "AvgPool",
        "BatchNormInference",
        "MVN",
        "GRN",
        "LRN",
        "NormalizeL2",
        "Abs",
        "Ceiling",
        "Clamp",
        "Elu",
        "Erf",
        "Exp",
        "Floor",
        "Gelu",
        "HSwish",
        "Log",
        "Mish",
        "Negative",
        "PRelu",
        "Relu",
        "Round",
        "Sigmoid",
        "SoftPlus",
        "Softmax",
        "Sqrt",
        "Swish",
        "Tanh",
        "Add",
        "Divide",
        "FloorMod",
        "Maximum",
        "Minimum",
        "Mod",
        "Multiply",
        "Power",
        "SquaredDifference",
        "Subtract",
        "Equal",
        "Greater",
        "GreaterEqual",
        "Less",
        "LessEqual",
        "LogicalAnd",
        "LogicalNot",
        "LogicalOr",
        "LogicalXor",
        "NotEqual",
        "Select",
        "ReduceLogicalAnd",
        "ReduceMax",
        "ReduceMean",
        "ReduceMin",
        "ReduceSum",
        "Broadcast",
        "Concat",
        "Gather",
        "GatherElements",
        "GatherND",
        "OneHot",
        "Pad",
        "Reshape",
        "ReverseSequence",
        "ScatterElementsUpdate",
        "ScatterUpdate",
        "Split",
        "Squeeze",
        "StridedSlice",
        "Tile",
        "TopK",
        "Transpose",
        "Unsqueeze",
        "VariadicSplit",
        "Interpolate",
        "LSTMCell",
        "LSTMSequence",
        "TensorIterator",
        "CTCGreedyDecoder",
        "DetectionOutput",
        "PriorBox",
        "PriorBoxClustered",
        "Proposal",
        "PSROIPooling",
        "RegionYolo",
        "ReorgYolo",
        "ROIAlign",
        "ROIPooling",
    ]
)
"""The operations that the plugin's front end reads, by their names in the intermediate representation; see
https://github.com/openvinotoolkit/openvino/blob/2022.3.0/src/plugins/intel_myriad/graph_transformer/src/frontend"""


class MyriadExporter(NetworkExporter):
    """``model.xml`` and ``model.bin``, in half precision: boxes and scores of all anchors of one image."""

    model = "model.xml"
    packages = ("openvino",)
    unchecked = "the model on a stick, which needs OpenVINO 2022.3 or earlier: it was run on the CPU"

    def convert(self, network: Network, folder: Path, precision: str) -> None:
        """Writes ``model.xml`` and ``model.bin`` as the intermediate representation 10, which OpenVINO 2021 reads.

        Raises:
            ExportError: The network contains operations that the plugin does not take; all of them are named.
        """
        import openvino
        from openvino.passes import ConvertFP32ToFP16, Manager

        from boxwright_tf.onnx import to_onnx

        model = openvino.Core().read_model(to_onnx(network.saved_model).SerializeToString())
        model.reshape({"images": [1, network.inputs.height, network.inputs.width, 3]})
        simplify(model)
        if problems := list(unsupported(model)):
            raise ExportError(
                f"the MYRIAD plugin does not support {len(problems)} of the operations: {'; '.join(problems)}",
                "use another preset, or another target",
            )
        passes = Manager()
        passes.register_pass(ConvertFP32ToFP16())
        passes.run_passes(model)
        openvino.serialize(model, folder / self.model, version="IR_V10")

    @staticmethod
    def load_network(path: str) -> Any:
        """Loads a model in OpenVINO 2022.1 or later, on the stick if there is one."""
        try:
            from openvino import Core
        except ImportError:
            from openvino.runtime import Core
        core = Core()
        here = "MYRIAD" in core.available_devices
        device, settings = ("MYRIAD", {}) if here else ("CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        model = core.compile_model(core.read_model(path), device, settings)
        kind = model.inputs[0].get_element_type().to_dtype()
        return lambda images: [each.astype("float32") for each in model([images.astype(kind)]).values()]


def simplify(model: Any) -> None:
    """Computes what is constant, and replaces ``Slice`` by ``StridedSlice``, in place."""
    from openvino.passes import ConstantFolding, Manager

    passes = Manager()
    passes.register_pass(ConstantFolding())
    passes.run_passes(model)
    for node in model.get_ops():
        if node.get_type_name() == "Slice":
            _stride(node)


def _stride(node: Any) -> None:
    import numpy as np
    from openvino import opset1
    from openvino.utils import replace_node

    constants = [value.get_source_output().get_node() for value in node.inputs()[1:]]
    if any(each.get_type_name() != "Constant" for each in constants):
        return
    start, stop, step, *axes = (np.atleast_1d(each.get_data()) for each in constants)
    rank = len(node.get_input_shape(0))
    begin, end, stride = np.zeros(rank, np.int64), np.zeros(rank, np.int64), np.ones(rank, np.int64)
    untouched = [1] * rank
    for number, axis in enumerate(axes[0] if axes else range(len(start))):
        begin[axis], end[axis], stride[axis], untouched[axis] = start[number], stop[number], step[number], 0
    source = node.inputs()[0].get_source_output()
    new = opset1.strided_slice(source, begin, end, stride, untouched, untouched)
    new.set_friendly_name(node.get_friendly_name())
    replace_node(node, new)


def unsupported(model: Any) -> Iterator[str]:
    """Yields the operations that the plugin does not take, each with its layer and the reason."""
    for node in model.get_ops():
        kind, name = node.get_type_name(), node.get_friendly_name()
        opset = node.get_type_info().version_id
        number = opset.removeprefix("opset")
        if kind not in SUPPORTED:
            yield f"{kind} ({name})"
        elif not number.isdecimal() or int(number) > LAST_OPSET:
            yield f"{kind} of {opset} ({name})"
        elif any(output.get_partial_shape().is_dynamic for output in node.outputs()):
            yield f"{kind} with a shape that is only known when it runs ({name})"
