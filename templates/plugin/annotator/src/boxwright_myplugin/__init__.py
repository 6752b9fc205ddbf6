"""The annotator myplugin for boxwright."""

from boxwright import AnnotatorSpec, hookimpl

boxwright_api = (1, 1)  # the oldest and the newest plugin API that this supports
# How `boxwright plugins check` tests it.
boxwright_conformance = "boxwright_myplugin.conformance"


@hookimpl
def boxwright_annotators() -> list[AnnotatorSpec]:
    """The annotator ``myplugin``."""
    return [
        AnnotatorSpec(
            name="myplugin",
            summary="Asks in the terminal whether the boxes of each image are complete",
            # Imported on first use, not when the annotator is listed.
            load="boxwright_myplugin.annotator:MyPluginAnnotator",
        ),
    ]
