"""The model backend myplugin for boxwright."""

from boxwright import BackendSpec, Option, hookimpl

boxwright_api = (1, 1)  # the oldest and the newest plugin API that this works with
# How `boxwright plugins check` tests it.
boxwright_conformance = "boxwright_myplugin.conformance"


@hookimpl
def boxwright_backends() -> list[BackendSpec]:
    """The backend ``myplugin``."""
    return [
        BackendSpec(
            name="myplugin",
            summary="The average box of each class, in every picture",
            # Imported when the backend is used, not when it is listed.
            load="boxwright_myplugin.backend:MyPluginBackend",
            presets={"plain": "the only one"},
            options=(Option("rate", float, 0.5, "how much of the way to the average an epoch goes, up to 1"),),
        ),
    ]
