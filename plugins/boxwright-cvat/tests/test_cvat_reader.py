from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import boxwright
from boxwright import DataError, Sample
from boxwright_cvat.detect import detect

Place = Callable[..., Path]

# As CVAT 2 exports a task, shortened.
TASK = """<?xml version="1.0" encoding="utf-8"?>
<annotations>
  <version>1.1</version>
  <meta><task><name>t</name><size>1</size><mode>annotation</mode><labels>
    <label><name>plate</name><color>#c06060</color><type>bbox</type>
      <attributes><attribute><name>number</name><input_type>text</input_type></attribute></attributes></label>
    <label><name>car</name><color>#2080c0</color><type>bbox</type><attributes></attributes></label>
  </labels></task></meta>
  <image id="7" name="cam1/фото.jpg" width="1600" height="1200">
    <box label="plate" source="auto" occluded="1" xtl="797.33" ytl="870.92" xbr="965.52" ybr="928.94" z_order="4">
      <attribute name="number">0042</attribute>
      <attribute name="lanes">2</attribute>
      <attribute name="dirty">false</attribute>
    </box>
    <box label="car" source="manual" occluded="0" xtl="0" ytl="0" xbr="1600" ybr="1200" z_order="0" group_id="3"/>
    <tag label="night" source="manual"></tag>
    <tag label="weather" source="manual"><attribute name="rain">heavy</attribute></tag>
  </image>
</annotations>
"""


@pytest.fixture
def place(tmp_path: Path) -> Place:
    def place(xml: str, name: str = "annotations.xml", **images: tuple[int, int]) -> Path:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(xml if "<annotations" in xml else f"<annotations>{xml}</annotations>", "utf-8")
        return tmp_path / name

    return place


def draw(path: Path, size: tuple[int, int] = (64, 48)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size).save(path)
    return path


def read(location: Path | str, **options: str) -> list[Sample]:
    query = "&".join(f"{name}={value}" for name, value in options.items())
    return list(boxwright.open(f"cvat:{location}{'?' if query else ''}{query}"))


def one_shape(element: str, place: Place, **options: str) -> tuple[tuple[float, ...], dict[str, Any]]:
    (sample,) = read(place(f'<image id="0" name="a.jpg" width="64" height="48">{element}</image>'), **options)
    return sample.boxes.coordinates[0], dict(sample.boxes.attributes[0])


def test_a_task(place: Place) -> None:
    (sample,) = read(place(TASK))
    assert (sample.image.name, sample.image.width, sample.image.height) == ("cam1/фото.jpg", 1600, 1200)
    plate, car = sample.boxes
    assert (plate.label, plate.coordinates) == ("plate", (797.33, 870.92, 965.52, 928.94))
    assert plate.attributes == {
        "occluded": 1,
        "z_order": 4,
        "source": "auto",
        "number": "0042",
        "lanes": 2,
        "dirty": False,
    }
    assert (car.coordinates, car.attributes) == ((0, 0, 1600, 1200), {"group_id": 3})
    assert sample.attributes == {
        "source_id": 7,
        "tags": ["night", {"label": "weather", "attributes": {"rain": "heavy"}}],
    }


def test_a_rectangle_is_rotated_about_its_center(place: Place) -> None:
    """40 x 4 about (30, 22), by 90 degrees clockwise."""
    box, attributes = one_shape('<box label="car" xtl="10" ytl="20" xbr="50" ybr="24" rotation="90.00"/>', place)
    assert box == (28, 2, 32, 42)
    assert attributes == {"rotation": 90, "segmentation": [[32, 2, 32, 42, 28, 42, 28, 2]]}


@pytest.mark.parametrize(
    ("element", "edges", "attributes"),
    [
        (
            '<polygon label="car" points="10.00,20.00;30.00,20.00;20.00,40.00"/>',
            (10, 20, 30, 40),
            {"segmentation": [[10, 20, 30, 20, 20, 40]]},
        ),
        (
            '<polyline label="car" points="10.5,20;30,25"/>',
            (10.5, 20, 30, 25),
            {"shape": {"name": "polyline", "all_points_x": [10.5, 30], "all_points_y": [20, 25]}},
        ),
        (
            '<points label="car" points="10,20;30,25"/>',
            (10, 20, 30, 25),
            {"shape": {"name": "points", "all_points_x": [10, 30], "all_points_y": [20, 25]}},
        ),
        (
            '<ellipse label="car" cx="20" cy="30" rx="5" ry="3"/>',
            (15, 27, 25, 33),
            {"shape": {"name": "ellipse", "cx": 20, "cy": 30, "rx": 5, "ry": 3}},
        ),
        (
            '<skeleton label="car" z_order="2"><points label="1" outside="0" occluded="1" points="10,20"/>'
            '<points label="2" outside="1" occluded="0" points="60,40"/>'
            '<points label="3" outside="0" occluded="0" points="12,30"/></skeleton>',
            (10, 20, 12, 30),
            {"keypoints": [10, 20, 1, 60, 40, 0, 12, 30, 2], "keypoint_names": ["1", "2", "3"], "z_order": 2},
        ),
        (
            '<cuboid label="car" xtl1="1" ytl1="2" xbl1="1" ybl1="20" xtr1="10" ytr1="2" xbr1="10" ybr1="20" '
            'xtl2="5" ytl2="4" xbl2="5" ybl2="22" xtr2="15" ytr2="4" xbr2="15" ybr2="22"/>',
            (1, 2, 15, 22),
            {
                "shape": {
                    "name": "points",
                    "all_points_x": [1, 1, 10, 10, 5, 5, 15, 15],
                    "all_points_y": [2, 20, 2, 20, 4, 22, 4, 22],
                }
            },
        ),
    ],
)
def test_each_shape_is_read_as_the_box_around_it(
    element: str, edges: tuple[float, ...], attributes: dict[str, Any], place: Place
) -> None:
    assert one_shape(element, place) == (edges, attributes)


