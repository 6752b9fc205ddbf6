"""Fixtures: trainings that are ended with their test."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # pytest imports tests without it

from trainers_tests import Training, free_ports


@pytest.fixture
def start() -> Iterator[Callable[..., Training]]:
    """``start(out=..., trainer=..., ...)`` begins a small training; it is ended with the test."""
    started: list[Training] = []

    def begin(environment: dict[str, str] | None = None, **changes: Any) -> Training:
        started.append(Training.small(environment, **changes))
        return started[-1]

    yield begin
    for training in started:
        training.process.kill()
        training.process.wait()
        if training.process.stderr is not None:
            training.process.stderr.close()


@pytest.fixture
def finish(start: Callable[..., Training]) -> Callable[..., str]:
    """Runs a small training that must succeed, and returns its messages."""

    def run(**arguments: Any) -> str:
        status, messages = start(**arguments).end()
        assert status == 0, messages
        return messages

    return run


@pytest.fixture
def addresses() -> Callable[[int], str]:
    """``addresses(2)``: free addresses on this computer, as in ``--workers``."""
    return lambda count: ",".join(f"127.0.0.1:{port}" for port in free_ports(count))
