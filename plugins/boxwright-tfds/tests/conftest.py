from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from boxwright_tfds import conformance


@pytest.fixture
def encode() -> Callable[..., bytes]:
    """Returns ``encode(width, height, format)``, which returns the bytes of an image."""

    def make(width: int, height: int, format: str = "PNG") -> bytes:
        buffer = io.BytesIO()
        Image.linear_gradient("L").resize((width, height)).convert("RGB").save(buffer, format)
        return buffer.getvalue()

    return make


@pytest.fixture
def prepare(tmp_path: Path) -> Callable[..., Path]:
    """Returns ``prepare(folder, features, {split: examples}, shards=1, name="tiny")``, which writes a dataset."""
    pytest.importorskip("tensorflow_datasets")
    pytest.importorskip("tensorflow")

    def make(folder: str, *arguments: Any, **options: Any) -> Path:
        return conformance.prepare(tmp_path / folder, *arguments, **options)

    return make
