"""The conformance tests of the backend and the augmenters; imported only by ``boxwright plugins check``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import pytest

from boxwright_testing import AugmenterTests, BackendTests


class TestKerasCV(BackendTests):
    """The backend, with its smallest preset."""

    backend: ClassVar[str] = "kerascv"
    preset: ClassVar[str] = "tiny"
    settings: ClassVar[Mapping[str, Any]] = {"score_threshold": 0.001}
    """An untrained detector has only low scores."""
    least_score: ClassVar[float] = 0.001

    @pytest.fixture(autouse=True)
    def narrower(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Uses a backbone with fewer layers, which halves the time of tracing in the four trainings."""
        from boxwright_kerascv import network
        from boxwright_kerascv.layers import NarrowBackbone

        monkeypatch.setattr(
            network,
            "_backbone",
            lambda preset, shape, weights: NarrowBackbone(
                channels=[16, 16, 32, 32], depths=[0, 0, 0, 0], input_shape=shape
            ),
        )


class TestKeras(AugmenterTests):
    """``keras:RandomTranslation``."""

    augmenter: ClassVar[str] = "keras"
    options: ClassVar[Mapping[str, str]] = {
        "layer": "RandomTranslation",
        "height_factor": "0.3",
        "width_factor": "(-0.3, 0.3)",
    }
