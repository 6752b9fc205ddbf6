"""Datasets as tensors, compared with a plain loop over the same files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import boxwright
from boxwright import UsageError
from boxwright_testing import labelimg_xml

torch = pytest.importorskip("torch", reason="PyTorch is an extra: python -m pip install 'boxwright-torch[torch]'")
DataLoader = torch.utils.data.DataLoader

LABELS = ("apple", "fig")
COUNT = 7


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Annotated images of different sizes, the last of them without boxes."""
    for number in range(COUNT):
        width, height = 30 + number, 20 + 2 * number
        pixels = np.full((height, width, 3), [10 * number, 100, 200], np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")
        boxes = range(number % 3)
        labels = [LABELS[(number + each) % 2] for each in boxes]
        coordinates = [(1 + each, 2, 10 + number, 15) for each in boxes]
        text = labelimg_xml(f"{number}.png", labels, coordinates, size=(width, height))
        (tmp_path / f"{number}.xml").write_text(text)
    return tmp_path


def plain(folder: Path, first_label: int = 0) -> list[tuple[Any, list[list[float]], list[int]]]:
    """Returns what the fixture wrote, by Pillow and the numbers above."""
    found = []
    for number in range(COUNT):
        image = np.asarray(Image.open(folder / f"{number}.png"))
        boxes = [[1.0 + each, 2.0, 10.0 + number, 15.0] for each in range(number % 3)]
        labels = [(number + each) % 2 + first_label for each in range(number % 3)]
        found.append((image, boxes, labels))
    return found


def assert_same(examples: list[Any], expected: list[Any]) -> None:
    assert len(examples) == len(expected)
    for (image, target), (pixels, boxes, labels) in zip(examples, expected, strict=True):
        assert image.dtype == target["boxes"].dtype == torch.float32
        assert target["labels"].dtype == torch.int64
        torch.testing.assert_close(image, torch.tensor(pixels).permute(2, 0, 1) / 255)
        assert target["boxes"].shape == (len(boxes), 4)
        assert target["boxes"].tolist() == boxes
        assert target["labels"].tolist() == labels


def test_items(folder: Path) -> None:
    loaded = boxwright.open(f"labelimg:{folder}").to_torch()
    assert len(loaded) == COUNT
    assert_same([loaded[number] for number in range(COUNT)], plain(folder))


def test_a_batch_has_lists(folder: Path) -> None:
    loaded = boxwright.open(f"labelimg:{folder}").to_torch(first_label=1)
    batches = list(DataLoader(loaded, batch_size=3, collate_fn=loaded.collate))
    assert [len(images) for images, _ in batches] == [len(targets) for _, targets in batches] == [3, 3, 1]
    examples = [example for images, targets in batches for example in zip(images, targets, strict=True)]
    assert_same(examples, plain(folder, first_label=1))


def test_images_are_resized_with_their_boxes(folder: Path) -> None:
    loaded = boxwright.open(f"labelimg:{folder}").to_torch(image_size=(60, 40), dtype="uint8")
    image, target = loaded[5]  # 35x30
    assert (image.shape, image.dtype) == ((3, 40, 60), torch.uint8)
    expected = [
        [x * 60 / 35, y * 40 / 30, right * 60 / 35, bottom * 40 / 30] for x, y, right, bottom in plain(folder)[5][1]
    ]
    torch.testing.assert_close(target["boxes"], torch.tensor(expected))


@pytest.mark.parametrize("options", [{"dtype": "int8"}, {"first_label": -1}, {"image_size": (0, 3)}])
def test_invalid_options(options: dict[str, Any], folder: Path) -> None:
    with pytest.raises(UsageError):
        boxwright.open(f"labelimg:{folder}").to_torch(**options)


def test_a_damaged_image_is_left_out_of_a_stream(folder: Path) -> None:
    expected = [each for number, each in enumerate(plain(folder)) if number != 1]
    (folder / "1.png").write_bytes(b"\x89PNG")
    loaded = boxwright.open(f"labelimg:{folder}", on_error="skip").to_torch()
    assert_same(list(loaded), expected)


@pytest.mark.slow
@pytest.mark.parametrize("stream", [False, True])
def test_spawned_workers_read_every_image_once(stream: bool, folder: Path) -> None:
    loaded = boxwright.open(f"labelimg:{folder}", on_error="skip" if stream else "fail").to_torch()
    assert stream == isinstance(loaded, torch.utils.data.IterableDataset)
    batches = DataLoader(loaded, num_workers=2, multiprocessing_context="spawn", collate_fn=loaded.collate)
    examples = [example for images, targets in batches for example in zip(images, targets, strict=True)]
    if stream:
        examples.sort(key=lambda example: example[0].shape[2])
    assert_same(examples, plain(folder))
