"""The conformance tests of the format; imported only by ``boxwright plugins check coco``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from boxwright.plugins import FormatSpec
from boxwright_testing import ReaderTests, WriterTests


class TestCoco(ReaderTests, WriterTests):
    """``coco``."""

    format: ClassVar[str] = "coco"

    def option_values(self, spec: FormatSpec) -> Iterator[tuple[str, str]]:
        """Skips detections, which need scores and an instances file: the tests of the writer check them."""
        return (each for each in super().option_values(spec) if each != ("kind", "detections"))
