"""The step ``fix``: each kind of mending by hand, what is said of it, sizes, and that nothing else changes."""

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
    """A picture of 100x80 that nobody may open."""
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
        ((-20, 10, 0, 20), None),  # it only touches the picture
        ((100, 10, 120, 20), None),
        ((10, -20, 20, -5), None),
        ((300, 300, 400, 400), None),
    ],
)
def test_boxes_are_cut_at_the_picture_s_edges(before: Any, after: Any) -> None:
    result = fixed(sample_of([before]))
    assert result.boxes.edges == ((after,) if after else ())
    assert fixed(sample_of([before]), flat="keep") == result, "what is left of it outside is no line of its own"


def test_a_box_without_area_goes_unless_it_shall_stay() -> None:
    sample = sample_of([(10, 10, 10, 20), (10, 10, 20, 10), (5, 5, 5, 5), (1, 1, 2, 2)])
    assert fixed(sample).boxes.edges == ((1, 1, 2, 2),)
    assert fixed(sample, flat="keep").boxes == sample.boxes
    reaching_out = sample_of([(-5, 10, 20, 10), (-9, 3, -9, 5)])
    assert fixed(reaching_out, flat="keep").boxes.edges == ((0, 10, 20, 10),), "a line is cut like a box"


def test_tiny_is_measured_after_the_cut_on_the_narrower_side() -> None:
    sample = sample_of([(-8, 0, 3, 40), (0, 0, 4, 40), (0, 0, 40, 3.99), (0, 0, 4, 4)])
    assert fixed(sample, tiny=4).boxes.edges == ((0, 0, 4, 40), (0, 0, 4, 4))
    assert fixed(sample, tiny=4, clip=False).boxes.edges == ((-8, 0, 3, 40), (0, 0, 4, 40), (0, 0, 4, 4))


def test_a_box_that_stands_twice_goes_once() -> None:
    one, two = (1, 1, 20, 20), (1, 1, 20, 21)
    sample = sample_of(
        [one, one, one, two, one, (-4, 1, 20, 20), (0, 1, 20, 20)],
        ["fig", "fig", "plum", "fig", "fig", "fig", "fig"],
        [{"id": 1}, {"id": 2}, {"id": 3}, {}, {"difficult": 1}, {}, {}],
    )
    result = fixed(sample)
    # The second is the first with another number; another class, edges or attribute make another box. The last two are
    # the same once the first of them is cut.
    assert [dict(box.attributes) for box in result.boxes] == [{"id": 1}, {"id": 3}, {}, {"difficult": 1}, {}]
    assert result.boxes.labels == ("fig", "plum", "fig", "fig", "fig")
    assert len(fixed(sample, duplicates="keep").boxes) == 7
    assert fixed(sample_of([one, one])).boxes.edges == (one,), "also where nothing else is to be mended"


def test_everything_is_counted_and_the_first_few_are_named() -> None:
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
    for _ in range(2):  # however often the dataset is read
        list(step(samples))
        assert step.notes() == [
            "4 boxes cut at the edges of the picture: 1.xml, box 1 (fig); 3.xml, box 1 (fig); 4.xml, box 1 (fig);"
            " and 1 more",
            "1 box wholly outside of the picture left out (are the sizes right? size=picture looks): 1.xml,"
            " box 2 (plum)",
            "1 box without area left out: 1.xml, box 3 (fig)",
            "2 boxes smaller than 2 pixels left out: 2.xml, box 3 (fig); 6.jpg, box 1 (fig)",
            "1 box that stood twice left out: 2.xml, box 2 (fig)",
            "1 picture left without a box: 6.jpg",
        ]


def test_what_is_whole_is_handed_on_as_it_is() -> None:
    step = Fix()
    sample = sample_of([(0, 0, 100, 80), (1 / 3, 0.5, 99.5, 79.25)], attributes=[{"difficult": 1}, {}])
    (result,) = step([sample])
    assert result is sample
    assert step.notes() == ["nothing had to be mended"]


@pytest.mark.parametrize(
    ("off", "after"),
    [
        ({"clip": False}, [(1, 1, 9, 9), (-5, 0, 9, 9)]),
        ({"flat": "keep"}, [(1, 1, 9, 9), (0, 0, 9, 9), (5, 5, 5, 9)]),
        ({"duplicates": "keep"}, [(1, 1, 9, 9), (0, 0, 9, 9), (1, 1, 9, 9)]),
    ],
)
def test_each_kind_can_be_switched_off(off: dict[str, Any], after: list[Any]) -> None:
    sample = sample_of([(1, 1, 9, 9), (-5, 0, 9, 9), (5, 5, 5, 9), (1, 1, 9, 9)])
    assert list(fixed(sample, **off).boxes.edges) == after


number = st.one_of(st.integers(-30, 130), st.floats(-30, 130, allow_nan=False, width=32)).map(float)


