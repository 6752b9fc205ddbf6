"""How the conformance tests are run on the format; imported by ``boxwright plugins check demo`` only."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from boxwright.plugins import FormatSpec, Registry
from boxwright_testing import ReaderTests


class TestDemo(ReaderTests):
    """``demo``."""

    format: ClassVar[str] = "demo"
    remote: ClassVar[bool] = False

    def make_dataset(self, registry: Registry, spec: FormatSpec, folder: Path) -> str:
        """Both splits; there is nothing to write."""
        return "all"

    def read_options(self, images: Path) -> Mapping[str, str]:
        """Few and small images."""
        return {"images": "8", "size": "64x48"}
