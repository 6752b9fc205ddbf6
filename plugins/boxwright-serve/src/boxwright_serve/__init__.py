"""The command ``boxwright serve``: a model behind an address."""

from __future__ import annotations

from typing import Any

from boxwright import CommandSpec, hookimpl

boxwright_api = (1, 1)
boxwright_conformance = "boxwright_serve.conformance"


@hookimpl
def boxwright_commands() -> list[CommandSpec]:
    """The command ``serve``."""
    return [
        CommandSpec(
            name="serve",
            summary="Answer requests with the detections of a model",
            load="boxwright_serve.command:serve",
            requires=("fastapi", "uvicorn", "prometheus_client", "python_multipart"),
            install="python -m pip install boxwright-serve",
        )
    ]


def __getattr__(name: str) -> Any:
    if name != "create_app":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from boxwright_serve.app import create_app  # it imports FastAPI, which a list of plugins does not need

    return create_app
