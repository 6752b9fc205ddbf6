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


class TestCrop(AugmenterTests):
    """``crop``."""

    augmenter: ClassVar[str] = "crop"
    options: ClassVar[Mapping[str, str]] = {"probability": "1", "smallest": "0.3"}


class TestExpand(AugmenterTests):
    """``expand``."""

    augmenter: ClassVar[str] = "expand"
    options: ClassVar[Mapping[str, str]] = {"probability": "1", "largest": "2"}


class TestStretch(AugmenterTests):
    """``stretch``."""

    augmenter: ClassVar[str] = "stretch"
    options: ClassVar[Mapping[str, str]] = {"probability": "1"}


class TestFlip(AugmenterTests):
    """``flip``."""

    augmenter: ClassVar[str] = "flip"


class TestVerticalFlip(AugmenterTests):
    """``vertical-flip``."""

    augmenter: ClassVar[str] = "vertical-flip"


class TestRotate90(AugmenterTests):
    """``rotate-90``."""

    augmenter: ClassVar[str] = "rotate-90"


class TestRotate(AugmenterTests):
    """``rotate``."""

    augmenter: ClassVar[str] = "rotate"
    options: ClassVar[Mapping[str, str]] = {"probability": "1", "degrees": "60"}


class TestShear(AugmenterTests):
    """``shear``."""

    augmenter: ClassVar[str] = "shear"
    options: ClassVar[Mapping[str, str]] = {"probability": "1", "factor": "0.5"}


class TestColor(AugmenterTests):
    """``color``."""

    augmenter: ClassVar[str] = "color"
    options: ClassVar[Mapping[str, str]] = {"brightness": "0.3"}


class TestSharpness(AugmenterTests):
    """``sharpness``."""

    augmenter: ClassVar[str] = "sharpness"
    options: ClassVar[Mapping[str, str]] = {"probability": "1"}


class TestBlur(AugmenterTests):
    """``blur``."""

    augmenter: ClassVar[str] = "blur"
    options: ClassVar[Mapping[str, str]] = {"probability": "1"}


class TestJpeg(AugmenterTests):
    """``jpeg``."""

    augmenter: ClassVar[str] = "jpeg"
    options: ClassVar[Mapping[str, str]] = {"probability": "1"}


class TestMosaic(AugmenterTests):
    """``mosaic``."""

    augmenter: ClassVar[str] = "mosaic"
    options: ClassVar[Mapping[str, str]] = {"probability": "1"}


class TestMixUp(AugmenterTests):
    """``mixup``."""

    augmenter: ClassVar[str] = "mixup"
    options: ClassVar[Mapping[str, str]] = {"probability": "1", "alpha": "2"}


class TestCopyPaste(AugmenterTests):
    """``copy-paste``."""

    augmenter: ClassVar[str] = "copy-paste"
    options: ClassVar[Mapping[str, str]] = {"probability": "1", "most": "2"}


class TestKeras(AugmenterTests):
    """``keras:RandomTranslation``."""

    augmenter: ClassVar[str] = "keras"
    options: ClassVar[Mapping[str, str]] = {
        "layer": "RandomTranslation",
        "height_factor": "0.3",
        "width_factor": "(-0.3, 0.3)",
    }
