"""Fixtures: drawn datasets, and a reporter that records its messages."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest

import boxwright
from boxwright import Dataset


class SilentTask:
    """A progress bar that counts."""

    def __init__(self) -> None:
        self.done = 0

    def advance(self, steps: int = 1) -> None:
        self.done += steps

    def update(self, *, total: int | None = None, note: str | None = None) -> None:
        pass


@dataclass
class RecordingReporter:
    """A reporter that records its messages."""

    messages: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    tasks: dict[str, tuple[int | None, SilentTask]] = field(default_factory=dict)

    @contextmanager
    def task(self, description: str, total: int | None = None) -> Iterator[SilentTask]:
        task = SilentTask()
        self.tasks[description] = (total, task)
        yield task

    def message(self, text: str) -> None:
        self.messages.append(text)

    def warning(self, text: str) -> None:
        self.warnings.append(text)


@pytest.fixture
def reporter() -> RecordingReporter:
    return RecordingReporter()


@pytest.fixture(scope="session")
def drawn() -> Dataset:
    """Eight drawn scenes of 96x80, three classes."""
    return boxwright.open("demo:train?images=8&seed=4&size=96x80")


@pytest.fixture(scope="session")
def validation() -> Dataset:
    """Four other scenes."""
    return boxwright.open("demo:test?images=16&seed=4&size=96x80")
