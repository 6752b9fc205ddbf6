"""What other libraries made of the same boxes, run once and kept here.

supervision 0.31.2 (``DetectionDataset.as_pascal_voc`` and ``from_pascal_voc``, Python 3.11) counts as the VOC database
does: its boxes are ours with ``one_based=true``.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import boxwright

pytestmark = pytest.mark.usefixtures("parser")

# Written by supervision from [[0, 0, 40, 30], [3.4, 5.6, 20.2, 25.9]] of the classes fig and date, in 40x30 pixels.
SUPERVISIONS = """<?xml version="1.0" ?>
<annotation>
  <folder>VOC</folder>
  <filename>one.jpg</filename>
  <source>
    <database>roboflow.ai</database>
  </source>
  <size>
    <width>40</width>
    <height>30</height>
    <depth>3</depth>
  </size>
  <segmented>0</segmented>
  <object>
    <name>fig</name>
    <bndbox>
      <xmin>1</xmin>
      <ymin>1</ymin>
      <xmax>40</xmax>
      <ymax>30</ymax>
    </bndbox>
  </object>
  <object>
    <name>date</name>
    <bndbox>
      <xmin>4</xmin>
      <ymin>7</ymin>
      <xmax>20</xmax>
      <ymax>26</ymax>
    </bndbox>
  </object>
</annotation>
"""


def test_supervisions_files_are_read(make_voc: Callable[..., Path]) -> None:
    root = make_voc({"one": ()})
    (root / "Annotations" / "one.xml").write_text(SUPERVISIONS)
    (sample,) = boxwright.open(f"voc:{root}?one_based=true")
    # What supervision itself reads from it.
    assert sample.boxes.coordinates == ((0, 0, 40, 30), (3, 6, 20, 26))
    assert sample.boxes.labels == ("fig", "date")
    (plain,) = boxwright.open(f"voc:{root}")
    assert plain.boxes.coordinates == ((1, 1, 40, 30), (4, 7, 20, 26))


def test_what_supervision_read_of_ours_is_what_is_written_today(make_voc: Callable[..., Path], tmp_path: Path) -> None:
    root = make_voc({"one": ()})
    (root / "Annotations" / "one.xml").write_text(SUPERVISIONS)
    boxwright.convert(f"voc:{root}?one_based=true", f"voc:{tmp_path / 'out'}?one_based=true")
    # supervision gave [[0, 0, 40, 30], [3, 6, 20, 26]], ["fig", "date"] for this file.
    assert (tmp_path / "out/Annotations/one.xml").read_text() == (
        "<annotation>\n\t<folder>VOC</folder>\n\t<filename>one.jpg</filename>\n"
        "\t<source>\n\t\t<database>roboflow.ai</database>\n\t</source>\n"
        "\t<size>\n\t\t<width>40</width>\n\t\t<height>30</height>\n\t\t<depth>3</depth>\n\t</size>\n"
        "\t<segmented>0</segmented>\n"
        "\t<object>\n\t\t<name>fig</name>\n\t\t<pose>Unspecified</pose>\n\t\t<truncated>0</truncated>\n"
        "\t\t<difficult>0</difficult>\n\t\t<bndbox>\n\t\t\t<xmin>1</xmin>\n\t\t\t<ymin>1</ymin>\n"
        "\t\t\t<xmax>40</xmax>\n\t\t\t<ymax>30</ymax>\n\t\t</bndbox>\n\t</object>\n"
        "\t<object>\n\t\t<name>date</name>\n\t\t<pose>Unspecified</pose>\n\t\t<truncated>0</truncated>\n"
        "\t\t<difficult>0</difficult>\n\t\t<bndbox>\n\t\t\t<xmin>4</xmin>\n\t\t\t<ymin>7</ymin>\n"
        "\t\t\t<xmax>20</xmax>\n\t\t\t<ymax>26</ymax>\n\t\t</bndbox>\n\t</object>\n"
        "</annotation>\n"
    )
