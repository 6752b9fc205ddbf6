"""Progress: bars on a terminal, occasional lines elsewhere."""

from __future__ import annotations

import io
import re

import pytest
from rich.console import Console

from boxwright_cli import reporter as module
from boxwright_cli.reporter import TerminalReporter


@pytest.fixture
def clock(monkeypatch):
    """A clock that does not move on its own."""

    class Clock:
        now = 1000.0

        def monotonic(self) -> float:
            return self.now

    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    return clock


def _console(terminal: bool) -> Console:
    return Console(file=io.StringIO(), force_terminal=terminal, width=120, markup=False, legacy_windows=False)


def _written(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def _text(console: Console) -> str:
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", _written(console))


def test_terminal_gets_a_bar_with_counts_and_notes_that_disappears():
    console = _console(True)
    with TerminalReporter(console).task("Converting", 40) as task:
        task.advance(10)
        task.update(note="loss 0.5")
    text = _text(console)
    assert "Converting" in text
    assert "10/40" in text
    assert "loss 0.5" in text
    assert _written(console).endswith("\r\x1b[2K\x1b[?25h\r")  # line erased, cursor shown again


def test_tasks_within_tasks_share_the_screen():
    console = _console(True)
    reporter = TerminalReporter(console)
    with reporter.task("Training", 2) as outer:
        with reporter.task("Epoch 1", 5) as inner:
            inner.advance(5)
        outer.advance()
        reporter.message("half-way")
    text = _text(console)
    assert "Epoch 1" in text
    assert "half-way" in text
    assert "5/5" in text.partition("half-way")[0]
    assert "1/2" in text.partition("half-way")[2]  # the outer bar continues below the message
    with reporter.task("Again"):
        pass
    assert "Again" in _text(console)


def test_bar_is_removed_by_an_error():
    console = _console(True)
    with pytest.raises(KeyboardInterrupt), TerminalReporter(console).task("Converting", 4):
        raise KeyboardInterrupt
    assert "\x1b[?25h" in _written(console)  # the cursor is shown again


def test_short_work_leaves_no_line_in_a_log(clock):
    console = _console(False)
    with TerminalReporter(console).task("Converting", 4) as task:
        clock.now += 20
        task.advance(4)
    assert _written(console) == ""


def test_long_work_leaves_a_line_every_half_minute_and_one_at_the_end(clock):
    console = _console(False)
    with TerminalReporter(console).task("Training", 200) as task:
        for _ in range(200):
            clock.now += 0.5
            task.update(note="loss 0.5")
            task.advance()
    assert _written(console).splitlines() == [
        "Training: 60 of 200 in 30 s, loss 0.5",
        "Training: 120 of 200 in 60 s, loss 0.5",
        "Training: 180 of 200 in 90 s, loss 0.5",
        "Training: 200 of 200 in 100 s, loss 0.5",
    ]


@pytest.mark.parametrize("terminal", [True, False])
def test_quiet_shows_warnings_only(terminal):
    console = _console(terminal)
    reporter = TerminalReporter(console, quiet=True)
    with reporter.task("Converting", 4) as task:
        task.advance()
        task.update(note="x")
        reporter.message("by the way")
        reporter.warning("look out")
    assert _text(console) == "warning: look out\n"
