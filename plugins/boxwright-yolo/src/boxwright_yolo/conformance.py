"""How the format is put to boxwright's conformance tests; imported by ``boxwright plugins check yolo`` only."""

from __future__ import annotations

from typing import ClassVar

from boxwright_testing import ReaderTests, WriterTests


class TestYolo(ReaderTests, WriterTests):
    """``yolo``."""

    format: ClassVar[str] = "yolo"
    tolerance: ClassVar[float] = 1e-6  # edges are rounded to six decimals of a pixel when they are read
