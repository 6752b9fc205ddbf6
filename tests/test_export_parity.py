"""Exports of a trained detector: real ones pass the check, and every planted mistake is found."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("keras_cv")
pytest.importorskip("ai_edge_litert")

import boxwright
from boxwright import Dataset, ExportError, Run
from boxwright_litert.exporter import LiteRTExporter
from boxwright_testing.mutations import MUTATIONS

pytestmark = [pytest.mark.slow, pytest.mark.tensorflow]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("real") / "run"
    return boxwright.train("demo:train?images=300&seed=1", out=folder, seed=1, settings={"steps": 150})


@pytest.fixture(scope="module")
def held_out() -> Dataset:
    return boxwright.open("demo:test?images=1200&seed=1")


@pytest.mark.parametrize("target", ["litert:fp32", "litert:fp16", "litert:dynamic", "onnx:fp32", "onnx:fp16"])
def test_a_real_export_passes(run: Run, held_out: Dataset, target: str, tmp_path: Path) -> None:
    made = boxwright.export(run, target, tmp_path / "out", data=held_out)
    assert made.parity.ap is not None
    assert made.parity.total.compared >= 20


CAUSES = {
    "BGR for RGB": "BGR",
    "swapped classes": "classes",
    "boxes as yxyx": "yxyx",
    "boxes as xywh": "another order",
    "boxes shifted by a pixel": "shifted",
    "wrong resize": "resized",
    "score without sigmoid": "sigmoid",
}
"""Of the others only that they are found: what they change depends on the network."""


@pytest.mark.parametrize("name", MUTATIONS)
def test_a_mistake_in_a_real_model_is_found(
    run: Run, held_out: Dataset, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original: Any = LiteRTExporter.load
    monkeypatch.setattr(LiteRTExporter, "load", lambda self, artifact: MUTATIONS[name](original(self, artifact)))
    with pytest.raises(ExportError, match=f"likely cause: .*{CAUSES.get(name, '')}"):
        boxwright.export(run, "litert", tmp_path / "out", data=held_out)
