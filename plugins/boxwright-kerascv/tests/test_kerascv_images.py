"""Training images: decoded once, cached in memory or on disk, and returned in the order of seed and step."""

from __future__ import annotations

import io
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

tf = pytest.importorskip("tensorflow")

from boxwright import Boxes, DataError, Dataset, ImageRef, LabelMap, Sample  # noqa: E402
from boxwright.datasets import Problems, SampleReader  # noqa: E402
from boxwright.models import Shard  # noqa: E402
from boxwright_kerascv.augmentation import Augmentation  # noqa: E402
from boxwright_kerascv.inputs import WHOLE, load_example, training_batches  # noqa: E402
from boxwright_retinanet.images import (  # noqa: E402
    ImageCache,
    TrainingImages,
    load_images,
    prepare,
)
from boxwright_retinanet.recipe import Recipe  # noqa: E402

pytestmark = pytest.mark.tensorflow

LABELS = LabelMap.from_names(["fig", "plum"])
Coordinates = tuple[float, float, float, float]


def sample(
    name: str, size: tuple[int, int], boxes: Sequence[Coordinates] = (), level: int = 90, data: bytes | None = None
) -> Sample:
    if data is None:
        buffer = io.BytesIO()
        Image.new("RGB", size, (level, level, level)).save(buffer, "PNG")
        data = buffer.getvalue()
    labels = [("plum", "fig")[place % 2] for place in range(len(boxes))]
    image = ImageRef(name=name, width=size[0], height=size[1], data=data)
    return Sample(image=image, boxes=Boxes(labels, boxes), source=name)


def loaded(samples: Sequence[Sample], tmp_path: Path, reporter: Any, **options: Any) -> TrainingImages:
    problems = Problems(options.pop("on_error", "fail"))
    settings: dict[str, Any] = {"cache": "memory", "image_size": (64, 64), "oversample": 1.0, **options}
    return load_images(
        Dataset(SampleReader(samples), problems=problems),
        LABELS,
        settings.pop("image_size"),
        settings.pop("oversample"),
        expected=len(samples),
        cache_file=tmp_path / "cache" / "pictures.bin",
        reporter=reporter,
        **settings,
    )


def test_an_image_is_resized_with_its_boxes() -> None:
    """400x200 at the network's 64x32 (width x height) is 64x32; a box of a quarter of it stays a quarter."""
    ready = prepare(sample("a", (400, 200), [(100, 50, 200, 150)]), LABELS, (32, 64), 1.0)
    assert ready.image.shape == (32, 64, 3)
    assert ready.image.dtype == np.uint8
    np.testing.assert_allclose(ready.boxes, [[16, 8, 32, 24]])
    assert ready.boxes.dtype == np.float32
    assert ready.classes.tolist() == [1.0], "0-based in the order of the label map"


def test_the_aspect_ratio_is_kept_and_the_network_is_covered() -> None:
    """400x200 for a square of 64: 128x64, so that neither side is enlarged later."""
    assert prepare(sample("a", (400, 200)), LABELS, (64, 64), 1.0).image.shape == (64, 128, 3)
    assert prepare(sample("a", (400, 200)), LABELS, (64, 64), 1.5).image.shape == (96, 192, 3)


def test_a_small_image_is_not_enlarged() -> None:
    ready = prepare(sample("a", (40, 20), [(1, 2, 3, 4)]), LABELS, (64, 64), 1.5)
    assert ready.image.shape == (20, 40, 3)
    np.testing.assert_array_equal(ready.boxes, [[1, 2, 3, 4]])


def test_boxes_are_clipped_and_counted() -> None:
    boxes: list[Coordinates] = [
        (10, 10, 10, 20),  # zero area: dropped
        (-10, 5, 20, 30),  # extends beyond the image: clipped
        (50, 50, 64.3, 60),  # by less than half a pixel: rounding, clipped and not counted
        (70, 10, 80, 20),  # completely outside: dropped
        (1, 1, 2, 2),
    ]
    ready = prepare(sample("a", (64, 64), boxes), LABELS, (64, 64), 1.0)
    np.testing.assert_allclose(ready.boxes, [[0, 5, 20, 30], [50, 50, 64, 60], [1, 1, 2, 2]])
    assert ready.classes.tolist() == [0.0, 1.0, 1.0], "fig, plum and the last, a plum"
    assert (ready.clipped, ready.dropped) == (1, 2)


def test_changes_of_boxes_are_reported(tmp_path: Path, reporter: Any) -> None:
    samples = [
        sample("a", (64, 64), [(-10, 5, 20, 30), (60, 60, 70, 70)]),
        sample("b", (64, 64), [(10, 10, 10, 20), (5, 5, 30, 30)]),
    ]
    images = loaded(samples, tmp_path, reporter)
    assert reporter.messages == [
        "2 boxes extend beyond their image; they were clipped for the training.",
        "1 boxes have zero area inside their image; they were not used in the training.",
    ]
    assert (images.count, images.most_boxes, len(images.boxes)) == (2, 2, 3)
    total, task = reporter.tasks["Decoding the images"]
    assert (total, task.done) == (2, 2)


