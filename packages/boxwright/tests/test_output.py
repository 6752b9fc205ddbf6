"""Outputs are written completely or not at all, even after an interruption."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest

from boxwright import OutputError
from boxwright.storage.filesystem import alive
from boxwright.storage.output import AtomicOutput, is_safe_name, safe_name, write_atomically

BIG = 1 << 20


def everything(folder: Path) -> dict[str, bytes | None]:
    """Returns the contents of all files below a folder, hidden ones too; ``None`` for a folder."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() if path.is_file() else None
        for path in sorted(folder.rglob("*"))
    }


def write(
    location: object,
    files: dict[str, bytes],
    target: str = "folder",
    *,
    overwrite: bool = False,
    then: BaseException | None = None,
) -> None:
    """Writes an output completely, or fails with ``then`` when all files are written and none is closed."""
    with AtomicOutput(str(location), target, overwrite=overwrite) as output:
        for name, content in files.items():
            output.open(name).write(content)
        if then is not None:
            raise then


def test_a_file_appears_at_the_end(tmp_path: Path) -> None:
    target = tmp_path / "new" / "a.csv"
    with AtomicOutput(str(target)) as output:
        file = output.open()
        file.write(b"x" * BIG)
        assert not target.exists()
    assert everything(tmp_path) == {"new": None, "new/a.csv": b"x" * BIG}  # also closed, so nothing is missing


def test_a_folder_appears_at_the_end(tmp_path: Path) -> None:
    target = tmp_path / "out"
    with AtomicOutput(str(target), "folder") as output:
        with output.open("a.txt") as file:
            file.write(b"a")
        output.open("sub/deep/b.txt").write(b"b")
        assert not target.exists()
    assert everything(tmp_path) == {
        "out": None,
        "out/a.txt": b"a",
        "out/sub": None,
        "out/sub/deep": None,
        "out/sub/deep/b.txt": b"b",
    }


def test_files_side_by_side(tmp_path: Path) -> None:
    write(tmp_path / "a.record", {"": b"0", "b.record": b"1"}, "file")
    assert everything(tmp_path) == {"a.record": b"0", "b.record": b"1"}


def test_copies_are_byte_for_byte(tmp_path: Path) -> None:
    source = tmp_path / "source.jpg"
    source.write_bytes(os.urandom(3 * BIG + 17))
    with AtomicOutput(str(tmp_path / "out"), "folder") as output:
        output.copy(source, "copy.jpg")
    assert (tmp_path / "out/copy.jpg").read_bytes() == source.read_bytes()


@pytest.mark.parametrize("error", [ValueError("a bug"), KeyboardInterrupt()])
@pytest.mark.parametrize("target", ["file", "folder"])
def test_an_error_leaves_nothing(tmp_path: Path, target: str, error: BaseException) -> None:
    with pytest.raises(type(error)):
        write(tmp_path / "out", {"name" if target == "folder" else "": b"x"}, target, then=error)
    assert everything(tmp_path) == {}


@pytest.mark.parametrize("target", ["file", "folder"])
def test_an_existing_target_is_kept(tmp_path: Path, target: str) -> None:
    old = {"a.txt": b"old"}
    location = tmp_path / "out"
    write(location, old if target == "folder" else {"": b"old"}, target)
    before = everything(tmp_path)
    with pytest.raises(OutputError, match="exists already") as caught:
        AtomicOutput(str(location), target)
    assert "--overwrite" in caught.value.remedy
    assert everything(tmp_path) == before
    files = {"a.txt" if target == "folder" else "": b"new"}
    with pytest.raises(ValueError, match="a bug"):
        write(location, files, target, overwrite=True, then=ValueError("a bug"))
    assert everything(tmp_path) == before
    write(location, {"b.txt": b"new"} if target == "folder" else {"": b"new"}, target, overwrite=True)
    assert everything(tmp_path) == ({"out": None, "out/b.txt": b"new"} if target == "folder" else {"out": b"new"})


