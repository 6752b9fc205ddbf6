"""Fixtures: drawn datasets, and a reporter that records its messages."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Any

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


@pytest.fixture(scope="session")
def small() -> dict[str, Any]:
    """The arguments of a short training: three epochs of two steps."""
    return {
        "backend": "kerascv",
        "preset": "tiny",
        "image_size": (64, 64),
        "batch_size": 4,
        "epochs": 3,
        "seed": 1,
        # An untrained detector has only low scores.
        "settings": {"score_threshold": 0.001, "oversample": 1.0},
    }


@pytest.fixture(scope="session")
def narrow() -> Callable[..., AbstractContextManager[None]]:
    """``with narrow():`` trains a backbone with few layers, because short trainings spend their time on tracing.

    ``depth`` is the number of blocks after the last reduction.
    """
    from boxwright_kerascv import network
    from boxwright_kerascv.layers import NarrowBackbone

    @contextmanager
    def patched(depth: int = 0) -> Iterator[None]:
        def backbone(preset: Any, shape: tuple[int, int, int], weights: str | None) -> NarrowBackbone:
            return NarrowBackbone(channels=[16, 16, 32, 32], depths=[0, 0, 0, depth], input_shape=shape)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(network, "_backbone", backbone)
            yield

    return patched
