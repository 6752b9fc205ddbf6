r"""Unpaired surrogates, which JSON can escape (RFC 8259, section 8.2) and UTF-8 cannot encode."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import boxwright
from boxwright import Boxes, DataError, Dataset, ImageRef, LabelMap, Sample, is_text
from boxwright.datasets import Problems, SampleReader
from boxwright_testing import draw_image, encode_image

IMAGE = encode_image(draw_image(40, 30), "a.png")


def sample(name: str, *labels: str, split: str | None = None, **box: Any) -> Sample:
    boxes = Boxes(labels, [(1, 2, 3, 4)] * len(labels), [box] * len(labels))
    image = ImageRef(name=name, width=40, height=30, data=IMAGE)
    return Sample(image=image, boxes=boxes, split=split, source=f"list.json, {name}")


def dataset(*samples: Sample, on_error: str = "fail") -> Dataset:
    return Dataset(SampleReader(list(samples)), problems=Problems(on_error))


FORMATS = (
    "coco",
    "createml",
    "csv",
    "kitti",
    "label-studio",
    "labelimg",
    "labelme",
    "openimages",
    "retinanet",
)


@pytest.mark.parametrize("format", [*FORMATS, "tfrecord", "via", "voc", "yolo"])
def test_a_class_that_utf8_cannot_encode_is_reported_with_its_box(format: str, tmp_path: Path) -> None:
    samples = [sample("a.png", "fig"), sample("b.png", "fig", "fi\ud800"), sample("c.png", "fig")]
    with pytest.raises(DataError) as caught:
        boxwright.convert(dataset(*samples), f"{format}:{tmp_path}/one")
    assert str(caught.value) == (
        "list.json, b.png, box 2: the class 'fi\\ud800' contains an unpaired surrogate, "
        "which cannot be written as UTF-8\n"
        "  -> correct it in the source, or skip the image with --on-error skip"
    )
    assert list(tmp_path.iterdir()) == []
    report = boxwright.convert(dataset(*samples, on_error="skip"), f"{format}:{tmp_path}/two")
    assert ([*report.samples.values()], report.boxes, len(report.skipped)) == ([2], 2, 1)


@pytest.mark.parametrize("target", ["voc:{}/voc", "yolo:{}/yolo", "csv:{}/{{split}}.csv"])
def test_a_split_that_utf8_cannot_encode_is_reported(target: str, tmp_path: Path) -> None:
    samples = [sample("a.png", "fig", split="train"), sample("b.png", "fig", split="te\udcff")]
    with pytest.raises(DataError, match=r"list\.json, b\.png: .*te\\udcff"):
        boxwright.convert(dataset(*samples), target.format(tmp_path))
    report = boxwright.convert(dataset(*samples, on_error="skip"), target.format(tmp_path))
    assert (sum(report.samples.values()), len(report.skipped)) == (1, 1)


def test_other_texts_are_reported_too(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"list\.json, a\.png: .*cam\\ud800.*\n  -> "):
        boxwright.convert(dataset(sample("a.png", "fig", note="cam\ud800")), f"via:{tmp_path}/via.csv")


def test_label_maps_report_such_classes(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"'fi\\ud800' contains an unpaired surrogate"):
        LabelMap.from_names(["fig", "fi\ud800"])
    with pytest.raises(DataError, match="unpaired surrogate"):
        _ = dataset(sample("a.png", "\udfff")).label_map
    assert [is_text(text) for text in ("вишня \U0001f34e", "", "\ud83c\udf4e", "\udcff")] == [True, True, False, False]