def test_boxes_are_in_pixels_of_the_network(tmp_path: Path, reporter: Any) -> None:
    """A box of half by a quarter of the image is half by a quarter of the network's 96x64."""
    images = loaded([sample("a", (400, 200), [(100, 0, 300, 50)])], tmp_path, reporter, image_size=(64, 96))
    np.testing.assert_allclose(images.boxes, [[24, 0, 72, 16]], rtol=1e-6)


def test_memory_and_disk_return_the_same(drawn: Dataset, tmp_path: Path, reporter: Any) -> None:
    """On disk, images are JPEG with quality 95, as Pillow encodes and decodes them. Boxes and classes are equal."""
    found = {
        cache: load_images(
            drawn,
            drawn.label_map,
            (64, 64),
            1.0,
            expected=8,
            cache=cache,
            cache_file=tmp_path / "cache" / "pictures.bin",
            reporter=reporter,
        )
        for cache in ("memory", "disk")
    }
    memory, disk = found["memory"], found["disk"]
    assert (memory.count, memory.most_boxes) == (disk.count, disk.most_boxes) == (8, memory.most_boxes)
    np.testing.assert_array_equal(memory.boxes, disk.boxes)
    numbers = tf.data.Dataset.range(8)
    loaded = [numbers.map(partial(load_example, each.load.example)) for each in (memory, disk)]
    for one, two in zip(*loaded, strict=True):
        assert set(one) == set(two) == {"images", "boxes", "classes"}
        np.testing.assert_array_equal(one["boxes"], two["boxes"])
        np.testing.assert_array_equal(one["classes"], two["classes"])
        assert one["images"].shape == two["images"].shape
        assert one["images"].dtype == two["images"].dtype == tf.uint8
        buffer = io.BytesIO()
        Image.fromarray(one["images"].numpy()).save(buffer, "JPEG", quality=95)
        np.testing.assert_allclose(two["images"], np.asarray(Image.open(buffer)), atol=1)
    assert (tmp_path / "cache" / "pictures.bin").is_file()
    disk.close()
    assert not (tmp_path / "cache" / "pictures.bin").exists()
    memory.close()


def test_images_in_memory_are_the_decoded_ones_exactly() -> None:
    chance = np.random.default_rng(0)
    images = [chance.integers(0, 256, (height, width, 3), dtype=np.uint8) for height, width in ((5, 7), (3, 2))]
    boxes: list[np.ndarray] = [np.array([[1, 2, 3, 4], [0, 0, 7, 5]], np.float32), np.empty((0, 4))]
    cache = ImageCache(images, boxes, [np.array([1, 0]), np.empty((0,))])
    assert len(cache) == 2
    for number in range(2):
        found = load_example(cache.example, tf.constant(number))
        np.testing.assert_array_equal(found["images"], images[number])
        np.testing.assert_array_equal(found["boxes"], boxes[number])
    assert cache.example(0)["classes"].tolist() == [1, 0]
    assert cache.example(1)["classes"].shape == (0,)


def test_a_damaged_image_is_an_error_and_no_file_remains(tmp_path: Path, reporter: Any) -> None:
    samples = [sample("a", (64, 64)), sample("b", (64, 64), data=b"no image")]
    with pytest.raises(DataError, match="b: "):
        loaded(samples, tmp_path, reporter, cache="disk")
    assert not (tmp_path / "cache" / "pictures.bin").exists()


def test_a_damaged_image_can_be_skipped(tmp_path: Path, reporter: Any) -> None:
    samples = [sample("a", (64, 64), level=10), sample("b", (64, 64), data=b"no image"), sample("c", (64, 64))]
    images = loaded(samples, tmp_path, reporter, on_error="skip")
    assert images.count == 2
    assert int(images.load.example(0)["images"][0, 0, 0]) == 10


def test_training_without_images_is_an_error(tmp_path: Path, reporter: Any) -> None:
    with pytest.raises(ValueError, match="no images"):
        loaded([sample("b", (64, 64), data=b"")], tmp_path, reporter, on_error="skip", cache="disk")
    assert not (tmp_path / "cache" / "pictures.bin").exists()


