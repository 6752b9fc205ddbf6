"""Detectors as one HTML page that needs no server and no network."""

from boxwright import ExporterSpec, hookimpl

boxwright_api = (1, 1)


@hookimpl
def boxwright_exporters() -> list[ExporterSpec]:
    """Returns the exporter ``page``."""
    return [
        ExporterSpec(
            name="page",
            summary="one HTML page that detects in photos and a camera, without server and network",
            load="boxwright_page.exporter:PageExporter",
            precisions=("fp32", "int8"),
            calibrated=("int8",),
            devices=("BROWSER", "CPU"),
            requires=("onnx", "onnxruntime"),
            install='python -m pip install "boxwright-page[cpu,browser]"',
        )
    ]
