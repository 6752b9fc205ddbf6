"""The engine ``ray``: ``boxwright convert --engine ray --address 10.0.0.1:6379``."""

from __future__ import annotations

from boxwright import EngineSpec, Option, hookimpl

boxwright_api = (1, 1)
boxwright_conformance = "boxwright_ray.conformance"


@hookimpl
def boxwright_engines() -> list[EngineSpec]:
    """The engine ``ray``."""
    return [
        EngineSpec(
            name="ray",
            summary="The machines of a Ray cluster",
            load="boxwright_ray.engine:RayEngine",
            options=(
                Option(
                    "address", str, help="the cluster; by default RAY_ADDRESS, a cluster here, or this machine alone"
                ),
                Option("cpus", float, 1.0, "cores for each piece of work", gt=0),
                Option("gpus", float, 0.0, "GPUs for each piece of work", ge=0),
                Option("retries", int, 3, "how often a lost piece of work is done again", ge=0),
            ),
            requires=("ray",),
            install='python -m pip install "boxwright-ray[ray]"',
        )
    ]
