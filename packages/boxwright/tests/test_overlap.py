"""Training images among the held-out ones, with images that are drawn here."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from PIL import Image

from boxwright import Boxes, Dataset, ImageRef, Run, RunError, Sample, UsageError, train
from boxwright.datasets import SampleReader
from boxwright.plugins.registry import Registry
from boxwright.progress import LogReporter

COLORS = (250, 180, 110, 40)


class Warned(LogReporter):
    def __init__(self) -> None:
        self.warnings: list[str] = []

    def warning(self, text: str) -> None:
        self.warnings.append(text)


def drawn(*levels: int) -> Image.Image:
    """Four gray stripes, whose order decides the difference hash."""
    image = Image.new("L", (80, 64))
    for number, level in enumerate(levels):
        image.paste(level, (20 * number, 0, 20 * number + 20, 64))
    return image


def sample_of(name: str, image: Image.Image | bytes | None, kind: str = "PNG") -> Sample:
    buffer = io.BytesIO()
    if isinstance(image, Image.Image):
        image.save(buffer, kind)
    data = image if isinstance(image, bytes) else buffer.getvalue() or None
    return Sample(image=ImageRef(name=name, width=80, height=64, data=data), boxes=Boxes(["fig"], [(1, 2, 30, 40)]))


def dataset_of(*samples: Sample) -> Dataset:
    return Dataset(SampleReader(samples))


UP, DOWN, ZIGZAG = drawn(10, 80, 150, 220), drawn(220, 150, 80, 10), drawn(10, 220, 10, 220)


def test_the_same_bytes_under_another_name_are_refused(tmp_path: Path, plugins: Registry) -> None:
    data = dataset_of(sample_of("a.png", UP), sample_of("b.png", DOWN))
    val = dataset_of(sample_of("c.png", ZIGZAG), sample_of("other/d.png", DOWN))
    with pytest.raises(UsageError) as caught:
        train(data, val=val, out=tmp_path / "run", registry=plugins)
    assert caught.value.message == "1 of 2 held-out images are training images, such as b.png"
    assert "--allow-overlap" in caught.value.remedy
    assert not (tmp_path / "run").exists()


def test_allowed_training_images_are_not_called_held_out(tmp_path: Path, plugins: Registry) -> None:
    data, reporter = dataset_of(sample_of("a.png", UP), sample_of("b.png", DOWN)), Warned()
    copies = dataset_of(*(sample_of(f"{i}.png", image) for i, image in enumerate([UP, ZIGZAG, UP])))
    run = train(data, val=copies, out=tmp_path / "run", registry=plugins, reporter=reporter, allow_overlap=True)
    assert reporter.warnings[0].startswith("2 of 3 held-out images are training images, such as a.png: ")
    assert Run(run.path).state["inputs"]["overlap"] == 2
    assert Run(run.path).config["allow_overlap"] is True


@pytest.mark.parametrize(
    ("near", "warns"),
    [
        ((UP, "JPEG"), True),
        ((UP.resize((160, 128)), "PNG"), True),
        ((UP.point(lambda level: level + 20), "PNG"), True),
        ((DOWN, "PNG"), False),
    ],
    ids=["encoded again", "resized", "brighter", "another"],
)
def test_images_that_look_alike_are_a_warning(
    near: tuple[Image.Image, str], warns: bool, tmp_path: Path, plugins: Registry
) -> None:
    reporter = Warned()
    val = dataset_of(sample_of("v.png", UP))
    data = dataset_of(sample_of("x", *near).replace(image=sample_of("x", *near).image))
    if near[0].size != (80, 64):
        image = data.reader.samples[0].image.model_copy(update={"width": 160, "height": 128})  # type: ignore[attr-defined]
        data = dataset_of(data.reader.samples[0].replace(image=image))  # type: ignore[attr-defined]
    run = train(data, val=val, out=tmp_path / "run", registry=plugins, reporter=reporter)
    expected = ["1 training image looks like held-out images, such as x, like v.png: the metrics may be too good"]
    assert reporter.warnings[:1] == (expected if warns else [])
    assert run.state["inputs"]["overlap"] == 0


def test_images_without_contrast_or_that_cannot_be_read_are_not_compared(tmp_path: Path, plugins: Registry) -> None:
    reporter = Warned()
    gray = [drawn(*[level] * 4) for level in (100, 200)]
    data = dataset_of(sample_of("a.png", gray[0]), sample_of("b.png", b"damaged"), sample_of("missing.png", None))
    val = dataset_of(sample_of("c.png", gray[1]), sample_of("d.png", b"damaged"), sample_of("missing.png", None))
    train(data, val=val, out=tmp_path / "run", registry=plugins, reporter=reporter)
    assert not [text for text in reporter.warnings if "held-out images" in text]


def test_a_resumed_run_is_checked_as_well(tmp_path: Path, plugins: Registry) -> None:
    data, val = dataset_of(sample_of("a.png", UP)), dataset_of(sample_of("b.png", DOWN))
    run = train(data, val=val, out=tmp_path / "run", registry=plugins)
    run.update(status="interrupted")
    with pytest.raises(UsageError, match="1 of 1 held-out images"):
        train(data, val=data, out=tmp_path / "run", resume=True, registry=plugins)


def test_images_are_compared_once_and_only_if_there_is_a_place_for_the_run(
    tmp_path: Path, plugins: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, val = dataset_of(sample_of("a.png", UP)), dataset_of(sample_of("b.png", DOWN), sample_of("c.png", UP))
    run = train(data, val=val, out=tmp_path / "run", registry=plugins, allow_overlap=True)
    monkeypatch.setattr("boxwright.models.preparation.check_overlap", lambda *_, **__: pytest.fail("compared"))
    with pytest.raises(RunError, match="contains a run already"):
        train(data, val=val, out=tmp_path / "run", registry=plugins)
    run.update(status="interrupted")
    again = train(data, val=val, out=tmp_path / "run", resume=True, registry=plugins)
    assert again.state["inputs"]["overlap"] == 1
