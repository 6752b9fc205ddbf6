"""Headers parsed without Pillow, compared with Pillow's results and with headers made by hand."""

from __future__ import annotations

import io
import os
import random
import struct
import warnings
import zlib
from pathlib import Path
from typing import Any

import fsspec
import pytest
from PIL import Image, ImageOps, PngImagePlugin

from boxwright import DataError
from boxwright.images import Header, is_complete, parse_header, read_header
from boxwright.images.decode import header_of, open_image
from boxwright.images.lookup import measured_size

SHARED = Path(os.environ.get("BOXWRIGHT_SHARED_DATA", Path(__file__).resolve().parents[4] / "shared" / "data"))
XMP = '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'


def encoded(
    format: str, orientation: int | None = None, size: tuple[int, int] = (40, 30), mode: str = "RGB", **options: Any
) -> bytes:
    """Returns an image with noise, encoded by Pillow."""
    if orientation is not None:
        options["exif"] = Image.Exif()
        options["exif"][0x010F] = "A camera"
        options["exif"][0x0112] = orientation
    buffer = io.BytesIO()
    Image.effect_noise(size, 60).convert(mode).save(buffer, format, **options)
    return buffer.getvalue()


def by_pillow(content: bytes) -> Header:
    with open_image(content, "a") as image:
        return header_of(image)


def check(content: bytes, path: Path) -> Header | None:
    """Returns the parsed header after comparing it with Pillow's."""
    header = parse_header(content)
    path.write_bytes(content)
    assert parse_header(str(path)) == header
    if header is not None:
        assert header == by_pillow(content)
    assert read_header(content, "a") == by_pillow(content)
    assert measured_size("a", str(path), "a.txt") == by_pillow(content).upright_size
    return header


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(*chunks: bytes, width: int = 40, height: int = 30) -> bytes:
    """Returns a PNG image of grey pixels: W3C PNG, section 5.3 and 11.2.1."""
    start = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    pixels = chunk(b"IDAT", zlib.compress(bytes((width + 1) * height)))
    return start + b"".join(chunks) + pixels + chunk(b"IEND", b"")


def segment(marker: int, content: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content


def jpeg(*segments: bytes, width: int = 40, height: int = 30) -> bytes:
    """Returns the header of a JPEG image of one component up to its scan: ITU-T T.81, B.2.2 and B.2.3."""
    frame = segment(0xC0, struct.pack(">BHHB", 8, height, width, 1) + b"\x01\x11\x00")
    return b"\xff\xd8" + b"".join(segments) + frame + segment(0xDA, b"\x01\x01\x00\x00\x3f\x00") + b"\x00\xff\xd9"


def tiff(order: str, *entries: tuple[int, int, int, int]) -> bytes:
    """Returns a TIFF block with one directory of (tag, type, count, value): TIFF 6.0, section 2."""
    content = struct.pack(f"{order}2sHIH", b"MM" if order == ">" else b"II", 42, 8, len(entries))
    for tag, kind, count, value in entries:
        content += struct.pack(f"{order}HHI{'H2x' if kind == 3 else 'I'}", tag, kind, count, value)
    return content + bytes(4)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_every_exif_orientation(tmp_path: Path, format: str, orientation: int) -> None:
    content = encoded(format, orientation)
    header = check(content, tmp_path / "a")
    if format in ("JPEG", "PNG"):
        assert header == Header(40, 30, format.lower(), orientation)
        with Image.open(io.BytesIO(content)) as image:
            upright = ImageOps.exif_transpose(image)
        assert header.upright_size == upright.size == ((30, 40) if orientation >= 5 else (40, 30))
    else:
        assert header is None


@pytest.mark.parametrize("format", ["GIF", "BMP", "PPM"])
def test_formats_without_exif_are_left_to_pillow(tmp_path: Path, format: str) -> None:
    assert check(encoded(format), tmp_path / "a") is None


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_written_by_hand(tmp_path: Path, order: str, orientation: int) -> None:
    block = tiff(order, (0x0100, 4, 1, 40), (0x0112, 3, 1, orientation))
    assert check(png(chunk(b"eXIf", block)), tmp_path / "a") == Header(40, 30, "png", orientation)
    content = jpeg(segment(0xE1, b"Exif\0\0" + block))
    assert check(content, tmp_path / "a") == Header(40, 30, "jpeg", orientation)


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"restart_marker_blocks": 1}, {"comment": b"\xff\xd9"}])
def test_kinds_of_jpeg(tmp_path: Path, mode: str, options: dict[str, Any]) -> None:
    content = encoded("JPEG", mode=mode, **options)
    assert check(content, tmp_path / "a") == Header(40, 30, "jpeg")
    assert is_complete(content)


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "I;16"])
def test_kinds_of_png(tmp_path: Path, mode: str) -> None:
    content = encoded("PNG", mode=mode)
    assert check(content, tmp_path / "a") == Header(40, 30, "png")
    assert is_complete(content)


