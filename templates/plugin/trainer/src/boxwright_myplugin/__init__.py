"""The trainer myplugin for boxwright."""

from boxwright import TrainerSpec, hookimpl

boxwright_api = (1, 1)  # the oldest and the newest plugin API that this supports
# How `boxwright plugins check` tests it.
boxwright_conformance = "boxwright_myplugin.conformance"


@hookimpl
def boxwright_trainers() -> list[TrainerSpec]:
    """The trainer ``myplugin``."""
    return [
        TrainerSpec(
            name="myplugin",
            summary="Trains in this process, with low priority",
            # Imported on first use, not when the trainer is listed.
            load="boxwright_myplugin.trainer:MyPluginTrainer",
        ),
    ]
