"""Reading and writing files of Open Images, keras-retinanet and VGG Image Annotator."""

from __future__ import annotations

import math
import re
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st
from PIL import Image

import boxwright
from boxwright import Boxes, DataError, Dataset, ImageRef, Sample, UsageError
from boxwright.datasets import SampleReader
from boxwright_csv.shapes import drawn, rectangle

OPENIMAGES = (
    "ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,IsOccluded,IsTruncated,IsGroupOf,IsDepiction,IsInside\n"
)
VIA = "filename,file_size,file_attributes,region_count,region_id,region_shape_attributes,region_attributes\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with four images of 40x20 pixels."""
    for name in ("a.jpg", "b.png", "c.jpg", "cam/c.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.new("RGB", (40, 20)).save(tmp_path / name)
    return tmp_path


def read(folder: Path, content: str, format: str = "csv", options: str = "") -> list[Sample]:
    (folder / "labels.csv").write_text(content, "utf-8")
    return list(boxwright.open(f"{format}:{folder}/labels.csv{options}"))


def sample_of(
    folder: Path,
    name: str = "a.jpg",
    labels: Sequence[str] = ("fig",),
    edges: Sequence[Any] = ((1, 2, 30, 20),),
    boxes: Sequence[dict[str, Any]] | None = None,
    attributes: dict[str, Any] | None = None,
) -> Sample:
    image = ImageRef(name=name, width=40, height=20, location=str(folder / name))
    return Sample(image=image, boxes=Boxes(labels, edges, boxes), attributes=attributes or {}, source="the source")


def write(folder: Path, format: str, *samples: Sample, options: str = "") -> str:
    out = folder / "out.csv"
    boxwright.convert(Dataset(SampleReader(list(samples))), f"{format}:{out}{options}", overwrite=True)
    return out.read_text("utf-8")


def boxes_of(sample: Sample) -> list[tuple[Any, ...]]:
    return [(box.label, box.coordinates, dict(box.attributes)) for box in sample.boxes]


# Open Images


def test_open_images_rows(folder: Path) -> None:
    # The first lines of the format's definition, with images of 40x20 pixels and rounder numbers.
    a, b = read(
        folder,
        OPENIMAGES
        + "a,xclick,/m/0cmf2,1,0.025,0.975,0.05,0.8,0,0,0,0,0\n"
        + "a,xclick,/m/02xwb,1,0.5,0.6,0.2,0.55,0,0,1,0,0\n"
        + "b,activemil,/m/09j2d,0.5,0.57,1,0,0.93,1,1,0,1,-1\n",
    )
    assert (a.image.name, a.image.width, a.image.height) == ("a.jpg", 40, 20)
    assert boxes_of(a) == [
        ("/m/0cmf2", (1, 1, 39, 16), {"source": "xclick"}),
        ("/m/02xwb", (20, 4, 24, 11), {"source": "xclick", "iscrowd": 1}),
    ]
    assert b.image.name == "b.png"
    attributes = {
        "source": "activemil",
        "occluded": 1,
        "truncated": 1,
        "is_depiction": 1,
        "is_inside": -1,
        "score": 0.5,
    }
    assert boxes_of(b) == [("/m/09j2d", (0.57 * 40, 0, 40, 0.93 * 20), attributes)]


def test_identifiers_become_names_and_names_identifiers(folder: Path) -> None:
    classes = folder / "class-descriptions-boxable.csv"
    classes.write_text("/m/0cmf2,Airplane\n/m/02xwb,Fruit\n")
    content = OPENIMAGES + "a,xclick,/m/02xwb,1,0.5,0.75,0.2,0.5,0,0,0,0,0\n"
    (sample,) = read(folder, content, options=f"?classes={classes}")
    assert sample.boxes.labels == ("Fruit",)
    assert boxwright.open(f"csv:{folder}/labels.csv?classes={classes}").label_map.names == ("Airplane", "Fruit")
    assert write(folder, "openimages", sample, options=f"?classes={classes}") == content
    assert "xclick,Fruit,1," in write(folder, "openimages", sample)
    with pytest.raises(DataError, match=r"line 2: the class '/m/01' is not in the file of the classes"):
        read(folder, content.replace("/m/02xwb", "/m/01"), options=f"?classes={classes}")
    with pytest.raises(DataError, match=r"the source: the class 'fig' is not in the file of the classes"):
        write(folder, "openimages", sample_of(folder), options=f"?classes={classes}")
    classes.write_text("LabelName,DisplayName\n/m/02xwb,Fruit\n")  # as version 7 has it
    assert read(folder, content, options=f"?classes={classes}")[0].boxes.labels == ("Fruit",)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("/m/01,Fig\n/m/01,Date\n", r"line 2: '/m/01' is a duplicate of line 1"),
        ("/m/01,Fig\n/m/02,Fig\n", r"line 2: 'Fig' is a duplicate of line 1"),
        ("/m/01,Fig,ripe\n", r"line 1: it has 3 fields"),
        ('/m/01,"Fig\n', r"line 1: it cannot be read as CSV"),
        ("\n\n", r"it contains no classes"),
    ],
)
def test_invalid_files_of_classes(folder: Path, content: str, says: str) -> None:
    (folder / "classes.csv").write_text(content)
    (folder / "labels.csv").write_text(OPENIMAGES)
    with pytest.raises(DataError, match=rf"classes\.csv.*{says}") as caught:
        boxwright.open(f"openimages:{folder}/labels.csv?classes={folder}/classes.csv")
    assert caught.value.remedy
    with pytest.raises(DataError, match="file of classes not found"):
        boxwright.open(f"openimages:{folder}/labels.csv?classes={folder}/missing.csv")


