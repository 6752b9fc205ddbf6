"""A process that is killed at any rename, removal or creation of a folder leaves the old state or the new one.

The kill is simulated in this process: from the chosen call on, no call changes anything, so no cleanup takes place.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import boxwright
from boxwright import Boxes, BoxwrightError, Dataset, ImageRef, LabelMap, OutputError, Run, Sample
from boxwright.datasets import SampleReader
from boxwright.plugins import default_registry
from boxwright.storage import AtomicOutput, stores
from boxwright.storage.output import commit_together
from boxwright.storage.switch import settle

# A killed process closes nothing.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

tempfile.gettempdir()  # at first use, it creates and removes a file
CALLS = ("rename", "replace", "remove", "unlink", "mkdir", "rmdir", "link")


class Killed(BaseException):
    """The process does not exist anymore."""


@contextmanager
def killed_at(place: int) -> Iterator[list[str]]:
    """Stops everything before (even) or after (odd numbers) a call; yields the calls so far."""
    calls: list[str] = []

    def stopping(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def stop(*arguments: Any, **options: Any) -> Any:
            number = len(calls)
            calls.append(f"{name} {arguments}")
            if 2 * number >= place >= 0:
                raise Killed
            try:
                return call(*arguments, **options)
            finally:
                if 2 * number + 1 == place:
                    raise Killed

        return stop

    with pytest.MonkeyPatch.context() as patch:
        for name in CALLS:
            patch.setattr(os, name, stopping(name, getattr(os, name)))
        yield calls


def every_kill(folder: Path, work: Callable[[Path], object], state: Callable[[Path], object]) -> int:
    """Kills some work at each place, and checks that the state is that before or after it; returns how often."""
    before = folder / "before"
    before.mkdir(exist_ok=True)
    done = folder / "done"
    shutil.copytree(before, done)
    old = state(done)
    with killed_at(-1) as calls:
        work(done)
    new = state(done)
    assert old != new
    count = 2 * len(calls)
    seen = []
    for place in range(count):
        there = folder / str(place)
        shutil.copytree(before, there)
        with pytest.raises(Killed), killed_at(place):
            work(there)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(stores, "alive", lambda pid: False)
            found = state(there)
            assert found in (old, new), f"a mixture after the kill at {calls[place // 2]}"
            seen.append(found == new)
            work(there)
            assert state(there) == new
        assert [path for path in there.rglob("*") if "boxwright-" in path.name] == []
        shutil.rmtree(there)
    assert seen == sorted(seen)
    return count


def jpeg(shade: int) -> bytes:
    content = BytesIO()
    Image.new("RGB", (40, 30), (shade, shade, shade)).save(content, "JPEG")
    return content.getvalue()


def dataset(version: int, label: str | None = None) -> Dataset:
    """Three images with attributes that few formats store; the versions differ in everything but the names.

    Args:
        version: A number below 10.
        label: The only class.
    """
    samples = [
        Sample(
            image=ImageRef(name=f"{number}.jpg", width=40, height=30, data=jpeg(version)),
            boxes=Boxes(
                [label or f"class-{version}", label or "fig"],
                [(version, 2, 20, 21), (3, 4, 30, 20 + version)],
                [{"note": f"version {version}"}, {"note": "same", "score": version / 8}],
            ),
            split=("train", "train", "val")[number],
        )
        for number in range(3)
    ]
    return Dataset(SampleReader(samples))


def reading(*uris: str) -> Callable[[Path], object]:
    """Returns what the datasets of a folder contain, or that they are missing."""

    def read(folder: Path) -> object:
        found: list[object] = []
        for uri in uris:
            name, _, location = uri.partition(":")
            try:
                data = boxwright.open(f"{name}:{folder / location}")
                found.append([(sample.image.name, repr(sample.boxes), sample.attributes) for sample in data])
            except BoxwrightError:
                found.append([])
        return found, [path.read_text() for path in sorted(folder.rglob("label_map.pbtxt"))]

    return read


SPECS = {
    entry.spec.name: entry.spec
    for entry in default_registry().all("format")
    if entry.spec.write and entry.spec.name != "pictures"  # they have no annotations
}
ONLY_CLASS = {"kaggle-wheat": "wheat_head", "wider-face": "face"}
QUICK = ("csv", "tfrecord", "yolo")
NAMES = {"tfrecord": "out.record@3"}


def named(name: str) -> str:
    spec = SPECS[name]
    return NAMES.get(name, f"out{spec.suffixes[0] if spec.suffixes and spec.target == 'file' else ''}")


@pytest.mark.parametrize("sidecar", [False, True], ids=["alone", "with a sidecar"])
@pytest.mark.parametrize(
    "name", [*QUICK, *[pytest.param(name, marks=pytest.mark.slow) for name in sorted(SPECS) if name not in QUICK]]
)
def test_a_killed_conversion_leaves_no_mixture(tmp_path: Path, name: str, sidecar: bool) -> None:
    target = f"{name}:{{}}/{named(name)}"

    def convert(folder: Path, version: int = 2, kept: bool = sidecar) -> None:
        samples = dataset(version, ONLY_CLASS.get(name))
        boxwright.convert(samples, target.format(folder), overwrite=True, sidecar=kept, workers=1)

    (tmp_path / "before").mkdir()
    for number in range(3):  # some formats have no sizes
        (tmp_path / "before" / f"{number}.jpg").write_bytes(jpeg(0))
    convert(tmp_path / "before", 1, True)
    (tmp_path / "before/label_map.pbtxt").unlink(missing_ok=True)  # so that it is written as well
    assert every_kill(tmp_path, convert, reading(f"{name}:{named(name)}")) > 2


def test_a_killed_conversion_into_splits_leaves_no_mixture(tmp_path: Path) -> None:
    def convert(folder: Path, version: int = 2) -> None:
        boxwright.convert(dataset(version), f"csv:{folder}/{{split}}/out.csv", overwrite=True, sidecar=True, workers=1)

    (tmp_path / "before").mkdir()
    convert(tmp_path / "before", 1)
    (tmp_path / "before/label_map.pbtxt").unlink()
    assert every_kill(tmp_path, convert, reading("csv:train/out.csv", "csv:val/out.csv")) > 10


def test_a_killed_first_conversion_leaves_nothing_or_all(tmp_path: Path) -> None:
    def convert(folder: Path) -> None:
        boxwright.convert(dataset(1), f"tfrecord:{folder}/out.record@3", overwrite=True, sidecar=True, workers=1)

    assert every_kill(tmp_path, convert, reading("tfrecord:out.record")) > 10


@pytest.mark.parametrize("old", [False, True], ids=["the first", "one that replaces another"])
def test_a_killed_start_or_swap_of_a_run_leaves_one_run(tmp_path: Path, old: bool) -> None:
    def train(folder: Path, epochs: int = 2) -> None:
        options: dict[str, Any] = {"backend": "x", "inputs": {}, "label_map": LabelMap.from_names(["fig"])}
        run = Run.create(folder / "run", config={"epochs": epochs}, overwrite=True, **options)
        run.add_metrics(epochs, {"loss": 1})
        run.update(status="done")
        run.take_place()

    def state(folder: Path) -> object:
        try:
            run = Run(folder / "run")
        except BoxwrightError:
            return None
        return (run.config, run.metrics(), run.status) if old else run.config

    (tmp_path / "before").mkdir()
    if old:
        train(tmp_path / "before", 1)
    assert every_kill(tmp_path, train, state) > 10


def test_an_error_in_the_middle_reverts_all(tmp_path: Path) -> None:
    def outputs() -> list[AtomicOutput]:
        made = []
        for name, target in (("a.csv", "file"), ("b", "folder"), ("sub/c.csv", "file")):
            output = AtomicOutput(str(tmp_path / name), target, overwrite=True)
            output.open("x.txt" if target == "folder" else "").write(b"new")
            made.append(output)
        return made

    def content() -> dict[str, bytes]:
        return {str(path.relative_to(tmp_path)): path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}

    first = outputs()
    commit_together(first)
    before = dict.fromkeys(content(), b"old")
    for name in before:
        (tmp_path / name).write_bytes(b"old")
    with killed_at(-1) as calls:
        commit_together(outputs())
    renames = [number for number, call in enumerate(calls) if call.startswith("rename")]
    assert len(renames) == 6
    rename = os.rename
    for failing in range(len(renames)):
        for name in before:
            (tmp_path / name).write_bytes(b"old")
        made, count = outputs(), iter(range(100))

        def broken(source: str, target: str, count: Iterator[int] = count, failing: int = failing) -> None:
            if next(count) == failing:
                raise PermissionError(13, "Permission denied")
            rename(source, target)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(os, "rename", broken)
            with pytest.raises(boxwright.OutputError, match="nothing was changed"):
                commit_together(made)
        for output in made:
            output.abort()
        assert content() == before


def test_what_cannot_be_reverted_is_finished_by_the_next_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk stops after the first file was renamed: neither version of the other one may be lost."""
    paths = [tmp_path / "a", tmp_path / "b"]
    outputs = []
    for path in paths:
        path.write_text("old")
        output = AtomicOutput(str(path), overwrite=True)
        with output.open() as file:
            file.write(b"new")
        outputs.append(output)
    rename, calls = os.rename, 0

    def failing(source: str, target: str) -> None:
        nonlocal calls
        calls += 1
        if calls > 3:
            raise OSError(5, "Input/output error")
        rename(source, target)

    monkeypatch.setattr(os, "rename", failing)
    with pytest.raises(OutputError, match="replaced only in part.*\n.*next command"), outputs[0], outputs[1]:
        commit_together(outputs)
    monkeypatch.setattr(os, "rename", rename)
    settle(str(tmp_path), wait=True)
    assert [path.read_text() for path in paths] == ["new", "new"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]


