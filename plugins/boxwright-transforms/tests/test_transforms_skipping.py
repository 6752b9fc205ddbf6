"""Transforms of a whole dataset skip images that cannot be used, if requested."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

import boxwright
from boxwright import Boxes, DataError, Dataset, ImageRef, Sample
from boxwright.datasets import Problems, SampleReader, make_transform
from boxwright_testing import draw_image, encode_image


@pytest.fixture
def samples(tmp_path: Path) -> Sequence[Sample]:
    """Six images with dates; the file of the third is empty, and it has no date."""
    made = []
    for number in range(6):
        path = tmp_path / f"{number}.png"
        content = encode_image(draw_image(40, 30, [(number * 5, 3, number * 5 + 5, 20)]), path.name)
        path.write_bytes(b"" if number == 2 else content)
        image = ImageRef(name=path.name, width=40, height=30, location=str(path))
        date = {} if number == 2 else {"date": str(number)}
        made.append(Sample(image=image, boxes=Boxes(["fig"], [(1, 2, 3, 4)]), source=str(path), attributes=date))
    return made


WHOLE = ["0.png", "1.png", "3.png", "4.png", "5.png"]


@pytest.mark.parametrize(
    ("step", "problem"),
    [
        ("split:train=0.6,test=0.4,near_duplicates=true", "empty"),
        ("split:train=0.6,test=0.4,order=image.date", "no attribute 'date'"),
        ("kfold:5,near_duplicates=true", "empty"),
        ("dedupe:near", "empty"),
    ],
)
def test_a_bad_image_is_skipped_and_listed(step: str, problem: str, samples: Sequence[Sample], tmp_path: Path) -> None:
    with pytest.raises(DataError, match=rf"2\.png.*{problem}"):
        boxwright.convert(Dataset(SampleReader(samples)), f"voc:{tmp_path}/voc", steps=[step])
    source = Dataset(SampleReader(samples), problems=Problems("skip"))
    report = boxwright.convert(source, f"voc:{tmp_path}/voc", steps=[step])
    assert [sample.image.name for sample in boxwright.open(f"voc:{tmp_path}/voc")] == WHOLE
    assert len(report.skipped) == 1, "an image is listed more than once"
    assert problem in report.skipped[0].problem


def test_splits_contain_the_remaining_images(samples: Sequence[Sample]) -> None:
    """Of five images in the order of their names, three and two."""
    source = Dataset(SampleReader(samples), problems=Problems("skip"))
    step = make_transform("split:train=0.6,test=0.4,order=image.date")
    splits = {sample.image.name: sample.split for sample in source.through(step)}
    assert splits == dict(zip(WHOLE, ["train", "train", "train", "test", "test"], strict=True))


def test_unreadable_images_that_are_kept_are_not_skipped(samples: Sequence[Sample]) -> None:
    source = Dataset(SampleReader([*samples, samples[2]]), problems=Problems("skip"))
    kept = source.through(make_transform("dedupe:near,unreadable=keep"))
    assert [sample.image.name for sample in kept].count("2.png") == 2
    assert source.problems.skipped == []
