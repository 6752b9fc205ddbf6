"""Decoding image files, compared with Pillow's ``exif_transpose`` and with marks in the pixels."""

from __future__ import annotations

import base64
import io
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pytest
from PIL import Image, ImageOps

from boxwright import Boxes, DataError, ImageRef, Sample, UsageError
from boxwright.images import check_size, decode as images

STORED = (96, 64)
MARK = (16, 8, 40, 56)  # in the stored pixels; at multiples of 8, so that JPEG keeps it sharp
EVERY_TURN = range(1, 9)


def marked(orientation: int, format: str = "PNG", size: tuple[int, int] = STORED) -> bytes:
    """Encodes a black image with a white mark and an EXIF orientation."""
    image = Image.new("RGB", size, (0, 0, 0))
    factor = size[0] // STORED[0]
    image.paste((255, 255, 255), tuple(edge * factor for edge in MARK))  # type: ignore[arg-type]
    exif = Image.Exif()
    exif[0x0112] = orientation
    options: dict[str, Any] = {"quality": 95, "subsampling": 0} if format == "JPEG" else {}
    if format == "WEBP":
        options["lossless"] = True
    buffer = io.BytesIO()
    image.save(buffer, format, exif=exif, **options)
    return buffer.getvalue()


def mark_of(image: Image.Image) -> tuple[float, ...]:
    """Returns the box of the mark, found by its pixels."""
    rows, columns = np.nonzero(np.asarray(image.convert("L")) > 127)
    return (float(columns.min()), float(rows.min()), float(columns.max() + 1), float(rows.max() + 1))


def turned_by_pillow(data: bytes) -> Image.Image:
    with Image.open(io.BytesIO(data)) as image:
        return ImageOps.exif_transpose(image).convert("RGB")


def sample_of(data: bytes, size: tuple[int, int], box: tuple[float, ...] = MARK) -> Sample:
    image = ImageRef(name="a.jpg", width=size[0], height=size[1], data=data)
    return Sample(image=image, boxes=Boxes(["mark"], [box], [{"pose": "Left"}]), source="a.xml")  # type: ignore[list-item]