def test_an_empty_folder_may_be_filled(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    write(tmp_path / "out", {"a.txt": b"a"})
    assert everything(tmp_path) == {"out": None, "out/a.txt": b"a"}


@pytest.mark.parametrize(("target", "message"), [("file", "is a folder"), ("folder", "is a file")])
def test_a_target_of_the_other_kind(tmp_path: Path, target: str, message: str) -> None:
    location = tmp_path / "out"
    if target == "file":
        location.mkdir()
    else:
        location.write_bytes(b"x")
    with pytest.raises(OutputError, match=message):
        AtomicOutput(str(location), target, overwrite=True)


def test_a_neighbour_of_the_name_is_kept(tmp_path: Path) -> None:
    (tmp_path / "b.record").write_bytes(b"old")
    (tmp_path / "c.record").mkdir()
    for name, overwrite, message in (("b.record", False, "exists already"), ("c.record", True, "is a folder")):
        with pytest.raises(OutputError, match=message):
            write(tmp_path / "a.record", {"x.record": b"1", name: b"2"}, "file", overwrite=overwrite)
    assert everything(tmp_path) == {"b.record": b"old", "c.record": None}


def test_overwriting_never_deletes_other_files(tmp_path: Path) -> None:
    write(tmp_path / "out", {"a.xml": b"1", "sub/b.jpg": b"2"})
    (tmp_path / "out/thesis.docx").write_bytes(b"years of work")
    before = everything(tmp_path)
    with pytest.raises(OutputError, match=r"not part of such a dataset: .*thesis\.docx"):
        write(tmp_path / "out", {"a.xml": b"new", "a.jpg": b"new"}, overwrite=True)
    assert everything(tmp_path) == before
    (tmp_path / "out/thesis.docx").unlink()
    write(tmp_path / "out", {"a.xml": b"new", "a.jpg": b"new"}, overwrite=True)
    assert everything(tmp_path / "out") == {"a.xml": b"new", "a.jpg": b"new"}


def test_files_made_in_the_temporary_folder_are_kept(tmp_path: Path) -> None:
    for text in (b"1", b"2"):  # and are known when the folder is replaced
        with AtomicOutput(str(tmp_path / "out"), "folder", overwrite=True) as output:
            output.open("a.json").write(text)
            assert output.workplace is not None
            write(Path(output.workplace, "inner"), {"b.xml": text})
    assert everything(tmp_path / "out") == {"a.json": b"2", "inner": None, "inner/b.xml": b"2"}


NAMES_THAT_LEAD_AWAY = ["../a", "a/../../b", "/etc/passwd", "..", r"..\a", r"a\b", "C:/a", "c:a", "a\0b"]


@pytest.mark.parametrize("name", NAMES_THAT_LEAD_AWAY)
@pytest.mark.parametrize("target", ["file", "folder"])
def test_names_with_paths_outside(tmp_path: Path, name: str, target: str) -> None:
    assert not is_safe_name(name)
    with pytest.raises(OutputError, match="leads outside the folder or is not portable"):
        write(tmp_path / "in/out", {name: b"x"}, target)
    assert [path for path in everything(tmp_path) if path != "in"] == []


def test_valid_names() -> None:
    for name in ("a", "a/b.jpg", "..a", "a..b", "ä ö.jpg", "...", "a/.../b"):
        assert safe_name(name, "x") == name
        assert is_safe_name(name)
    with pytest.raises(OutputError):
        safe_name("", "x")


@pytest.mark.parametrize("second", ["a.jpg", "./a.jpg"])
def test_duplicate_names(tmp_path: Path, second: str) -> None:
    output = AtomicOutput(str(tmp_path / "out"), "folder")
    output.open("a.jpg")
    with pytest.raises(OutputError, match="would be written twice"):
        output.open(second)
    output.abort()
    assert everything(tmp_path) == {}


def test_a_link_stays_and_its_target_is_replaced(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    write(disk / "data", {"a.txt": b"old"})
    (disk / "a.csv").write_bytes(b"old")
    (tmp_path / "data").symlink_to(disk / "data")
    (tmp_path / "a.csv").symlink_to(disk / "a.csv")
    write(tmp_path / "data", {"b.txt": b"new"}, overwrite=True)
    write(tmp_path / "a.csv", {"": b"new"}, "file", overwrite=True)
    assert (tmp_path / "data").is_symlink()
    assert (tmp_path / "a.csv").is_symlink()
    assert everything(disk) == {"a.csv": b"new", "data": None, "data/b.txt": b"new"}


def test_a_target_made_meanwhile_is_kept(tmp_path: Path) -> None:
    """Two outputs of one target: the first to finish creates it, the other reports that."""
    for target, name in (("file", ""), ("folder", "a.txt")):
        location = str(tmp_path / target)
        slow = AtomicOutput(location, target)
        slow.open(name).write(b"slow")
        write(location, {name: b"quick"}, target)
        with pytest.raises(OutputError, match="exists already"), slow:
            pass
    assert everything(tmp_path) == {"file": b"quick", "folder": None, "folder/a.txt": b"quick"}


def test_two_processes_with_one_target(tmp_path: Path) -> None:
    code = (
        "import sys; from boxwright.storage.output import AtomicOutput; from boxwright import OutputError\n"
        "with AtomicOutput(sys.argv[1], 'folder') as output:\n"
        "    output.open('a.txt').write(sys.argv[2].encode() * 100000)\n"
        "    print('ready', flush=True); sys.stdin.read()\n"
    )
    running = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(tmp_path / "out"), name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for name in "12"
    ]
    for process in running:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    errors = [process.communicate("")[1] for process in running]
    assert [process.returncode for process in running] == [0, 1]
    assert "OutputError" in errors[1]
    assert "exists already" in errors[1]
    assert everything(tmp_path) == {"out": None, "out/a.txt": b"1" * 100000}


STOPPED = """
import os, signal, sys
from boxwright.storage import AtomicOutput
location, target, name = sys.argv[1:]
output = AtomicOutput(location, target, overwrite=True)
file = output.open(name)
file.write(b"new" * 100000)
file.flush()
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(os.name == "nt", reason="there is no SIGKILL")
@pytest.mark.parametrize(("target", "name"), [("file", ""), ("folder", "a.txt"), ("file", "b.csv")])
def test_a_kill_leaves_the_old_target_and_the_next_run_cleans_up(tmp_path: Path, target: str, name: str) -> None:
    location = tmp_path / "out"
    write(location, {name: b"old"} if target == "folder" else {"": b"old"}, target)
    before = everything(tmp_path)
    done = subprocess.run([sys.executable, "-c", STOPPED, str(location), target, name], check=False)
    assert done.returncode == -signal.SIGKILL
    after = everything(tmp_path)
    left = {path for path in after if path not in before}
    assert {path: after[path] for path in before} == before
    assert left
    assert all(".boxwright-partial-" in path for path in left)
    (tmp_path / "outside").write_bytes(b"another's")  # a name with the same beginning
    neighbour = "b.csv" in name
    write(location, {"a.txt": b"next"} if target == "folder" else {"": b"next"}, target, overwrite=True)
    cleaned = everything(tmp_path)
    assert cleaned.pop("outside") == b"another's"
    assert set(cleaned) == set(before) | (left if neighbour else set())
    if neighbour:  # the next output of this name removes leftovers next to the target
        write(tmp_path / "b.csv", {"": b"next"}, "file")
        assert sorted(everything(tmp_path)) == ["b.csv", "out", "outside"]


def test_outputs_of_running_processes_and_other_machines_are_kept(tmp_path: Path) -> None:
    output = AtomicOutput(str(tmp_path / "out"))
    output.open().write(b"x")
    [mine] = [path.name for path in tmp_path.iterdir()]
    elsewhere = mine.replace("boxwright-partial-", "boxwright-partial-0").replace(f"-{os.getpid()}-", "-999999999-")
    (tmp_path / elsewhere).write_bytes(b"x")
    other = AtomicOutput(str(tmp_path / "out"))
    assert {mine, elsewhere} <= {path.name for path in tmp_path.iterdir()}
    other.abort()
    output.abort()
    assert [path.name for path in tmp_path.iterdir()] == [elsewhere]


def test_a_kill_between_the_two_renames_of_a_folder_is_finished_by_the_next_command(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys; from boxwright.storage.output import AtomicOutput\n"
        "rename = os.rename\n"
        "def stopping(*names):\n"
        "    rename(*names); os.kill(os.getpid(), signal.SIGKILL)\n"
        "os.rename = stopping\n"
        "with AtomicOutput(sys.argv[1], 'folder', overwrite=True) as output:\n"
        "    output.open('a.txt').write(b'new')\n"
    )
    write(tmp_path / "out", {"a.txt": b"old"})
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "out")], check=False)
    assert done.returncode == -signal.SIGKILL
    assert not (tmp_path / "out").exists()
    with pytest.raises(OutputError, match="exists already"):
        AtomicOutput(str(tmp_path / "out"), "folder")
    assert everything(tmp_path) == {"out": None, "out/a.txt": b"new"}


FULL = """
import resource, signal, sys
from boxwright import OutputError
from boxwright.storage import AtomicOutput
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
location, target, name = sys.argv[1:]
try:
    with AtomicOutput(location, target, overwrite=True) as output:
        output.open(name).write(b"new" * 1_000_000)
except OutputError as error:
    print(error)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits file sizes as Linux does")
@pytest.mark.parametrize(("target", "name"), [("file", ""), ("folder", "a.txt")])
def test_a_write_that_fails_leaves_the_old_target(tmp_path: Path, target: str, name: str) -> None:
    location = tmp_path / "out"
    write(location, {name: b"old"}, target)
    before = everything(tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(location), target, name], check=True, capture_output=True, text=True
    )
    assert f"{location} cannot be written: File too large" in done.stdout
    assert "nothing was changed there" in done.stdout
    assert everything(tmp_path) == before


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 64 KiB, if this user may mount one."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)], check=False, capture_output=True
    )
    if mounted.returncode:
        pytest.skip("a small disk to fill needs the right to mount one")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def test_a_full_disk(small_disk: Path) -> None:
    write(small_disk / "out.csv", {"": b"old"}, "file")
    with pytest.raises(OutputError, match="No space left") as caught:
        write(small_disk / "out.csv", {"": b"new" * BIG}, "file", overwrite=True)
    assert "free some space" in caught.value.remedy
    assert everything(small_disk) == {"out.csv": b"old"}


