"""ONNX exports for boxwright, run by ONNX Runtime."""

from boxwright import ExporterSpec, hookimpl

boxwright_api = (1, 1)


@hookimpl
def boxwright_exporters() -> list[ExporterSpec]:
    """Returns the exporter ``onnx``."""
    return [
        ExporterSpec(
            name="onnx",
            summary="ONNX with the suppression inside, for ONNX Runtime and what reads ONNX",
            load="boxwright_onnx.exporter:ONNXExporter",
            precisions=("fp32", "fp16", "int8"),
            calibrated=("int8",),
            requires=("onnx", "onnxruntime"),
            install='python -m pip install "boxwright-onnx[cpu]"',
        )
    ]
