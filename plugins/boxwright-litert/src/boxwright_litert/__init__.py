"""LiteRT (TensorFlow Lite) exports for boxwright."""

from boxwright import ExporterSpec, hookimpl

boxwright_api = (1, 1)


@hookimpl
def boxwright_exporters() -> list[ExporterSpec]:
    """Returns the exporters ``litert`` and ``litert-detection``."""
    return [
        ExporterSpec(
            name=name,
            summary=summary,
            load=f"boxwright_litert.exporter:{load}",
            precisions=("fp32", "fp16", "dynamic", "int8"),
            calibrated=("int8",),
            requires=("ai_edge_litert",),
            install='python -m pip install "boxwright-litert[cpu]"',
        )
        for name, summary, load in (
            ("litert", "LiteRT (TensorFlow Lite), for phones, boards and CPUs", "LiteRTExporter"),
            (
                "litert-detection",
                "LiteRT with the suppression inside, for detection libraries of phones",
                "LiteRTDetectionExporter",
            ),
        )
    ]
