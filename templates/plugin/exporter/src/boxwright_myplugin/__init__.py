"""The exporter myplugin for boxwright."""

from boxwright import ExporterSpec, hookimpl

boxwright_api = (1, 1)  # the oldest and the newest plugin API that this supports
# How `boxwright plugins check` tests it.
boxwright_conformance = "boxwright_myplugin.conformance"


@hookimpl
def boxwright_exporters() -> list[ExporterSpec]:
    """The target ``myplugin``."""
    return [
        ExporterSpec(
            name="myplugin",
            summary="One JSON file",
            # Imported on first use, not when the exporter is listed.
            load="boxwright_myplugin.exporter:MyPluginExporter",
            precisions=("full", "short"),
            # The backends whose runs it can export; boxwright rejects others.
            backends=("boxwright-testing-probe",),
        ),
    ]