def test_a_rotated_ellipse(place: Place) -> None:
    box, attributes = one_shape('<ellipse label="car" cx="20" cy="30" rx="5" ry="3" rotation="90"/>', place)
    assert box == (17, 25, 23, 35)
    assert attributes["rotation"] == 90


def test_the_runs_of_a_mask_go_along_its_rows(place: Place) -> None:
    """Of 3 x 2 pixels from (10, 20) on: .XX / X.."""
    box, attributes = one_shape('<mask label="car" rle="1, 3, 2" left="10" top="20" width="3" height="2"/>', place)
    assert box == (10, 20, 13, 22)
    runs = attributes["segmentation"]
    pixels = np.repeat(np.arange(len(runs["counts"])) % 2, runs["counts"]).reshape(64, 48).T
    assert sorted(zip(*np.nonzero(pixels), strict=True)) == [(20, 11), (20, 12), (21, 10)]


def test_one_polygon_does_not_refuse_the_file(place: Place, tmp_path: Path) -> None:
    polygon = '<image id="0" name="a.jpg" width="64" height="48"><polygon label="car" points="1,2;3,4;5,9"/></image>'
    point = '<image id="1" name="b.jpg" width="64" height="48"><points label="car" points="1,2"/></image>'
    report = boxwright.convert(f"cvat:{place(polygon + point)}", f"coco:{tmp_path}/out/o.json")
    assert (report.boxes, report.losses.dropped) == (1, {"shape point": 1})


def test_images_of_a_task_and_a_project(place: Place, tmp_path: Path) -> None:
    """CVAT's exports have ``images/NAME`` and, of a project, ``images/SUBSET/NAME``."""
    size = 'width="64" height="48"'
    xml = (
        f'<image id="0" name="a.jpg" subset="Train" task_id="1" {size}/>'
        f'<image id="1" name="a.jpg" subset="Validation" task_id="2" {size}/>'
        f'<image id="2" name="b.jpg" subset="default" task_id="2" {size}/>'
        f'<image id="3" name="c.jpg" subset="mine" task_id="2"/>'
    )
    path = place(xml)
    for name in ("Train/a.jpg", "Validation/a.jpg", "b.jpg", "mine/c.jpg"):
        draw(tmp_path / "images" / name)
    samples = read(tmp_path)
    assert [(s.image.name, s.split, s.image.location) for s in samples] == [
        ("a.jpg", "train", f"{tmp_path}/images/Train/a.jpg"),
        ("Validation/a.jpg", "val", f"{tmp_path}/images/Validation/a.jpg"),
        ("b.jpg", None, f"{tmp_path}/images/b.jpg"),
        ("c.jpg", "mine", f"{tmp_path}/images/mine/c.jpg"),
    ]
    assert (samples[3].image.width, samples[3].image.height) == (64, 48)
    with zipfile.ZipFile(tmp_path / "export.zip", "w") as archive:
        for file in (path, *sorted((tmp_path / "images").rglob("*.jpg"))):
            archive.write(file, file.relative_to(tmp_path))
    assert [s.image.name for s in read(f"zip://::{tmp_path}/export.zip")] == [s.image.name for s in samples]


VIDEO = """<annotations>
<meta><task><size>5</size><mode>interpolation</mode><start_frame>0</start_frame><stop_frame>4</stop_frame></task>
<original_size><width>64</width><height>48</height></original_size></meta>
<track id="0" label="car" source="manual">
  <box frame="0" keyframe="1" outside="0" occluded="0" xtl="0" ytl="2" xbr="10" ybr="12" z_order="0">
    <attribute name="color">red</attribute></box>
  <box frame="2" keyframe="1" outside="0" occluded="1" xtl="4" ytl="2" xbr="20" ybr="12" z_order="0"/>
  <box frame="3" keyframe="1" outside="1" occluded="0" xtl="4" ytl="2" xbr="20" ybr="12" z_order="0"/>
</track>
<track id="1" label="boat" source="manual">
  <polygon frame="1" keyframe="1" outside="0" occluded="0" points="1,1;5,1;5,9" z_order="0"/>
  <polygon frame="3" keyframe="1" outside="0" occluded="0" points="3,1;7,1;7,5" z_order="0"/>
</track>
</annotations>"""


