"""The engine and the trainer ``ray``: ``boxwright convert --engine ray --address 10.0.0.1:6379``."""

from __future__ import annotations

from boxwright import EngineSpec, Option, TrainerSpec, hookimpl

boxwright_api = (1, 1)
boxwright_conformance = "boxwright_ray.conformance"

_INSTALL = 'python -m pip install "boxwright-ray[ray]"'
_ADDRESS = Option("address", str, help="the cluster; by default RAY_ADDRESS, a cluster here, or this machine alone")


@hookimpl
def boxwright_engines() -> list[EngineSpec]:
    """The engine ``ray``."""
    return [
        EngineSpec(
            name="ray",
            summary="The machines of a Ray cluster",
            load="boxwright_ray.engine:RayEngine",
            options=(
                _ADDRESS,
                Option("cpus", float, 1.0, "cores for each piece of work", gt=0),
                Option("gpus", float, 0.0, "GPUs for each piece of work", ge=0),
                Option("retries", int, 3, "how often a lost piece of work is done again", ge=0),
            ),
            requires=("ray",),
            install=_INSTALL,
        )
    ]


@hookimpl
def boxwright_trainers() -> list[TrainerSpec]:
    """The trainer ``ray``."""
    return [
        TrainerSpec(
            name="ray",
            summary="Trains on the machines of a Ray cluster",
            load="boxwright_ray.trainer:RayTrainer",
            options=(
                Option("workers", int, None, "number of workers; by default one for each machine", ge=1),
                _ADDRESS,
                Option("cpus", float, 1.0, "cores for each worker", gt=0),
                Option("gpus", int, None, "GPUs for each worker; by default all of its machine", ge=0),
                Option("restarts", int, 0, "how often to continue from the last checkpoint if a worker is lost", ge=0),
                Option("timeout", int, 120, "seconds to wait for the machines and the workers", ge=1),
            ),
            positional="workers",
            requires=("ray",),
            install=_INSTALL,
        )
    ]