def test_what_another_process_finishes_is_not_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One process settles the changes of a killed one; another begins an output in between, and must wait."""
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "old.txt").write_text("old")

    def work(place: int) -> list[str]:
        with killed_at(place) as calls, contextlib.suppress(Killed):
            outputs = [AtomicOutput(str(tmp_path / name), "folder", overwrite=True) for name in ("a", "b")]
            for output in outputs:
                with output.open("new.txt") as file:
                    file.write(b"new")
            commit_together(outputs)
        return calls

    journal = tmp_path / ".boxwright-journal"
    for place in range(60):
        if journal.exists():
            break
        work(place)
    assert journal.exists()
    monkeypatch.setattr(stores, "alive", lambda pid: False)
    begun, rename = threading.Event(), os.rename

    def slow(source: str, target: str) -> None:
        begun.set()
        time.sleep(0.2)
        rename(source, target)

    monkeypatch.setattr(os, "rename", slow)
    first = threading.Thread(target=settle, args=(str(tmp_path),), kwargs={"wait": True})
    first.start()
    assert begun.wait(10)
    stores.LocalStorage().remove_stale(str(tmp_path), "a")
    first.join()
    assert [(tmp_path / name / "new.txt").read_text() for name in ("a", "b")] == ["new", "new"]


@pytest.mark.parametrize("name", ["csv", "yolo", pytest.param("tfrecord", marks=pytest.mark.slow)])
def test_a_killed_conversion_to_a_url_is_refused_as_a_mixture(name: str) -> None:
    """At each change of fsspec's file system, before and after it, the old or new dataset is read, or an error."""
    import fsspec

    memory = fsspec.filesystem("memory")
    uri = f"{name}:memory://kills/{named(name)}"
    source = f"{name}:memory://kills/{named(name).partition('@')[0]}"

    def convert(version: int) -> None:
        memory.store.pop("/kills/label_map.pbtxt", None)  # it is kept otherwise, and has other classes
        boxwright.convert(dataset(version), uri, overwrite=True, sidecar=True, workers=1)

    def state() -> object:
        try:
            return [(sample.image.name, repr(sample.boxes)) for sample in boxwright.open(source)]
        except BoxwrightError as error:
            return str(error)

    changes = ("copy", "cp_file", "mv", "rm", "rm_file", "_rm")

    def killed(place: int) -> int:
        """Stops before (even) or after (odd numbers) a change; returns the number of changes."""
        count = 0

        def stopping(call: Callable[..., Any]) -> Callable[..., Any]:
            def stop(*arguments: Any, **options: Any) -> Any:
                nonlocal count
                number, count = count, count + 1
                if 2 * number >= place >= 0:
                    raise Killed
                found = call(*arguments, **options)
                if 2 * number + 1 == place:
                    raise Killed
                return found

            return stop

        with pytest.MonkeyPatch.context() as patch:
            for each in changes:
                if hasattr(type(memory), each):
                    patch.setattr(type(memory), each, stopping(getattr(type(memory), each)))
            with contextlib.suppress(Killed):
                convert(2)
        return count

    def fresh() -> None:
        memory.store.clear()
        memory.pseudo_dirs[:] = [""]
        convert(1)

    try:
        fresh()
        old = state()
        convert(2)
        new = state()
        assert isinstance(old, list)
        assert isinstance(new, list)
        fresh()
        count = killed(-1)
        assert count >= 4
        refused = 0
        for place in range(2 * count):
            fresh()
            killed(place)
            found = state()
            refused += isinstance(found, str) and "some may be old and some new" in found
            assert found in (old, new) or isinstance(found, str), f"a mixture after kill {place}"
            convert(2)
            assert state() == new
        assert refused > 0
        assert not [path for path in memory.store if "unfinished" in path]
    finally:
        memory.store.clear()
        memory.pseudo_dirs[:] = [""]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["csv", "yolo"])
