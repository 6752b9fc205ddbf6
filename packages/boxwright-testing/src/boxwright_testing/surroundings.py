"""Everything around a plugin that it must leave alone while it works."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def only_here(monkeypatch: pytest.MonkeyPatch, folder: Path) -> Iterator[None]:
    """Checks that what runs inside leaves no file in the working folder and in that for temporary files.

    Args:
        monkeypatch: Points the process to the two folders for as long.
        folder: Where they are made.
    """
    working, temporary = folder / "working folder", folder / "temporary folder"
    for place in (working, temporary):
        place.mkdir()
    with monkeypatch.context() as patch:
        patch.chdir(working)
        patch.setattr(tempfile, "tempdir", str(temporary))
        for variable in ("TMPDIR", "TEMP", "TMP"):
            patch.setenv(variable, str(temporary))
        yield
    for place in (working, temporary):
        left = sorted(os.listdir(place))
        assert not left, f"it left {', '.join(left)} in the {place.name}"
