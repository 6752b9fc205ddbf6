"""The step ``fix``: each correction, its notes, sizes, and that nothing else changes."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st
from PIL import Image

import boxwright
from boxwright import Boxes, DataError, Dataset, ImageRef, Sample
from boxwright.datasets import SampleReader
from boxwright_transforms.fix import Fix


def sample_of(
    edges: Sequence[Any], labels: Sequence[str] = (), attributes: Any = None, name: str = "a.jpg", **fields: Any
) -> Sample:
    """Returns a sample of 100x80 without an image file."""
    image = ImageRef(name=name, width=100, height=80)
    return Sample(image=image, boxes=Boxes(labels or ["fig"] * len(edges), edges, attributes), **fields)


def fixed(sample: Sample, **options: Any) -> Sample:
    (result,) = Fix(**options)([sample])
    return result


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ((-5, -6, 50, 40), (0, 0, 50, 40)),
        ((50, 40, 105.5, 81), (50, 40, 100, 80)),
        ((-1, -1, 101, 81), (0, 0, 100, 80)),
        ((-5, 10, 105, 20), (0, 10, 100, 20)),
        ((0, 0, 100, 80), (0, 0, 100, 80)),
        ((-20, 10, 0, 20), None),  # it only touches the image
        ((100, 10, 120, 20), None),
        ((10, -20, 20, -5), None),
        ((300, 300, 400, 400), None),
    ],
)
def test_boxes_are_clipped_to_the_image(before: Any, after: Any) -> None:
    result = fixed(sample_of([before]))
    assert result.boxes.coordinates == ((after,) if after else ())
    assert fixed(sample_of([before]), flat="keep") == result, "a box outside the image became a line"


def test_boxes_with_zero_area_are_dropped_or_kept() -> None:
    sample = sample_of([(10, 10, 10, 20), (10, 10, 20, 10), (5, 5, 5, 5), (1, 1, 2, 2)])
    assert fixed(sample).boxes.coordinates == ((1, 1, 2, 2),)
    assert fixed(sample, flat="keep").boxes == sample.boxes
    reaching_out = sample_of([(-5, 10, 20, 10), (-9, 3, -9, 5)])
    assert fixed(reaching_out, flat="keep").boxes.coordinates == ((0, 10, 20, 10),), "a line was not clipped like a box"


def test_tiny_is_the_shorter_side_after_clipping() -> None:
    sample = sample_of([(-8, 0, 3, 40), (0, 0, 4, 40), (0, 0, 40, 3.99), (0, 0, 4, 4)])
    assert fixed(sample, tiny=4).boxes.coordinates == ((0, 0, 4, 40), (0, 0, 4, 4))
    assert fixed(sample, tiny=4, clip=False).boxes.coordinates == ((-8, 0, 3, 40), (0, 0, 4, 40), (0, 0, 4, 4))


def test_duplicate_boxes_are_dropped() -> None:
    one, two = (1, 1, 20, 20), (1, 1, 20, 21)
    sample = sample_of(
        [one, one, one, two, one, (-4, 1, 20, 20), (0, 1, 20, 20)],
        ["fig", "fig", "plum", "fig", "fig", "fig", "fig"],
        [{"id": 1}, {"id": 2}, {"id": 3}, {}, {"difficult": 1}, {}, {}],
    )
    result = fixed(sample)
    # The second is the first with another id; another class, coordinate or attribute makes another box. The last two
    # are identical after the first of them is clipped.
    assert [dict(box.attributes) for box in result.boxes] == [{"id": 1}, {"id": 3}, {}, {"difficult": 1}, {}]
    assert result.boxes.labels == ("fig", "plum", "fig", "fig", "fig")
    assert len(fixed(sample, duplicates="keep").boxes) == 7
    assert fixed(sample_of([one, one])).boxes.coordinates == (one,), "the duplicate was kept, with nothing else to fix"


def test_notes_report_counts_and_the_first_few_places() -> None:
    step = Fix(tiny=2)
    assert step.notes() == []
    samples = [
        sample_of(
            [(-1, 0, 9, 9), (200, 0, 210, 9), (5, 5, 5, 9)], ["fig", "plum", "fig"], name="1.jpg", source="1.xml"
        ),
        sample_of([(0, 0, 9, 9), (0, 0, 9, 9), (0, 0, 1, 9)], name="2.jpg", source="2.xml"),
        *(sample_of([(90, 0, 110, 9)], name=f"{n}.jpg", source=f"{n}.xml") for n in (3, 4, 5)),
        sample_of([(0, 0, 1, 1)], name="6.jpg"),
        sample_of([(0, 0, 10, 10)], name="7.jpg"),
    ]
    for _ in range(2):  # independent of the number of iterations
        list(step(samples))
        assert step.notes() == [
            "4 boxes clipped to the image: 1.xml, box 1 (fig); 3.xml, box 1 (fig); 4.xml, box 1 (fig); and 1 more",
            "1 box completely outside the image dropped (size=picture checks the sizes): 1.xml, box 2 (plum)",
            "1 box with zero area dropped: 1.xml, box 3 (fig)",
            "2 boxes smaller than 2 pixels dropped: 2.xml, box 3 (fig); 6.jpg, box 1 (fig)",
            "1 duplicate box dropped: 2.xml, box 2 (fig)",
            "1 image without remaining boxes: 6.jpg",
        ]


def test_correct_samples_are_the_same_objects() -> None:
    step = Fix()
    sample = sample_of([(0, 0, 100, 80), (1 / 3, 0.5, 99.5, 79.25)], attributes=[{"difficult": 1}, {}])
    (result,) = step([sample])
    assert result is sample
    assert step.notes() == ["nothing to fix"]


@pytest.mark.parametrize(
    ("off", "after"),
    [
        ({"clip": False}, [(1, 1, 9, 9), (-5, 0, 9, 9)]),
        ({"flat": "keep"}, [(1, 1, 9, 9), (0, 0, 9, 9), (5, 5, 5, 9)]),
        ({"duplicates": "keep"}, [(1, 1, 9, 9), (0, 0, 9, 9), (1, 1, 9, 9)]),
    ],
)
def test_each_correction_can_be_turned_off(off: dict[str, Any], after: list[Any]) -> None:
    sample = sample_of([(1, 1, 9, 9), (-5, 0, 9, 9), (5, 5, 5, 9), (1, 1, 9, 9)])
    assert list(fixed(sample, **off).boxes.coordinates) == after


number = st.one_of(st.integers(-30, 130), st.floats(-30, 130, allow_nan=False, width=32)).map(float)


@st.composite
def boxes(draw: Any) -> Boxes:
    rows = draw(st.lists(st.tuples(number, number, number, number), max_size=8))
    edges = [(min(a, c), min(b, d), max(a, c), max(b, d)) for a, b, c, d in rows]
    labels = draw(st.lists(st.sampled_from(["fig", "plum"]), min_size=len(edges), max_size=len(edges)))
    attributes = draw(st.lists(st.sampled_from([{}, {"difficult": 1}]), min_size=len(edges), max_size=len(edges)))
    return Boxes(labels, edges, attributes)


@given(boxes(), st.sampled_from([0.0, 1.0, 7.5]))
def test_fixing_is_idempotent(found: Boxes, tiny: float) -> None:
    before = sample_of([]).replace(boxes=found)
    after = fixed(before, tiny=tiny)
    assert fixed(after, tiny=tiny) is after
    assert len(after.boxes) <= len(before.boxes)
    for xmin, ymin, xmax, ymax in after.boxes.coordinates:
        assert 0 <= xmin < xmax <= 100
        assert 0 <= ymin < ymax <= 80
        assert min(xmax - xmin, ymax - ymin) >= tiny
    rows = [(box.label, box.coordinates, str(box.attributes)) for box in after.boxes]
    assert len(set(rows)) == len(rows)
    # Each box that is left is one of those that were there, cut; none is moved, made or given another label.
    cut = [
        (b.label, max(b.xmin, 0), max(b.ymin, 0), min(b.xmax, 100), min(b.ymax, 80), b.attributes) for b in before.boxes
    ]
    assert all((b.label, *b.coordinates, b.attributes) in cut for b in after.boxes)


def photo(size: tuple[int, int], orientation: int = 1) -> bytes:
    buffer = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.new("RGB", size).save(buffer, "JPEG", exif=exif)
    return buffer.getvalue()


def with_image(
    annotated: tuple[int, int], edges: Sequence[Any], real: tuple[int, int], orientation: int = 1, **fields: Any
) -> Sample:
    image = ImageRef(name="a.jpg", width=annotated[0], height=annotated[1], data=photo(real, orientation))
    attributes = fields.pop("attributes", None)
    return Sample(image=image, boxes=Boxes(["fig"] * len(edges), edges, attributes), source="a.xml", **fields)


def size_of(sample: Sample) -> tuple[int, int]:
    return (sample.image.width, sample.image.height)


def test_sizes_are_not_checked_by_default() -> None:
    sample = with_image((60, 80), [(1, 1, 9, 9)], (80, 60))
    assert fixed(sample) is sample
    assert Fix().per_sample is False
    assert Fix(size="picture").per_sample is True, "threads do not share the headers"


def test_a_wrong_size_becomes_that_of_the_file_with_boxes_unchanged() -> None:
    step = Fix(size="picture")
    (result,) = step([with_image((60, 80), [(50, 10, 79, 59)], (80, 60))])
    assert size_of(result) == (80, 60)
    assert result.boxes.coordinates == ((50, 10, 79, 59),)
    assert step.notes() == ["1 image changed to the size of the file, boxes unchanged: a.xml, 60x80 is 80x60"]


def test_boxes_are_clipped_to_the_corrected_size() -> None:
    """(50, 10, 90, 59) extends beyond the annotated 60 columns as well, so it says nothing about the size."""
    result = fixed(with_image((60, 80), [(50, 10, 90, 59)], (80, 60)), size="picture")
    assert result.boxes.coordinates == ((50, 10, 80, 59),)


def test_boxes_outside_the_size_of_the_file_are_an_error() -> None:
    """Annotated at 800x600 and resized since: 400x300 would clip everything to the right of column 400."""
    sample = with_image((800, 600), [(500, 100, 700, 500)], (400, 300))
    with pytest.raises(DataError, match=r"a\.xml: .*800x600.*400x300.*boxes are outside") as caught:
        fixed(sample, size="picture")
    assert "size=scale" in caught.value.remedy
    assert fixed(sample, size="scale").boxes.coordinates == ((250, 50, 350, 250),)


def test_boxes_outlines_and_areas_are_scaled() -> None:
    """1000x500 to 400x200: a factor of 0.4 for the box, its outline and its area."""
    attributes = [{"segmentation": [[10.0, 10.0, 20.0, 10.0, 20.0, 30.0]], "area": 100.0}]
    step = Fix(size="scale")
    (result,) = step([with_image((1000, 500), [(100, 50, 1000, 500)], (400, 200), attributes=attributes)])
    assert size_of(result) == (400, 200)
    assert result.boxes.coordinates == ((40, 20, 400, 200),)
    assert result.boxes.attributes[0]["segmentation"] == [[4.0, 4.0, 8.0, 4.0, 8.0, 12.0]]
    assert result.boxes.attributes[0]["area"] == pytest.approx(16.0)
    assert step.notes() == ["1 image changed to the size of the file, boxes scaled: a.xml, 1000x500 is 400x200"]


@pytest.mark.parametrize(
    ("small", "large"), [((100, 67), (6000, 4000)), ((100, 66), (6000, 4000)), ((7, 5), (700, 467))]
)
def test_a_scaled_size_may_be_rounded(small: tuple[int, int], large: tuple[int, int]) -> None:
    assert size_of(fixed(with_image(small, [], large), size="scale")) == large
    assert size_of(fixed(with_image(large, [], small), size="scale")) == small


@pytest.mark.parametrize("annotated", [(100, 65), (67, 100), (100, 100)])
def test_another_aspect_ratio_is_an_error(annotated: tuple[int, int]) -> None:
    with pytest.raises(DataError, match="another aspect ratio") as caught:
        fixed(with_image(annotated, [], (6000, 4000)), size="scale")
    assert "size=picture" in caught.value.remedy


def test_a_note_reports_an_equal_aspect_ratio() -> None:
    step = Fix(size="picture")
    list(step([with_image((40, 30), [(1, 1, 9, 9)], (80, 60))]))
    assert step.notes()[1].startswith("1 image of these may have been resized, because the aspect ratio is the same")


@pytest.mark.parametrize("size", ["picture", "scale"])
def test_the_size_of_the_stored_pixels_is_correct_too(size: str) -> None:
    """With an EXIF orientation, the size decides whether boxes refer to the rotated image or the stored pixels."""
    step = Fix(size=size)
    upright = with_image((60, 80), [(1, 1, 9, 9)], (80, 60), orientation=6)
    assert list(step([upright])) == [upright]
    assert step.notes() == ["nothing to fix"]
    stored = with_image((80, 60), [(1, 1, 9, 9)], (80, 60), orientation=6)
    assert list(step([stored])) == [stored]
    assert step.notes() == [
        "1 image with the size of the stored pixels, which EXIF rotates; size and boxes unchanged: a.xml"
    ]


def test_a_rotated_photo_gets_the_size_that_contains_its_boxes() -> None:
    """Stored 80x60, upright 60x80, annotated 999x999: upright if the boxes are inside, else as stored."""
    upright = fixed(with_image((999, 999), [(1, 1, 9, 79)], (80, 60), orientation=6), size="picture")
    assert size_of(upright) == (60, 80)
    both = fixed(with_image((999, 999), [(1, 1, 9, 9)], (80, 60), orientation=6), size="picture")
    assert size_of(both) == (60, 80)
    stored = fixed(with_image((999, 999), [(1, 1, 79, 9)], (80, 60), orientation=6), size="picture")
    assert size_of(stored) == (80, 60)
    with pytest.raises(DataError, match="boxes are outside"):
        fixed(with_image((999, 999), [(1, 1, 79, 79)], (80, 60), orientation=6), size="picture")
    scaled = fixed(with_image((160, 120), [(2, 2, 20, 20)], (80, 60), orientation=6), size="scale")
    assert (size_of(scaled), scaled.boxes.coordinates) == ((80, 60), ((1, 1, 10, 10),))


def test_threads_and_skipped_images(tmp_path: Path) -> None:
    good = with_image((60, 80), [(1, 1, 9, 9)], (80, 60))
    missing = Sample(image=ImageRef(name="gone.jpg", width=5, height=5, location=str(tmp_path / "gone.jpg")))
    samples = [good.replace(image=good.image.model_copy(update={"name": f"{n}.jpg"})) for n in range(12)]
    problems = boxwright.datasets.problems.Problems("skip")
    step = Fix(size="picture")
    dataset = Dataset(SampleReader([*samples, missing]), problems=problems).through(step, workers=4)
    assert [size_of(sample) for sample in dataset] == [(80, 60)] * 12
    assert [error.file for error in problems.skipped] == [str(tmp_path / "gone.jpg")]
    assert step.notes()[0].startswith("12 images changed to the size of the file")


def test_no_file_of_the_source_is_changed(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "a.jpg").write_bytes(photo((80, 60)))
    xml = (
        "<annotation><filename>a.jpg</filename><size><width>60</width><height>80</height></size>"
        "<object><name>fig</name><bndbox><xmin>90</xmin><ymin>-5</ymin><xmax>40</xmax><ymax>20</ymax></bndbox></object>"
        "</annotation>"
    )
    (folder / "a.xml").write_text(xml)
    before = {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.iterdir()}
    # The coordinates are in the wrong order: the reader swaps them, at the request of this step.
    with pytest.raises(DataError, match=r"\n.*inverted=swap"):
        boxwright.convert(f"labelimg:{folder}", f"csv:{tmp_path}/out.csv")
    with pytest.raises(DataError, match="xmin"):
        boxwright.convert(f"labelimg:{folder}?inverted=error", f"csv:{tmp_path}/out.csv", steps=["fix"])
    report = boxwright.convert(f"labelimg:{folder}", f"csv:{tmp_path}/out.csv", steps=["fix:size=picture"])
    assert report.swapped == 1
    assert (tmp_path / "out.csv").read_text().splitlines()[1:] == ["a.jpg,80,60,fig,40,0,80,20"]
    assert [note.partition(":")[0] for note in report.notes] == [
        "1 box clipped to the image",
        "1 image changed to the size of the file, boxes unchanged",
    ]
    assert {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.iterdir()} == before