def test_images_are_found_by_their_identifier(folder: Path) -> None:
    row = ",,fig,1,0,1,0,1,,,,,\n"
    names = [sample.image.name for sample in read(folder, OPENIMAGES + f"a{row}a.jpg{row}b{row}cam/c{row}")]
    assert names == ["a.jpg", "a.jpg", "b.png", "cam/c.jpg"]
    (folder / "b.bmp").write_bytes((folder / "b.png").read_bytes())
    with pytest.raises(DataError, match=r"line 2: image b could be b\.bmp or b\.png"):
        read(folder, OPENIMAGES + f"b{row}")
    (folder / "b.jpg").write_bytes((folder / "a.jpg").read_bytes())
    assert read(folder, OPENIMAGES + f"b{row}")[0].image.name == "b.jpg"


def test_whole_coordinates_remain_whole(folder: Path) -> None:
    Image.new("RGB", (1023, 769)).save(folder / "a.jpg")
    edges = [(float(x), float(y), float(x + 1), float(y + 1)) for x, y in zip(range(1022), range(1022), strict=True)]
    image = ImageRef(name="a.jpg", width=1023, height=769, location=str(folder / "a.jpg"))
    sample = Sample(image=image, boxes=Boxes(["fig"] * len(edges), edges), source="a")
    content = write(folder, "openimages", sample)
    assert read(folder, content)[0].boxes.coordinates == tuple(edges)


def test_open_images_writing(folder: Path) -> None:
    flags = {"occluded": 1, "truncated": -1, "iscrowd": True, "is_depiction": 1, "is_inside": 0}
    boxes: list[dict[str, Any]] = [flags | {"score": 1.0, "source": "xclick"}, {"score": 0.25}]
    samples = [
        sample_of(folder, "a.jpg", ("red, ripe", "fig"), ((0, 0, 40, 20), (1, 2, 30, 5.5)), boxes),
        sample_of(folder, "b.png"),
        sample_of(folder, "c.jpg", (), ()),
    ]
    assert write(folder, "openimages", *samples) == (
        OPENIMAGES
        + 'a,xclick,"red, ripe",1.0,0,1.0,0,1.0,1,-1,1,1,0\n'
        + "a,,fig,0.25,0.025,0.75,0.1,0.275,0,0,0,0,0\n"
        + "b.png,,fig,1,0.025,0.75,0.1,1.0,0,0,0,0,0\n"
    )
    assert write(folder, "openimages", samples[1], sample_of(folder), options="?endings=true").count("a.jpg,,fig") == 1


