"""The formats' conformance tests; imported only by ``boxwright plugins check yolo``."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from PIL import Image

from boxwright.plugins import FormatSpec, Registry
from boxwright_testing import ReaderTests, WriterTests


class TestYolo(ReaderTests, WriterTests):
    """Tests ``yolo``."""

    format: ClassVar[str] = "yolo"
    tolerance: ClassVar[float] = 1e-6  # the reader rounds coordinates to six decimals of a pixel


class TestDota(ReaderTests, WriterTests):
    """Tests ``dota``."""

    format: ClassVar[str] = "dota"
    tolerance: ClassVar[float] = 1e-6  # the reader rounds the coordinates of rectangles
    memory_per_image: ClassVar[int] = 1_500  # the names of label files and images
    empty_file: ClassVar[bool] = True

    def make_dataset(self, registry: Registry, spec: FormatSpec, folder: Path) -> str:
        """Writes three label files: an oriented box, an upright one, and none."""
        place = folder / "dota"
        for name, line in (
            ("P0000", "32 2 32 42 28 42 28 2 plane 0\n"),
            ("P0001", "1 2 21 2 21 12 1 12 small-vehicle 1\n"),
            ("P0002", ""),
        ):
            for sub in ("labelTxt", "images"):
                (place / sub).mkdir(parents=True, exist_ok=True)
            (place / "labelTxt" / f"{name}.txt").write_text(
                f"imagesource:GoogleEarth\ngsd:0.146343590398\n{line}", "utf-8"
            )
            Image.new("RGB", (64, 48)).save(place / "images" / f"{name}.png")
        return str(place)
