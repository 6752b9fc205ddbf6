from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from boxwright import DataError
from boxwright.datasets import ShapeRule
from boxwright_yolo.description import Description
from boxwright_yolo.labels import LabelReader, LineFormat

NAMES = {0: "fig", 1: "date", 12: "apple"}


def read(text: str | bytes, size: tuple[int, int] = (400, 200), **options: Any) -> Any:
    pose = options.pop("keypoints", (0, 0))
    reader = LabelReader(Description("data.yaml", "data.yaml", NAMES, keypoints=pose), **options)
    return reader.read(text.encode() if isinstance(text, str) else text, "a.txt", *size)


def test_the_example_worked_out_by_hand() -> None:
    # A box of 100x50 px whose centre is at (300, 50) of a 400x200 image: 250..350 and 25..75.
    boxes = read("1 0.75 0.25 0.25 0.25\n")
    assert boxes.labels == ("date",)
    assert boxes.coordinates == ((250, 25, 350, 75),)
    assert not boxes.has_attributes


def test_labelimgs_own_text_is_read_within_its_six_decimals() -> None:
    # What labelImg writes ("%d %.6f %.6f %.6f %.6f\n") for 33, 7, 251, 166 in a image of 640x427.
    text = "12 0.221875 0.202576 0.340625 0.372365\n"
    ((xmin, ymin, xmax, ymax),) = read(text, (640, 427)).coordinates
    assert (xmin, ymin, xmax, ymax) == pytest.approx((33, 7, 251, 166), abs=4e-4)
    assert read(text, (640, 427), decimals=0).coordinates == ((33, 7, 251, 166),)


@pytest.mark.parametrize(
    "text",
    [
        "0 .5 .5 .5 .5",
        "0 0.5 0.5 0.5 0.5\r\n",
        "\n  \n\t0\t0.5  0.5 5e-1 +0.5 \n\n",
        "0.0 0.5 0.5 0.5 0.5",
        "0.000000e+00 5.000000e-01 5.000000e-01 5.000000e-01 5.000000e-01",
        "00 0.5 0.5 0.5 0.5",
        "\ufeff0 0.5 0.5 0.5 0.5",
        "0 0.5 0.5 0.5 0.5".encode("utf-16"),
    ],
)
def test_other_ways_to_write_the_same(text: str | bytes) -> None:
    boxes = read(text)
    assert (boxes.labels, boxes.coordinates) == (("fig",), ((100, 50, 300, 150),))


def test_an_empty_file_has_no_boxes() -> None:
    assert len(read("")) == 0
    assert len(read(" \n\n")) == 0


def test_boxes_outside_and_with_zero_area_are_kept() -> None:
    assert read("0 1 0 1 0\n0 -0.5 0.5 0 1\n").coordinates == ((200, 0, 600, 0), (-200, 0, -200, 200))


def test_the_same_line_twice_is_two_boxes() -> None:
    assert len(read("0 .5 .5 .5 .5\n0 .5 .5 .5 .5\n")) == 2


def test_a_sixth_column_is_the_score() -> None:
    boxes = read("0 .5 .5 .5 .5\n1 .5 .5 .5 .5 0.875\n0 .5 .5 .5 .5 1\n")
    assert [dict(each) for each in boxes.attributes] == [{}, {"score": 0.875}, {"score": 1.0}]


def test_a_polygon_is_kept_and_becomes_its_box() -> None:
    # The triangle (40, 20), (200, 20), (40, 180) of a 400x200 image.
    boxes = read("1 0.1 0.1 0.5 0.1 0.1 0.9\n0 .5 .5 .5 .5\n")
    assert boxes.coordinates == ((40, 20, 200, 180), (100, 50, 300, 150))
    assert [dict(each) for each in boxes.attributes] == [{"segmentation": [[40, 20, 200, 20, 40, 180]]}, {}]


def test_a_polygon_with_a_score() -> None:
    # As Ultralytics saves the predictions of a segmentation model: an odd number of columns after the class.
    (attributes,) = read("1 0.1 0.1 0.5 0.1 0.1 0.9 0.25\n").attributes
    assert dict(attributes) == {"segmentation": [[40, 20, 200, 20, 40, 180]], "score": 0.25}


def test_eight_numbers_are_a_polygon_or_an_oriented_box() -> None:
    # Ultralytics' own example of an oriented box, on a image of 100x100.
    text = "0 0.780811 0.743961 0.782371 0.74686 0.777691 0.752174 0.776131 0.749758\n"
    corners = [78.0811, 74.3961, 78.2371, 74.686, 77.7691, 75.2174, 77.6131, 74.9758]
    # Its first side goes 0.156 to the right and 0.2899 down.
    turned = {"rotation": pytest.approx(math.degrees(math.atan2(0.2899, 0.156)))}
    for options, more in (({}, {}), ({"oriented": True}, turned)):
        boxes = read(text, (100, 100), **options)
        assert boxes.coordinates == ((77.6131, 74.3961, 78.2371, 75.2174),)
        assert dict(boxes.attributes[0]) == {"segmentation": [corners], **more}


def test_oriented_boxes_that_are_upright_or_left_out() -> None:
    """A square of side 20 about (50, 50), upright and by 45 degrees: half its diagonal is 14.142136."""
    text = "0 .4 .4 .6 .4 .6 .6 .4 .6\n0 .5 .35857864 .64142136 .5 .5 .64142136 .35857864 .5\n"
    upright, turned = read(text, (100, 100), oriented=True)
    assert (upright.coordinates, upright.attributes) == ((40, 40, 60, 60), {})
    assert turned.coordinates == pytest.approx((35.857864, 35.857864, 64.142136, 64.142136))
    assert turned.attributes["rotation"] == pytest.approx(45)
    assert len(read(text, (100, 100), oriented=True, shapes=ShapeRule("skip"))) == 1
    with pytest.raises(DataError, match=r"line 2: it is not an upright box, but a rotated rectangle"):
        read(text, (100, 100), oriented=True, shapes=ShapeRule("fail"))


