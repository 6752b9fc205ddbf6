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
"""Seconds after which panlabel is stopped; 50,000 pictures take it two."""

_LONGEST = 600
_SIGNALS = {6: "it fails so on a file that is nested too deeply", 9: "it holds the whole dataset in memory"}
_MOST_WARNINGS = 3


@dataclass(frozen=True)
class Done:
    """What panlabel said of a conversion.

    Attributes:
        skipped: Its warnings that it left something out.
        notes: Its other warnings.
        source: The format that it read.
    """

    skipped: tuple[str, ...]
    notes: tuple[str, ...]
    source: str


@cache
def find_program() -> str:
    """The path of the program, as the Python package knows it, else beside Python or on the ``PATH``.

    Raises:
        MissingLibraryError: It is nowhere.
    """
    try:
        return str(importlib.import_module("panlabel").find_panlabel_bin())
    except (ImportError, OSError):
        beside = shutil.which("panlabel", path=os.path.dirname(sys.executable))
        found = beside or shutil.which("panlabel")
    if found is None:
        raise MissingLibraryError("the program panlabel is not there", f"run: {INSTALL}")
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
    """Runs ``panlabel convert``, without its own checks: boxwright makes them sample by sample.

    Args:
        source: panlabel's name of the format, and the path.
        target: Likewise.
        options: More arguments.
        name: boxwright's name of the format, for the remedy.
        blamed: What an error is about.
        renamed: Paths in panlabel's messages, and what the user calls them.

    Raises:
        DataError: panlabel refused; its words are the problem.
        MissingLibraryError: The program is not there.
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
    said = done.stderr.decode("utf-8", "replace")
    for path, known in (renamed or {}).items():
        said = said.replace(path, known)
    if done.returncode < 0:
        reason = _SIGNALS.get(-done.returncode, "it says no more")
        problem = f"panlabel was stopped by signal {-done.returncode}: {reason}"
        raise DataError(blamed, problem, "convert a smaller part of it, to see which file it is")
    if done.returncode:
        raise DataError(blamed, f"panlabel: {_shortened(said)}", _remedy(said, name))
    return _said(said, done.stdout)


def _said(warnings: str, report: bytes) -> Done:
    content = json.loads(report)
    lines = [line.strip() for line in warnings.splitlines() if line.strip()]
    skipped = tuple(line for line in lines if "skip" in line.lower())
    issues = [issue["message"] for issue in content["issues"] if issue["severity"] == "warning"]
    return Done(skipped, (*(line for line in lines if line not in skipped), *issues), content["from"])


def first_few(lines: Sequence[str]) -> str:
    """The first lines of many, and how many more there are."""
    more = len(lines) - _MOST_WARNINGS
    return "; ".join(lines[:_MOST_WARNINGS]) + (f"; and {more} more" if more > 0 else "")


def _shortened(text: str) -> str:
    said = " ".join(text.split()).removeprefix("Error: ") or "it said nothing"
    return said if len(said) <= _LONGEST else f"{said[:_LONGEST]} ..."


def _remedy(said: str, name: str) -> str:
    if "image not found" in said or "Image not found" in said or "companion image" in said:
        place = f"{name}:PLACE?images=FOLDER"
        return f"this format does not say the pictures' sizes: put them there, or name their folder: {place}"
    if "annotation type" in said:
        return "export it as COCO, which boxwright reads itself, with polygons and masks"
    return "correct the file, or export it again; panlabel reads a dataset whole or not at all"
