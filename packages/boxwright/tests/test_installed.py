"""Entry points, with ``importlib.metadata`` as the judge."""

from __future__ import annotations

import sys
import zipfile
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from boxwright.plugins.installed import InstalledPoint, installed_points


def judged(group: str) -> set[tuple[str, str, str, str]]:
    return {(p.name, p.value, p.dist.name, p.dist.version) for p in entry_points(group=group) if p.dist is not None}


def put(site: Path, folder: str, points: str, metadata: str | None = None) -> None:
    (site / folder).mkdir(parents=True)
    (site / folder / "entry_points.txt").write_text(points, "utf-8")
    if metadata is not None:
        name = "PKG-INFO" if folder.endswith(".egg-info") else "METADATA"
        (site / folder / name).write_text(metadata, "utf-8")


def head(name: str, version: str = "1.0") -> str:
    return f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\nSummary: Name: other\n\nName: no\nVersion: 0\n"


@pytest.mark.parametrize("group", ["boxwright", "console_scripts", "pytest11", "there is none"])
def test_of_this_environment(group: str) -> None:
    found = installed_points(group)
    assert {tuple(point) for point in found} == judged(group)
    assert len(found) == len(set(found))


def test_every_way_of_writing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(
        tmp_path,
        "some_thing-1.0.dist-info",
        "[other]\nno = a\n\n[gr]\n# note = x\none=mod\n two  =  pkg.mod:Class.method [extra]\n\n[last]\nno = b\n",
        head("Some.Thing"),
    )
    put(tmp_path, "old.egg-info", "[gr]\r\nthree = mod\r\n", head("old", "2"))
    put(tmp_path, "none-3.dist-info", "[grr]\nno = mod\n", head("none"))
    monkeypatch.setattr(sys, "path", [str(tmp_path), str(tmp_path / "missing")])
    expected = {
        ("one", "mod", "Some.Thing", "1.0"),
        ("two", "pkg.mod:Class.method [extra]", "Some.Thing", "1.0"),
        ("three", "mod", "old", "2"),
    }
    assert {tuple(point) for point in installed_points("gr")} == expected == judged("gr")


def test_the_first_of_two_installations_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path / "a", "it-1.dist-info", "[gr]\none = first\n", head("it", "1"))
    put(tmp_path / "b", "it-2.dist-info", "[gr]\none = second\n", head("it", "2"))
    monkeypatch.setattr(sys, "path", [str(tmp_path / "a"), str(tmp_path / "b")])
    assert {tuple(point) for point in installed_points("gr")} == {("one", "first", "it", "1")} == judged("gr")


def test_damaged_metadata(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path, "bare-1.dist-info", "[gr]\none = mod\n")
    (tmp_path / "empty-1.dist-info").mkdir()
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    assert installed_points("gr") == [InstalledPoint("one", "mod", "unknown", "")]


def test_what_lies_in_a_zip_file_is_left_to_importlib(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with zipfile.ZipFile(tmp_path / "wheel.whl", "w") as wheel:
        wheel.writestr("it-1.dist-info/METADATA", head("it", "1"))
        wheel.writestr("it-1.dist-info/entry_points.txt", "[gr]\none = mod\n")
    monkeypatch.setattr(sys, "path", [str(tmp_path / "wheel.whl"), str(tmp_path)])
    assert installed_points("gr") == [InstalledPoint("one", "mod", "it", "1")]


def test_what_a_finder_of_its_own_finds_is_left_to_importlib(monkeypatch: pytest.MonkeyPatch) -> None:
    class Finder:
        @staticmethod
        def find_distributions(context: object) -> list[object]:
            return []

        @staticmethod
        def find_spec(*_: object) -> None:
            return None

    before = set(installed_points("boxwright"))
    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path, Finder])
    assert set(installed_points("boxwright")) == before


@pytest.mark.parametrize(
    ("value", "expected"), [("os.path", "posixpath"), ("os.path:join", "join"), ("pathlib:Path.exists [x]", "exists")]
)
def test_loading(value: str, expected: str) -> None:
    assert InstalledPoint("x", value, "d", "1").load().__name__ in (expected, "ntpath")


@pytest.mark.parametrize(
    ("value", "raised"),
    [("", ValueError), ("a b", ValueError), ("no_such_module", ImportError), ("os:no", AttributeError)],
)
def test_loading_what_is_not_there(value: str, raised: type[Exception]) -> None:
    with pytest.raises(raised):
        InstalledPoint("x", value, "d", "1").load()
