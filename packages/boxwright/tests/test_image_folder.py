"""The format of images without annotations."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

import boxwright
from boxwright import DataError, Dataset, Sample
from boxwright.datasets.image_folder import detect
from boxwright.plugins.registry import Registry


def test_photos_are_copied_unchanged(images: Path, plugins: Registry, tmp_path: Path) -> None:
    out = tmp_path / "out"
    report = boxwright.convert(f"pictures:{images}", f"pictures:{out}", strict=True, registry=plugins)
    assert report.samples == {f"pictures:{out}": 3}
    assert {path.relative_to(out): path.read_bytes() for path in out.rglob("*.*g")} == {
        path.relative_to(images): path.read_bytes() for path in images.rglob("*.*g")
    }


def test_sizes_are_those_of_the_upright_image(plugins: Registry, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    (tmp_path / "in").mkdir()
    Image.new("RGB", (40, 30)).save(tmp_path / "in" / "a.jpg", exif=exif)
    (sample,) = boxwright.open(f"pictures:{tmp_path / 'in'}", registry=plugins)
    assert (sample.image.width, sample.image.height, len(sample.boxes)) == (30, 40, 0)


def test_boxes_are_refused_and_not_dropped(
    dataset: Callable[..., Dataset], sample: Callable[..., Sample], plugins: Registry, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match="cannot be stored in a folder of images"):
        boxwright.convert(dataset(sample("a.jpg", ("fig", 1, 2, 3, 4))), f"pictures:{tmp_path}/out", registry=plugins)
    assert not (tmp_path / "out").exists()


def test_only_a_folder_without_other_files_is_recognised(images: Path, tmp_path: Path) -> None:
    assert detect(str(images)).matches
    (images / "sub" / "notes.txt").write_text("x")
    assert detect(str(images)).reason == "not only images, but also notes.txt"
    assert not detect(str(tmp_path / "none")).matches
    assert not detect("memory://x").matches
    (tmp_path / "empty").mkdir()
    assert detect(str(tmp_path / "empty")).reason == "it contains no images"


def test_images_that_need_a_further_library_are_counted(
    images: Path, plugins: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("boxwright.images.decode.reads_heic", lambda: False)
    for name in ("1.HEIC", "sub/2.heif"):
        (images / name).write_bytes(b"\0\0\0\x18ftypheic")
    with pytest.raises(DataError, match=r"1\.HEIC: 2 images are HEIC, which needs the library pi-heif") as caught:
        list(boxwright.open(f"pictures:{images}", registry=plugins))
    assert "run: python -m pip install pi-heif" in caught.value.remedy
    dataset = boxwright.open(f"pictures:{images}", registry=plugins, on_error="skip")
    assert (len(list(dataset)), len(dataset.problems.skipped)) == (3, 1)


def test_a_remote_or_missing_folder_is_an_error(plugins: Registry, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="local folders"):
        boxwright.open("pictures:memory://x", registry=plugins)
    with pytest.raises(DataError, match="image or folder not found"):
        boxwright.open(f"pictures:{tmp_path}/none", registry=plugins)
