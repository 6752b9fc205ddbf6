"""Keras exports for boxwright: one ``.keras`` file from images to detections."""

from boxwright import ExporterSpec, hookimpl

boxwright_api = (1, 1)


@hookimpl
def boxwright_exporters() -> list[ExporterSpec]:
    """Returns the exporter ``keras``."""
    return [
        ExporterSpec(
            name="keras",
            summary="One .keras file with the suppression inside, for Keras 3",
            load="boxwright_keras.exporter:KerasExporter",
            precisions=("fp32",),
            requires=("keras", "tensorflow"),
            install='python -m pip install "boxwright-keras[cpu]"',
        )
    ]