def encoded(image: Image.Image, format: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def test_the_mark_is_found_in_the_marked_image() -> None:
    assert mark_of(Image.open(io.BytesIO(marked(1)))) == MARK


class TestOrientation:
    @pytest.mark.parametrize("format", ["PNG", "JPEG", "TIFF", "WEBP"])
    @pytest.mark.parametrize("orientation", EVERY_TURN)
    def test_pixels_are_those_of_pillow(self, orientation: int, format: str) -> None:
        data = marked(orientation, format)
        judge = turned_by_pillow(data)
        decoded = images.decode_image(data, "a")
        assert decoded.mode == "RGB"
        assert decoded.size == judge.size
        assert np.array_equal(np.asarray(decoded), np.asarray(judge))

    @pytest.mark.parametrize("format", ["PNG", "JPEG", "TIFF", "WEBP"])
    @pytest.mark.parametrize("orientation", EVERY_TURN)
    def test_the_header_tells_both_sizes(self, orientation: int, format: str) -> None:
        data = marked(orientation, format)
        header = images.read_header(data, "a")
        assert (header.width, header.height) == STORED
        assert header.upright_size == turned_by_pillow(data).size
        assert (header.orientation, header.format) == (orientation, format.lower())

    @pytest.mark.parametrize("orientation", EVERY_TURN)
    def test_boxes_in_the_upright_frame_stay(self, orientation: int) -> None:
        data = marked(orientation)
        judge = turned_by_pillow(data)
        decoded = images.decode_sample(sample_of(data, judge.size, mark_of(judge)))
        assert decoded.boxes.coordinates == (mark_of(judge),)
        assert mark_of(decoded.image) == mark_of(judge)
        assert not decoded.rotated_boxes
        assert decoded.to_annotation(decoded.boxes.xyxy).tolist() == [list(mark_of(judge))]

    @pytest.mark.parametrize("format", ["PNG", "JPEG", "TIFF"])
    @pytest.mark.parametrize("orientation", [5, 6, 7, 8])
    def test_boxes_in_the_stored_frame_turn_with_the_pixels(self, orientation: int, format: str) -> None:
        decoded = images.decode_sample(sample_of(marked(orientation, format), STORED))
        assert decoded.image.size == STORED[::-1]
        assert decoded.boxes.coordinates == (mark_of(decoded.image),)
        assert decoded.boxes.labels == ("mark",)
        assert dict(decoded.boxes.attributes[0]) == {"pose": "Left"}
        assert decoded.rotated_boxes
        assert decoded.to_annotation(decoded.boxes.xyxy).tolist() == [list(MARK)]

    @pytest.mark.parametrize("orientation", EVERY_TURN)
    def test_rotate_boxes_follows_the_pixels(self, orientation: int) -> None:
        judge = turned_by_pillow(marked(orientation))
        turned = images.rotate_boxes(np.array([MARK]), orientation, STORED)
        assert turned.shape == (1, 4)
        assert tuple(turned[0]) == mark_of(judge)

    def test_no_boxes_turn_into_no_boxes(self) -> None:
        assert images.rotate_boxes(np.zeros((0, 4)), 6, STORED).shape == (0, 4)

    def test_boxes_of_a_square_image_are_upright(self) -> None:
        data = marked(6, size=(96, 96))
        decoded = images.decode_sample(sample_of(data, (96, 96), (1, 2, 3, 4)))
        assert decoded.boxes.coordinates == ((1, 2, 3, 4),)

    @pytest.mark.parametrize("orientation", [0, 9, 77])
    def test_an_unknown_orientation_turns_nothing(self, orientation: int) -> None:
        data = marked(orientation)
        assert images.read_header(data, "a").orientation == 1
        assert mark_of(images.decode_image(data, "a")) == MARK

    def test_damaged_exif_turns_nothing(self) -> None:
        image = Image.new("RGB", STORED)
        image.paste((255, 255, 255), MARK)
        data = encoded(image, "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff", quality=95)
        assert images.read_header(data, "a").orientation == 1
        with pytest.warns(UserWarning, match="Corrupt EXIF"):
            assert images.decode_image(data, "a").size == STORED

    @pytest.mark.parametrize("orientation", EVERY_TURN)
    def test_a_reference_has_the_upright_size(self, orientation: int, tmp_path: Path) -> None:
        path = tmp_path / "a.tif"
        path.write_bytes(marked(orientation, "TIFF"))
        reference = images.image_ref(str(path))
        assert (reference.width, reference.height) == turned_by_pillow(path.read_bytes()).size
        assert (reference.name, reference.location, reference.format) == ("a.tif", str(path), "tiff")


class TestReducedDecoding:
    @pytest.mark.parametrize("orientation", EVERY_TURN)
    def test_boxes_match_the_smaller_image(self, orientation: int) -> None:
        data = marked(orientation, "JPEG", (384, 256))
        upright = turned_by_pillow(data)
        requested = (upright.width // 4, upright.height // 4)
        decoded = images.decode_sample(sample_of(data, upright.size, mark_of(upright)), at_least=requested)
        assert decoded.image.size == requested
        assert decoded.boxes.coordinates == (mark_of(decoded.image),)
        assert decoded.to_annotation(decoded.boxes.xyxy).tolist() == [list(mark_of(upright))]

    @pytest.mark.parametrize("orientation", [5, 6, 7, 8])
    def test_boxes_of_the_stored_frame_are_turned_and_scaled(self, orientation: int) -> None:
        sample = sample_of(marked(orientation, "JPEG", (384, 256)), (384, 256), tuple(4 * edge for edge in MARK))
        decoded = images.decode_sample(sample, at_least=(64, 96))
        assert decoded.image.size == (64, 96)
        assert decoded.boxes.coordinates == (mark_of(decoded.image),)
        assert decoded.to_annotation(decoded.boxes.xyxy).tolist() == [[4.0 * edge for edge in MARK]]

    @pytest.mark.parametrize("requested", [(384, 256), (200, 100), (193, 1), (96, 64), (500, 500)])
    def test_it_is_never_smaller_than_requested(self, requested: tuple[int, int]) -> None:
        size = images.decode_image(marked(1, "JPEG", (384, 256)), "a", at_least=requested).size
        assert size[0] >= min(requested[0], 384)
        assert size[1] >= min(requested[1], 256)
        assert 384 % size[0] == 0

    def test_a_png_has_its_full_size(self) -> None:
        assert images.decode_image(marked(1), "a", at_least=(10, 10)).size == STORED

    @pytest.mark.parametrize("orientation", EVERY_TURN)
    @pytest.mark.parametrize("format", ["PNG", "JPEG"])
    def test_pixels_of_a_requested_size(self, format: str, orientation: int) -> None:
        data = marked(orientation, format, (384, 256))
        upright = turned_by_pillow(data)
        pixels, boxes = images.load_pixels(sample_of(data, upright.size, mark_of(upright)), (96, 64))
        assert pixels.shape == (64, 96, 3)
        assert pixels.dtype == np.uint8
        assert np.allclose(boxes.xyxy[0], mark_of(Image.fromarray(pixels)), atol=0.51)

    def test_pixels_of_the_original_size(self) -> None:
        pixels, boxes = images.load_pixels(sample_of(marked(1), STORED))
        assert pixels.shape == (64, 96, 3)
        assert boxes.coordinates == (MARK,)


class TestModes:
    def test_cmyk_jpeg(self) -> None:
        red = Image.new("CMYK", (16, 16), (0, 255, 255, 0))
        pixel = images.decode_image(encoded(red, "JPEG", quality=100), "a").getpixel((8, 8))
        assert pixel == (255, 0, 0)

    def test_grey(self) -> None:
        assert images.decode_image(encoded(Image.new("L", (4, 4), 77)), "a").getpixel((1, 1)) == (77, 77, 77)

    def test_black_and_white(self) -> None:
        assert images.decode_image(encoded(Image.new("1", (4, 4), 1)), "a").getpixel((1, 1)) == (255, 255, 255)

    @pytest.mark.parametrize(
        ("values", "expected"),
        [
            ([0, 65535, 32768], [0, 255, 128]),  # 16 bits
            ([0, 4095, 2048], [0, 255, 128]),  # 12 bits kept in 16
            ([0, 255, 100], [0, 255, 100]),  # 8 bits kept in 16
            ([0, 0, 0], [0, 0, 0]),
        ],
    )
    def test_sixteen_bit_png(self, values: list[int], expected: list[int]) -> None:
        data = encoded(Image.fromarray(np.array([values], dtype=np.uint16)))
        assert np.asarray(images.decode_image(data, "a"))[0].tolist() == [[value] * 3 for value in expected]

    def test_sixteen_bits_need_little_memory(self) -> None:
        """Two bytes per pixel for the image, one for the gray pixels, and a copy for numpy; not eight for each step."""
        data = encoded(Image.fromarray(np.arange(2_000_000, dtype=np.uint16).reshape(1000, 2000)))
        tracemalloc.start()
        images.decode_image(data, "a")
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 9 * 2_000_000

    @pytest.mark.parametrize(
        ("values", "expected"),
        [([0.0, 1.0, 0.5], [0, 255, 128]), ([float("nan"), -3.0, 255.0], [0, 0, 255])],
    )
    def test_floating_point_tiff(self, values: list[float], expected: list[int]) -> None:
        data = encoded(Image.fromarray(np.array([values], dtype=np.float32)), "TIFF")
        assert np.asarray(images.decode_image(data, "a"))[0].tolist() == [[value] * 3 for value in expected]

    @pytest.mark.parametrize(
        ("mode", "clear", "solid", "expected"),
        [
            ("RGBA", (10, 20, 30, 0), (10, 20, 30, 255), (10, 20, 30)),
            ("LA", (50, 0), (50, 255), (50, 50, 50)),
        ],
    )
    def test_transparent_pixels_are_white(
        self, mode: str, clear: tuple[int, ...], solid: tuple[int, ...], expected: tuple[int, ...]
    ) -> None:
        image = Image.new(mode, (2, 1), clear)
        image.putpixel((1, 0), solid)
        decoded = images.decode_image(encoded(image), "a")
        assert [decoded.getpixel((x, 0)) for x in (0, 1)] == [(255, 255, 255), expected]

    def test_half_transparent_is_half_white(self) -> None:
        decoded = images.decode_image(encoded(Image.new("RGBA", (1, 1), (0, 0, 0, 128))), "a")
        assert decoded.getpixel((0, 0)) == (127, 127, 127)

    @pytest.mark.parametrize("format", ["PNG", "GIF"])
    def test_a_palette_with_a_transparent_colour(self, format: str) -> None:
        image = Image.new("P", (2, 1), 0)
        image.putpalette([200, 0, 0, 0, 0, 200])
        image.putpixel((1, 0), 1)
        decoded = images.decode_image(encoded(image, format, transparency=0), "a")
        assert [decoded.getpixel((x, 0)) for x in (0, 1)] == [(255, 255, 255), (0, 0, 200)]

    def test_the_transparent_colour_of_a_png(self) -> None:
        image = Image.new("RGB", (2, 1), (1, 2, 3))
        image.putpixel((1, 0), (9, 9, 9))
        decoded = images.decode_image(encoded(image, transparency=(1, 2, 3)), "a")
        assert [decoded.getpixel((x, 0)) for x in (0, 1)] == [(255, 255, 255), (9, 9, 9)]

    def test_the_first_frame_of_an_animation_is_decoded(self) -> None:
        first, second = (Image.new("RGB", (4, 4), color) for color in ((255, 0, 0), (0, 0, 255)))
        data = encoded(first, "GIF", save_all=True, append_images=[second])
        assert images.decode_image(data, "a").getpixel((0, 0)) == (255, 0, 0)

    @pytest.mark.parametrize("format", ["JPEG", "PNG", "BMP", "GIF", "TIFF", "WEBP", "PPM"])
    def test_every_format(self, format: str) -> None:
        data = encoded(Image.new("RGB", (9, 5), (255, 255, 255)), format)
        header = images.read_header(data, "a")
        assert (header.width, header.height, header.format) == (9, 5, format.lower())
        assert images.decode_image(data, "a").getpixel((4, 2)) == (255, 255, 255)

    @pytest.mark.parametrize("at_least", [None, (24, 16)])
    def test_several_images_in_a_jpeg(self, at_least: tuple[int, int] | None) -> None:
        first, second = (Image.new("RGB", STORED, color) for color in ((255, 255, 255), (0, 0, 0)))
        data = encoded(first, "MPO", save_all=True, append_images=[second])
        assert images.read_header(data, "a").format == "mpo"
        decoded = images.decode_image(data, "a", at_least=at_least)
        assert decoded.size == (at_least or STORED)
        assert decoded.getpixel((4, 2)) == (255, 255, 255)

    def test_rgb_is_not_copied(self) -> None:
        image = Image.new("RGB", (4, 4))
        assert images.to_rgb(image) is image


class TestBadImages:
    @pytest.mark.parametrize("format", ["JPEG", "PNG", "BMP"])
    def test_truncated(self, format: str) -> None:
        rng = np.random.default_rng(0)
        whole = encoded(Image.fromarray(rng.integers(0, 255, (64, 96, 3), dtype=np.uint8)), format)
        with pytest.raises(DataError, match=r"photo\.x: .*damaged") as caught:
            images.decode_image(whole[: len(whole) // 2], "photo.x")
        assert caught.value.remedy

    def test_empty(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match=r"photo\.jpg: the file is empty"):
            images.read_header(b"", "photo.jpg")
        path = tmp_path / "photo.jpg"
        path.touch()
        with pytest.raises(DataError, match=r"photo\.jpg: the file is empty"):
            images.image_ref(str(path))

    @pytest.mark.parametrize("data", [b"<annotation/>", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"BM" + b"\0" * 60])
    def test_not_an_image(self, data: bytes, tmp_path: Path) -> None:
        with pytest.raises(DataError, match=r"photo\.jpg: it cannot be read as an image\n"):
            images.read_header(data, "photo.jpg")
        path = tmp_path / "photo.jpg"
        path.write_bytes(data)
        with pytest.raises(DataError, match=r"photo\.jpg: it cannot be read as an image\n"):
            images.image_ref(str(path))

    def test_a_reference_to_nothing(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match=r"gone\.jpg: No such file"):
            images.image_ref(str(tmp_path / "gone.jpg"))
        with pytest.raises(DataError, match="directory"):
            images.image_ref(str(tmp_path))

    def test_the_pixel_limit(self, monkeypatch: pytest.MonkeyPatch) -> None:
        data = marked(1)
        monkeypatch.setattr(images, "MAX_PIXELS", 96 * 64)
        assert images.read_header(data, "a").width == 96
        monkeypatch.setattr(images, "MAX_PIXELS", 96 * 64 - 1)
        for read in (images.read_header, images.decode_image):
            with pytest.raises(DataError, match="a: 96x64 is more than 6,143 pixels") as caught:
                read(data, "a")
            assert "BOXWRIGHT_MAX_PIXELS" in caught.value.remedy

    def test_images_that_pillow_reports_as_a_bomb(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
        with pytest.raises(DataError, match="more than .* pixels"):
            images.open_image(marked(1), "a")

    @pytest.mark.parametrize("text", ["", "0", "-3", "1e6", "many"])
    def test_a_limit_that_is_not_a_number(self, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("BOXWRIGHT_MAX_PIXELS", text)
        with pytest.raises(UsageError, match="BOXWRIGHT_MAX_PIXELS"):
            images._pixel_limit()

    @pytest.mark.parametrize("size", [(96, 65), (64, 96), (1, 1)])
    def test_another_size_than_annotated(self, size: tuple[int, int]) -> None:
        with pytest.raises(DataError) as caught:
            images.decode_sample(sample_of(marked(1), size, (0, 0, 1, 1)))
        assert caught.value.file == "a.xml"
        assert f"{size[0]}x{size[1]}" in caught.value.problem
        assert "96x64" in caught.value.problem
        assert "a.jpg" in caught.value.problem
        assert caught.value.remedy

    def test_a_missing_image(self, tmp_path: Path) -> None:
        place = str(tmp_path / "gone.jpg")
        sample = Sample(image=ImageRef(name="gone.jpg", width=4, height=4, location=place))
        with pytest.raises(DataError, match="file not found") as caught:
            images.decode_sample(sample)
        assert caught.value.file == place
        assert "images=" in caught.value.remedy

    def test_an_image_without_a_location(self) -> None:
        with pytest.raises(DataError, match=r"a\.jpg: .*does not contain the location") as caught:
            ImageRef(name="a.jpg", width=4, height=4).read()
        assert "images=" in caught.value.remedy


class TestRemoteImages:
    @pytest.fixture
    def remote(self) -> Callable[[str, bytes], str]:
        def put(name: str, data: bytes) -> str:
            url = f"memory://boxwright-images/{name}"
            with fsspec.open(url, "wb") as file:
                file.write(data)
            return url

        return put

    def test_its_boxes_are_turned_too(self, remote: Callable[[str, bytes], str]) -> None:
        url = remote("a.jpg", marked(6, "JPEG"))
        image = ImageRef(name="a.jpg", width=96, height=64, location=url)
        decoded = images.decode_sample(Sample(image=image, boxes=Boxes(["mark"], [MARK])))
        assert decoded.boxes.coordinates == (mark_of(decoded.image),)

    def test_a_missing_one(self) -> None:
        image = ImageRef(name="a.jpg", width=96, height=64, location="memory://boxwright-images/gone.jpg")
        with pytest.raises(DataError, match=r"memory://boxwright-images/gone\.jpg: file not found"):
            image.read()

    def test_a_damaged_one_is_reported_with_its_url(self, remote: Callable[[str, bytes], str]) -> None:
        url = remote("bad.jpg", b"nothing")
        with pytest.raises(DataError, match=r"memory://boxwright-images/bad\.jpg: it cannot be read as an image"):
            images.decode_sample(Sample(image=ImageRef(name="bad.jpg", width=96, height=64, location=url)))


@pytest.mark.parametrize("format", ["JPEG", "WEBP"])
@pytest.mark.parametrize("orientation", EVERY_TURN)
def test_the_size_of_an_annotation_must_be_that_of_the_displayed_image(orientation: int, format: str) -> None:
    data = marked(orientation, format)
    upright = turned_by_pillow(data).size
    check_size(sample_of(data, upright, (0, 0, 1, 1)))
    wrong = {upright[::-1]: "--with upright" if upright != STORED else "fix:size", (48, 32): "fix:size=picture"}
    for size, remedy in wrong.items():
        with pytest.raises(DataError, match=f"a.xml(?s:.*){remedy}"):
            check_size(sample_of(data, size, (0, 0, 1, 1)))


@pytest.mark.parametrize("format", ["AVIF", "JPEG2000"])
def test_images_of_browsers(format: str) -> None:
    image = Image.new("RGB", (48, 32), (200, 60, 20))
    data = encoded(image, format)
    header = images.read_header(data, "a")
    assert (header.width, header.height, header.format) == (48, 32, format.lower())
    assert np.abs(np.asarray(images.decode_image(data, "a"), dtype=int) - (200, 60, 20)).max() < 8


HEIC = base64.b85decode(
    "0000SW^{RQXk}?*00000ZE0pPXk}?*ZE0a<00042ZDn*}000000000XXk=`10000000000aA{+700000000000000000000B57=IV*mgE07O6l"
    "0RRC200001dH?|c00000001ih001LtX>Mi!000000RR916=`l}WdZ;I000310BCk&F#rGn01j|zbZr0t000010002iX>f9I0002DX>en20001Z"
    "Xm(>m0RwOV0058x000009`FGC{rLC*01pFT0096PKmiN^|NjGU00093kN^M!000939=ZZRVE_RDD?$MQ18@KU0|1Z!00RI30{|YNAb|yz>PacC"
    "ZUPz%2mk;B0LTCU0{{p>VgLaE2SfqEa<C#m0000JV{dG7ZewhC0096E00w{n000zeb8uw<00000002M$002M$000nhX?SS>000032nYxO000+h"
    "aBX1#00000000310R({p0|Wp705ff5VRQfh04FE`uM>dfGr*t!^H!q2^90rZN<k`>y<j;1^Q&ZE%2GEe6_fFC@B"
)
"""64x64, the left half blue (20, 60, 200), the right half red (200, 40, 30); encoded by libheif."""


def test_images_of_phones(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pi_heif")
    header = images.read_header(HEIC, "a")
    assert (header.width, header.height, header.format) == (64, 64, "heif")
    pixels = np.asarray(images.decode_image(HEIC, "a"), dtype=int)
    assert np.abs(pixels[32, [8, 56]] - [(20, 60, 200), (200, 40, 30)]).max() < 12
    monkeypatch.setattr(images, "reads_heic", lambda: False)
    with pytest.raises(DataError, match="it is a HEIC image, which needs the library pi-heif") as caught:
        images.decode_image(HEIC, "a")
    assert "python -m pip install pi-heif" in caught.value.remedy


@pytest.mark.parametrize("data", [b"", b"not an image", marked(6, "JPEG")[:200]], ids=["empty", "text", "cut off"])
def test_an_image_without_a_readable_header_has_no_size_to_compare(data: bytes) -> None:
    check_size(sample_of(data, (1000, 1000)))
    check_size(Sample(image=ImageRef(name="gone.jpg", width=5, height=5, location="/gone/gone.jpg")))


def test_encode_jpeg_leaves_no_exif() -> None:
    data = images.encode_jpeg(images.decode_image(marked(6), "a"))
    header = images.read_header(data, "a")
    assert (header.width, header.height, header.format, header.orientation) == (64, 96, "jpeg", 1)


def test_a_png_with_damaged_pixels_is_refused_but_its_header_is_read() -> None:
    """Reading EXIF must not decode the pixels and hide their errors."""
    noise = np.random.default_rng(0).integers(0, 255, (60, 80, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise).save(buffer, "PNG")
    whole = buffer.getvalue()
    for place in range(200, len(whole) - 100, 1500):
        damaged = bytearray(whole)
        damaged[place] ^= 0xFF
        assert images.read_header(bytes(damaged), "a.png").upright_size == (80, 60)
        with pytest.raises(DataError, match="damaged"):
            images.decode_image(bytes(damaged), "a.png")
    with pytest.raises(DataError, match="damaged"):
        images.decode_image(whole[: len(whole) // 2], "a.png")