@pytest.mark.parametrize(
    ("names", "box", "says"),
    [
        (["a"], {}, "the name of the image 'a' has no known suffix"),
        (["a.jpg"], {"score": "high"}, "score is 'high', not a number"),
        (["a.jpg"], {"score": math.nan}, "score is nan"),
        (["a.jpg"], {"truncated": 2}, "truncated is 2, not 1, 0 or -1"),
        (["a.jpg"], {"occluded": "yes"}, "occluded is 'yes'"),
        (["a.jpg"], {"source": 3}, "source is 3, not text"),
        (["a.jpg"], {"source": " x"}, "' x' begins or ends with white space"),
    ],
)
def test_what_open_images_cannot_represent(folder: Path, names: list[str], box: dict[str, Any], says: str) -> None:
    with pytest.raises(DataError, match=re.escape(says)) as caught:
        write(folder, "openimages", *(sample_of(folder, name, boxes=[box]) for name in names))
    assert caught.value.file == "the source"
    assert caught.value.remedy


# keras-retinanet


def test_the_example_of_keras_retinanets_readme(folder: Path) -> None:
    images = folder / "data" / "imgs"
    images.mkdir(parents=True)
    for number in (1, 2, 3):
        Image.new("RGB", (1000, 500)).save(images / f"img_00{number}.jpg")
    content = (
        f"{images}/img_001.jpg,837,346,981,456,cow\n"
        f"{images}/img_002.jpg,215,312,279,391,cat\n"
        f"{images}/img_002.jpg,22,5,89,84,bird\n"
        f"{images}/img_003.jpg,,,,,\n"
    )
    one, two, three = read(folder, content, options=f"?images={images}")
    assert [sample.image.name for sample in (one, two, three)] == ["img_001.jpg", "img_002.jpg", "img_003.jpg"]
    assert boxes_of(one) == [("cow", (837, 346, 981, 456), {})]
    assert boxes_of(two) == [("cat", (215, 312, 279, 391), {}), ("bird", (22, 5, 89, 84), {})]
    assert len(three.boxes) == 0
    # From the CSV's own folder, the same files have a longer name.
    assert read(folder, content)[0].image.name == "data/imgs/img_001.jpg"
    with pytest.raises(DataError, match=r"line 1: the path .*img_001\.jpg leads out of the folder") as caught:
        read(folder, content, options=f"?images={folder}/cam")
    assert f"?images={images}" in caught.value.remedy


def test_paths_from_the_csv_to_the_images(folder: Path) -> None:
    (folder / "lists").mkdir()
    (folder / "lists" / "train.csv").write_text("../cam/c.jpg,1,2,30,20,fig\n")
    (sample,) = boxwright.open(f"retinanet:{folder}/lists/train.csv?images={folder}/cam")
    assert (sample.image.name, sample.image.location) == ("c.jpg", f"{folder}/cam/c.jpg")
    (folder / "train.csv").write_text("cam/c.jpg,1,2,30,20,fig\n")
    assert [s.image.name for s in boxwright.open(f"retinanet:{folder}/train.csv?images={folder}/cam")] == ["c.jpg"]
    with pytest.raises(DataError, match=r"the path \.\./cam/c\.jpg leads out of the folder") as caught:
        list(boxwright.open(f"retinanet:{folder}/lists/train.csv"))
    assert caught.value.remedy.endswith(f"?images={folder}/cam")


def test_the_class_mapping_defines_the_numbers(folder: Path) -> None:
    (folder / "labels_classes.csv").write_text("cow,0\ncat,2\nbird,1\n")
    read(folder, "a.jpg,1,2,3,4,cow\n")
    label_map = boxwright.open(f"retinanet:{folder}/labels.csv").label_map
    assert [(item.id, item.name) for item in label_map.items] == [(1, "cow"), (2, "bird"), (3, "cat")]
    with zipfile.ZipFile(folder / "all.zip", "w") as archive:
        archive.write(folder / "labels_classes.csv", "labels_classes.csv")
        archive.write(folder / "labels.csv", "labels.csv")
    assert boxwright.open(f"retinanet:zip://labels.csv::{folder}/all.zip").label_map == label_map
    (folder / "other.csv").write_text("cow,4\n")
    assert boxwright.open(f"csv:{folder}/labels.csv?classes={folder}/other.csv").label_map.id("cow") == 5
    (folder / "label_map.pbtxt").write_text("item { id: 7 name: 'cow' }")
    assert boxwright.open(f"retinanet:{folder}/labels.csv").label_map.id("cow") == 7
    for content, says in (
        ("cow,0\ncow,1\n", "duplicate class 'cow'"),
        ("cow,0\ncat,0\n", "duplicate number 0"),
        ("cow,zero\n", "line 1: 'cow' has the number 'zero'"),
        ("cow,-1\n", "line 1: 'cow' has the number '-1'"),
    ):
        (folder / "other.csv").write_text(content)
        with pytest.raises(DataError, match=says):
            boxwright.open(f"retinanet:{folder}/labels.csv?classes={folder}/other.csv")


