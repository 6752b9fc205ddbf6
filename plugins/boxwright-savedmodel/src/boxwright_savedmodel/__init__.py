"""SavedModel exports for boxwright: TensorFlow Serving, and every program with TensorFlow."""

from boxwright import ExporterSpec, hookimpl

boxwright_api = (1, 1)


@hookimpl
def boxwright_exporters() -> list[ExporterSpec]:
    """Returns the exporter ``saved-model``."""
    return [
        ExporterSpec(
            name="saved-model",
            summary="SavedModel from image files to detections, for TensorFlow Serving",
            load="boxwright_savedmodel.exporter:SavedModelExporter",
            precisions=("fp32", "bf16"),
            requires=("tensorflow",),
            install='python -m pip install "boxwright-savedmodel[cpu]"',
        )
    ]
