from __future__ import annotations

from pathlib import Path

import pytest
from boxwright.annotation import annotate
from boxwright_testing import drawn_samples

from boxwright_myplugin.conformance import TestConformance as TestConformance


def test_the_answers_are_asked_for_and_saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("boxwright_voc", reason="the format labelimg")
    drawn_samples(tmp_path, 3)
    answers = iter("yny")
    monkeypatch.setattr("builtins.input", lambda question: next(answers))
    assert annotate(str(tmp_path), annotator="myplugin") == 0
    assert len(list(tmp_path.glob("*.xml"))) == 2
