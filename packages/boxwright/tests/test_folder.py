"""The files of a folder."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from boxwright import DataError
from boxwright.storage import Folder

SIZES = (0, 1, 65_535, 65_536, 65_537, 300_000)


@pytest.fixture
def files(tmp_path: Path) -> dict[str, bytes]:
    contents = {f"größe {size}": os.urandom(size) for size in SIZES}
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    return contents


def short_reads(limit: int) -> Callable[[int, int], bytes]:
    """Returns ``os.read`` as a network or user-space file system may implement it: with fewer bytes than requested."""
    read = os.read
    return lambda handle, count: read(handle, min(count, limit))


@pytest.mark.parametrize("limit", [1 << 30, 65_535, 4_096, 1_000])
def test_files_are_read_to_their_end(
    files: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: int
) -> None:
    folder = Folder(str(tmp_path))
    monkeypatch.setattr(os, "read", short_reads(limit))
    assert {name: folder.read(name) for name in folder.names} == files


def test_files_that_cannot_be_read_are_errors(tmp_path: Path) -> None:
    folder = Folder(str(tmp_path))
    with pytest.raises(DataError, match="cannot be read: No such file"):
        folder.read("none.xml")
    (tmp_path / "folder").mkdir()
    with pytest.raises(DataError, match="cannot be read"):
        folder.read("folder")


def test_large_files_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("boxwright.storage.folder.MAX_FILE_BYTES", 100_000)
    (tmp_path / "a.xml").write_bytes(b"x" * 100_000)
    (tmp_path / "b.xml").write_bytes(b"x" * 100_001)
    folder = Folder(str(tmp_path))
    assert len(folder.read("a.xml")) == 100_000
    with pytest.raises(DataError, match="is larger than"):
        folder.read("b.xml")
