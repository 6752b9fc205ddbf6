from __future__ import annotations

from pathlib import Path

import boxwright

from boxwright_myplugin.conformance import GOOD
from boxwright_myplugin.conformance import TestConformance as TestConformance


def test_a_line_of_another_program(tmp_path: Path) -> None:
    path = tmp_path / "one.myplugin"
    path.write_text(GOOD, "utf-8")
    (sample,) = boxwright.open(f"myplugin:{path}")
    assert (sample.image.name, sample.image.width, sample.image.height) == ("a.jpg", 40, 30)
    assert sample.image.location == str(tmp_path / "a.jpg")
    assert sample.boxes.labels == ("fig",)
    assert sample.boxes.coordinates == ((1.0, 2.0, 30.5, 20.0),)


def test_the_images_may_be_in_another_folder(tmp_path: Path) -> None:
    path = tmp_path / "one.myplugin"
    path.write_text(GOOD, "utf-8")
    (sample,) = boxwright.open(f"myplugin:{path}?images=/photos")
    assert sample.image.location == "/photos/a.jpg"
