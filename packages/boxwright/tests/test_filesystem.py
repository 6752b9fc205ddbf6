from __future__ import annotations

import os
import sys
import zipfile
from pathlib import Path

import pytest

from boxwright import DataError
from boxwright.storage import check_unicode, is_folder, list_folder


@pytest.fixture
def locations(tmp_path: Path) -> list[str]:
    """The same folder as a path, in memory and in a zip file."""
    import fsspec

    folder = tmp_path / "top"
    (folder / "inner").mkdir(parents=True)
    (folder / "a.txt").write_bytes(b"a")
    (folder / "inner" / "b.txt").write_bytes(b"b")
    fsspec.filesystem("memory").put(str(folder), "/filesystem-test", recursive=True)
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for name in ("a.txt", "inner/b.txt"):
            archive.write(folder / name, f"top/{name}")
    return [str(folder), "memory://filesystem-test", f"zip://top::{tmp_path}/a.zip"]


def test_a_folder_is_listed_with_a_slash_after_each_folder(locations: list[str]) -> None:
    for location in locations:
        assert is_folder(location)
        assert sorted(list_folder(location)) == ["a.txt", "inner/"]


def test_a_file_is_not_a_folder_and_may_be_missing(locations: list[str]) -> None:
    for location in locations:
        inside, missing = (location.replace("top", f"top/{name}") for name in ("a.txt", "gone"))
        if "top" not in location:
            inside, missing = f"{location}/a.txt", f"{location}/gone"
        assert not is_folder(inside)
        assert not is_folder(missing)
        with pytest.raises(NotADirectoryError):
            list_folder(inside)
        with pytest.raises(FileNotFoundError):
            list_folder(missing)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems' file names are always Unicode")
def test_a_path_that_is_not_utf8_is_an_error_that_can_be_printed() -> None:
    check_unicode("a/вишня.jpg")
    with pytest.raises(DataError, match="its path is not UTF-8") as caught:
        check_unicode(os.fsdecode(b"a/\xff.jpg"))
    assert str(caught.value).encode()
