from __future__ import annotations

import io
import os
import struct
import zlib
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, PngImagePlugin

from boxwright import DataError
from boxwright.images import read_header
from boxwright_yolo.sizes import picture_size


def encoded(format: str, size: tuple[int, int] = (40, 30), orientation: int = 1, **options: Any) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    buffer = io.BytesIO()
    image = Image.effect_noise(size, 60).convert("RGB")
    image.save(buffer, format, **({"exif": exif} if orientation > 1 else {}), **options)
    return buffer.getvalue()


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def check(path: Path, content: bytes) -> tuple[int, int]:
    """The size, once it is known to be what Pillow says."""
    path.write_bytes(content)
    size = picture_size(path.name, str(path), "a.txt")
    assert size == read_header(content, path.name).upright_size
    return size


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_the_size_is_pillows_upright_one(tmp_path: Path, format: str, orientation: int) -> None:
    size = check(tmp_path / "a", encoded(format, orientation=orientation))
    assert size == ((30, 40) if orientation >= 5 else (40, 30))


@pytest.mark.parametrize(
    "content",
    [
        encoded("JPEG", progressive=True),
        encoded("JPEG", (3000, 2000), quality=20),
        encoded("JPEG", comment=b"x" * 30_000),
        encoded("JPEG", icc_profile=b"x" * 200_000),
        encoded("JPEG", orientation=6, icc_profile=b"x" * 200_000),
        encoded("JPEG").replace(b"\xff\xdb", b"\xff\xff\xff\xdb", 1),
        encoded("JPEG")[:700],
        encoded("PNG", (600, 500)),
        encoded("PNG", (600, 500), orientation=8)[:-4000],
        encoded("BMP"),
        encoded("GIF"),
    ],
    ids=["progressive", "large", "comment", "profile", "turned", "fill", "cut", "png", "cut png", "bmp", "gif"],
)
def test_odd_headers(tmp_path: Path, content: bytes) -> None:
    check(tmp_path / "a", content)


def test_exif_after_the_pixels_of_a_png_does_not_count(tmp_path: Path) -> None:
    whole, block = encoded("PNG", (600, 500)), encoded("PNG", orientation=6)
    place = block.index(b"eXIf") - 4
    exif = block[place : place + 12 + struct.unpack(">I", block[place : place + 4])[0]]
    content = whole[:-12] + exif + whole[-12:]
    assert check(tmp_path / "a.png", content) == (600, 500)


@pytest.mark.parametrize("format", ["JPEG", "PNG"])
def test_an_orientation_in_xmp_is_left_to_pillow(tmp_path: Path, format: str) -> None:
    xmp = '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
    if format == "JPEG":
        content = encoded("JPEG", xmp=xmp.encode())
    else:
        info = PngImagePlugin.PngInfo()
        info.add_itxt("XML:com.adobe.xmp", xmp)
        content = encoded("PNG", pnginfo=info)
    assert check(tmp_path / "a", content) == (30, 40)


def test_only_the_beginning_of_a_picture_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(encoded("JPEG", (1500, 1000), orientation=6, quality=95))
    assert path.stat().st_size > 500_000
    read, total = os.read, 0

    def counting(handle: int, count: int) -> bytes:
        nonlocal total
        content = read(handle, count)
        total += len(content)
        return content

    monkeypatch.setattr(os, "read", counting)
    assert picture_size("a.jpg", str(path), "a.txt") == (1000, 1500)
    assert total < 5000


def test_a_remote_picture(tmp_path: Path) -> None:
    import fsspec

    fsspec.filesystem("memory").pipe("/yolo-sizes/a.jpg", encoded("JPEG", orientation=6, icc_profile=b"x" * 100_000))
    assert picture_size("a.jpg", "memory://yolo-sizes/a.jpg", "a.txt") == (30, 40)
    with pytest.raises(DataError, match=r"b\.jpg: there is no such picture"):
        picture_size("b.jpg", "memory://yolo-sizes/b.jpg", "a.txt")


@pytest.mark.parametrize(
    "content",
    [b"", b"no picture", b"\xff\xd8\xff", b"\xff\xd8\xff\xd9", b"\x89PNG\r\n\x1a\n", encoded("JPEG")[:20]],
)
def test_what_is_no_picture_is_an_error(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"a\.jpg: ") as caught:
        picture_size("a.jpg", str(path), "a.txt")
    assert caught.value.remedy
    with pytest.raises(DataError, match=r"gone\.jpg: there is no such picture"):
        picture_size("gone.jpg", str(tmp_path / "gone.jpg"), "a.txt")


def test_every_cut_of_a_header_is_an_answer(tmp_path: Path) -> None:
    path = tmp_path / "a"
    for whole in (encoded("JPEG", orientation=6), encoded("PNG", orientation=6)):
        for length in range(0, len(whole), 7):
            path.write_bytes(whole[:length])
            try:
                size = picture_size("a", str(path), "a.txt")
            except DataError:
                continue
            assert sorted(size) == [30, 40]
