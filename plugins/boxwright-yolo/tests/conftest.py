from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from PIL import Image


@pytest.fixture
def place(tmp_path: Path) -> Callable[[Mapping[str, str]], Path]:
    """Puts files into the test's folder: a text, or for a image its size as ``WIDTHxHEIGHT``."""

    def make(files: Mapping[str, str]) -> Path:
        for name, content in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.suffix in (".jpg", ".png"):
                width, height = map(int, content.split("x"))
                Image.new("RGB", (width, height), (90, 120, 60)).save(path)
            else:
                path.write_text(content, "utf-8")
        return tmp_path

    return make
