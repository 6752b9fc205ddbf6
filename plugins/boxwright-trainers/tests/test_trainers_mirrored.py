"""Several devices of this computer: the weights are those of one device with the same batches."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from trainers_tests import Training, end_state, greatest_difference

from boxwright.models import Run

pytest.importorskip("keras_cv")
pytestmark = [pytest.mark.tensorflow, pytest.mark.slow]

Finish = Callable[..., str]


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A training of twenty steps on one device, by ``fit`` of Keras."""
    folder = tmp_path_factory.mktemp("local") / "run"
    status, messages = Training.small(out=folder).end()
    assert status == 0, messages
    return folder


def losses(folder: Path) -> list[dict[str, float]]:
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{name: value for name, value in line.items() if "loss" in name} for line in lines]


def test_two_devices_end_with_the_weights_of_one(local: Path, finish: Finish, tmp_path: Path) -> None:
    """With AdamW, which enlarges differences of small gradients, batch normalization, and all augmenters."""
    finish(out=tmp_path / "run", trainer="mirrored:2")
    assert greatest_difference(local, tmp_path / "run", ["model", "optimizer"]) < 1e-5
    assert end_state(local)["step"] == 20
    for one, two in zip(losses(local), losses(tmp_path / "run"), strict=True):
        assert two == pytest.approx(one, rel=1e-5)


@pytest.mark.parametrize(
    "settings",
    [
        {"optimizer": "sgd", "weight_decay": 0.001, "clipnorm": 0.1, "ema": 0.9},
        {"freeze_levels": 3, "schedule": "constant", "balance": 0.5, "box_loss_weight": 2.0},
    ],
    ids=str,
)
def test_settings_of_the_optimizer_mean_the_same(settings: dict[str, Any], finish: Finish, tmp_path: Path) -> None:
    """Gradients are clipped after they have been added, decay and averages are not multiplied."""
    for name, trainer in (("one", "local"), ("two", "mirrored:2")):
        finish(out=tmp_path / name, trainer=trainer, settings=Training.settings | settings)
    assert greatest_difference(tmp_path / "one", tmp_path / "two", ["model", "optimizer"]) < 1e-5


def test_a_resumed_training_continues_on_more_or_fewer_devices(
    local: Path, start: Callable[..., Training], finish: Finish, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    finish(out=out, trainer="mirrored:2", stop_after=3)
    assert Run(out).status == "interrupted"
    finish(out=out, trainer="mirrored:4", resume=True, stop_after=6)
    assert (Run(out).status, Run(out).config["trainer"]) == ("interrupted", "mirrored:4")
    finish(out=out, trainer="local", resume=True)
    assert Run(out).status == "done"
    assert greatest_difference(local, out) < 1e-5


def test_the_best_epoch_and_early_stopping(finish: Finish, tmp_path: Path) -> None:
    """The validation images are evaluated with the weights of all devices, and decide."""
    arguments = {"val": "demo:test?images=16&seed=4&size=96x80", "settings": Training.settings | {"early_stopping": 2}}
    found = []
    for name, trainer in (("one", "local"), ("two", "mirrored:2")):
        finish(out=tmp_path / name, trainer=trainer, **arguments)
        found.append([json.loads(line) for line in (tmp_path / name / "metrics.jsonl").read_text().splitlines()])
        assert (tmp_path / name / "model" / "network.weights.h5").is_file()
    one, two = found
    assert len(one) == len(two)
    for first, second in zip(one, two, strict=True):
        assert second.get("val_loss") == pytest.approx(first.get("val_loss"), rel=1e-4)
