"""The conformance tests of the augmenter; imported only by ``boxwright plugins check``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from boxwright_testing import AugmenterTests


class TestPixels(AugmenterTests):
    """``albumentations:ISONoise``."""

    augmenter: ClassVar[str] = "albumentations"
    options: ClassVar[Mapping[str, str]] = {"transform": "ISONoise", "p": "1"}


class TestGeometry(AugmenterTests):
    """``albumentations:Perspective``."""

    augmenter: ClassVar[str] = "albumentations"
    options: ClassVar[Mapping[str, str]] = {"transform": "Perspective", "p": "1"}
