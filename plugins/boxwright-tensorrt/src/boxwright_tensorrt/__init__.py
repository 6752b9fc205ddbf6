"""TensorRT exports for boxwright: ONNX for NVIDIA GPUs, and scripts that build an engine there."""

from boxwright import ExporterSpec, hookimpl

boxwright_api = (1, 1)


@hookimpl
def boxwright_exporters() -> list[ExporterSpec]:
    """Returns the exporter ``tensorrt``."""
    return [
        ExporterSpec(
            name="tensorrt",
            summary="TensorRT, for NVIDIA GPUs: ONNX with EfficientNMS_TRT, and scripts that build the engine",
            load="boxwright_tensorrt.exporter:TensorRTExporter",
            precisions=("fp32", "fp16", "int8"),
            calibrated=("int8",),
            requires=("onnx", "onnxruntime"),
            install='python -m pip install "boxwright-tensorrt[cpu]"',
        )
    ]
