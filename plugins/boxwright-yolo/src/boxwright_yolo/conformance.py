"""The format's conformance tests; imported only by ``boxwright plugins check yolo``."""

from __future__ import annotations

from typing import ClassVar

from boxwright_testing import ReaderTests, WriterTests


class TestYolo(ReaderTests, WriterTests):
    """Tests ``yolo``."""

    format: ClassVar[str] = "yolo"
    tolerance: ClassVar[float] = 1e-6  # the reader rounds coordinates to six decimals of a pixel
