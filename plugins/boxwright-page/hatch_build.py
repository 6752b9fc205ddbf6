"""Adds ONNX Runtime Web to the wheel: npm downloads it, and it is compressed to a quarter.

Without npm the wheel is complete all the same: the first export then asks for npm.
"""

from __future__ import annotations

import gzip
import hashlib
import runpy
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class CustomBuildHook(BuildHookInterface):  # type: ignore[type-arg]
    """The hook that hatchling calls."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Adds the files, except to an editable installation."""
        npm = shutil.which("npm")
        if version == "editable":
            return
        if npm is None:
            self.app.display_warning("npm is not installed: the wheel does not contain ONNX Runtime Web")
            return
        pinned = runpy.run_path(str(Path(self.root, "src", "boxwright_page", "pinned.py")))
        self.folder = tempfile.mkdtemp(prefix="boxwright-page-")
        command = [npm, "pack", pinned["PACKAGE"], "--ignore-scripts", "--pack-destination", self.folder]
        subprocess.run(command, check=True, capture_output=True)
        (archive,) = Path(self.folder).glob("*.tgz")
        with tarfile.open(archive) as tar:
            for name, digest in pinned["FILES"].items():
                content = tar.extractfile(f"package/dist/{name}").read()  # type: ignore[union-attr]
                if hashlib.sha256(content).hexdigest() != digest:
                    raise ValueError(f"{name} is not that of {pinned['PACKAGE']}")
                path = Path(self.folder, f"{name}.gz")
                path.write_bytes(gzip.compress(content, mtime=0))
                build_data["force_include"][str(path)] = f"boxwright_page/runtime/{path.name}"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Removes the temporary folder."""
        shutil.rmtree(getattr(self, "folder", ""), ignore_errors=True)
