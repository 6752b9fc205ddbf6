"""A worker in a separate process: its results, and that it never outlives its parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from boxwright import BoxwrightError, RunError, UsageError
from boxwright.environments import worker
from boxwright.environments.worker import Worker, WorkerError
from boxwright.errors import WorkerDiedError
from boxwright.storage.filesystem import alive

FUNCTIONS = """
import os, sys, time

def add(connection, *, a, b):
    print("this goes to the log")
    os.write(1, b"and so does this\\n")
    return a + b

def tell(connection):
    connection.message("hello")
    connection.warning("beware")
    connection.event("step", step=1, loss=float("nan"), more=[float("inf"), 2.5])
    return [1, {"a": None}]

def refuse(connection, kind):
    raise connection.Refusal("unknown field", "try another", kind)

def fail(connection):
    raise ZeroDivisionError("a mistake of the programmer")

def crash(connection, code):
    print("WARNING: nothing to worry about", file=sys.stderr)
    print("2026-11-21 08:00:34.1: I tensorflow/core.cc:1] neither is this", file=sys.stderr)
    print("the disk has melted", file=sys.stderr, flush=True)
    os._exit(code)

def kill(connection, number):
    os.kill(os.getpid(), number)
    time.sleep(10)

def sleep(connection):
    import subprocess
    child = subprocess.Popen(["sleep", "60"])
    connection.event("started", pid=os.getpid(), child=child.pid)
    time.sleep(60)

def here(connection):
    from . import neighbour
    return [neighbour.NAME, "boxwright" in sys.modules, os.environ.get("PYTHONPATH")]
"""


@pytest.fixture
def package(tmp_path: Path) -> Path:
    folder = tmp_path / "functions"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "work.py").write_text(FUNCTIONS)
    (folder / "neighbour.py").write_text("NAME = 'next door'\n")
    return folder


@pytest.fixture
def start(package: Path, tmp_path: Path) -> Callable[..., Worker]:
    def start(**options: Any) -> Worker:
        return Worker(Path(sys.executable), package, name="toy", log=tmp_path / "toy.log", **options)

    return start


def gone(pid: int, seconds: float = 5.0) -> bool:
    """Returns whether a process ends within some time; a dead one that is not waited for counts as ended."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if not alive(pid) or Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
            return True
        time.sleep(0.05)
    return False


