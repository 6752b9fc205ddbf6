"""What a plugin declares of a separate environment."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class EnvironmentSpec:
    """A separate Python environment, for a library that cannot be installed with the others.

    ``boxwright env install NAME`` makes it; nothing else does. See :mod:`boxwright.environments.environment`, and
    :mod:`boxwright.environments.worker` for how a plugin talks to what runs in it.

    Args:
        name: What the user types, lower case.
        summary: One line for lists.
        lock: ``"package:file"`` of the requirements file that names every package of it by version and digest.
        worker: ``"package:folder"`` of the package of functions that run in it; they cannot import boxwright.
        python: The version of Python.
        imports: Modules whose import shows that it works.
        size: Bytes on disk.
        download: Bytes to fetch, where uv has none of it in its cache.
        gpu_lock: As ``lock``, with the packages for NVIDIA GPUs on Linux; empty if there are none.
        gpu_size: Bytes on disk with these packages.
        gpu_download: Bytes to fetch for these packages.
    """

    name: str
    summary: str = ""
    lock: str = ""
    worker: str = ""
    python: str = "3.11"
    imports: tuple[str, ...] = ()
    size: int = 0
    download: int = 0
    gpu_lock: str = ""
    gpu_size: int = 0
    gpu_download: int = 0
