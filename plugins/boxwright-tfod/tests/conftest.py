"""One short training with the real API, which its tests share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

import boxwright
from boxwright import Dataset, LogReporter


class Interrupting(LogReporter):
    """A reporter that interrupts like a user who presses Ctrl-C after some steps."""

    def __init__(self, after: int) -> None:
        self.after = after
        self.messages: list[str] = []

    def message(self, text: str) -> None:
        self.messages.append(text)

    @contextmanager
    def task(self, description: str, total: int | None = None) -> Iterator[Any]:
        outer = self

        class Task:
            done = 0

            def advance(self, steps: int = 1) -> None:
                self.done += steps
                if description == "Training" and self.done == outer.after:
                    raise KeyboardInterrupt

            def update(self, **changes: Any) -> None:
                pass

        yield Task()


@pytest.fixture(scope="session")
def quick_averages() -> dict[str, str]:
    """For trainings of a few steps: the averages that batch normalization uses afterwards keep up with them.

    They begin at a variance of 1, and small weights give one of a millionth. With the presets' 0.97 most of the 1 is
    still there after a dozen steps, so that all features vanish and every score is the same.
    """
    hyperparams = (
        "model.ssd.feature_extractor.conv_hyperparams",
        "model.ssd.box_predictor.weight_shared_convolutional_box_predictor.conv_hyperparams",
    )
    return {f"{each}.batch_norm.decay": "0.5" for each in hyperparams}


@pytest.fixture(scope="session")
def narrow(quick_averages: dict[str, str]) -> dict[str, str]:
    """The first preset made small, so that most of the time goes into building its graph."""
    predictor = "model.ssd.box_predictor.weight_shared_convolutional_box_predictor"
    return {
        "model.ssd.feature_extractor.depth_multiplier": "0.35",
        "model.ssd.feature_extractor.fpn.additional_layer_depth": "32",
        f"{predictor}.depth": "32",
        f"{predictor}.num_layers_before_predictor": "1",
        **quick_averages,
    }


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory, narrow: dict[str, str]) -> tuple[boxwright.Run, list[str]]:
    """A training of 300 steps that was interrupted and resumed, and the messages of the resumed part."""
    out = tmp_path_factory.mktemp("tfod") / "run"
    data = boxwright.open("demo:train?images=12&seed=4&size=96x96")
    val = boxwright.open("demo:test?images=16&seed=4&size=96x96")
    arguments: dict[str, Any] = {"out": out, "val": val, "backend": "tfod"}
    settings = narrow | {"steps": "300", "checkpoint_every": "100"}
    with pytest.raises(KeyboardInterrupt):
        boxwright.train(data, settings=settings, image_size=(96, 96), reporter=Interrupting(125), **arguments)
    assert boxwright.Run(out).status == "interrupted"
    reporter = Interrupting(-1)
    return boxwright.train(data, resume=True, reporter=reporter, **arguments), reporter.messages


@pytest.fixture(scope="session")
def held_out() -> Dataset:
    """Drawn images that the training does not see."""
    return boxwright.open("demo:test?images=16&seed=4&size=96x96")