def test_keras_retinanet_writing(folder: Path) -> None:
    edges = ((0.4, 0.6, 39.5, 20), (3.1, 2, 3.4, 5), (-1, 0, 40, 20))
    samples = [sample_of(folder, "a.jpg", ("red, ripe", "fig", "fig"), edges), sample_of(folder, "b.png", (), ())]
    content = write(folder, "retinanet", *samples)
    # Whole pixels; a box that would have zero width covers its pixel.
    assert content == 'a.jpg,0,1,40,20,"red, ripe"\na.jpg,3,2,4,5,fig\na.jpg,-1,0,40,20,fig\nb.png,,,,,\n'
    assert (folder / "out_classes.csv").read_text() == 'fig,0\n"red, ripe",1\n'
    options = "?folder=photos/train&one_based=true"
    content = write(folder, "retinanet", sample_of(folder, edges=[(0, 0, 40, 20)]), options=options)
    assert content == "photos/train/a.jpg,1,1,40,20,fig\n"
    with pytest.raises(DataError, match=r"the box \(3, 2, 3, 5\) has zero area, which keras-retinanet rejects"):
        write(folder, "retinanet", sample_of(folder, edges=[(3, 2, 3, 5)]))


def test_train_and_test_get_the_same_class_numbers(folder: Path) -> None:
    train, test = sample_of(folder, "a.jpg", ("fig",)), sample_of(folder, "c.jpg", ("date",))
    samples = [train.replace(split="train"), test.replace(split="test")]
    boxwright.convert(Dataset(SampleReader(samples)), f"retinanet:{folder}/out/{{split}}.csv")
    for split in ("train", "test"):
        assert (folder / f"out/{split}_classes.csv").read_text() == "date,0\nfig,1\n"


# VGG Image Annotator


VIA_SHAPES = (
    '{""name"":""circle"",""cx"":10,""cy"":9,""r"":2.5}',
    '{""name"":""ellipse"",""cx"":10,""cy"":9,""rx"":4,""ry"":3}',
    '{""name"":""polygon"",""all_points_x"":[1,9,5.5],""all_points_y"":[2,3,8]}',
    '{""name"":""polyline"",""all_points_x"":[1,9],""all_points_y"":[8,3]}',
    '{""name"":""point"",""cx"":1,""cy"":2}',
    '{""name"":""rect"",""x"":1,""y"":2,""width"":3,""height"":4}',
)


def test_via_shapes(folder: Path) -> None:
    shapes = {
        '{""name"":""rect"",""x"":8,""y"":10,""width"":5,""height"":7}': ((8, 10, 13, 17), {}),
        '{""name"":""circle"",""cx"":10,""cy"":9,""r"":2.5}': (
            (7.5, 6.5, 12.5, 11.5),
            {"shape": {"name": "circle", "cx": 10, "cy": 9, "r": 2.5}},
        ),
        '{""name"":""ellipse"",""cx"":10,""cy"":9,""rx"":4,""ry"":3}': (
            (6, 6, 14, 12),
            {"shape": {"name": "ellipse", "cx": 10, "cy": 9, "rx": 4, "ry": 3}},
        ),
        '{""name"":""polygon"",""all_points_x"":[1,9,5.5],""all_points_y"":[2,3,8]}': (
            (1, 2, 9, 8),
            {"segmentation": [[1, 2, 9, 3, 5.5, 8]]},
        ),
        '{""name"":""polyline"",""all_points_x"":[1,9],""all_points_y"":[8,3]}': (
            (1, 3, 9, 8),
            {"shape": {"name": "polyline", "all_points_x": [1, 9], "all_points_y": [8, 3]}},
        ),
    }
    rows = "".join(
        f'a.jpg,1234,"{{""caption"":""figs""}}",{len(shapes)},{number},"{shape}","{{""class"":""fig""}}"\n'
        for number, shape in enumerate(shapes)
    )
    (sample,) = read(folder, VIA + rows)
    assert sample.attributes == {"caption": "figs"}
    assert boxes_of(sample) == [("fig", edges, attributes) for edges, attributes in shapes.values()]
    written = write(folder, "via", sample)
    # Everything is restored, except the size of the file.
    assert written.replace(f",{(folder / 'a.jpg').stat().st_size},", ",1234,") == VIA + rows


