"""The format's conformance tests; imported only by ``boxwright plugins check datumaro``."""

from __future__ import annotations

from typing import ClassVar

from boxwright_testing import ReaderTests, WriterTests


class TestDatumaro(ReaderTests, WriterTests):
    """Tests ``datumaro``."""

    format: ClassVar[str] = "datumaro"
    tolerance: ClassVar[float] = 1e-9  # width and height are added to the corner again
