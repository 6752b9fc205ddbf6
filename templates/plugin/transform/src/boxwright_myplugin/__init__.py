"""The transform myplugin for boxwright."""

from boxwright import Option, TransformSpec, hookimpl

boxwright_api = (1, 1)  # the oldest and the newest plugin API that this supports
# How `boxwright plugins check` tests it.
boxwright_conformance = "boxwright_myplugin.conformance"


@hookimpl
def boxwright_transforms() -> list[TransformSpec]:
    """The step ``myplugin``."""
    return [
        TransformSpec(
            name="myplugin",
            summary="Drops boxes that are too small",
            # Imported on first use, not when the step is listed.
            load="boxwright_myplugin.transform:MyPluginTransform",
            options=(Option("least", float, 4.0, "minimum width and height of a box in pixels"),),
            positional="least",  # the option that a bare value sets: myplugin:8
        ),
    ]