def test_a_disk_that_fills_at_the_last_moment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """/dev/full accepts nothing; the error appears only when the file is closed and its buffer is written."""
    if not os.path.exists("/dev/full"):
        pytest.skip("there is no /dev/full")
    output = AtomicOutput(str(tmp_path / "out"))
    monkeypatch.setattr(output._storage, "open", lambda path: os.fdopen(os.open("/dev/full", os.O_WRONLY), "wb"))
    output.open().write(b"x")
    with pytest.raises(OutputError, match="No space left"), output:
        pass
    assert everything(tmp_path) == {}


def test_a_parent_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x")
    for target in ("file", "folder"):
        with pytest.raises(OutputError, match=r"cannot be written: .*(File exists|Not a directory)"):
            AtomicOutput(str(tmp_path / "file/out"), target)
    with pytest.raises(OutputError, match="cannot be written"):
        write_atomically(tmp_path / "file/out", b"x")


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_parent(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(OutputError, match="Permission denied"):
        AtomicOutput(str(tmp_path / "out"), "folder")
    tmp_path.chmod(0o700)


def test_a_read_error_is_not_reported_as_a_write_error(tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    with pytest.raises(IsADirectoryError), AtomicOutput(str(tmp_path / "out"), "folder") as output:
        output.copy(tmp_path / "source", "a.jpg")
    assert everything(tmp_path) == {"source": None}


def test_locations_without_a_name() -> None:
    for location in ("", "/", "memory://"):
        with pytest.raises(OutputError, match="names no file"):
            AtomicOutput(location)


# Anything that fsspec opens


@pytest.fixture
def memory() -> Iterator[Any]:
    files = fsspec.filesystem("memory")
    files.store.clear()
    files.pseudo_dirs[:] = [""]
    yield files
    files.store.clear()
    files.pseudo_dirs[:] = [""]


def stored(memory: Any) -> dict[str, bytes]:
    return {path: memory.cat(path) for path in memory.store}


def test_remote_files(memory: Any) -> None:
    write("memory://a.csv", {"": b"1"}, "file")
    write("memory://deep/in/b.csv", {"": b"2", "c.csv": b"3"}, "file")
    assert stored(memory) == {"/a.csv": b"1", "/deep/in/b.csv": b"2", "/deep/in/c.csv": b"3"}
    with pytest.raises(OutputError, match="exists already"):
        AtomicOutput("memory://a.csv")
    write("memory://a.csv", {"": b"new"}, "file", overwrite=True)
    assert stored(memory)["/a.csv"] == b"new"


def test_remote_folders(memory: Any) -> None:
    write("memory://out", {"a.xml": b"1", "sub/b.xml": b"2"})
    assert stored(memory) == {"/out/a.xml": b"1", "/out/sub/b.xml": b"2"}
    with pytest.raises(OutputError, match="exists already"):
        AtomicOutput("memory://out", "folder")
    write("memory://out", {"b.xml": b"new"}, overwrite=True)
    assert stored(memory) == {"/out/b.xml": b"new"}
    memory.pipe("/out/thesis.docx", b"years of work")
    with pytest.raises(OutputError, match=r"not part of such a dataset: thesis\.docx"):
        write("memory://out", {"c.xml": b"newer"}, overwrite=True)
    assert stored(memory) == {"/out/b.xml": b"new", "/out/thesis.docx": b"years of work"}


def test_a_remote_error_leaves_nothing(memory: Any) -> None:
    for target, name in (("file", ""), ("folder", "sub/a.txt")):
        with pytest.raises(ValueError, match="a bug"):
            write("memory://d/out", {name: b"x"}, target, then=ValueError("a bug"))
        assert stored(memory) == {}


def test_running_processes() -> None:
    assert alive(os.getpid())
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    assert not alive(gone.pid)
    assert not alive(10**30)


def test_an_invalid_target_name_is_not_blamed_on_an_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with AtomicOutput("C:\\out\\x.csv") as output, pytest.raises(OutputError) as caught:
        output.open()
    assert caught.value.remedy == "give the output another name"
    assert list(tmp_path.iterdir()) == []
