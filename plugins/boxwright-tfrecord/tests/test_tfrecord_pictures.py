"""Picture headers, with Pillow (which wrote the pictures) as the judge, and on real photos where they are at hand."""

import io
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from boxwright.images import read_header
from boxwright_tfrecord.pictures import PictureHeader, is_safe_name, read_picture_header

SHARED = Path(os.environ.get("BOXWRIGHT_SHARED_DATA") or Path(__file__).resolve().parents[3] / ".." / "shared" / "data")


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"restart_marker_blocks": 1}, {"comment": b"\xff\xd9"}])
def test_jpeg(encode: Callable[..., bytes], mode: str, options: dict[str, object]) -> None:
    data = encode(61, 23, mode=mode, **options)
    assert read_picture_header(data) == PictureHeader("jpeg", 61, 23, 1, True)


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "I;16"])
def test_png(encode: Callable[..., bytes], mode: str) -> None:
    assert read_picture_header(encode(61, 23, "PNG", mode=mode)) == PictureHeader("png", 61, 23, 1, True)


@pytest.mark.parametrize("format", ["JPEG", "PNG"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_what_pillow_wrote(encode: Callable[..., bytes], format: str, orientation: int) -> None:
    header = read_picture_header(encode(20, 10, format, orientation))
    assert header is not None
    assert header.orientation == orientation
    assert header.upright_size == ((10, 20) if orientation > 4 else (20, 10))


def test_big_endian_exif_and_a_useless_one(encode: Callable[..., bytes]) -> None:
    data = encode(20, 10, orientation=6)
    start = data.index(b"Exif\0\0") + 6
    length = int.from_bytes(data[start - 8 : start - 6], "big") - 8
    # TIFF 6.0: "MM", 42, offset 8, one entry: tag 0x0112, type SHORT, one value, 8, padding; no further directory
    block = b"MM\0\x2a\0\0\0\x08" + b"\0\x01" + b"\x01\x12\0\x03\0\0\0\x01\0\x08\0\0" + bytes(4)
    assert len(block) == length
    header = read_picture_header(data[:start] + block + data[start + length :])
    assert header is not None
    assert header.orientation == 8
    for useless in (
        b"XX" + block[2:],
        block[:4] + b"\xff\xff\xff\xff" + block[8:],
        block.replace(b"\0\x08\0\0", b"\0\x63\0\0"),
    ):
        header = read_picture_header(data[:start] + useless + data[start + length :])
        assert header is not None
        assert header.orientation == 1


def test_a_thumbnail_does_not_hide_that_the_picture_breaks_off(encode: Callable[..., bytes]) -> None:
    exif = b"Exif\0\0II\x2a\0\x08\0\0\0\0\0\0\0\0\0" + encode(16, 12)  # a whole small JPEG, end marker and all
    data = encode(300, 200, exif=exif)
    assert data.count(b"\xff\xd9") == 2
    for end in (len(data) - 1, len(data) - 2, len(data) * 3 // 4):
        header = read_picture_header(data[:end])
        assert header is not None
        assert not header.complete
        assert (header.width, header.height) == (300, 200)


def test_bytes_after_the_end_are_no_harm(encode: Callable[..., bytes]) -> None:
    header = read_picture_header(encode(30, 20) + b"camera data" * 100)
    assert header is not None
    assert header.complete


def test_a_png_that_breaks_off(encode: Callable[..., bytes]) -> None:
    data = encode(30, 20, "PNG")
    for end in (len(data) - 1, len(data) - 13, 60):
        header = read_picture_header(data[:end])
        assert header is not None
        assert not header.complete


@pytest.mark.parametrize("format", ["JPEG", "PNG"])
def test_headers_that_break_off(encode: Callable[..., bytes], format: str) -> None:
    data = encode(30, 20, format)
    whole = data.index(b"\xff\xda") if format == "JPEG" else 24
    for end in range(8, whole, 9):
        with pytest.raises(ValueError, match=r"breaks off|ends before"):
            read_picture_header(data[:end])


def test_other_formats_are_none(encode: Callable[..., bytes]) -> None:
    for data in (
        b"",
        b"\xff\xd8",
        encode(9, 9, "GIF"),
        encode(9, 9, "BMP"),
        encode(9, 9, "WEBP"),
        encode(9, 9, "TIFF"),
    ):
        assert read_picture_header(data) is None


@pytest.mark.skipif(not SHARED.is_dir(), reason="no folder shared/data beside the repository")
def test_real_photos_agree_with_pillow() -> None:
    paths = sorted(path for path in SHARED.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg", ".png"))[:60]
    assert paths
    for path in paths:
        data = path.read_bytes()
        header = read_picture_header(data)
        judge = read_header(data, str(path))
        assert header is not None
        assert header[:4] == (judge.format.replace("mpo", "jpeg"), judge.width, judge.height, judge.orientation)
        assert header.complete
        with Image.open(io.BytesIO(data)) as image:
            image.load()


def test_safe_names() -> None:
    for name in ("a.jpg", "cam1/a.jpg", "a..b.jpg", "...jpg", "фото.jpg", "a:b.jpg"[1:]):
        assert is_safe_name(name), name
    for name in ("../a.jpg", "a/../../b.jpg", "/a.jpg", "C:/a.jpg", "c:a.jpg", "a\\b.jpg", "a\0.jpg", ".."):
        assert not is_safe_name(name), name
