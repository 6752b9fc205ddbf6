from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image


def _data() -> Path:
    beside = Path(__file__).resolve().parents[4] / "shared" / "data"
    return Path(os.environ.get("BOXWRIGHT_SHARED_DATA", beside))


@pytest.fixture
def real_photos() -> Path:
    """The folder of real annotated photos, where this machine has it."""
    if not _data().is_dir():
        pytest.skip("the real photos are not here (BOXWRIGHT_SHARED_DATA)")
    return _data()


@pytest.fixture
def draw(tmp_path: Path) -> Callable[..., Path]:
    """Puts a plain picture into the test's folder."""

    def make(name: str, size: tuple[int, int] = (40, 30), orientation: int = 1) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        exif = Image.Exif()
        exif[0x0112] = orientation
        Image.new("RGB", size, (90, 120, 60)).save(path, exif=exif)
        return path

    return make
