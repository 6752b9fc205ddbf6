"""The engine myplugin for boxwright."""

from boxwright import EngineSpec, Option, hookimpl

boxwright_api = (1, 1)  # the oldest and the newest plugin API that this supports
# How `boxwright plugins check` tests it.
boxwright_conformance = "boxwright_myplugin.conformance"


@hookimpl
def boxwright_engines() -> list[EngineSpec]:
    """The engine ``myplugin``."""
    return [
        EngineSpec(
            name="myplugin",
            summary="Local processes",
            # Imported on first use, not when the engine is listed.
            load="boxwright_myplugin.engine:MyPluginEngine",
            options=(Option("processes", int, 2, "how many processes", ge=1),),
        ),
    ]
