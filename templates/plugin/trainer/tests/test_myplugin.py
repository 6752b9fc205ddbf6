from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from boxwright_myplugin import trainer
from boxwright_myplugin.conformance import TestConformance as TestConformance


@pytest.mark.parametrize(("before", "raised"), [(0, 10), (4, 6), (10, 0), (15, 0)])
def test_the_nice_value_is_at_least_10(monkeypatch: pytest.MonkeyPatch, before: int, raised: int) -> None:
    calls: list[int] = []

    def nice(by: int) -> int:
        calls.append(by)
        return before + by

    monkeypatch.setattr(trainer.os, "nice", nice, raising=False)
    done: list[Any] = []
    job = SimpleNamespace(reporter=SimpleNamespace(message=lambda text: None))
    trainer.MyPluginTrainer().train(SimpleNamespace(fit=done.append), job)  # type: ignore[arg-type]
    assert calls == [0, raised]
    assert done == [job]
