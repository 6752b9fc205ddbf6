"""The step ``resize``: boxes, orientation as in Pillow, unusual images, notes."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageOps

import boxwright_transforms.resize
from boxwright import Boxes, DataError, Dataset, ImageRef, Sample, UsageError
from boxwright.datasets import SampleReader
from boxwright.images import DecodedImage, decode_sample
from boxwright_transforms.resize import Resize

RED, BLUE = (230, 20, 20), (20, 20, 230)
ORIENTATION = 0x0112


def encoded(image: Image.Image, form: str = "JPEG", orientation: int | None = None, **options: Any) -> bytes:
    buffer = io.BytesIO()
    if orientation is not None:
        exif = Image.Exif()
        exif[ORIENTATION] = orientation
        options["exif"] = exif
    image.save(buffer, form, **options)
    return buffer.getvalue()


def sample_of(
    data: bytes, size: tuple[int, int], edges: list[Any] | None = None, name: str = "a.jpg", **fields: Any
) -> Sample:
    boxes = Boxes(["thing"] * len(edges or []), edges or [])
    image = ImageRef(name=name, width=size[0], height=size[1], data=data)
    return Sample(image=image, boxes=boxes, **fields)


def resized(sample: Sample, *arguments: Any, **options: Any) -> Sample:
    (result,) = Resize(*arguments, **options)([sample])
    return result


def pixels(sample: Sample) -> Image.Image:
    return Image.open(io.BytesIO(sample.image.read()))


def marked(size: tuple[int, int], box: tuple[int, int, int, int]) -> Image.Image:
    image = Image.new("RGB", size, BLUE)
    ImageDraw.Draw(image).rectangle((box[0], box[1], box[2] - 1, box[3] - 1), fill=RED)
    return image


def found(image: Image.Image) -> tuple[float, ...]:
    """Returns the coordinates of the red rectangle, found by its pixels."""
    rows, columns = np.nonzero(np.asarray(image.convert("RGB"))[..., 0] > 125)
    return (columns.min(), rows.min(), columns.max() + 1.0, rows.max() + 1.0)


@pytest.mark.parametrize(
    ("options", "size", "box"),
    [
        # 400x200 to 100x100: columns times 1/4, rows times 1/2
        ({}, (100, 100), (10.0, 10.0, 50.0, 90.0)),
        # the same aspect ratio, 100x50: both times 1/4
        ({"fit": "inside"}, (100, 50), (10.0, 5.0, 50.0, 45.0)),
        # the same with 25 rows of gray above and below
        ({"fit": "pad"}, (100, 100), (10.0, 30.0, 50.0, 70.0)),
    ],
)
def test_boxes_for_each_fit(options: dict[str, Any], size: tuple[int, int], box: tuple[float, ...]) -> None:
    image = marked((400, 200), (40, 20, 200, 180))
    result = resized(sample_of(encoded(image), image.size, [(40, 20, 200, 180)]), "100x100", **options)
    assert (result.image.width, result.image.height) == size
    assert result.boxes.coordinates == (box,)
    image = pixels(result)
    assert image.size == size
    assert found(image) == pytest.approx(box, abs=1)


def test_tall_images_fit_by_their_height() -> None:
    result = resized(
        sample_of(encoded(Image.new("RGB", (200, 400))), (200, 400), [(0, 0, 200, 400)]), "100x100", "inside"
    )
    assert pixels(result).size == (50, 100)
    assert result.boxes.coordinates == ((0.0, 0.0, 50.0, 100.0),)


def test_a_sliver_keeps_one_pixel() -> None:
    result = resized(sample_of(encoded(Image.new("RGB", (1000, 2))), (1000, 2)), "100x100", "inside")
    assert pixels(result).size == (100, 1)


@pytest.mark.parametrize("width", [1, 3, 7, 33, 641, 1999, 4032])
def test_a_box_over_the_whole_image_remains_exact(width: int) -> None:
    data = encoded(Image.new("L", (width, 5)), "PNG")
    for target in (1, 49, 97, 800):
        result = resized(sample_of(data, (width, 5), [(0, 0, width, 5)], "a.png"), f"{target}x3")
        assert result.boxes.coordinates == ((0.0, 0.0, float(target), 3.0),)


def test_labels_attributes_and_other_fields_are_kept() -> None:
    boxes = Boxes(["fig", "plum"], [(0, 0, 5, 5), (5, 5, 10, 10)], [{"difficult": 1}, {}])
    image = ImageRef(name="cam1/a.jpg", width=10, height=10, data=encoded(Image.new("RGB", (10, 10))))
    sample = Sample(image=image, boxes=boxes, split="test", attributes={"camera": "left"}, source="a.xml")
    result = resized(sample, "20x20")
    assert result.boxes.labels == ("fig", "plum")
    assert [dict(a) for a in result.boxes.attributes] == [{"difficult": 1}, {}]
    assert (result.split, result.attributes, result.source) == ("test", {"camera": "left"}, "a.xml")
    assert result.image.name == "cam1/a.jpg"


def test_outlines_and_areas_are_scaled_with_their_boxes() -> None:
    """200x100 to 100x100, columns times 1/2; COCO masks have the size of the image, so they are dropped."""
    square = [[20.0, 20.0, 60.0, 20.0, 60.0, 80.0]]
    rows = [{"segmentation": square, "area": 1200.0}, {"segmentation": {"counts": [5], "size": [1, 5]}, "iscrowd": 1}]
    boxes = Boxes(["fig", "fig"], [(20, 20, 60, 80), (0, 0, 5, 5)], rows)
    step = Resize("100x100")
    (result,) = step([sample_of(encoded(Image.new("RGB", (200, 100))), (200, 100)).replace(boxes=boxes)])
    assert [dict(row) for row in result.boxes.attributes] == [
        {"segmentation": [[10.0, 20.0, 30.0, 20.0, 30.0, 80.0]], "area": 600.0},
        {"iscrowd": 1},
    ]
    assert step.notes()[-1] == "the mask (segmentation) of 1 box was dropped: only polygons scale"


def test_outlines_are_rotated_and_padded_with_their_boxes() -> None:
    """Stored 80x40, rotated to 40x80, halved to 20x40, with 10 columns of gray on both sides."""
    data = encoded(marked((80, 40), (10, 10, 30, 20)), "PNG", 6)
    corners = [[10.0, 10.0, 30.0, 10.0, 30.0, 20.0, 10.0, 20.0]]
    sample = sample_of(data, (80, 40), [(10, 10, 30, 20)], "a.png")
    sample = sample.replace(boxes=Boxes(["fig"], sample.boxes.coordinates, [{"segmentation": corners}]))
    result = resized(sample, "40x40", "pad")
    xmin, ymin, xmax, ymax = result.boxes.coordinates[0]
    assert found(pixels(result)) == pytest.approx(result.boxes.coordinates[0], abs=1)
    (polygon,) = result.boxes.attributes[0]["segmentation"]
    assert set(zip(polygon[::2], polygon[1::2], strict=True)) == {(x, y) for x in (xmin, xmax) for y in (ymin, ymax)}


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("form", ["JPEG", "PNG"])
def test_orientation_is_applied_as_in_pillow(orientation: int, form: str) -> None:
    """Finds the box in the pixels that Pillow rotated, and in those that resize made from the same file."""
    stored = marked((320, 160), (40, 24, 120, 104))
    data = encoded(stored, form, orientation)
    upright = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    expected = found(upright)
    assert (upright.size == stored.size) == (orientation < 5)
    step = Resize(f"{upright.width // 2}x{upright.height // 2}")
    name = "a.jpg" if form == "JPEG" else "a.png"
    annotations = [(upright.size, expected)]
    if orientation >= 5:  # then the annotated size indicates boxes of the stored pixels
        annotations.append((stored.size, found(stored)))
    for size, box in annotations:
        (result,) = step([sample_of(data, size, [box], name)])
        image = pixels(result)
        assert image.getexif().get(ORIENTATION) is None
        assert image.size == (upright.width // 2, upright.height // 2)
        assert result.boxes.coordinates == (tuple(coordinate / 2 for coordinate in expected),)
        assert found(image) == pytest.approx(result.boxes.coordinates[0], abs=1)
    notes = [note for note in step.notes() if "EXIF" in note]
    assert notes == ([] if orientation == 1 else ["1 image rotated by their EXIF orientation, pixels and boxes"])


def test_a_large_photo_is_decoded_at_a_fraction(monkeypatch: pytest.MonkeyPatch) -> None:
    """1600x1200 to 180x130: an eighth (200x150) is sufficient, and no larger image is created."""
    decoded: list[tuple[int, int]] = []

    def spying(sample: Sample, **options: Any) -> DecodedImage:
        opened = decode_sample(sample, **options)
        decoded.append(opened.image.size)
        return opened

    monkeypatch.setattr(boxwright_transforms.resize, "decode_sample", spying)
    image = marked((1600, 1200), (400, 300, 1200, 900))
    result = resized(sample_of(encoded(image), image.size, [(400, 300, 1200, 900)]), "180x130")
    assert decoded == [(200, 150)]
    assert result.boxes.coordinates == ((45.0, 32.5, 135.0, 97.5),)
    assert found(pixels(result)) == pytest.approx(result.boxes.coordinates[0], abs=1)
    resized(sample_of(encoded(image, orientation=6), (1200, 1600)), "130x180")
    assert decoded[1:] == [(150, 200)], "the size is not that of the rotated image"


def test_shrinking_averages_pixels() -> None:
    """Single black and white columns become gray; nearest neighbor would produce stripes or one of the two."""
    stripes = np.zeros((64, 256), np.uint8)
    stripes[:, ::2] = 255
    result = resized(sample_of(encoded(Image.fromarray(stripes), "PNG"), (256, 64), name="a.png"), "32x8")
    levels = np.asarray(pixels(result))[2:-2, 2:-2]
    assert levels.min() > 110
    assert levels.max() < 145


@pytest.mark.parametrize("mode", ["CMYK", "L", "1", "RGBA", "LA", "P", "I;16"])
def test_all_modes_become_rgb(mode: str) -> None:
    if mode == "I;16":
        levels = np.full((40, 60), 40000, np.uint16)
        image = Image.fromarray(levels)
        expected = 40000 / 65535 * 255
    elif mode in ("RGBA", "LA"):
        image = Image.new("RGBA", (60, 40), (0, 0, 0, 0)).convert(mode)  # only transparency, on white
        expected = 255.0
    else:
        image = Image.new("RGB", (60, 40), (255, 255, 255)).convert(mode)
        expected = 255.0
    form, name = ("JPEG", "a.jpg") if mode == "CMYK" else ("PNG", "a.png")
    result = resized(sample_of(encoded(image, form), (60, 40), [(0, 0, 60, 40)], name), "30x20")
    image = pixels(result)
    assert (image.mode, image.size, image.format) == ("RGB", (30, 20), form)
    assert np.asarray(image).mean() == pytest.approx(expected, abs=3)


@pytest.mark.parametrize(
    ("form", "name", "new_form", "new_name"),
    [
        ("JPEG", "cam.1/a.JPEG", "jpeg", "cam.1/a.JPEG"),
        ("PNG", "a.png", "png", "a.png"),
        ("BMP", "cam.1/a.bmp", "jpeg", "cam.1/a.jpg"),
        ("WEBP", "a.webp", "jpeg", "a.jpg"),
        ("GIF", "a.b.gif", "jpeg", "a.b.jpg"),
        ("TIFF", "scan", "jpeg", "scan.jpg"),
        ("JPEG", "really-jpeg.png", "jpeg", "really-jpeg.jpg"),
    ],
)
def test_formats_and_names(form: str, name: str, new_form: str, new_name: str) -> None:
    step = Resize("20x20")
    (result,) = step([sample_of(encoded(Image.new("RGB", (40, 40), RED), form), (40, 40), name=name)])
    assert (result.image.name, result.image.format) == (new_name, new_form)
    assert pixels(result).format == new_form.upper()
    renamed = ["1 image written as JPEG with the suffix .jpg"] if name != new_name else []
    assert step.notes() == ["1 image resized to 20x20", *renamed]


@pytest.mark.parametrize("options", [{}, {"fit": "inside"}])
def test_another_format_is_never_unchanged(options: dict[str, str]) -> None:
    (result,) = Resize("40x40", **options)([sample_of(encoded(Image.new("RGB", (40, 40), RED), "GIF"), (40, 40))])  # type: ignore[arg-type]
    assert (result.image.format, pixels(result).format) == ("jpeg", "JPEG")


def test_lower_quality_produces_smaller_files() -> None:
    noise = Image.effect_noise((200, 200), 80).convert("RGB")
    sample = sample_of(encoded(noise, quality=95), (200, 200))
    assert len(resized(sample, "100x100", quality=30).image.read()) < len(resized(sample, "100x100").image.read()) / 2


def test_an_image_of_the_requested_size_is_not_encoded_again() -> None:
    sample = sample_of(encoded(marked((64, 48), (4, 4, 20, 20))), (64, 48), [(4, 4, 20, 20)])
    step = Resize("64x48")
    assert list(step([sample])) == [sample]
    assert step.notes() == ["1 image unchanged"]
    turned = sample_of(encoded(Image.new("RGB", (64, 48)), orientation=3), (64, 48))
    assert resized(turned, "64x48").image.read() != turned.image.read(), "an image with an orientation was not rotated"


def test_only_larger_leaves_smaller_images_unchanged() -> None:
    small = sample_of(encoded(Image.new("RGB", (64, 48))), (64, 48), [(4, 4, 20, 20)], "small.jpg")
    wide = sample_of(encoded(Image.new("RGB", (200, 20))), (200, 20), [(0, 0, 200, 20)], "wide.jpg")
    step = Resize("100x100", "inside", only_larger=True)
    same, shrunk = step([small, wide])
    assert same == small
    assert (shrunk.image.width, shrunk.image.height) == (100, 10)
    assert step.notes() == ["1 image resized to within 100x100", "1 image unchanged"]


def test_notes_count_each_image_once() -> None:
    data = encoded(Image.new("RGB", (40, 40)))
    samples = [sample_of(data, (40, 40), name=f"{i}.jpg") for i in range(16)]
    step = Resize("20x20")
    dataset = Dataset(SampleReader(samples)).through(step, workers=4)
    assert len(list(dataset)) == 16
    assert len(list(dataset)) == 16
    assert step.notes() == ["16 images resized to 20x20"]


def test_a_truncated_jpeg_is_a_data_error() -> None:
    data = encoded(Image.effect_noise((300, 300), 60).convert("RGB"))
    sample = sample_of(data[: len(data) // 2], (300, 300), source="a.xml", name="cut.jpg")
    with pytest.raises(DataError, match="damaged") as caught:
        resized(sample, "100x100")
    assert caught.value.remedy


@pytest.mark.parametrize("data", [b"", b"not an image", b"\xff\xd8\xff"])
def test_invalid_images_are_data_errors(data: bytes) -> None:
    with pytest.raises(DataError) as caught:
        resized(sample_of(data, (10, 10), source="a.xml"), "5x5")
    assert "a.xml" in str(caught.value)
    assert caught.value.remedy


def test_a_missing_image_is_a_data_error(tmp_path: Path) -> None:
    image = ImageRef(name="gone.jpg", width=10, height=10, location=str(tmp_path / "gone.jpg"))
    with pytest.raises(DataError, match=r"gone\.jpg"):
        resized(Sample(image=image), "5x5")


def test_an_annotation_of_another_size_is_a_data_error() -> None:
    """Even if the image would remain unchanged."""
    data = encoded(Image.new("RGB", (64, 48)))
    for requested in ("64x48", "32x24"):
        with pytest.raises(DataError, match="60x48.*64x48"):
            resized(sample_of(data, (60, 48)), requested)


@pytest.mark.parametrize("size", ["", "800", "800x", "x600", "0x5", "-3x5", "8.5x4", "9999999x1", "99999x99999"])
def test_invalid_sizes(size: str) -> None:
    with pytest.raises(UsageError, match="resize"):
        Resize(size)


@pytest.mark.parametrize("size", ["800x600", "800X600", " 800 x 600 ", "800×600"])
def test_spellings_of_sizes(size: str) -> None:
    assert Resize(size).size == (800, 600)
