"""``boxwright compare`` with the backend ``average`` of the tests."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


def test_a_run_that_finds_everything_is_better_than_one_that_finds_nothing(
    boxwright: Any, lines: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """30 images, in each of which one model finds the box exactly, and the other one none."""
    pytest.importorskip("boxwright_cocoeval")
    monkeypatch.chdir(tmp_path)
    rows = [f"{number}.png {60 + number} 48 mug 0 0 {(60 + number) / 2:g} 24" for number in range(30)]
    test = lines(*rows, name="test.lines")
    good = lines("a.png 40 48 mug 0 0 20 24", name="good.lines")
    bad = lines("b.png 40 44 mug 20 22 40 44", name="bad.lines")
    for data, out in ((good, "good"), (bad, "bad"), (good, "again")):
        rate = "0.25" if out == "bad" else "0.5"
        words = ("--data", data, "--val", test, "--backend", "average", "--set", f"rate={rate}", "--out", out)
        assert boxwright("train", *words).exit_code == 0
    with Path("bad/metrics.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"epoch": 8, "loss": NaN}\n{"epoch": 9, "loss": null}\n')
    content = boxwright.json("compare", "bad", "good", "--out", "page.html")
    (difference,) = content["differences"]
    assert difference["difference"] == pytest.approx(1.0)
    assert difference["clear"] is True
    assert content["settings"]["settings.rate"] == [0.25, 0.5]
    assert "preset" not in content["settings"]
    assert content["curves"][0][-2:] == [{"epoch": 8, "loss": None}, {"epoch": 9, "loss": None}]
    page = Path("page.html").read_text("utf-8")
    assert "Loss" in page
    assert "the second model is better" in page
    shown = boxwright("compare", "good", "again").stdout
    assert "the models are equal on these 30 images" in shown
    assert "pass 2 to 8 run folders" in boxwright("compare", "good").stderr
    config = Path("good/config.json")
    content = json.loads(config.read_text("utf-8")) | {"val": "lines:https://***@example.org/b"}
    config.write_text(json.dumps(content), "utf-8")
    refused = boxwright("compare", "good", "again").stderr
    assert "does not keep the login" in refused
    assert "--data URI" in refused
