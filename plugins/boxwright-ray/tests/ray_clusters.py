"""Clusters on this machine, and programs that use them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

NODE: dict[str, Any] = {"num_cpus": 1, "object_store_memory": 80 << 20, "include_dashboard": False}


def add_node(cluster: Any, node: dict[str, Any]) -> Any:
    """Adds a node; on a busy machine, it may take longer than the 30 seconds that Ray waits, and is tried again."""
    for _ in range(3):
        try:
            return cluster.add_node(**node)
        except Exception as error:
            problem = error
    raise problem


def program(*words: object, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "boxwright_cli", *map(str, words)]
    return subprocess.run(
        command, cwd=cwd, capture_output=True, text=True, check=False, env=os.environ | environment, timeout=300
    )


def content_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
