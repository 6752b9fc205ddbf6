from __future__ import annotations

from pathlib import Path

import boxwright
import pytest
from boxwright import Dataset
from boxwright.datasets import SampleReader
from boxwright_testing import drawn_samples

from boxwright_myplugin.command import run
from boxwright_myplugin.conformance import TestConformance as TestConformance


def test_images_without_boxes_are_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    dataset = Dataset(SampleReader(drawn_samples(tmp_path, 3, empty=1)))
    monkeypatch.setattr(boxwright, "open", lambda uri: dataset)
    run("any", empty=True)
    first, *names = capsys.readouterr().out.splitlines()
    assert first == "3 images, 1 without boxes"
    assert len(names) == 1
