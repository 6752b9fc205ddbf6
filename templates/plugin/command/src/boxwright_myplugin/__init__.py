"""The command ``boxwright myplugin``."""

from boxwright import CommandSpec, hookimpl

boxwright_api = (1, 1)  # the oldest and the newest plugin API that this supports
# How `boxwright plugins check` tests it.
boxwright_conformance = "boxwright_myplugin.conformance"


@hookimpl
def boxwright_commands() -> list[CommandSpec]:
    """The command ``myplugin``."""
    return [
        CommandSpec(
            name="myplugin",
            summary="Count the images of a dataset, and those without boxes",
            # Imported for the help page of the program, and on use.
            load="boxwright_myplugin.command:run",
            step=True,
        ),
    ]
