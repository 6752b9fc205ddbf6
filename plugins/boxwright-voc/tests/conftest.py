from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import pytest
from PIL import Image

from boxwright_testing import labelimg_xml
from boxwright_voc.xml import parsing


def _data() -> Path:
    default = Path(__file__).resolve().parents[4] / "shared" / "data"
    return Path(os.environ.get("BOXWRIGHT_SHARED_DATA", default))


@pytest.fixture
def real_photos() -> Path:
    """The folder of real annotated photos, where this machine has it."""
    if not _data().is_dir():
        pytest.skip("the real photos are not here (BOXWRIGHT_SHARED_DATA)")
    return _data()


@pytest.fixture(params=["compiled", "Python"])
def parser(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs a test with the compiled parser and with its fallback, also in the processes that it starts."""
    if request.param == "Python":
        monkeypatch.setattr(parsing, "_compiled", None)
        monkeypatch.setenv("BOXWRIGHT_SPEEDUPS", "0")
    elif parsing._compiled is None:
        pytest.skip("boxwright-speedups is not installed, or was built without a C compiler")


@pytest.fixture
def draw(tmp_path: Path) -> Callable[..., Path]:
    """Makes a plain image in the test's folder."""

    def make(name: str, size: tuple[int, int] = (40, 30), orientation: int = 1) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        exif = Image.Exif()
        exif[0x0112] = orientation
        Image.new("RGB", size, (90, 120, 60)).save(path, exif=exif)
        return path

    return make


@pytest.fixture
def make_voc(tmp_path: Path) -> Callable[..., Path]:
    """Makes the folder of a year: annotations by name with their labels, images, and the texts of lists."""

    def make(
        annotations: Mapping[str, Iterable[str]],
        lists: Mapping[str, str] | None = None,
        pictures: Iterable[str] | None = None,
        place: str = "VOC2007",
    ) -> Path:
        root = tmp_path / place
        for folder in ("Annotations", "JPEGImages"):
            (root / folder).mkdir(parents=True)
        for name, labels in annotations.items():
            (root / "Annotations" / f"{name}.xml").write_text(labelimg_xml(f"{name}.jpg", labels, folder=place))
        for name in [f"{name}.jpg" for name in annotations] if pictures is None else pictures:
            Image.new("RGB", (40, 30), (90, 120, 60)).save(root / "JPEGImages" / name)
        if lists is not None:
            (root / "ImageSets" / "Main").mkdir(parents=True)
            for name, text in lists.items():
                (root / "ImageSets" / "Main" / f"{name}.txt").write_text(text)
        return root

    return make