@st.composite
def boxes(draw: Any) -> Boxes:
    rows = draw(st.lists(st.tuples(number, number, number, number), max_size=8))
    edges = [(min(a, c), min(b, d), max(a, c), max(b, d)) for a, b, c, d in rows]
    labels = draw(st.lists(st.sampled_from(["fig", "plum"]), min_size=len(edges), max_size=len(edges)))
    attributes = draw(st.lists(st.sampled_from([{}, {"difficult": 1}]), min_size=len(edges), max_size=len(edges)))
    return Boxes(labels, edges, attributes)


@given(boxes(), st.sampled_from([0.0, 1.0, 7.5]))
def test_what_was_mended_once_is_whole(found: Boxes, tiny: float) -> None:
    before = sample_of([]).replace(boxes=found)
    after = fixed(before, tiny=tiny)
    assert fixed(after, tiny=tiny) is after
    assert len(after.boxes) <= len(before.boxes)
    for xmin, ymin, xmax, ymax in after.boxes.edges:
        assert 0 <= xmin < xmax <= 100
        assert 0 <= ymin < ymax <= 80
        assert min(xmax - xmin, ymax - ymin) >= tiny
    rows = [(box.label, box.edges, str(box.attributes)) for box in after.boxes]
    assert len(set(rows)) == len(rows)
    # Each box that is left is one of those that were there, cut; none is moved, made or given another label.
    cut = [
        (b.label, max(b.xmin, 0), max(b.ymin, 0), min(b.xmax, 100), min(b.ymax, 80), b.attributes) for b in before.boxes
    ]
    assert all((b.label, *b.edges, b.attributes) in cut for b in after.boxes)


def photo(size: tuple[int, int], orientation: int = 1) -> bytes:
    buffer = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.new("RGB", size).save(buffer, "JPEG", exif=exif)
    return buffer.getvalue()


def with_picture(
    annotated: tuple[int, int], edges: Sequence[Any], real: tuple[int, int], orientation: int = 1, **fields: Any
) -> Sample:
    image = ImageRef(name="a.jpg", width=annotated[0], height=annotated[1], data=photo(real, orientation))
    attributes = fields.pop("attributes", None)
    return Sample(image=image, boxes=Boxes(["fig"] * len(edges), edges, attributes), source="a.xml", **fields)


def size_of(sample: Sample) -> tuple[int, int]:
    return (sample.image.width, sample.image.height)


def test_a_wrong_size_is_not_looked_for_unless_asked() -> None:
    sample = with_picture((60, 80), [(1, 1, 9, 9)], (80, 60))
    assert fixed(sample) is sample
    assert Fix().per_sample is False
    assert Fix(size="picture").per_sample is True, "threads read the headers"


def test_a_mistaken_size_becomes_the_file_s_and_boxes_stay() -> None:
    step = Fix(size="picture")
    (result,) = step([with_picture((60, 80), [(50, 10, 79, 59)], (80, 60))])
    assert size_of(result) == (80, 60)
    assert result.boxes.edges == ((50, 10, 79, 59),)
    assert step.notes() == ["1 picture given the size of the file; the boxes are as they were: a.xml, 60x80 is 80x60"]


def test_boxes_are_cut_at_the_corrected_size() -> None:
    """(50, 10, 90, 59) leaves the annotated 60 columns as well, so that it tells nothing of the size."""
    result = fixed(with_picture((60, 80), [(50, 10, 90, 59)], (80, 60)), size="picture")
    assert result.boxes.edges == ((50, 10, 80, 59),)


def test_boxes_that_the_file_s_size_does_not_hold_are_a_question() -> None:
    """Annotated at 800x600 and made smaller since: taking 400x300 would cut off what is right of column 400."""
    sample = with_picture((800, 600), [(500, 100, 700, 500)], (400, 300))
    with pytest.raises(
        DataError, match=r"a\.xml: the annotation says 800x600 .* is 400x300, in which the boxes"
    ) as caught:
        fixed(sample, size="picture")
    assert "size=scale" in caught.value.remedy
    assert fixed(sample, size="scale").boxes.edges == ((250, 50, 350, 250),)


def test_scaling_by_hand() -> None:
    """1000x500 to 400x200: times 0.4; an outline and its area along."""
    attributes = [{"segmentation": [[10.0, 10.0, 20.0, 10.0, 20.0, 30.0]], "area": 100.0}]
    step = Fix(size="scale")
    (result,) = step([with_picture((1000, 500), [(100, 50, 1000, 500)], (400, 200), attributes=attributes)])
    assert size_of(result) == (400, 200)
    assert result.boxes.edges == ((40, 20, 400, 200),)
    assert result.boxes.attributes[0]["segmentation"] == [[4.0, 4.0, 8.0, 4.0, 8.0, 12.0]]
    assert result.boxes.attributes[0]["area"] == pytest.approx(16.0)
    assert step.notes() == [
        "1 picture given the size of the file; the boxes were scaled with it: a.xml, 1000x500 is 400x200"
    ]


