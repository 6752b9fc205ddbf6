"""The model backend myplugin for boxwright."""

from boxwright import BackendSpec, Option, hookimpl

boxwright_api = (1, 1)  # the oldest and the newest plugin API that this supports
# How `boxwright plugins check` tests it.
boxwright_conformance = "boxwright_myplugin.conformance"


@hookimpl
def boxwright_backends() -> list[BackendSpec]:
    """The backend ``myplugin``."""
    return [
        BackendSpec(
            name="myplugin",
            summary="Predicts the average box of each class in every image",
            # Imported on first use, not when the backend is listed.
            load="boxwright_myplugin.backend:MyPluginBackend",
            presets={"plain": "the only preset"},
            options=(Option("rate", float, 0.5, "fraction of the distance to the average per epoch, up to 1"),),
        ),
    ]
