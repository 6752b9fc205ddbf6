"""The transform myplugin for boxwright."""

from boxwright import Option, TransformSpec, hookimpl

boxwright_api = (1, 1)  # the oldest and the newest plugin API that this works with
# How `boxwright plugins check` tests it.
boxwright_conformance = "boxwright_myplugin.conformance"


@hookimpl
def boxwright_transforms() -> list[TransformSpec]:
    """The step ``myplugin``."""
    return [
        TransformSpec(
            name="myplugin",
            summary="Leaves out boxes that are too small",
            # Imported when the step is used, not when it is listed.
            load="boxwright_myplugin.transform:MyPluginTransform",
            options=(Option("least", float, 4.0, "pixels that a box has to be wide and high"),),
            positional="least",  # the option that a bare value sets: myplugin:8
        ),
    ]