@pytest.mark.parametrize(
    ("small", "large"), [((100, 67), (6000, 4000)), ((100, 66), (6000, 4000)), ((7, 5), (700, 467))]
)
def test_a_scaled_size_may_be_rounded(small: tuple[int, int], large: tuple[int, int]) -> None:
    assert size_of(fixed(with_picture(small, [], large), size="scale")) == large
    assert size_of(fixed(with_picture(large, [], small), size="scale")) == small


@pytest.mark.parametrize("annotated", [(100, 65), (67, 100), (100, 100)])
def test_another_shape_is_not_scaled(annotated: tuple[int, int]) -> None:
    with pytest.raises(DataError, match="another shape") as caught:
        fixed(with_picture(annotated, [], (6000, 4000)), size="scale")
    assert "size=picture" in caught.value.remedy


def test_a_size_of_the_same_shape_may_have_been_scaled_and_that_is_said() -> None:
    step = Fix(size="picture")
    list(step([with_picture((40, 30), [(1, 1, 9, 9)], (80, 60))]))
    assert step.notes()[1].startswith("1 picture of these may have been scaled, as the shape is the same")


@pytest.mark.parametrize("size", ["picture", "scale"])
def test_the_size_of_the_stored_pixels_is_right_too(size: str) -> None:
    """A photo that EXIF turns: the size says whether the boxes are in the turned picture or in the stored pixels."""
    step = Fix(size=size)
    upright = with_picture((60, 80), [(1, 1, 9, 9)], (80, 60), orientation=6)
    assert list(step([upright])) == [upright]
    assert step.notes() == ["nothing had to be mended"]
    stored = with_picture((80, 60), [(1, 1, 9, 9)], (80, 60), orientation=6)
    assert list(step([stored])) == [stored]
    assert step.notes() == [
        "1 picture with the size of the stored pixels, which EXIF turns; size and boxes are as they were: a.xml"
    ]


def test_a_turned_photo_gets_the_size_that_holds_its_boxes() -> None:
    """Stored 80x60, upright 60x80, annotated 999x999: upright where boxes fit into that, else as stored."""
    upright = fixed(with_picture((999, 999), [(1, 1, 9, 79)], (80, 60), orientation=6), size="picture")
    assert size_of(upright) == (60, 80)
    both = fixed(with_picture((999, 999), [(1, 1, 9, 9)], (80, 60), orientation=6), size="picture")
    assert size_of(both) == (60, 80)
    stored = fixed(with_picture((999, 999), [(1, 1, 79, 9)], (80, 60), orientation=6), size="picture")
    assert size_of(stored) == (80, 60)
    with pytest.raises(DataError, match="the boxes do not lie"):
        fixed(with_picture((999, 999), [(1, 1, 79, 79)], (80, 60), orientation=6), size="picture")
    scaled = fixed(with_picture((160, 120), [(2, 2, 20, 20)], (80, 60), orientation=6), size="scale")
    assert (size_of(scaled), scaled.boxes.edges) == ((80, 60), ((1, 1, 10, 10),))


def test_through_threads_and_skipping(tmp_path: Path) -> None:
    good = with_picture((60, 80), [(1, 1, 9, 9)], (80, 60))
    missing = Sample(image=ImageRef(name="gone.jpg", width=5, height=5, location=str(tmp_path / "gone.jpg")))
    samples = [good.replace(image=good.image.model_copy(update={"name": f"{n}.jpg"})) for n in range(12)]
    problems = boxwright.datasets.problems.Problems("skip")
    step = Fix(size="picture")
    dataset = Dataset(SampleReader([*samples, missing]), problems=problems).through(step, workers=4)
    assert [size_of(sample) for sample in dataset] == [(80, 60)] * 12
    assert [error.file for error in problems.skipped] == [str(tmp_path / "gone.jpg")]
    assert step.notes()[0].startswith("12 pictures given the size of the file")


def test_no_file_of_the_source_is_touched(tmp_path: Path) -> None:
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
    # The edges stand in the wrong order: exchanging them is the reader's work, which this step asks it for.
    with pytest.raises(DataError, match=r"\n.*inverted=swap"):
        boxwright.convert(f"labelimg:{folder}", f"csv:{tmp_path}/out.csv")
    with pytest.raises(DataError, match="xmin"):
        boxwright.convert(f"labelimg:{folder}?inverted=error", f"csv:{tmp_path}/out.csv", steps=["fix"])
    report = boxwright.convert(f"labelimg:{folder}", f"csv:{tmp_path}/out.csv", steps=["fix:size=picture"])
    assert report.exchanged == 1
    assert (tmp_path / "out.csv").read_text().splitlines()[1:] == ["a.jpg,80,60,fig,40,0,80,20"]
    assert [note.partition(":")[0] for note in report.notes] == [
        "1 box cut at the edges of the picture",
        "1 picture given the size of the file; the boxes are as they were",
    ]
    assert {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.iterdir()} == before