def test_the_size_determines_where_images_are_cached(
    tmp_path: Path, reporter: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    samples = [sample("a", (64, 64))]
    monkeypatch.setattr("boxwright_retinanet.images.MEMORY_BYTES", 64 * 64 * 3)
    assert loaded(samples, tmp_path, reporter, cache="auto").on_disk is None
    monkeypatch.setattr("boxwright_retinanet.images.MEMORY_BYTES", 64 * 64 * 3 - 1)
    images = loaded(samples, tmp_path, reporter, cache="auto")
    assert images.on_disk is not None
    images.close()


def recipe(batch_size: int, max_boxes: int = 10) -> Recipe:
    return Recipe("tiny", 32, 32, batch_size, steps=20, steps_per_epoch=2, max_boxes=max_boxes)


def numbered(count: int) -> ImageCache:
    """Returns images whose gray level is their number, with as many boxes."""
    return ImageCache(
        [np.full((40, 40, 3), number, np.uint8) for number in range(count)],
        [np.tile([[4.0, 4, 30, 30]], (number, 1)) for number in range(count)],
        [np.arange(number) for number in range(count)],
    )


def stream(
    count: int, batches: int, *, batch_size: int = 4, seed: int = 0, first_step: int = 0, shard: Shard = WHOLE
) -> list[Any]:
    augmentation = Augmentation(["crop", "flip"], (32, 32))
    batched = training_batches(
        numbered(count), count, recipe(batch_size), augmentation, seed=seed, first_step=first_step, shard=shard
    )
    return list(batched.take(batches).as_numpy_iterator())


def levels(batches: list[Any]) -> list[int]:
    """Returns the numbers of images: the level in the middle, which neither crop nor flip changes."""
    return [round(float(image[16, 16, 0])) for images, _ in batches for image in images]


def test_every_pass_shows_every_image_once_in_another_order() -> None:
    """Seven images in batches of four: a batch contains the end of one pass and the start of the next."""
    order = levels(stream(7, 7))
    passes = [order[start : start + 7] for start in range(0, 28, 7)]
    assert all(sorted(each) == list(range(7)) for each in passes)
    assert len({tuple(each) for each in passes}) > 2


@pytest.mark.parametrize("count", [2, 4])
def test_the_shards_of_a_batch_are_the_batch(count: int) -> None:
    """The same images with the same augmentation, whatever the number of devices; also after a resume."""
    whole = stream(7, 5, first_step=2)
    shards = [stream(7, 5, first_step=2, shard=Shard(index, count)) for index in range(count)]
    for (images, labels), *parts in zip(whole, *shards, strict=True):
        assert [len(part) for part, _ in parts] == [4 // count] * count
        np.testing.assert_array_equal(np.concatenate([part for part, _ in parts]), images)
        rows = [row for _, part in parts for row in zip(part["boxes"], part["classes"], strict=True)]
        for (boxes, classes), all_boxes, all_classes in zip(rows, labels["boxes"], labels["classes"], strict=True):
            np.testing.assert_array_equal(boxes, all_boxes[: len(boxes)])
            np.testing.assert_array_equal(classes, all_classes[: len(boxes)])
            assert (all_classes[len(boxes) :] == -1).all()


def test_a_resumed_training_has_the_same_batches() -> None:
    whole = stream(7, 6)
    for first_step in (2, 5):
        rest = stream(7, 6 - first_step, first_step=first_step)
        for one, two in zip(whole[first_step:], rest, strict=True):
            tf.nest.map_structure(np.testing.assert_array_equal, one, two)


def test_the_seed_determines_order_and_augmentation() -> None:
    first, again, other = stream(7, 3), stream(7, 3), stream(7, 3, seed=1)
    for one, two in zip(first, again, strict=True):
        tf.nest.map_structure(np.testing.assert_array_equal, one, two)
    assert levels(first) != levels(other)


def test_an_image_is_augmented_differently_in_every_pass() -> None:
    images = [image for images, _ in stream(1, 5, batch_size=1) for image in images]
    boxes = [labels["boxes"] for _, labels in stream(2, 12, batch_size=1)]
    assert len(images) == 5
    assert len({rows.tobytes() for rows in boxes if (rows >= 0).all()}) > 2


def test_batches_are_padded_to_the_most_boxes_up_to_the_limit() -> None:
    augmentation = Augmentation([], (32, 32))
    for max_boxes in (10, 3):
        batched = training_batches(numbered(6), 6, recipe(6, max_boxes), augmentation, seed=0)
        ((images, labels),) = batched.take(1).as_numpy_iterator()
        assert images.shape == (6, 32, 32, 3)
        assert images.dtype == np.float32
        most = min(5, max_boxes)
        assert labels["boxes"].shape == (6, most, 4)
        assert labels["classes"].shape == (6, most)
        for image, boxes, classes in zip(images, labels["boxes"], labels["classes"], strict=True):
            count = min(round(float(image[0, 0, 0])), max_boxes)
            assert classes.tolist() == [*range(count), *[-1] * (most - count)]
            np.testing.assert_allclose(boxes[:count], np.tile([[3.2, 3.2, 24, 24]], (count, 1)), atol=1e-5)
            assert (boxes[count:] == -1).all()


def test_images_without_boxes_have_one_empty_row() -> None:
    """KerasCV's matching fails without any row."""
    batched = training_batches(numbered(1), 1, recipe(2), Augmentation([], (32, 32)), seed=0)
    ((_, labels),) = batched.take(1).as_numpy_iterator()
    assert labels["boxes"].tolist() == [[[-1.0] * 4]] * 2
    assert labels["classes"].tolist() == [[-1.0]] * 2


def test_columns_of_different_lengths_are_errors() -> None:
    with pytest.raises(ValueError, match="do not match"):
        ImageCache([np.zeros((4, 4, 3), np.uint8)], [], [])
    with pytest.raises(ValueError, match="no images"):
        ImageCache([], [], [])