def test_tracks_are_interpolated_between_key_frames(place: Place) -> None:
    """Between frames 0 and 2, frame 1 is halfway; outside from frame 3 on; the polygon stays to the end."""
    samples = read(place(VIDEO))
    assert [sample.image.name for sample in samples] == [f"frame_{number:06d}.PNG" for number in range(5)]
    assert [[(box.label, box.coordinates) for box in sample.boxes] for sample in samples] == [
        [("car", (0, 2, 10, 12))],
        [("car", (2, 2, 15, 12)), ("boat", (1, 1, 5, 9))],
        [("car", (4, 2, 20, 12)), ("boat", (2, 1, 6, 7))],
        [("boat", (3, 1, 7, 5))],
        [("boat", (3, 1, 7, 5))],
    ]
    assert samples[1].boxes[0].attributes == {"color": "red", "track_id": 0}
    assert samples[2].boxes[0].attributes == {"occluded": 1, "track_id": 0}


def test_rotations_are_interpolated_the_short_way_round(place: Place) -> None:
    box = '<box frame="{}" outside="0" xtl="10" ytl="20" xbr="50" ybr="24" rotation="{}"/>'
    xml = f'<track id="0" label="car">{box.format(0, 350)}{box.format(2, 10)}</track>'
    _, middle, _ = read(place(xml), size="64x48")
    assert (middle.boxes.coordinates, middle.boxes.attributes[0]) == (((10, 20, 50, 24),), {"track_id": 0})


def test_frames_of_a_video_with_a_step(place: Place) -> None:
    meta = "<meta><task><size>3</size><start_frame>10</start_frame><stop_frame>14</stop_frame>"
    meta += "<frame_filter>step=2</frame_filter></task></meta>"
    box = '<track id="0" label="car"><box frame="{}" outside="0" xtl="{}" ytl="0" xbr="30" ybr="9"/>{}</track>'
    after = '<box frame="14" outside="0" xtl="8" ytl="0" xbr="30" ybr="9"/>'
    samples = read(place(meta + box.format(10, 0, after)), size="64x48")
    assert [(s.image.name, s.boxes.coordinates[0][0]) for s in samples] == [
        ("frame_000010.PNG", 0),
        ("frame_000012.PNG", 4),
        ("frame_000014.PNG", 8),
    ]


def test_images_of_a_video(place: Place, tmp_path: Path) -> None:
    without_size = VIDEO[: VIDEO.index("<original")] + VIDEO[VIDEO.index("</meta>") :]
    path = place(without_size)
    with pytest.raises(DataError, match="it is CVAT for video: the size of its frames is missing") as caught:
        read(path)
    assert "?size=WxH" in caught.value.remedy
    for number in range(5):
        draw(tmp_path / f"images/frame_{number:06d}.PNG")
    assert [sample.image.location for sample in read(path)][4] == f"{tmp_path}/images/frame_000004.PNG"
    for number in range(5):
        (tmp_path / f"images/frame_{number:06d}.PNG").rename(tmp_path / f"images/shot{number}.png")
    assert [sample.image.name for sample in read(path)][4] == "images/shot4.png"


def test_a_video_without_tracks_has_no_images(place: Place) -> None:
    assert read(place("<meta><task><size>3</size></task></meta>")) == []


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "iso-8859-1"])
def test_declared_encodings(encoding: str, tmp_path: Path) -> None:
    xml = f'<?xml version="1.0" encoding="{encoding}"?><annotations>'
    xml += '<image id="0" name="ü.jpg" width="4" height="3"/></annotations>'
    (tmp_path / "a.xml").write_bytes(xml.encode(encoding))
    assert [sample.image.name for sample in read(tmp_path / "a.xml")] == ["ü.jpg"]
    assert detect(str(tmp_path / "a.xml")).matches


def test_the_labels_are_known_without_the_images(place: Place) -> None:
    reader: Any = boxwright.open(f"cvat:{place(TASK)}").reader
    assert [list(labels) for labels in reader.labels()] == [["plate", "car"]]
    reader = boxwright.open(f"cvat:{place(VIDEO)}").reader
    assert [list(labels) for labels in reader.labels()] == [["car"], ["boat"]]


@pytest.mark.parametrize(
    ("name", "xml", "reason"),
    [
        ("a.xml", "<annotation><filename>a.jpg</filename></annotation>", "its root element is not <annotations>"),
        ("a.xml", "<annotations><object/></annotations>", "contain no <meta>, <image> or <track>"),
        ("a.json", "{}", "its name does not end in .xml"),
        ("b/a.txt", "", "no annotations.xml in it"),
    ],
)
def test_other_files_are_refused(name: str, xml: str, reason: str, tmp_path: Path) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text(xml)
    answer = detect(str(tmp_path / name.split("/")[0]))
    assert not answer.matches
    assert reason in answer.reason
