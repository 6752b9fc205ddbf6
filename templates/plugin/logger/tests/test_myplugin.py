from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

from boxwright_myplugin.conformance import TestConformance as TestConformance
from boxwright_myplugin.logger import MyPluginLogger


def test_each_epoch_is_a_line(tmp_path: Path) -> None:
    run = SimpleNamespace(file=lambda name: tmp_path / name)
    logger = MyPluginLogger("log.txt")
    logger.boxwright_epoch_ended(run, 1, {"loss": 0.5, "AP": 0.25})  # type: ignore[arg-type]
    logger.boxwright_epoch_ended(run, 2, {"loss": 0.125})  # type: ignore[arg-type]
    assert (tmp_path / "log.txt").read_text("utf-8") == "epoch 1: AP 0.25, loss 0.5\nepoch 2: loss 0.125\n"
