"""The format's conformance tests; imported only by ``boxwright plugins check labelstudio``."""

from __future__ import annotations

from typing import ClassVar

from boxwright_testing import ReaderTests, WriterTests


class TestLabelStudio(ReaderTests, WriterTests):
    """Tests ``label-studio``."""

    format: ClassVar[str] = "label-studio"
    file_name: ClassVar[str] = "tasks.json"
    tolerance: ClassVar[float] = 1e-9  # percentages of the image's sides are converted
