"""Files that other programs wrote, and what they read from ours.

globox 2.9.0 (``save_openimage``, ``from_openimage``), panlabel 0.7.0 (``convert``) and keras-retinanet 1.0.0's
``_read_annotations``, all with two images of 64x48 pixels, ``a.jpg`` and ``b.png``.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from PIL import Image

import boxwright
from boxwright import Boxes, Dataset, ImageRef, Sample
from boxwright.datasets import SampleReader

THIRDS = (1 / 3, 0.1, 63.9, 47.123456)

GLOBOX = """\
ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,IsOccluded,IsTruncated,IsGroupOf,IsDepiction,IsInside
a.jpg,,fig,,0.046875,0.3125,0.10416666666666667,0.625,,,,,
a.jpg,,date,0.75,0.005208333333333333,0.9984375,0.0020833333333333333,0.9817386666666666,,,,,
b.png,,fig,,0.0,1.0,0.0,1.0,,,,,
"""
PANLABEL_OPENIMAGES = """\
ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax
a,xclick,fig,1,0.046875,0.3125,0.10416666666666667,0.625
a,xclick,"red, ripe",1,0.0046875,0.9984375,0.0020833333333333333,0.9916666666666667
"""
PANLABEL_RETINANET = """\
a.jpg,3,5,20,30,fig
a.jpg,0.3,0.1,63.9,47.6,"red, ripe"
b.png,,,,,
"""
PANLABEL_VIA = """\
filename,file_size,file_attributes,region_count,region_id,region_shape_attributes,region_attributes
a.jpg,,{},2,0,"{""height"":25.0,""name"":""rect"",""width"":17.0,""x"":3.0,""y"":5.0}","{""label"":""fig""}"
a.jpg,,{},2,1,"{""height"":47.5,""name"":""rect"",""width"":63.6,""x"":0.3,""y"":0.1}","{""label"":""red, ripe""}"
b.png,,{},0,,,
"""
# The boxes that panlabel was given.
PANLABELS_BOXES = [("a.jpg", "fig", (3, 5, 20, 30)), ("a.jpg", "red, ripe", (0.3, 0.1, 63.9, 47.6))]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a.jpg", "b.png"):
        Image.new("RGB", (64, 48)).save(tmp_path / name)
    return tmp_path


def boxes(folder: Path, content: str) -> list[tuple[str, str, Sequence[float]]]:
    (folder / "labels.csv").write_text(content)
    samples = list(boxwright.open(str(folder / "labels.csv")))
    return [(sample.image.name, box.label, box.coordinates) for sample in samples for box in sample.boxes]


def test_a_file_of_globox_is_read(folder: Path) -> None:
    # globox was given these coordinates, and also returned them from its own file.
    expected = [("a.jpg", "fig", (3, 5, 20, 30)), ("a.jpg", "date", THIRDS), ("b.png", "fig", (0, 0, 64, 48))]
    assert boxes(folder, GLOBOX) == expected


@pytest.mark.parametrize("content", [PANLABEL_OPENIMAGES, PANLABEL_RETINANET, PANLABEL_VIA])
def test_files_of_panlabel_are_read(folder: Path, content: str) -> None:
    assert boxes(folder, content) == PANLABELS_BOXES


def test_the_files_that_others_have_read_are_still_written(folder: Path) -> None:
    image = ImageRef(name="a.jpg", width=64, height=48, location=str(folder / "a.jpg"))
    samples = [
        Sample(image=image, boxes=Boxes(["fig", "red, ripe"], [(3, 5, 20, 30), (0.3, 0.1, 63.9, 47.6)])),
        Sample(image=ImageRef(name="b.png", width=64, height=48)),
    ]

    def written(format: str, options: str = "") -> str:
        out = folder / "out.csv"
        boxwright.convert(Dataset(SampleReader(samples)), f"{format}:{out}{options}", overwrite=True)
        return out.read_text()

    header = GLOBOX.splitlines()[0]
    # panlabel: [3, 5, 20, 30] and [0.3, 0.1, 63.9, 47.6]; globox the same, with the suffixes of the names.
    rows = [
        "fig,1,0.046875,0.3125,0.10416666666666667,0.625",
        '"red, ripe",1,0.0046875,0.9984375,0.0020833333333333333',
    ]
    assert written("openimages") == f"{header}\na,,{rows[0]},0,0,0,0,0\na,,{rows[1]},0.9916666666666667,0,0,0,0,0\n"
    assert written("openimages", "?endings=true").count("\na.jpg,,") == 2
    # keras-retinanet: 'a.jpg': [3, 5, 20, 30] of class 0 and [0, 0, 64, 48] of class 1, 'b.png': [].
    assert written("retinanet") == 'a.jpg,3,5,20,30,fig\na.jpg,0,0,64,48,"red, ripe"\nb.png,,,,,\n'
    assert (folder / "out_classes.csv").read_text() == 'fig,0\n"red, ripe",1\n'
    # panlabel's via-csv: [3, 5, 20, 30] and [0.3, 0.1, 63.9, 47.6], and b.png without boxes.
    size = (folder / "a.jpg").stat().st_size
    assert written("via") == (
        "filename,file_size,file_attributes,region_count,region_id,region_shape_attributes,region_attributes\n"
        f'a.jpg,{size},"{{}}",2,0,"{{""name"":""rect"",""x"":3,""y"":5,""width"":17,""height"":25}}",'
        '"{""class"":""fig""}"\n'
        f'a.jpg,{size},"{{}}",2,1,"{{""name"":""rect"",""x"":0.3,""y"":0.1,""width"":63.6,""height"":47.5}}",'
        '"{""class"":""red, ripe""}"\n'
        'b.png,-1,"{}",0,0,"{}","{}"\n'
    )