def test_a_rotated_ellipse(folder: Path) -> None:
    shape = '{""name"":""ellipse"",""cx"":20,""cy"":10,""rx"":5,""ry"":3,""theta"":%s}'
    row = f'a.jpg,-1,"{{}}",1,0,"{shape}","{{""class"":""fig""}}"\n'
    quarter = read(folder, VIA + row % (math.pi / 2))[0].boxes.coordinates[0]
    assert quarter == pytest.approx((17, 5, 23, 15))
    # Rotated by 45 degrees, both half extents are the root of the mean of the squares: sqrt((25 + 9) / 2).
    half = math.sqrt(17)
    eighth = read(folder, VIA + row % (math.pi / 4))[0].boxes.coordinates[0]
    assert eighth == pytest.approx((20 - half, 10 - half, 20 + half, 10 + half))


def region(attributes: str, shape: str = '{""name"":""rect"",""x"":1,""y"":2,""width"":3,""height"":4}') -> str:
    return f'a.jpg,-1,"{{}}",1,0,"{shape}","{attributes}"\n'


@pytest.mark.parametrize(
    ("attributes", "options", "label", "rest"),
    [
        ('{""class"":""fig"",""name"":""Ann""}', "", "fig", {"name": "Ann"}),
        ('{""name"":""fig"",""ripe"":""yes""}', "", "fig", {"ripe": "yes"}),
        ('{""Fruit"":""fig""}', "", "fig", {}),
        ('{""class"":""tree"",""fruit"":""fig""}', "?label=fruit", "fig", {"class": "tree"}),
        ('{""type"":{""fig"":true}}', "", "fig", {}),
        ('{""type"":{""fig"":true,""date"":false}}', "", "fig", {}),
        (
            '{""class"":""fig"",""difficult"":""1"",""score"":""0.5"",""truncated"":""half"",""note"":""1""}',
            "",
            "fig",
            {"difficult": 1, "score": 0.5, "truncated": "half", "note": "1"},
        ),
    ],
)
def test_which_attribute_is_the_class(
    folder: Path, attributes: str, options: str, label: str, rest: dict[str, Any]
) -> None:
    (sample,) = read(folder, VIA + region(attributes), options=options)
    assert boxes_of(sample) == [(label, (1, 2, 4, 6), rest)]


def test_the_first_region_decides_which_attribute_is_the_class(folder: Path) -> None:
    rows = region('{""name"":""fig"",""note"":""a""}') + region('{""class"":""tree"",""name"":""date""}')
    (sample,) = read(folder, VIA + rows)
    assert sample.boxes.labels == ("fig", "date")
    assert sample.boxes.attributes[1] == {"class": "tree"}
    with pytest.raises(DataError, match=r"line 3: the attribute 'name' of the region is None"):
        read(folder, VIA + region('{""name"":""fig""}') + region('{""class"":""fig""}'))
    with pytest.raises(DataError, match=r"line 2: the region has no attribute called class") as caught:
        read(folder, VIA + region('{""a"":""1"",""b"":""2""}'))
    assert "?label=NAME (one of a, b)" in caught.value.remedy
    with pytest.raises(DataError, match=r"line 2: the region has no attributes"):
        read(folder, VIA + region("{}"))


@pytest.mark.parametrize(("options", "count"), [("", 5), ("?shapes=box", 5), ("?shapes=skip", 1)])
def test_shapes_that_are_not_boxes(folder: Path, options: str, count: int) -> None:
    (folder / "labels.csv").write_text(VIA + "".join(region('{""class"":""fig""}', shape) for shape in VIA_SHAPES))
    report = boxwright.convert(f"csv:{folder}/labels.csv{options}", f"coco:{folder}/o.json")
    assert report.boxes == count
    assert sum(report.losses.dropped.values()) == (5 if "skip" in options else 1)  # a point has no box
    assert report.losses.dropped["shape point"] == 1
    with pytest.raises(DataError, match=r"line 2: it is not an upright box, but a circle"):
        read(folder, VIA + region('{""class"":""fig""}', VIA_SHAPES[0]), options="?shapes=fail")