@pytest.mark.parametrize(
    "content",
    [
        encoded("JPEG", size=(3000, 2000), quality=20),
        encoded("JPEG", comment=b"x" * 30_000),
        encoded("JPEG", 6, icc_profile=b"x" * 200_000),
        encoded("JPEG").replace(b"\xff\xdb", b"\xff\xff\xff\xdb", 1),  # T.81, B.1.1.2: fill bytes before a marker
        encoded("JPEG")[:700],
        encoded("PNG", size=(600, 500)),
        encoded("PNG", 8, size=(600, 500))[:-4000],
        encoded("PNG", 8, icc_profile=b"x" * 200_000),
    ],
    ids=["large", "comment", "profile", "fill", "cut", "png", "cut png", "png profile"],
)
def test_unusual_headers_that_are_parsed(tmp_path: Path, content: bytes) -> None:
    assert check(content, tmp_path / "a") is not None


def test_orientations_outside_1_to_8_are_ignored(tmp_path: Path) -> None:
    for orientation in (0, 9, 99):
        for format in ("JPEG", "PNG"):
            assert check(encoded(format, orientation), tmp_path / "a") == Header(40, 30, format.lower(), 1)


@pytest.mark.parametrize("format", ["JPEG", "PNG"])
def test_an_orientation_in_xmp_is_left_to_pillow(tmp_path: Path, format: str) -> None:
    path = tmp_path / "a"
    info = PngImagePlugin.PngInfo()
    info.add_itxt("XML:com.adobe.xmp", XMP)
    options: dict[str, Any] = {"xmp": XMP.encode()} if format == "JPEG" else {"pnginfo": info}
    assert check(encoded(format, **options), path) is None
    assert measured_size("a", str(path), "a.txt") == (30, 40)


def test_exif_has_priority_over_xmp(tmp_path: Path) -> None:
    content = encoded("JPEG", 1, xmp=XMP.encode())
    assert check(content, tmp_path / "a") == Header(40, 30, "jpeg", 1)


def test_exif_after_the_pixels_of_a_png_does_not_count(tmp_path: Path) -> None:
    exif = chunk(b"eXIf", tiff(">", (0x0112, 3, 1, 6)))
    content = png()[:-12] + exif + png()[-12:]
    assert check(content, tmp_path / "a") == Header(40, 30, "png", 1)


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow's, about damaged EXIF
@pytest.mark.parametrize(
    ("block", "parsed"),
    [
        (tiff(">", (0x0112, 4, 1, 6)), False),  # a LONG
        (tiff(">", (0x0112, 3, 2, 6)), False),  # two numbers
        (tiff(">", (0x010F, 2, 500, 9999), (0x0112, 3, 1, 6)), False),  # a text that is outside the block
        (tiff("<", (0x0112, 3, 1, 6)).replace(b"II*", b"XX*"), False),
        (tiff("<", (0x0112, 3, 1, 6)).replace(b"\x08\0\0\0", b"\xff\xff\xff\xff"), True),  # no directory
        (tiff("<", (0x0112, 3, 1, 6))[:-8], True),  # the entry is cut off
        (tiff("<", (0x0112, 3, 1, 6), (0x0112, 3, 1, 3)), True),
        (tiff("<", (0x0100, 3, 1, 6)), True),
        (b"", False),
    ],
    ids=["long", "two", "outside", "magic", "directory", "cut", "duplicate", "none", "empty"],
)
def test_unusual_exif(tmp_path: Path, block: bytes, parsed: bool) -> None:
    assert (check(jpeg(segment(0xE1, b"Exif\0\0" + block)), tmp_path / "a") is not None) is parsed
    assert (check(png(chunk(b"eXIf", block)), tmp_path / "a") is not None) is parsed


def test_exif_in_two_segments_is_left_to_pillow(tmp_path: Path) -> None:
    first = segment(0xE1, b"Exif\0\0" + tiff(">", (0x0100, 3, 1, 40)))
    second = segment(0xE1, b"Exif\0\0" + tiff(">", (0x0112, 3, 1, 6)))
    assert check(jpeg(first, second), tmp_path / "a") is None


def test_a_second_header_of_a_png_is_left_to_pillow(tmp_path: Path) -> None:
    """PNG allows one (section 5.6); Pillow decodes as many pixels as the last one says."""
    second = chunk(b"IHDR", struct.pack(">IIBBBBB", 60, 50, 8, 0, 0, 0, 0))
    assert check(png(second), tmp_path / "a") is None
    assert read_header(png(second), "a").upright_size == (60, 50)


