"""Drawings of differences: the choice of images, and the color of each kind of box."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from boxwright import DataError, Dataset, OutputError, Sample, UsageError
from boxwright.analysis.comparison.gallery import _COLORS, compare_with_images
from boxwright.datasets.dataset import SampleReader
from boxwright.plugins.registry import Registry

FIG = ("fig", 10, 10, 40, 40)
DATE = ("date", 60, 10, 90, 40)

MakeSample = Callable[..., Sample]


def png(size: tuple[int, int] = (100, 80)) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", size, "white").save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def shot(sample: MakeSample) -> MakeSample:
    """A sample with a white image."""

    def make(name: str, *boxes: tuple[object, ...], size: tuple[int, int] = (100, 80)) -> Sample:
        return sample(name, *boxes, size=size, image={"data": png(size)})

    return make


def data(*samples: Sample) -> Dataset:
    return Dataset(SampleReader(samples))


def has(image: Image.Image, color: tuple[int, int, int], least: int = 30) -> bool:
    """Whether an image has some pixels of a color."""
    pixels = {color: number for number, color in image.getcolors(image.width * image.height) or []}
    return pixels.get(color, 0) >= least


def only_image(path: Path) -> Image.Image:
    """The only image of a contact sheet, 400x320, between the legend and the caption."""
    with Image.open(path) as sheet:
        bottom, left = sheet.height - 50, (sheet.width - 400) // 2
        return sheet.crop((left, bottom - 320, left + 400, bottom))


def drawn_kinds(path: Path) -> set[str]:
    """The kinds of boxes whose color is in the image."""
    image = only_image(path)
    return {kind for kind, color in _COLORS.items() if has(image, color)}


@pytest.mark.parametrize(
    ("first", "second", "kinds"),
    [
        ([FIG, DATE], [DATE], {"only in the first", "the same"}),
        ([DATE], [FIG, DATE], {"only in the second", "the same"}),
        ([FIG, DATE], [("fig", 14, 14, 44, 44), DATE], {"moved: in the first", "moved: in the second", "the same"}),
        ([FIG], [("date", *FIG[1:])], {"of another class or other attributes"}),
        ([(*FIG, {"pose": "Left"}), DATE], [FIG, DATE], {"of another class or other attributes", "the same"}),
    ],
)
def test_each_kind_has_its_colour(
    first: list[tuple[object, ...]],
    second: list[tuple[object, ...]],
    kinds: set[str],
    shot: MakeSample,
    tmp_path: Path,
) -> None:
    out = tmp_path / "sheet.png"
    found, drawn = compare_with_images(data(shot("a", *first)), data(shot("a", *second)), out=out)
    assert drawn == 1
    assert not found.same
    assert drawn_kinds(out) == kinds


def test_images_in_only_one_dataset_and_of_two_sizes(shot: MakeSample, tmp_path: Path) -> None:
    out = tmp_path / "sheet.png"
    half = ("fig", 30, 5, 45, 20)
    _, drawn = compare_with_images(data(), data(shot("b", FIG)), out=out)
    assert drawn == 1
    assert drawn_kinds(out) == {"only in the second"}
    # The second's box, in an image of half the size, is at the position of DATE in the first.
    _, drawn = compare_with_images(data(shot("a", FIG)), data(shot("a", half, size=(50, 40))), out=out, overwrite=True)
    right = only_image(out).crop((220, 0, 400, 320))
    assert has(right, _COLORS["only in the second"])
    assert not has(right, _COLORS["only in the first"])


def test_a_page_of_the_images_that_differ_most(shot: MakeSample, tmp_path: Path) -> None:
    out = tmp_path / "page.html"
    first = data(*[shot(f"{i}.jpg", *[FIG] * (i % 4)) for i in range(8)])
    second = data(*[shot(f"{i}.jpg") for i in range(8)])
    found, drawn = compare_with_images(first, second, out=out, images=3, keep=1)
    text = out.read_text("utf-8")
    assert drawn == text.count("<img ") == 3
    assert found.counts == {"removed": 12}
    # Three boxes are gone from 3.jpg and 7.jpg, two from 2.jpg and 6.jpg: the earlier of equals comes first.
    captions = [name for name in (f"{i}.jpg" for i in range(8)) if f"{name} ·" in text]
    assert captions == ["2.jpg", "3.jpg", "7.jpg"]
    assert text.index("3.jpg ·") < text.index("7.jpg ·") < text.index("2.jpg ·")
    assert "removed 3" in text
    assert "removed: 12" in text


def test_the_image_is_from_the_second_dataset_if_the_first_has_none(
    sample: MakeSample, shot: MakeSample, tmp_path: Path
) -> None:
    out = tmp_path / "sheet.png"
    _, drawn = compare_with_images(data(sample("a", FIG)), data(shot("a", DATE)), out=out)
    assert drawn == 1
    assert drawn_kinds(out) == {"only in the first", "only in the second"}


def test_images_that_cannot_be_read_are_skipped(sample: MakeSample, tmp_path: Path) -> None:
    broken = sample("b", FIG, image={"data": b"not an image"})
    found, drawn = compare_with_images(
        data(sample("a", FIG), broken), data(sample("a"), broken.replace(boxes=())), out=tmp_path / "page.html"
    )
    assert drawn == 0
    assert [error.file for error in found.skipped] == ["source of b"]
    assert found.counts == {"removed": 2}


def test_where_nothing_differs_nothing_is_drawn(shot: MakeSample, tmp_path: Path) -> None:
    found, drawn = compare_with_images(data(shot("a", FIG)), data(shot("a", FIG)), out=tmp_path / "page.html")
    assert (found.same, drawn) == (True, 0)
    assert (tmp_path / "page.html").exists()


def test_wrong_outputs(shot: MakeSample, plugins: Registry, tmp_path: Path) -> None:
    one = data(shot("a", FIG))
    with pytest.raises(UsageError, match=r"\.png, \.jpg or \.html"):
        compare_with_images(one, one, out=tmp_path / "page.pdf")
    with pytest.raises(UsageError, match="too many for a contact sheet"):
        compare_with_images(one, one, out=tmp_path / "sheet.png", images=101)
    (tmp_path / "mine.html").write_text("mine")
    with pytest.raises(OutputError, match="exists already"):
        compare_with_images(one, one, out=tmp_path / "mine.html")
    with pytest.raises(DataError, match="file not found"):
        compare_with_images(one, "lines:nowhere.jsonl", out=tmp_path / "new.html", registry=plugins)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine.html"]
