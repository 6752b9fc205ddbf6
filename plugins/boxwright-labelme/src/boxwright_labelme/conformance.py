"""The format's conformance tests; imported only by ``boxwright plugins check labelme``."""

from __future__ import annotations

from typing import ClassVar

from boxwright_testing import ReaderTests, WriterTests


class TestLabelMe(ReaderTests, WriterTests):
    """Tests ``labelme``."""

    format: ClassVar[str] = "labelme"