def test_points_of_a_pose_are_not_a_polygon() -> None:
    # Two points of three numbers, as kpt_shape: [2, 3] declares: 4 + 6 numbers after the class.
    text = "0 .5 .5 .5 .5 0.25 0.5 2 0.75 0.5 1\n"
    boxes = read(text, keypoints=(2, 3))
    assert boxes.coordinates == ((100, 50, 300, 150),)
    assert dict(boxes.attributes[0]) == {"keypoints": [100, 100, 2, 300, 100, 1]}
    boxes = read("0 .5 .5 .5 .5 0.25 0.5 0.75 0.5 0.9\n", keypoints=(2, 2))
    assert dict(boxes.attributes[0]) == {"keypoints": [100, 100, 300, 100], "score": 0.9}


def test_the_line_is_counted_as_an_editor_does() -> None:
    with pytest.raises(DataError, match=r"a\.txt, line 4: the class 7 has no name in data\.yaml") as caught:
        read("0 .5 .5 .5 .5\r\n\r\n1 .5 .5 .5 .5\r\n7 .5 .5 .5 .5\r\n")
    assert "--on-error skip" in caught.value.remedy


def test_a_long_list_of_classes_is_not_printed_whole() -> None:
    reader = LabelReader(Description("data.yaml", "", {number: f"class {number}" for number in range(80)}))
    with pytest.raises(DataError, match="which names 80 classes, from class 0 to class 79"):
        reader.read(b"80 .5 .5 .5 .5", "a.txt", 10, 10)


# Lines calculated by hand, with the fewest digits that are exact enough.
@pytest.mark.parametrize(
    ("coordinates", "size", "line"),
    [
        ((250, 25, 350, 75), (400, 200), "3 0.75 0.25 0.25 0.25"),
        ((0, 0, 400, 200), (400, 200), "3 0.5 0.5 1 1"),
        ((0, 0, 0, 0), (400, 200), "3 0 0 0 0"),
        ((100, 50, 100, 50), (400, 200), "3 0.25 0.25 0 0"),
        ((-4, 5, 30, 9), (20, 20), "3 0.65 0.35 1.7 0.2"),
        ((0, 0, 1, 1), (3, 3), "3 0.1666667 0.1666667 0.3333333 0.3333333"),
        ((0, 0, 1, 1), (600, 600), "3 0.000833333333 0.000833333333 0.00166666667 0.00166666667"),
        ((0, 0, 1, 1), (20000, 20000), "3 0.000025 0.000025 0.00005 0.00005"),
        ((-1e-9, 0, 1e-9, 200), (400, 200), "3 0 0.5 0 1"),
    ],
)
def test_lines(coordinates: tuple[float, float, float, float], size: tuple[int, int], line: str) -> None:
    assert LineFormat().line(3, coordinates, *size) == line


def test_a_score_is_the_sixth_column() -> None:
    assert LineFormat().line(0, (0, 0, 10, 10), 10, 10, 0.1 + 0.2) == "0 0.5 0.5 1 1 0.30000000000000004"


def test_boxes_whose_numbers_would_be_taken_for_pixels_are_not_written() -> None:
    assert LineFormat().line(0, (-15, 0, 25, 20), 20, 20) == "0 0.25 0.5 2 1"
    for coordinates in ((-15, 0, 25.1, 20), (0, 41, 1, 42), (-62, 0, -21, 20)):
        with pytest.raises(ValueError, match="extends so far beyond"):
            LineFormat().line(0, coordinates, 20, 20)


@settings(deadline=None)
@given(st.data(), st.integers(1, 30_000), st.integers(1, 30_000))
def test_every_coordinate_is_restored_to_a_millionth_of_a_pixel(data: st.DataObject, width: int, height: int) -> None:
    whole = data.draw(st.booleans())

    def pair(side: int) -> list[float]:
        share = st.integers(-side // 4, side) if whole else st.floats(-0.25 * side, side)
        return sorted(data.draw(st.tuples(share, share)))

    (xmin, xmax), (ymin, ymax) = pair(width), pair(height)
    coordinates = (xmin, ymin, xmax, ymax)
    (back,) = read(LineFormat().line(0, coordinates, width, height), (width, height)).coordinates
    assert max(abs(a - b) for a, b in zip(coordinates, back, strict=True)) <= 1e-6
    if whole:
        assert back == coordinates


@settings(deadline=None)
@given(st.text(alphabet="0123456789.eE+- \tnaif_,\n", max_size=40) | st.binary(max_size=20))
def test_any_text_is_read_or_refused(text: str | bytes) -> None:
    try:
        boxes = read(text)
    except DataError:
        return
    assert all(-1e4 < edge < 1e4 for coordinates in boxes.coordinates for edge in coordinates)


def test_key_points_that_nothing_declares_are_not_a_polygon() -> None:
    """A box, then x, y and COCO's visibility of each point; as a polygon it would extend far beyond the image."""
    row = "0 .5 .5 .5 .5 .1 .1 2 .3 .3 1 0 0 0"
    with pytest.raises(DataError, match=r"line 1: it seems to have 3 key points.*\n.*kpt_shape: \[3, 3\]"):
        read(row)
    assert read(row, keypoints=(3, 3)).coordinates == ((100, 50, 300, 150),)
    # A polygon with corners of the image in those places is one.
    corners = read("0 0 0 1 0 1 1 0 1 .5 .5").attributes[0]
    assert corners["segmentation"] == [[0, 0, 400, 0, 400, 200, 0, 200, 200, 100]]
