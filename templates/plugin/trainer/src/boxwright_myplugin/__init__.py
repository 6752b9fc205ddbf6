"""The trainer myplugin for boxwright."""

from boxwright import TrainerSpec, hookimpl

boxwright_api = (1, 1)  # the oldest and the newest plugin API that this works with
# How `boxwright plugins check` tests it.
boxwright_conformance = "boxwright_myplugin.conformance"


@hookimpl
def boxwright_trainers() -> list[TrainerSpec]:
    """The trainer ``myplugin``."""
    return [
        TrainerSpec(
            name="myplugin",
            summary="Trains in this process, behind the machine's other work",
            # Imported when the trainer is used, not when it is listed.
            load="boxwright_myplugin.trainer:MyPluginTrainer",
        ),
    ]