def test_the_header_of_version_1(folder: Path) -> None:
    (sample,) = read(folder, f"#{VIA}" + region('{""name"":""fig""}'))
    assert boxes_of(sample) == [("fig", (1, 2, 4, 6), {})]


def test_via_writing(folder: Path) -> None:
    polygon = [[1, 2, 9, 3, 5.5, 8]]
    boxes: list[dict[str, Any]] = [
        {"ripe": True, "segmentation": polygon},
        {"segmentation": polygon},
        {"shape": {"name": "circle"}},
    ]
    edges = ((1, 2, 9, 8), (0, 0, 9, 8), (0.1, 0.2, 0.3, 0.7))
    samples = [
        sample_of(folder, "a.jpg", ('the "big", one', "вишня", "fig"), edges, boxes, {"caption": "figs"}),
        sample_of(folder, "missing.jpg", (), ()),
    ]
    size = (folder / "a.jpg").stat().st_size
    start = f'a.jpg,{size},"{{""caption"":""figs""}}",3'
    width = "0.19999999999999998"  # 0.1 and this are 0.3; 0.1 and 0.2 are not
    assert write(folder, "via", *samples) == (
        VIA
        + f'{start},0,"{{""name"":""polygon"",""all_points_x"":[1,9,5.5],""all_points_y"":[2,3,8]}}",'
        + '"{""class"":""the \\""big\\"", one"",""ripe"":true}"\n'
        + f'{start},1,"{{""name"":""rect"",""x"":0,""y"":0,""width"":9,""height"":8}}",'
        + '"{""class"":""вишня"",""segmentation"":[[1,2,9,3,5.5,8]]}"\n'
        + f'{start},2,"{{""name"":""rect"",""x"":0.1,""y"":0.2,""width"":{width},""height"":0.5}}",'
        + '"{""class"":""fig"",""shape"":{""name"":""circle""}}"\n'
        + 'missing.jpg,-1,"{}",0,0,"{}","{}"\n'
    )
    assert '"{""fruit"":""fig""}"' in write(folder, "via", sample_of(folder), options="?label=fruit")


@pytest.mark.parametrize(
    ("box", "says"),
    [
        ({"class": "x"}, "the box has an attribute 'class': write the class to another with ?label=NAME"),
        ({"a": math.nan}, "not JSON compliant"),
        ({"a": (1, 2)}, "JSON cannot represent all of these values"),
        ({"a": {1: 2}}, "JSON cannot represent all of these values"),
        ({"a": b"x"}, "not JSON serializable"),
        ({"a": "\udcff"}, "cannot be written as UTF-8"),
    ],
)
def test_what_via_cannot_represent(folder: Path, box: dict[str, Any], says: str) -> None:
    with pytest.raises(DataError, match=re.escape(says)) as caught:
        write(folder, "via", sample_of(folder, boxes=[box]))
    assert caught.value.file == "the source"
    assert caught.value.remedy


def box_of(shape: dict[str, Any]) -> Any:
    return drawn(shape).box


edge = st.floats(-1e4, 1e4)


@given(edge, edge, edge, edge)
def test_a_box_written_as_a_rectangle_is_the_same_box(x1: float, y1: float, x2: float, y2: float) -> None:
    edges = (min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2))
    assert box_of(rectangle(edges)) == pytest.approx(edges, rel=1e-15, abs=1e-11)
    xmin, ymin, xmax, ymax = (float(math.floor(each)) for each in edges)
    assert box_of(rectangle((xmin, ymin, xmax, ymax))) == (xmin, ymin, xmax, ymax)


def test_widths_are_written_as_intended() -> None:
    assert rectangle((0.2, 0.1, 0.7, 0.3)) == {
        "name": "rect",
        "x": 0.2,
        "y": 0.1,
        "width": 0.5,
        "height": 0.19999999999999998,
    }
    assert 0.1 + 0.2 != 0.3
    assert box_of(rectangle((0.2, 0.1, 0.7, 0.3))) == (0.2, 0.1, 0.7, 0.3)


# All of them


