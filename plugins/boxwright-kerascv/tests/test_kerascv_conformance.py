"""The conformance suite over the backend and its augmenters."""

from __future__ import annotations

from typing import ClassVar

import pytest

pytest.importorskip("tensorflow")

from boxwright_testing import AugmenterTests, BackendTests

pytestmark = pytest.mark.tensorflow


class TestKerasCV(BackendTests):
    backend = "kerascv"
    preset = "tiny"
    # An untrained detector is sure of nothing.
    settings: ClassVar = {"score_threshold": 0.001}
    least_score = 0.001


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
