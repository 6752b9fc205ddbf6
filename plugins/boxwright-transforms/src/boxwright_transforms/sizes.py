"""Sizes of images in annotations, corrected to those of the image files."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from boxwright import DataError, Sample
from boxwright.images import Header, read_header, size_mismatch
from boxwright_transforms.outlines import transform_boxes

Size = tuple[int, int]


def with_file_size(sample: Sample, *, scale: bool) -> tuple[Sample, list[tuple[str, str]]]:
    """Returns the sample with the size of its image file.

    An image with an EXIF orientation has two sizes, by the rule of :mod:`boxwright.images`: the rotated one is used,
    unless only that of the stored pixels matches.

    Args:
        sample: The sample.
        scale: Whether to scale the boxes, which requires the same aspect ratio; otherwise they must be inside the size.

    Returns:
        The sample, and the findings, as in :mod:`boxwright_transforms.fix`.

    Raises:
        DataError: The image is missing or damaged, or neither of its sizes matches.
    """
    image = sample.image
    header = read_header(image.read(), image.location or sample.source or image.name)
    annotated = (image.width, image.height)
    if annotated == header.upright_size:
        return sample, []
    stored = (header.width, header.height)
    if annotated == stored:
        return sample, [("stored", "")]
    for size in dict.fromkeys((header.upright_size, stored)):
        change = f"{annotated[0]}x{annotated[1]} is {size[0]}x{size[1]}"
        if scale and _same_aspect_ratio(annotated, size):
            scaled, masks = _scaled(sample, size)
            return scaled, [("scaled", change), *[("masks", "")] * masks]
        if not scale and _contains(size, annotated, sample.boxes.xyxy):
            resized = [("shape", change)] if _same_aspect_ratio(annotated, size) and sample.boxes else []
            return _sized(sample, size), [("size", change), *resized]
    raise _size_error(sample, header, scale)


def _sized(sample: Sample, size: Size) -> Sample:
    return sample.replace(image=sample.image.model_copy(update={"width": size[0], "height": size[1]}))


def _scaled(sample: Sample, size: Size) -> tuple[Sample, int]:
    """Returns the sample at another size, and the number of masks that were dropped."""
    factors = np.array([size[0] / sample.image.width, size[1] / sample.image.height])
    xyxy = sample.boxes.xyxy * np.tile(factors, 2)
    boxes, masks = transform_boxes(sample.boxes, xyxy, lambda points: points * factors, float(factors.prod()))
    return _sized(sample, size).replace(boxes=boxes), masks


def _same_aspect_ratio(one: Size, two: Size) -> bool:
    """Returns whether one size is the other one, scaled and rounded to whole pixels."""
    (width, height), (other_width, other_height) = one, two
    return abs(other_height * width - height * other_width) <= max(*one, *two)


def _contains(size: Size, annotated: Size, xyxy: NDArray[np.float64]) -> bool:
    """Returns whether the boxes are inside an image of this size, except those outside the annotated size as well."""
    ends = xyxy[:, 2:]
    return bool(((ends <= np.add(size, 1)) | (ends > annotated)).all())


def _size_error(sample: Sample, header: Header, scale: bool) -> DataError:
    error = size_mismatch(sample, header)
    if scale:
        return DataError(
            error.file, f"{error.problem}, with another aspect ratio", "annotate it again, or try size=picture"
        )
    return DataError(
        error.file, f"{error.problem}, and boxes are outside of it", "annotate it again, or try size=scale"
    )