@pytest.mark.parametrize("format", ["openimages", "retinanet", "via"])
def test_a_file_is_recognized_by_its_first_line(folder: Path, format: str) -> None:
    write(folder, format, sample_of(folder))
    assert boxwright.open(str(folder / "out.csv")).uri.startswith(f"{format}:")
    by_csv = list(boxwright.open(f"csv:{folder}/out.csv"))
    assert [boxes_of(sample) for sample in by_csv] == [[("fig", (1, 2, 30, 20), {})]]
    assert boxwright.open(f"csv:{folder}/out.csv?dialect={format}").info.format == "csv"
    with pytest.raises(DataError, match=r"line 1: the header has no column"):
        boxwright.open(f"csv:{folder}/out.csv?dialect=tutorial")
    others = {"openimages", "retinanet", "via"} - {format}
    for other in others:
        with pytest.raises(
            DataError, match=r"out\.csv, line 1: (the header has no column|its first line does not have)"
        ):
            boxwright.open(f"{other}:{folder}/out.csv")


def test_a_header_is_never_read_as_a_row(folder: Path) -> None:
    (folder / "labels.csv").write_text("filename,width,height,class,xmin,ymin,xmax,ymax\n")
    assert boxwright.open(str(folder / "labels.csv")).uri.startswith("csv:")
    (folder / "labels.csv").write_text("a,b,c,d,e,f\n")
    with pytest.raises(UsageError, match="no format was recognised"):
        boxwright.open(str(folder / "labels.csv"))


def test_options_of_another_dialect_are_rejected(folder: Path) -> None:
    write(folder, "via", sample_of(folder))
    with pytest.raises(UsageError, match="has VGG Image Annotator's columns, which have no option 'one_based'"):
        boxwright.open(f"csv:{folder}/out.csv?one_based=true")
    write(folder, "csv", sample_of(folder))
    with pytest.raises(UsageError, match="has the TensorFlow tutorials' columns, which have no option 'label'"):
        boxwright.open(f"csv:{folder}/out.csv?label=class")


@pytest.mark.parametrize("format", ["openimages", "retinanet", "via"])
def test_coordinates_in_the_wrong_order_are_swapped_on_request(folder: Path, format: str) -> None:
    content = {
        "openimages": OPENIMAGES + "a,,fig,1,0.75,0.025,0.1,1,,,,,\n",
        "retinanet": "a.jpg,30,2,1,20,fig\n",
        "via": VIA + region('{""class"":""fig""}', '{""name"":""rect"",""x"":30,""y"":2,""width"":-29,""height"":18}'),
    }[format]
    assert read(folder, content, options="?inverted=swap")[0].boxes.coordinates == ((1, 2, 30, 20),)


@pytest.mark.parametrize("format", ["openimages", "retinanet", "via"])
def test_images_whose_rows_are_not_consecutive(folder: Path, format: str) -> None:
    content = write(folder, format, sample_of(folder), sample_of(folder, "c.jpg"))
    if format == "retinanet":
        content += content.splitlines()[0] + "\n"
    else:
        content += content.splitlines()[1] + "\n"
    with pytest.raises(DataError, match=r"are not consecutive") as caught:
        read(folder, content)
    assert "?grouped=false" in caught.value.remedy
    assert [len(sample.boxes) for sample in read(folder, content, options="?grouped=false")] == [2, 1]


@pytest.mark.parametrize("format", ["openimages", "retinanet", "via"])
def test_remote_files_and_images(folder: Path, format: str) -> None:
    import fsspec

    write(folder, format, sample_of(folder))
    files = fsspec.filesystem("memory")
    files.pipe(f"/csv-{format}/out.csv", (folder / "out.csv").read_bytes())
    files.pipe(f"/csv-{format}/a.jpg", (folder / "a.jpg").read_bytes())
    with zipfile.ZipFile(folder / "all.zip", "w") as archive:
        for name in ("out.csv", "a.jpg"):
            archive.write(folder / name, f"{format}/{name}")
    for place in (f"memory://csv-{format}/%s", f"zip://{format}/%s::{folder}/all.zip"):
        (sample,) = boxwright.open(f"csv:{place % 'out.csv'}")
        assert boxes_of(sample) == [("fig", (1, 2, 30, 20), {})]
        assert sample.image.location == place % "a.jpg"
        assert sample.image.read() == (folder / "a.jpg").read_bytes()
