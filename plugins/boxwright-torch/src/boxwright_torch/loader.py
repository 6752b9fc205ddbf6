"""The loader ``torch``: a dataset as tensors, for ``torch.utils.data.DataLoader``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

import torch
from torch import Tensor
from torch.utils import data as torch_data

from boxwright import Dataset, Sample, UsageError
from boxwright.datasets import PartitionedReader

Example = tuple[Tensor, dict[str, Tensor]]
"""``(image, {"boxes": ..., "labels": ...})``, as torchvision's detectors take it: see
https://docs.pytorch.org/vision/stable/models.html#object-detection."""

_DTYPES: Final = ("float32", "uint8")


@dataclass(frozen=True)
class _Form:
    """How images and boxes become tensors."""

    dataset: Dataset
    bounding_box_format: str
    image_size: tuple[int, int] | None
    dtype: str
    first_label: int

    def arrays(self, dataset: Dataset) -> Any:
        return dataset.to_numpy(bounding_box_format=self.bounding_box_format, image_size=self.image_size)

    def tensors(self, arrays: dict[str, Any]) -> Example:
        boxes = arrays["bounding_boxes"]
        image = torch.from_numpy(arrays["images"].transpose(2, 0, 1).copy())
        labels = torch.from_numpy(boxes["classes"]).to(torch.int64) + self.first_label
        if self.dtype == "float32":
            image = image.to(torch.float32).div_(255)
        return image, {"boxes": torch.from_numpy(boxes["boxes"]), "labels": labels}


def collate(examples: Sequence[Example]) -> tuple[list[Tensor], list[dict[str, Tensor]]]:
    """Returns a batch as lists of images and targets, because images differ in their size and number of boxes."""
    return [image for image, _ in examples], [target for _, target in examples]


class TorchItems(torch_data.Dataset[Example]):
    """A dataset with a length and items, which ``DataLoader`` can shuffle.

    Attributes:
        dataset: The dataset.
    """

    collate = staticmethod(collate)

    def __init__(self, form: _Form) -> None:
        self.dataset = form.dataset
        self._form = form

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> Example:
        return self._form.tensors(self._form.arrays(self.dataset)[index])


class TorchStream(torch_data.IterableDataset[Example]):
    """A dataset that is read in order. Each worker of a ``DataLoader`` decodes a share of the images.

    Each worker reads all samples, applies all steps, and counts what cannot be read, for itself.

    Attributes:
        dataset: The dataset.
    """

    collate = staticmethod(collate)

    def __init__(self, form: _Form) -> None:
        self.dataset = form.dataset
        self._form = form

    def __iter__(self) -> Iterator[Example]:
        worker = torch_data.get_worker_info()
        share = self.dataset if worker is None else self.dataset.through(_Share(worker.id, worker.num_workers))
        return map(self._form.tensors, self._form.arrays(share))


@dataclass(frozen=True)
class _Share:
    """A transform that keeps every ``count``-th sample."""

    first: int
    count: int
    per_sample = False
    keeps_labels = True

    def __call__(self, samples: Iterable[Sample]) -> Iterator[Sample]:
        return islice(samples, self.first, None, self.count)


def to_torch(
    dataset: Dataset,
    *,
    bounding_box_format: str = "xyxy",
    image_size: tuple[int, int] | None = None,
    dtype: str = "float32",
    first_label: int = 0,
) -> TorchItems | TorchStream:
    """Returns the dataset for ``torch.utils.data.DataLoader(..., collate_fn=loaded.collate)``.

    Args:
        dataset: The dataset.
        bounding_box_format: The format of the coordinates, one of the eight of :class:`boxwright.BoxFormat`.
        image_size: ``(width, height)`` to which images and boxes are resized; ``None`` for their own size.
        dtype: ``"float32"`` for images from 0 to 1, ``"uint8"`` for 0 to 255.
        first_label: The label of the first class: 1 for models whose label 0 is the background, such as torchvision's
            Faster R-CNN.

    Returns:
        ``(image, target)`` for each image. ``image``: RGB, shape (3, height, width). ``target["boxes"]``: float32,
        shape (N, 4). ``target["labels"]``: int64, shape (N,), in the order of ``dataset.label_map``. A
        :class:`TorchItems` if the dataset has a length and items, and stops at an image that cannot be read;
        otherwise a :class:`TorchStream`.

    Raises:
        UsageError: The format, the size, the type or the label is invalid.
        DataError: The classes must be read, and an item cannot be read; during iteration, an image cannot be read, or a
            class is not in the label map.
    """
    if dtype not in _DTYPES:
        raise UsageError(f"unknown dtype {dtype!r}", f"use one of: {', '.join(_DTYPES)}")
    if first_label < 0:
        raise UsageError(f"first_label is {first_label}", "use 0, or 1 if 0 is the background")
    known = dataset.with_label_map(dataset.label_map)  # so that no worker reads the dataset for its classes
    form = _Form(known, bounding_box_format, image_size, dtype, first_label)
    form.arrays(known)  # checks the options
    return TorchItems(form) if _has_items(known) else TorchStream(form)


def _has_items(dataset: Dataset) -> bool:
    has_items = isinstance(dataset.reader, PartitionedReader) and dataset.info.num_samples is not None
    return has_items and not dataset.transforms and dataset.problems.on_error == "fail"