def test_a_killed_conversion_to_s3_is_refused_as_a_mixture(name: str, s3: str) -> None:
    """At each request that changes the bucket, before and after it, the old or new dataset is read, or an error."""
    import fsspec
    from s3fs import S3FileSystem

    files = fsspec.filesystem("s3")
    changes = {"put_object", "copy_object", "delete_object", "delete_objects", "complete_multipart_upload"}
    request = S3FileSystem._call_s3
    uri = f"{name}:{s3}/kills/{named(name)}"

    def convert(version: int) -> None:
        files.invalidate_cache()
        if files.exists(f"{s3}/kills/label_map.pbtxt"):
            files.rm(f"{s3}/kills/label_map.pbtxt")
        boxwright.convert(dataset(version), uri, overwrite=True, sidecar=True, workers=1)

    def state() -> object:
        files.invalidate_cache()
        try:
            return [(sample.image.name, repr(sample.boxes)) for sample in boxwright.open(uri)]
        except BoxwrightError as error:
            return str(error)

    def killed(place: int) -> int:
        """Stops before (even) or after (odd numbers) a request; returns the number of requests."""
        count = 0

        async def stop(self: Any, method: str, *arguments: Any, **options: Any) -> Any:
            nonlocal count
            if method not in changes:
                return await request(self, method, *arguments, **options)
            number, count = count, count + 1
            if 2 * number >= place >= 0:
                raise ConnectionAbortedError
            found = await request(self, method, *arguments, **options)
            if 2 * number + 1 == place:
                raise ConnectionAbortedError
            return found

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(S3FileSystem, "_call_s3", stop)
            with contextlib.suppress(ConnectionAbortedError, BoxwrightError):
                convert(2)
        return count

    def fresh() -> None:
        files.invalidate_cache()
        if files.exists(f"{s3}/kills"):
            files.rm(f"{s3}/kills", recursive=True)
        convert(1)

    fresh()
    old = state()
    convert(2)
    new = state()
    assert isinstance(old, list)
    assert isinstance(new, list)
    fresh()
    count = killed(-1)
    assert count >= 4
    states = []
    for place in range(2 * count):
        fresh()
        killed(place)
        states.append(state())
        assert states[-1] in (old, new) or isinstance(states[-1], str), f"a mixture after kill {place}"
        convert(2)
        assert state() == new
    assert any(isinstance(found, str) and "some may be old and some new" in found for found in states)
