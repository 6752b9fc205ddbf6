"""The conformance suite over the backend and its augmenters."""

from __future__ import annotations

from typing import ClassVar

import pytest

pytest.importorskip("tensorflow")

from boxwright_kerascv import network
from boxwright_kerascv.layers import NarrowBackbone
from boxwright_testing import AugmenterTests, BackendTests

pytestmark = pytest.mark.tensorflow


class TestKerasCV(BackendTests):
    backend = "kerascv"
    preset = "tiny"
    # An untrained detector is sure of nothing.
    settings: ClassVar = {"score_threshold": 0.001}
    least_score = 0.001

    @pytest.fixture(autouse=True)
    def narrower(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Four trainings, whose time goes into tracing: on a backbone of fewer layers it is half of it."""
        monkeypatch.setattr(
            network,
            "_backbone",
            lambda preset, shape, weights: NarrowBackbone(
                channels=[16, 16, 32, 32], depths=[0, 0, 0, 0], input_shape=shape
            ),
        )


class TestCrop(AugmenterTests):
    augmenter = "crop"
    options: ClassVar = {"probability": "1", "smallest": "0.3"}


class TestExpand(AugmenterTests):
    augmenter = "expand"
    options: ClassVar = {"probability": "1", "largest": "2"}


class TestStretch(AugmenterTests):
    augmenter = "stretch"
    options: ClassVar = {"probability": "1"}


class TestFlip(AugmenterTests):
    augmenter = "flip"


class TestVerticalFlip(AugmenterTests):
    augmenter = "vertical-flip"


class TestRotate90(AugmenterTests):
    augmenter = "rotate-90"


class TestColor(AugmenterTests):
    augmenter = "color"
    options: ClassVar = {"brightness": "0.3"}