class TestCalls:
    def test_results_are_returned_and_prints_go_to_the_log(self, start: Callable[..., Worker], tmp_path: Path) -> None:
        with start() as running:
            assert running.call("work:add", {"a": 1, "b": 2}) == 3
            assert running.call("work:add", {"a": "x", "b": "é"}) == "xé"
        log = (tmp_path / "toy.log").read_text()
        assert "this goes to the log" in log
        assert "and so does this" in log

    def test_events_messages_and_numbers_that_are_not_finite(self, start: Callable[..., Worker], reports: Any) -> None:
        events: list[Any] = []
        with start(reporter=reports) as running:
            assert running.call("work:tell", {}, lambda name, values: events.append((name, values))) == [1, {"a": None}]
        assert (reports.messages, reports.warnings) == (["hello"], ["beware"])
        assert events == [("step", {"step": 1, "loss": None, "more": [None, 2.5]})]

    @pytest.mark.parametrize(("kind", "error"), [("usage", UsageError), ("run", RunError)])
    def test_a_refusal_is_an_error_of_boxwright(
        self, start: Callable[..., Worker], kind: str, error: type[BoxwrightError]
    ) -> None:
        with start() as running:
            with pytest.raises(error) as caught:
                running.call("work:refuse", {"kind": kind})
            assert (caught.value.message, caught.value.remedy) == ("unknown field", "try another")
            assert running.call("work:add", {"a": 1, "b": 1}) == 2  # it continues

    def test_an_exception_is_named_and_the_log_has_its_traceback(
        self, start: Callable[..., Worker], tmp_path: Path
    ) -> None:
        with start() as running, pytest.raises(WorkerError) as caught:
            running.call("work:fail", {})
        assert "toy: ZeroDivisionError: a mistake of the programmer" in str(caught.value)
        assert str(tmp_path / "toy.log") in caught.value.remedy
        assert "Traceback" in (tmp_path / "toy.log").read_text()

    def test_it_has_a_separate_environment(self, start: Callable[..., Worker], monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PYTHONPATH", "/somewhere")
        with start() as running:
            assert running.call("work:here", {}) == ["next door", False, None]

    def test_the_program_needs_nothing_but_the_standard_library(self) -> None:
        done = subprocess.run(
            [sys.executable, "-I", "-S", str(worker.PROGRAM)], input=b"", capture_output=True, check=False, timeout=20
        )
        assert b"Error" not in done.stderr

    def test_a_missing_interpreter(self, package: Path) -> None:
        with pytest.raises(BoxwrightError, match="cannot be started") as caught:
            Worker(Path("/nowhere/python"), package, name="toy")
        assert caught.value.remedy == "run: boxwright env check toy"


class TestDeath:
    def test_a_crash_is_reported_with_the_last_meaningful_output(self, start: Callable[..., Worker]) -> None:
        with start() as running, pytest.raises(WorkerDiedError) as caught:
            running.call("work:crash", {"code": 3})
        assert caught.value.message == "the worker of toy ended with code 3. Its last words:\n    the disk has melted"

    def test_output_of_an_earlier_worker_is_not_reported(self, start: Callable[..., Worker]) -> None:
        with start() as running, pytest.raises(WorkerDiedError):
            running.call("work:crash", {"code": 3})
        with start() as running, pytest.raises(WorkerDiedError) as caught:
            running.call("work:kill", {"number": int(signal.SIGTERM)})
        assert caught.value.message == f"the worker of toy was killed by signal {signal.SIGTERM.value} (SIGTERM)"

    def test_a_kill_is_reported_as_likely_out_of_memory(self, start: Callable[..., Worker]) -> None:
        with start() as running:
            with pytest.raises(WorkerDiedError, match=r"signal 9 \(SIGKILL\), most likely because it ran out"):
                running.call("work:kill", {"number": 9})
            with pytest.raises(WorkerDiedError):  # and does not wait forever for a result
                running.call("work:add", {"a": 1, "b": 2})

    def test_ctrl_c_ends_it_and_its_processes(self, start: Callable[..., Worker]) -> None:
        pids: list[int] = []

        def interrupt(name: str, values: Any) -> None:
            pids.extend((values["pid"], values["child"]))
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt), start() as running:
            running.call("work:sleep", {}, interrupt)
        assert len(pids) == 2
        assert all(gone(pid) for pid in pids)

    @pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
    def test_no_orphan_when_the_parent_ends(self, package: Path, number: signal.Signals) -> None:
        code = (
            "import sys; from pathlib import Path; from boxwright.environments.worker import Worker\n"
            f"w = Worker(Path(sys.executable), Path({str(package)!r}), name='toy')\n"
            "w.call('work:sleep', {}, lambda name, v: print(v['pid'], v['child'], flush=True))"
        )
        parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        assert parent.stdout is not None
        with parent.stdout:
            pids = [int(word) for word in parent.stdout.readline().split()]
            assert len(pids) == 2
            assert all(map(alive, pids))
            os.kill(parent.pid, number)
            parent.wait(20)
        assert all(gone(pid) for pid in pids)

    def test_an_idle_worker_ends_quickly(self, start: Callable[..., Worker]) -> None:
        running = start()
        running.call("work:add", {"a": 1, "b": 2})
        started = time.monotonic()
        running.end()
        assert time.monotonic() - started < 3
        assert gone(running.pid)


def test_a_worker_that_stays_silent_is_reported(
    start: Callable[..., Worker], reports: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "SILENCE", 1.0)
    with start(reporter=reports) as running:
        os.kill(running.pid, signal.SIGSTOP)
        timer = subprocess.Popen(["sh", "-c", f"sleep 2.5; kill -CONT {running.pid}"])
        assert running.call("work:add", {"a": 1, "b": 2}) == 3
        timer.wait()
    assert len(reports.warnings) == 1
    assert "no sign of life" in reports.warnings[0]
