"""Fixtures: KerasHub on TensorFlow in this process, a small network, and a training on drawn images."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import pytest

import boxwright
from boxwright import Dataset
from boxwright_kerashub import INSTALL
from boxwright_kerashub.frameworks import active_framework, importing


@pytest.fixture(scope="session")
def keras_hub() -> Any:
    """KerasHub on TensorFlow; the tests of other frameworks start their own processes."""
    if not find_spec("keras_hub"):
        pytest.skip(f"KerasHub is installed separately: {INSTALL}")
    pytest.importorskip("tensorflow")
    if active_framework() not in (None, "tensorflow"):
        pytest.skip("Keras uses another framework in this process")
    with importing("tensorflow"):
        import keras_hub
    return keras_hub


@pytest.fixture
def narrow(keras_hub: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Trains a backbone with few layers, because short trainings spend their time on tracing."""
    from boxwright_kerashub import backend, network

    def backbone(preset: str, image_size: tuple[int, int]) -> Any:
        return network.NarrowBackbone([16, 16, 32, 32], [0, 0, 0, 0], (*image_size, 3))

    monkeypatch.setattr(backend, "scratch_backbone", backbone)
    return backbone


@pytest.fixture(scope="session")
def drawn() -> Dataset:
    """Eight drawn scenes of 96x80, three classes."""
    return boxwright.open("demo:train?images=8&seed=4&size=96x80")


@pytest.fixture(scope="session")
def validation() -> Dataset:
    """Other scenes."""
    return boxwright.open("demo:test?images=16&seed=4&size=96x80")


@pytest.fixture(scope="session")
def small() -> dict[str, Any]:
    """The arguments of a short training: two epochs of two steps."""
    return {
        "backend": "kerashub",
        "preset": "tiny",
        "image_size": (64, 64),
        "batch_size": 4,
        "epochs": 2,
        "seed": 1,
        # An untrained detector has only low scores.
        "settings": {"score_threshold": 0.001, "oversample": 1.0},
    }
