"""The logger myplugin for boxwright."""

from boxwright import LoggerSpec, Option, hookimpl

boxwright_api = (1, 1)  # the oldest and the newest plugin API that this supports
# How `boxwright plugins check` tests it.
boxwright_conformance = "boxwright_myplugin.conformance"


@hookimpl
def boxwright_loggers() -> list[LoggerSpec]:
    """The logger ``myplugin``."""
    return [
        LoggerSpec(
            name="myplugin",
            summary="One line per epoch, as a text file",
            # Imported on first use, not when the logger is listed.
            load="boxwright_myplugin.logger:MyPluginLogger",
            options=(Option("path", str, "myplugin.txt", "the file in the run folder"),),
            positional="path",
        ),
    ]
