"""The format's conformance tests; imported only by ``boxwright plugins check cvat``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from boxwright_testing import ReaderTests, WriterTests


class TestCvat(ReaderTests, WriterTests):
    """Tests ``cvat``."""

    format: ClassVar[str] = "cvat"
    file_name: ClassVar[str] = "annotations.xml"
    attribute_examples: ClassVar[Mapping[str, Any]] = {
        "image.tags": ["indoor", {"label": "time", "attributes": {"hour": 3}}]
    }
