"""A plugin for the machines of the tests: the backend ``kerascv`` with a small network."""

from __future__ import annotations

from dataclasses import replace

import boxwright_kerascv
from boxwright import BackendSpec, hookimpl

boxwright_api = (1, 1)


@hookimpl
def boxwright_backends() -> list[BackendSpec]:
    (spec,) = boxwright_kerascv.boxwright_backends()
    return [replace(spec, name="small", load="ray_small_backend:Small")]
