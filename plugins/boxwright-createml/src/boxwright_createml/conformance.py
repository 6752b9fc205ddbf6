"""How the format is put to boxwright's conformance tests; imported by ``boxwright plugins check createml`` only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from boxwright_testing import ReaderTests, WriterTests


class TestCreateML(ReaderTests, WriterTests):
    """``createml``."""

    format: ClassVar[str] = "createml"
    tolerance: ClassVar[float] = 1e-9  # the middle and half the width, added again
    attribute_examples: ClassVar[Mapping[str, Any]] = {"image.verified": "yes"}
