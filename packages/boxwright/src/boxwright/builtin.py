"""What boxwright brings itself, through the same hooks as everybody else's plugins."""

from __future__ import annotations

from boxwright.hookspecs import hookimpl
from boxwright.specs import TrainerSpec

boxwright_api = (1, 1)


@hookimpl
def boxwright_trainers() -> list[TrainerSpec]:
    """The trainer that runs in this process."""
    return [
        TrainerSpec(
            name="local", summary="Trains in this process, on this machine", load="boxwright.training:LocalTrainer"
        )
    ]
