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
    """``encode(width, height, format)``: a picture's bytes."""

    def make(width: int, height: int, format: str = "PNG") -> bytes:
        buffer = io.BytesIO()
        Image.linear_gradient("L").resize((width, height)).convert("RGB").save(buffer, format)
        return buffer.getvalue()

    return make


@pytest.fixture
def prepare(tmp_path: Path) -> Callable[..., Path]:
    """``prepare(folder, features, {split: examples}, shards=1, called="tiny")``: a dataset in TFDS's own layout."""
    pytest.importorskip("tensorflow_datasets")
    pytest.importorskip("tensorflow")

    def make(name: str, *arguments: Any, **options: Any) -> Path:
        return conformance.prepare(tmp_path / name, *arguments, **options)

    return make
