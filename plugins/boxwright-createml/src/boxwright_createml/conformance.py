"""The format's conformance tests; imported only by ``boxwright plugins check createml``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from boxwright_testing import ReaderTests, WriterTests


class TestCreateML(ReaderTests, WriterTests):
    """Tests ``createml``."""

    format: ClassVar[str] = "createml"
    tolerance: ClassVar[float] = 1e-9  # the center and half the width are added again
    attribute_examples: ClassVar[Mapping[str, Any]] = {"image.verified": "yes"}
