"""Checks of images, on files with each problem."""

from __future__ import annotations

import hashlib
import io
import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from boxwright import ImageRef, Sample
from boxwright.analysis.validation.images import ImageCheck, check_image
from boxwright.images import decode as images
from boxwright.images.similarity import difference_hash

ORIENTATION = 0x0112


def scene(size: tuple[int, int] = (100, 80), seed: int = 1) -> Image.Image:
    values = np.random.default_rng(seed).integers(0, 255, (6, 8, 3), dtype=np.uint8)
    return Image.fromarray(values).resize(size, Image.Resampling.BICUBIC)


def encoded(image: Image.Image, format: str = "JPEG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **options)  # type: ignore[arg-type]
    return buffer.getvalue()


def turned(orientation: int, size: tuple[int, int] = (100, 80)) -> bytes:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    return encoded(scene(size), exif=exif)


def sample_of(data: bytes | None, size: tuple[int, int] = (100, 80), location: str | None = None) -> Sample:
    image = ImageRef(name="a.jpg", width=size[0], height=size[1], data=data, location=location)
    return Sample(image=image, source="labels.csv, line 2")


def checks(found: ImageCheck) -> list[str]:
    return [problem.check for problem in found.problems]


def test_a_good_image() -> None:
    data = encoded(scene((800, 600)))
    found = check_image(sample_of(data, (800, 600)))
    assert found.problems == []
    assert found.digest == hashlib.sha256(data).digest()
    assert (found.difference_hash ^ difference_hash(scene((800, 600)))).bit_count() <= 2


@pytest.mark.parametrize("decode", [True, False])
def test_missing_images(decode: bool, tmp_path: Path) -> None:
    (unnamed,) = check_image(sample_of(None), decode=decode).problems
    assert (unnamed.check, unnamed.file) == ("missing_picture", "labels.csv, line 2")
    place = str(tmp_path / "a.jpg")
    (gone,) = check_image(sample_of(None, location=place), decode=decode).problems
    assert (gone.check, gone.file) == ("missing_picture", place)
    assert "images=FOLDER" in gone.remedy


@pytest.mark.parametrize("data", [b"", b"not an image", b"\xff\xd8\xff\xe0 nor this"])
@pytest.mark.parametrize("decode", [True, False])
def test_files_that_are_not_images(data: bytes, decode: bool, tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(data)
    found = check_image(sample_of(None, location=str(tmp_path / "a.jpg")), decode=decode)
    assert checks(found) == ["damaged_picture"]
    assert found.problems[0].file == str(tmp_path / "a.jpg")


def test_images_that_need_a_library(monkeypatch: pytest.MonkeyPatch) -> None:
    """``ftyp`` with the brand ``heic``: ISO/IEC 23008-12, annex B."""
    monkeypatch.setattr("boxwright.images.decode.reads_heic", lambda: False)
    (problem,) = check_image(sample_of(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(64))).problems
    assert problem.check == "undecoded_picture"
    assert problem.problem == "it is a HEIC image, which needs the library pi-heif"
    assert "python -m pip install pi-heif" in problem.remedy


@pytest.mark.parametrize("format", ["JPEG", "progressive", "PNG", "GIF", "TIFF", "WEBP", "BMP"])
def test_damage_is_found_exactly_where_whole_decoding_finds_it(format: str) -> None:
    # Pillow's full decoding is the judge of the reduced one.
    options: dict[str, object] = {"progressive": True} if format == "progressive" else {}
    whole = encoded(scene((200, 160)), "JPEG" if format == "progressive" else format, **options)
    chance = random.Random(3)
    damaged = [whole[: -chance.randrange(1, len(whole) - 200)] for _ in range(25)] + [whole[:-1], whole[:-2], whole]
    for _ in range(25):
        changed = bytearray(whole)
        for _ in range(chance.choice([1, 20])):
            changed[chance.randrange(len(changed))] = chance.randrange(256)
        damaged.append(bytes(changed))
    detected = 0
    for data in damaged:
        try:
            size = Image.open(io.BytesIO(data), formats=images._FORMATS).size
            with Image.open(io.BytesIO(data)) as image:
                image.load()
            good = True
        except Exception:
            good = False
            size = (200, 160)
        if max(size) > 2000:
            continue  # a header that promises more than the file has; slow, and no other case
        found = "damaged_picture" not in checks(check_image(sample_of(data, size)))
        assert found == good
        detected += not good
    assert detected >= (3 if format == "BMP" else 10)


def test_a_cut_off_jpeg_passes_the_header_and_not_decoding(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(encoded(scene((800, 600)))[:-5000])
    sample = sample_of(None, (800, 600), str(tmp_path / "a.jpg"))
    assert checks(check_image(sample)) == ["damaged_picture"]
    header = check_image(sample, decode=False)
    assert (header.problems, header.digest, header.difference_hash) == ([], b"", 0)


@pytest.mark.parametrize(
    ("size", "text"),
    [((640, 480), "is 640x480, but the image a.jpg is 100x80"), ((80, 100), "width and height are swapped")],
)
def test_another_size_than_annotated(size: tuple[int, int], text: str) -> None:
    (problem,) = check_image(sample_of(encoded(scene()), size)).problems
    assert problem.check == "size_mismatch"
    assert problem.file == "labels.csv, line 2"
    assert text in problem.problem


@pytest.mark.parametrize(
    ("orientation", "stored", "annotated", "check"),
    [
        (1, (100, 80), (100, 80), None),
        (6, (100, 80), (80, 100), "turned_picture"),
        (8, (100, 80), (80, 100), "turned_picture"),
        (6, (100, 80), (100, 80), "stored_frame"),
        (3, (100, 80), (100, 80), "ambiguous_frame"),
        (2, (100, 80), (100, 80), "ambiguous_frame"),
        (6, (90, 90), (90, 90), "ambiguous_frame"),
        (6, (100, 80), (50, 40), "size_mismatch"),
        (3, (100, 80), (80, 100), "size_mismatch"),
    ],
)
def test_exif_orientation(
    orientation: int, stored: tuple[int, int], annotated: tuple[int, int], check: str | None
) -> None:
    data = turned(orientation, stored)
    for decode in (True, False):
        found = check_image(sample_of(data, annotated), decode=decode)
        assert checks(found) == ([check] if check else [])
    # The rule is that of images.decode_sample, which refuses what fits neither frame, and turns stored ones.
    if check == "size_mismatch":
        return
    assert images.decode_sample(sample_of(data, annotated)).rotated_boxes == (check == "stored_frame")


@pytest.mark.parametrize("orientation", range(1, 9))
def test_an_image_looks_like_its_rotated_copy(orientation: int) -> None:
    stored = scene((240, 180), seed=7)
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    data = encoded(stored, exif=exif, quality=95)
    upright = images.decode_image(data, "a.jpg")
    found = check_image(sample_of(data, upright.size)).difference_hash
    again = check_image(sample_of(encoded(upright, quality=95), upright.size)).difference_hash
    assert (found ^ again).bit_count() <= 2


@pytest.mark.parametrize(
    ("image", "format", "text"),
    [
        (lambda: scene().convert("CMYK"), "JPEG", "CMYK"),
        (lambda: Image.fromarray(np.arange(8000, dtype=np.uint16).reshape(80, 100)), "PNG", "more than 8 bits"),
        (lambda: scene().convert("RGBA"), "PNG", "transparent"),
        (lambda: scene().convert("LA"), "PNG", "transparent"),
    ],
)
def test_unusual_images(image: Callable[[], Image.Image], format: str, text: str) -> None:
    found = check_image(sample_of(encoded(image(), format)))
    assert checks(found) == ["unusual_picture"]
    assert text in found.problems[0].problem


def test_an_animation() -> None:
    data = encoded(scene(), "GIF", save_all=True, append_images=[scene(seed=2)])
    (problem,) = check_image(sample_of(data)).problems
    assert problem.problem == "several frames; only the first is used"
    assert check_image(sample_of(encoded(scene().convert("L")))).problems == []  # grey is nothing unusual


def test_too_many_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "MAX_PIXELS", 5000)
    (problem,) = check_image(sample_of(encoded(scene()))).problems
    assert problem.check == "damaged_picture"
    assert "more than 5,000 pixels" in problem.problem


def test_images_through_fsspec() -> None:
    import fsspec

    files = fsspec.filesystem("memory")
    files.pipe("/checked/a.jpg", encoded(scene()))
    for decode in (True, False):
        assert check_image(sample_of(None, location="memory://checked/a.jpg"), decode=decode).problems == []
        assert checks(check_image(sample_of(None, location="memory://checked/b.jpg"), decode=decode)) == [
            "missing_picture"
        ]
    files.rm("/checked", recursive=True)
