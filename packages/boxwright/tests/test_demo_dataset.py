"""The drawn dataset as a reader."""

from __future__ import annotations

import io

import pytest
from PIL import Image

from boxwright.dataset import Dataset
from boxwright.demo import draw_scene, scene_rng
from boxwright.demo_dataset import DemoReader
from boxwright.errors import UsageError


def test_samples_are_the_scenes_with_their_boxes_split_by_split():
    samples = list(Dataset(DemoReader({"train": 2, "test": 1}, seed=5, size=(96, 64))))
    assert [(s.image.name, s.split) for s in samples] == [
        ("train-0001.jpg", "train"),
        ("train-0002.jpg", "train"),
        ("test-0001.jpg", "test"),
    ]
    image, objects = draw_scene(scene_rng(5, "train", 1), 96, 64)
    assert list(samples[1].boxes.labels) == [thing.label for thing in objects]
    assert list(samples[1].boxes.edges) == [(o.xmin, o.ymin, o.xmax, o.ymax) for o in objects]
    with Image.open(io.BytesIO(samples[1].image.read())) as picture:
        assert (picture.format, picture.size) == ("JPEG", image.size)


def test_a_larger_dataset_begins_with_the_smaller_one():
    few, many = (list(Dataset(DemoReader({"train": n}, size=(64, 48)))) for n in (2, 4))
    assert many[:2] == few


def test_reader_can_be_read_again():
    dataset = Dataset(DemoReader({"train": 2}, size=(64, 48)))
    assert list(dataset) == list(dataset)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"splits": {"train": 0}}, "at least 1"),
        ({"splits": {"train": 1}, "seed": -1}, "seed"),
        ({"splits": {"train": 1}, "size": (47, 200)}, "48x48"),
    ],
)
def test_numbers_out_of_range(arguments, said):
    with pytest.raises(UsageError, match=said):
        DemoReader(**arguments)
