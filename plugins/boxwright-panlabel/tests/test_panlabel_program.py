"""The program: its formats are those of the table, and its failures are reported."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

import boxwright_panlabel
from boxwright import DataError, MissingLibraryError
from boxwright.plugins import default_registry
from boxwright_panlabel import program
from boxwright_panlabel.table import BRIDGES, ELSEWHERE

pytest.importorskip("panlabel")


def test_the_table_contains_every_format_of_the_program() -> None:
    done = subprocess.run([program.find_program(), "list-formats", "--output=json"], capture_output=True, check=True)
    known = {each["name"]: each for each in json.loads(done.stdout)}
    ours = {bridge.program_name for bridge in BRIDGES.values()}
    assert ours | set(ELSEWHERE) == set(known)
    assert not ours & set(ELSEWHERE)
    for bridge in BRIDGES.values():
        assert known[bridge.program_name]["read"]
        assert known[bridge.program_name]["write"] or not bridge.writes


def test_no_name_belongs_to_another_plugin() -> None:
    taken = {
        "labelimg",
        "voc",
        "coco",
        "yolo",
        "createml",
        "csv",
        "openimages",
        "retinanet",
        "via",
        "via-json",
        "tfrecord",
        "tfds",
    }
    assert not taken & {spec.name for spec in boxwright_panlabel.boxwright_formats()}


def test_listing_starts_no_program(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subprocess, "Popen", None)
    assert len(boxwright_panlabel.boxwright_formats()) == len(BRIDGES) + 1
    assert default_registry().get("format", "openlabel").missing == ()


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program to run instead of panlabel: write Python code to it."""
    path = tmp_path / "panlabel"
    monkeypatch.setattr(program, "find_program", lambda: str(path))
    return path


def say(path: Path, code: str) -> None:
    path.write_text(f"#!{sys.executable}\nimport os, sys, time\n{code}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def run(tmp_path: Path) -> program.Done:
    source = ("cvat", str(tmp_path / "stage" / "a.xml"))
    renamed = {str(tmp_path / "stage"): "photos"}
    target = ("ir-json", str(tmp_path / "out.json"))
    return program.convert(source, target, name="cvat", blamed="photos/a.xml", renamed=renamed)


def test_its_message_is_the_problem(fake: Path, tmp_path: Path) -> None:
    say(fake, "sys.exit('Error: no boxes\\n  in ' + sys.argv[6].partition('=')[2])")
    with pytest.raises(DataError) as caught:
        run(tmp_path)
    assert caught.value.problem == "panlabel: no boxes in photos/a.xml"
    assert caught.value.file == "photos/a.xml"
    say(fake, "sys.exit('Error: ' + 'x' * 5000)")
    with pytest.raises(DataError) as caught:
        run(tmp_path)
    assert len(caught.value.problem) < 700


def test_a_program_that_hangs_is_stopped(fake: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program, "TIMEOUT", 0.3)
    say(fake, "time.sleep(60)")
    with pytest.raises(DataError, match="did not finish within"):
        run(tmp_path)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")
def test_a_program_that_is_killed(fake: Path, tmp_path: Path) -> None:
    say(fake, "os.kill(os.getpid(), 9)")
    with pytest.raises(DataError, match="stopped by signal 9: it loads the whole dataset into memory"):
        run(tmp_path)


def test_a_program_that_cannot_be_run_or_is_missing(
    fake: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(MissingLibraryError, match=r"panlabel cannot be run: .*\n.*pip install"):
        run(tmp_path)
    monkeypatch.undo()
    monkeypatch.setitem(sys.modules, "panlabel", None)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    program.find_program.cache_clear()
    try:
        with pytest.raises(MissingLibraryError, match='run: python -m pip install "panlabel'):
            program.find_program()
    finally:
        program.find_program.cache_clear()


def test_no_shell_sees_the_location(fake: Path, tmp_path: Path) -> None:
    say(fake, 'print(\'{"issues": [], "from": "cvat"}\'); print(repr(sys.argv[1:]), file=sys.stderr)')
    source = ("cvat", "$(touch x); -i.xml")
    done = program.convert(source, ("ir-json", "o.json"), ["--split=a b"], name="cvat", blamed="x")
    (note,) = done.notes
    assert "'--input=$(touch x); -i.xml'" in note
    assert "'--split=a b'" in note
    assert not (tmp_path / "x").exists()
