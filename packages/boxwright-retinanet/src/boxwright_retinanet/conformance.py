"""The conformance tests of the augmenters; imported only by ``boxwright plugins check``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from boxwright_testing import AugmenterTests


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
