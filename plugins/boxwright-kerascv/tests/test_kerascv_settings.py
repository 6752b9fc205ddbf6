"""Settings that cannot be used are refused, and those that are listed are those of the code."""

from __future__ import annotations

import importlib
import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

tf = pytest.importorskip("tensorflow")

import keras  # noqa: E402
import keras_cv  # noqa: E402

import boxwright_kerascv  # noqa: E402
from boxwright import (  # noqa: E402
    DataError,
    Dataset,
    Option,
    PluginNotFoundError,
    RunError,
    UsageError,
    train,
)
from boxwright.models import Run  # noqa: E402
from boxwright_kerascv.decode import DecoderSettings  # noqa: E402
from boxwright_retinanet.epochs import Evaluate, Progress  # noqa: E402
from boxwright_retinanet.monitor import Monitor  # noqa: E402
from boxwright_retinanet.options import DECODER_OPTIONS, RECIPE_OPTIONS  # noqa: E402
from boxwright_retinanet.recipe import Recipe  # noqa: E402

pytestmark = pytest.mark.tensorflow


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"no_such_setting": 1}, "no_such_setting"),
        ({"learning_rate": "quick"}, "learning_rate"),
        ({"learning_rate": 0}, "learning_rate"),
        ({"score_threshold": 2}, "score_threshold"),
        ({"max_detections": 0}, "max_detections"),
        ({"pixel_budget": -5}, "pixel_budget"),
        ({"weight_decay": -1}, "weight_decay"),
        ({"precision": "float8"}, "precision"),
        ({"early_stopping": 3}, "early stopping"),
        ({"schedule": "plateau"}, "schedule=plateau requires validation images"),
        ({"milestones": "0.9,0.1"}, "milestones"),
        ({"early_stopping": -1}, "early_stopping"),
    ],
)
def test_invalid_settings_are_usage_errors(
    drawn: Dataset, small: dict[str, Any], tmp_path: Path, settings: dict[str, Any], named: str
) -> None:
    with pytest.raises(UsageError, match=named) as caught:
        train(drawn, out=tmp_path / "run", **small | {"image_size": None, "settings": settings})
    assert caught.value.remedy
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("step", "error", "named"),
    [
        ("blurr", PluginNotFoundError, "blurr"),
        ("crop:size=3", UsageError, "'size'"),
        ("crop:smallest", UsageError, "smallest"),
        ("crop:smallest=0", UsageError, "smallest=0 is out of range"),
        ("flip:probability=2", UsageError, "probability=2 is out of range"),
    ],
)
def test_invalid_augmenters_are_usage_errors(
    drawn: Dataset, small: dict[str, Any], tmp_path: Path, step: str, error: type[Exception], named: str, reporter: Any
) -> None:
    with pytest.raises(error, match=named):
        train(drawn, out=tmp_path / "run", augment=["color", step], reporter=reporter, **small)
    assert reporter.tasks == {}, "before any work"


def test_a_pretrained_preset_without_internet_access_is_a_data_error(
    drawn: Dataset, small: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(preset: str, **_: Any) -> None:
        raise ConnectionError("Failed to resolve 'www.kaggle.com'")

    importlib.import_module("boxwright_kerascv.backend")  # before it, because KerasCV reads the docstring of the method
    monkeypatch.setattr(keras_cv.models.Backbone, "from_preset", refuse)
    with pytest.raises(DataError, match=r"could not be downloaded from kaggle\.com"):
        train(drawn, out=tmp_path / "run", **small | {"preset": "resnet50_imagenet"})
    assert Run(tmp_path / "run").status == "failed"


def test_another_keras_backend_is_an_error(
    drawn: Dataset, small: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(UsageError, match="Keras uses jax") as caught:
        train(drawn, out=tmp_path / "run", **small)
    assert "KERAS_BACKEND" in caught.value.remedy


@pytest.mark.parametrize("loss", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_ends_the_training(loss: float, reporter: Any) -> None:
    recipe = Recipe("tiny", 64, 64, batch_size=4, steps=6, steps_per_epoch=2)
    unused: Any = None
    with reporter.task("Training", 6) as task:
        clock: Any = SimpleNamespace(waited=lambda: 0.0)
        evaluating = Evaluate(unused, recipe, unused, Progress(2, Monitor()), task, clock)
        evaluating.set_model(SimpleNamespace(stop_training=False))
        evaluating.on_train_batch_end(0, {"loss": 1.0})
        with pytest.raises(RunError, match=f"the loss is {loss} at step 4") as caught:
            evaluating.on_train_batch_end(1, {"loss": loss})
    assert "learning_rate" in caught.value.remedy


def test_the_listed_options_are_the_settings_of_the_code() -> None:
    from dataclasses import fields

    set_elsewhere = {"preset", "width", "height", "batch_size", "steps_per_epoch", "augment", "eval_every"}
    recipe = {field.name for field in fields(Recipe)} - set_elsewhere
    assert {option.name for option in (boxwright_kerascv.NETWORK, *RECIPE_OPTIONS)} == recipe
    of_the_backend = {"clips_first"}  # not a choice of the user
    assert {option.name for option in DECODER_OPTIONS} == {f.name for f in fields(DecoderSettings)} - of_the_backend


@pytest.mark.parametrize("option", [boxwright_kerascv.NETWORK, *RECIPE_OPTIONS, *DECODER_OPTIONS], ids=str)
def test_the_listed_limits_are_those_of_the_code(option: Option) -> None:
    """Slightly beyond a limit is an error, slightly within is none."""

    def accepted(value: float) -> bool:
        try:
            if option in DECODER_OPTIONS:
                DecoderSettings(**{option.name: value})  # type: ignore[arg-type]
            else:
                Recipe("tiny", 64, 64, 4, 6, 2).with_settings({option.name: value})
        except ValueError:
            return False
        return True

    step = 1 if option.type is int else 1e-6
    for limit, inclusive, direction in ((option.gt, 0, 1), (option.ge, 1, 1), (option.lt, 0, -1), (option.le, 1, -1)):
        if limit is not None:
            assert not accepted(limit - direction * step)
            assert accepted(limit) == bool(inclusive)
            assert accepted(limit + direction * step)
