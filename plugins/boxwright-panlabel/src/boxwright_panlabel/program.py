"""Running the program panlabel."""

from __future__ import annotations

import importlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from boxwright import DataError, MissingLibraryError
from boxwright_panlabel import INSTALL

TIMEOUT = 3600
"""Seconds after which panlabel is stopped; 50,000 images take about two."""

_LONGEST = 600
_SIGNALS = {6: "this happens if a file is nested too deeply", 9: "it loads the whole dataset into memory"}
_MOST_WARNINGS = 3


@dataclass(frozen=True)
class Done:
    """The messages of panlabel about a conversion.

    Attributes:
        skipped: Warnings about skipped items.
        notes: Other warnings.
        source: The format that was read.
    """

    skipped: tuple[str, ...]
    notes: tuple[str, ...]
    source: str


@cache
def find_program() -> str:
    """Returns the path of the program: from its Python package, next to Python, or on the ``PATH``.

    Raises:
        MissingLibraryError: The program is not found.
    """
    try:
        return str(importlib.import_module("panlabel").find_panlabel_bin())
    except (ImportError, OSError):
        local = shutil.which("panlabel", path=os.path.dirname(sys.executable))
        found = local or shutil.which("panlabel")
    if found is None:
        raise MissingLibraryError("the program panlabel is not installed", f"run: {INSTALL}")
    return found


def convert(
    source: tuple[str, str],
    target: tuple[str, str],
    options: Sequence[str] = (),
    *,
    name: str,
    blamed: str,
    renamed: Mapping[str, str] | None = None,
) -> Done:
    """Runs ``panlabel convert`` without its own checks, which boxwright does per sample.

    Args:
        source: The name of the format in panlabel, and the path.
        target: The same for the output.
        options: Additional arguments.
        name: The name of the format in boxwright, for the remedy.
        blamed: The location that errors name.
        renamed: Paths in panlabel's messages, and the names that users know.

    Raises:
        DataError: panlabel failed; its message is the problem.
        MissingLibraryError: The program is not installed.
    """
    command = [find_program(), "convert", "--allow-lossy", "--no-validate", "--output-format=json"]
    command += [f"--from={source[0]}", f"--input={source[1]}", f"--to={target[0]}", f"--output={target[1]}", *options]
    try:
        done = subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL, timeout=TIMEOUT, check=False)
    except subprocess.TimeoutExpired:
        problem = f"panlabel did not finish within {TIMEOUT // 60} minutes"
        raise DataError(blamed, problem, "convert a smaller part of it") from None
    except OSError as error:
        raise MissingLibraryError(f"panlabel cannot be run: {error}", f"run: {INSTALL}") from None
    message = done.stderr.decode("utf-8", "replace")
    for path, known in (renamed or {}).items():
        message = message.replace(path, known)
    if done.returncode < 0:
        reason = _SIGNALS.get(-done.returncode, "no further information")
        problem = f"panlabel was stopped by signal {-done.returncode}: {reason}"
        raise DataError(blamed, problem, "convert a smaller part of it, to see which file it is")
    if done.returncode:
        raise DataError(blamed, f"panlabel: {_shortened(message)}", _remedy(message, name))
    return _messages(message, done.stdout)


def _messages(warnings: str, report: bytes) -> Done:
    content = json.loads(report)
    lines = [line.strip() for line in warnings.splitlines() if line.strip()]
    skipped = tuple(line for line in lines if "skip" in line.lower())
    issues = [issue["message"] for issue in content["issues"] if issue["severity"] == "warning"]
    return Done(skipped, (*(line for line in lines if line not in skipped), *issues), content["from"])


def first_few(lines: Sequence[str]) -> str:
    """Returns the first lines, and the number of the others."""
    more = len(lines) - _MOST_WARNINGS
    return "; ".join(lines[:_MOST_WARNINGS]) + (f"; and {more} more" if more > 0 else "")


def _shortened(text: str) -> str:
    message = " ".join(text.split()).removeprefix("Error: ") or "no error message"
    return message if len(message) <= _LONGEST else f"{message[:_LONGEST]} ..."


def _remedy(message: str, name: str) -> str:
    if any(text in message for text in ("image not found", "Image not found", "companion image")):
        uri = f"{name}:LOCATION?images=FOLDER"
        return f"this format does not contain image sizes: add the images, or pass their folder: {uri}"
    if "annotation type" in message:
        return "export it as COCO, which boxwright reads itself, with polygons and masks"
    return "correct the file, or export it again; panlabel cannot skip files"
