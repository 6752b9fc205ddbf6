"""Trainers for several devices: ``boxwright train --trainer mirrored``, ``--workers host1:3000,host2:3000``."""

from __future__ import annotations

from boxwright import Option, TrainerSpec, hookimpl

boxwright_api = (1, 1)
boxwright_conformance = "boxwright_trainers.conformance"

_TENSORFLOW = 'python -m pip install "boxwright-trainers[cpu]", or [cuda] for an NVIDIA GPU'


@hookimpl
def boxwright_trainers() -> list[TrainerSpec]:
    """The trainers ``mirrored`` and ``multiworker``."""
    return [
        TrainerSpec(
            name="mirrored",
            summary="Trains on all GPUs of this computer",
            load="boxwright_trainers.mirrored:MirroredTrainer",
            options=(Option("devices", int, None, "number of GPUs, or without a GPU of logical CPU devices", ge=1),),
            positional="devices",
            requires=("tensorflow",),
            install=_TENSORFLOW,
        ),
        TrainerSpec(
            name="multiworker",
            summary="Trains on several computers, each of which runs the same command",
            load="boxwright_trainers.multiworker:MultiWorkerTrainer",
            options=(
                Option("workers", str, "", "addresses in brackets, [host1:port,host2:port]; by default from TF_CONFIG"),
                Option("index", int, None, "number of this worker, from 0; by default from its address", ge=0),
                Option("timeout", int, 120, "seconds to wait for the other workers to start", ge=1),
            ),
            positional="workers",
            requires=("tensorflow",),
            install=_TENSORFLOW,
        ),
    ]
