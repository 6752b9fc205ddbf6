"""LiteRT (TensorFlow Lite) exports for boxwright."""

from boxwright import ExporterSpec, hookimpl

boxwright_api = (1, 1)


@hookimpl
def boxwright_exporters() -> list[ExporterSpec]:
    """Returns the exporter ``litert``."""
    return [
        ExporterSpec(
            name="litert",
            summary="LiteRT (TensorFlow Lite), for phones, boards and CPUs",
            load="boxwright_litert.exporter:LiteRTExporter",
            precisions=("fp32", "fp16", "dynamic", "int8"),
            calibrated=("int8",),
            requires=("ai_edge_litert",),
            install='python -m pip install "boxwright-litert[cpu]"',
        )
    ]
