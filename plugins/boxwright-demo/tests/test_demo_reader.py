"""The drawn dataset as a format."""

from __future__ import annotations

import io

import pytest
from PIL import Image

import boxwright
from boxwright import DataError, UsageError
from boxwright_demo.scenes import draw_scene, scene_rng


def test_samples_are_the_scenes_with_their_boxes_split_by_split():
    samples = list(boxwright.open("demo:all?images=2&seed=5&size=96x64"))
    assert [(s.image.name, s.split) for s in samples] == [
        ("train-0001.jpg", "train"),
        ("train-0002.jpg", "train"),
        ("test-0001.jpg", "test"),
    ]
    image, objects = draw_scene(scene_rng(5, "train", 1), 96, 64)
    assert list(samples[1].boxes.labels) == [drawn.label for drawn in objects]
    assert list(samples[1].boxes.coordinates) == [(o.xmin, o.ymin, o.xmax, o.ymax) for o in objects]
    with Image.open(io.BytesIO(samples[1].image.read())) as decoded:
        assert (decoded.format, decoded.size) == ("JPEG", image.size)


def test_a_part_is_one_split_of_the_whole():
    everything = list(boxwright.open("demo:all?images=8&size=64x48"))
    train, test = (list(boxwright.open(f"demo:{part}?images=8&size=64x48")) for part in ("train", "test"))
    assert (len(train), len(test)) == (8, 2)
    assert train + test == everything


def test_a_larger_dataset_begins_with_the_smaller_one():
    few, many = (list(boxwright.open(f"demo:train?images={n}&size=64x48")) for n in (2, 4))
    assert many[:2] == few


def test_without_options_it_is_the_dataset_of_the_command():
    dataset = boxwright.open("demo:all")
    assert (dataset.info.num_samples, dataset.info.splits) == (300, ("train", "test"))
    first = next(iter(dataset))
    assert (first.image.width, first.image.height) == (192, 160)
    assert first == next(iter(boxwright.open("demo:train?images=1&seed=0&size=192x160")))


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("demo:train?images=0", "at least 1"),
        ("demo:train?seed=-1", "seed"),
        ("demo:train?size=47x200", "48x48"),
        ("demo:train?size=large", "640x480"),
        ("demo:train?size=64", "640x480"),
        ("demo:s3://bucket/train", "does not read a URL"),
    ],
)
def test_options_out_of_range(uri, expected):
    with pytest.raises(UsageError, match=expected):
        boxwright.open(uri)


def test_an_unknown_part_is_named_with_those_there_are():
    with pytest.raises(DataError, match=r"(?s)val: demo has no such part.*demo:train, demo:test, demo:all"):
        boxwright.open("demo:val")


def test_small_objects_in_large_images() -> None:
    (sample,) = boxwright.open("demo:train?images=1&small=true")
    assert (sample.image.width, sample.image.height) == (960, 720)
    sides = [side for box in sample.boxes for side in (box.xmax - box.xmin, box.ymax - box.ymin)]
    assert 12 <= len(sample.boxes) <= 32
    assert max(sides) <= 36, "32 pixels long, and as much wider as the blur of an edge"
    assert boxwright.open("demo:test?small=true&size=100x80&images=1").info.num_samples == 1