def test_several_images_in_a_jpeg_are_left_to_pillow(tmp_path: Path) -> None:
    second = Image.new("RGB", (40, 30))
    content = encoded("MPO", save_all=True, append_images=[second])
    assert check(content, tmp_path / "a") is None
    assert read_header(content, "a").format == "mpo"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no image",
        b"\xff\xd8\xff",
        b"\xff\xd8\xff\xd9",
        b"\x89PNG\r\n\x1a\n",
        encoded("JPEG")[:20],
        jpeg(width=0),
        png(width=0),
        png().replace(struct.pack(">I", 40), struct.pack(">I", 41), 1),  # the checksum does not match
        jpeg(segment(0xC0, struct.pack(">BHHB", 12, 30, 40, 1) + b"\x01\x11\x00")),  # 12 bits
    ],
)
def test_damaged_headers_are_left_to_pillow(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(content)
    assert parse_header(content) is None
    assert parse_header(str(path)) is None
    with pytest.raises(DataError, match=r"a\.jpg: ") as caught:
        measured_size("a.jpg", str(path), "a.txt")
    assert caught.value.remedy


@pytest.mark.parametrize("strange", [b"\xff\xf3\x00\x04ab", b"\xff\xe5\x00\x01"], ids=["reserved", "length 1"])
def test_strange_segments_are_left_to_pillow(tmp_path: Path, strange: bytes) -> None:
    assert check(jpeg(strange), tmp_path / "a") is None


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    assert parse_header(str(tmp_path / "gone.jpg")) is None
    assert parse_header(str(tmp_path)) is None
    with pytest.raises(DataError, match=r"gone\.jpg: "):
        measured_size("gone.jpg", str(tmp_path / "gone.jpg"), "a.txt")


def test_only_the_beginning_of_a_file_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(encoded("JPEG", 6, size=(1500, 1000), quality=95))
    assert path.stat().st_size > 500_000
    read, total = os.read, 0

    def counting(handle: int, count: int) -> bytes:
        nonlocal total
        content = read(handle, count)
        total += len(content)
        return content

    monkeypatch.setattr(os, "read", counting)
    assert parse_header(str(path)) == Header(1500, 1000, "jpeg", 6)
    assert total < 5000


def test_a_remote_file() -> None:
    files = fsspec.filesystem("memory")
    files.pipe("/headers/a.jpg", encoded("JPEG", 6, icc_profile=b"x" * 100_000))
    assert parse_header("memory://headers/a.jpg") == Header(40, 30, "jpeg", 6)
    assert parse_header("memory://headers/b.jpg") is None
    files.rm("/headers", recursive=True)


def test_a_cut_header_is_left_to_pillow() -> None:
    for whole in (encoded("JPEG", 6), encoded("PNG", 6)):
        header = parse_header(whole)
        pixels = whole.index(b"\xff\xda" if header and header.format == "jpeg" else b"IDAT")
        for end in range(len(whole)):
            assert parse_header(whole[:end]) == (header if end >= pixels + 4 else None)
            assert not is_complete(whole[:end])


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_it_reads_headers_as_pillow_does() -> None:
    rng = random.Random(0)
    seeds = [encoded(format, orientation) for format in ("JPEG", "PNG") for orientation in (None, 1, 3, 6)]
    seeds.append(encoded("JPEG", 8, xmp=XMP.encode()))
    parsed = 0
    for _ in range(3000):
        content = bytearray(rng.choice(seeds))
        for _ in range(rng.randint(1, 3)):
            content[rng.randrange(2, 300)] = rng.choice((0, 1, 2, 255, rng.randrange(256)))
        header = parse_header(bytes(content))
        if header is None:
            continue
        with warnings.catch_warnings(action="ignore"):
            try:
                pillows = by_pillow(bytes(content))
            except DataError:  # damaged beyond the header, or the checksum of a chunk
                continue
        assert header == pillows
        parsed += 1
    assert parsed > 500


def test_a_thumbnail_does_not_hide_that_the_image_is_cut() -> None:
    exif = b"Exif\0\0II\x2a\0\x08\0\0\0\0\0\0\0\0\0" + encoded("JPEG", size=(16, 12))  # with its own end marker
    data = encoded("JPEG", size=(300, 200), exif=exif)
    assert data.count(b"\xff\xd9") == 2
    for end in (len(data) - 1, len(data) - 2, len(data) * 3 // 4):
        assert not is_complete(data[:end])
        assert parse_header(data[:end]) == Header(300, 200, "jpeg")


def test_bytes_may_follow_the_end() -> None:
    for format in ("JPEG", "PNG"):
        assert is_complete(encoded(format) + b"camera data \xff\xda" * 100)
        assert not is_complete(encoded(format)[:-13] + b"camera data" * 100)


@pytest.mark.skipif(not SHARED.is_dir(), reason="no folder shared/data next to the repository")
def test_photos() -> None:
    paths = sorted(path for path in SHARED.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg", ".png"))[:60]
    assert paths
    for path in paths:
        data = path.read_bytes()
        assert parse_header(str(path)) == parse_header(data) == by_pillow(data)
        assert is_complete(data)
