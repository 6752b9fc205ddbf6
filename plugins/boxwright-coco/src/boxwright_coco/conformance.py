"""How the format is put to boxwright's conformance tests; imported by ``boxwright plugins check coco`` only."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from boxwright.plugins import FormatSpec
from boxwright_testing import ReaderTests, WriterTests


class TestCoco(ReaderTests, WriterTests):
    """``coco``."""

    format: ClassVar[str] = "coco"

    def option_values(self, spec: FormatSpec) -> Iterator[tuple[str, str]]:
        """Detections need a score each and a truth beside them: tests of the writer say by hand what they keep."""
        return (each for each in super().option_values(spec) if each != ("kind", "detections"))
