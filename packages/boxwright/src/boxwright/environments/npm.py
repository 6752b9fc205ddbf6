"""Archives of npm packages: files that other programs publish there."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from boxwright.errors import DataError, MissingLibraryError


def npm_archive(package: str, folder: Path, otherwise: str) -> Path:
    """Downloads the archive of a package with the program npm, which runs none of its scripts.

    Args:
        package: The package and its version: ``"name@1.2.3"``.
        folder: An empty folder for the archive.
        otherwise: The end of the remedy: what to do without npm, beginning with "or".

    Raises:
        MissingLibraryError: npm is not installed.
        DataError: It cannot download the package.
    """
    program = shutil.which("npm")
    if program is None:
        raise MissingLibraryError("the program npm is not installed", f"install Node.js, {otherwise}")
    command = [program, "pack", package, "--ignore-scripts", "--pack-destination", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    found = list(folder.glob("*.tgz"))
    if done.returncode or len(found) != 1:
        lines = done.stderr.strip().splitlines() or ["it wrote no archive"]
        raise DataError(package, f"npm could not download it: {lines[-1]}", f"check the network, {otherwise}")
    return found[0]
