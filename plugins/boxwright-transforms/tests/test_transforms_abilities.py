"""The protocols of each transform."""

from __future__ import annotations

import pytest

from boxwright.datasets import (
    DatasetTransform,
    LabelPreservingTransform,
    ReportingTransform,
    make_transform,
)

STEPS = (
    "fix",
    "upright",
    "filter:side=8..",
    "remap:apple=fruit",
    "dedupe",
    "sample:5",
    "split:train=0.8,test=0.2",
    "kfold:5",
    "tile:640",
    "resize:800x600",
)


@pytest.mark.parametrize("step", STEPS)
def test_every_transform_reports(step: str) -> None:
    transform = make_transform(step)
    assert isinstance(transform, ReportingTransform)
    assert transform.notes() == [], "a note before anything was read"


def test_only_remap_changes_labels() -> None:
    changing = {step for step in STEPS if not isinstance(make_transform(step), LabelPreservingTransform)}
    assert changing == {"remap:apple=fruit"}


def test_transforms_that_decode_images_of_the_whole_dataset_skip_bad_ones() -> None:
    whole = {step.partition(":")[0] for step in STEPS if isinstance(make_transform(step), DatasetTransform)}
    assert whole == {"dedupe", "split", "kfold"}
