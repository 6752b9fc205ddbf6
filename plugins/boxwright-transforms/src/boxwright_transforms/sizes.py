"""The size of a picture as its file says it, where the annotation says another."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from boxwright import DataError, Sample
from boxwright.images import Header, read_header, size_mismatch
from boxwright_transforms.outlines import move

Size = tuple[int, int]


def with_real_size(sample: Sample, *, scale: bool) -> tuple[Sample, list[tuple[str, str]]]:
    """The sample with the size of its picture's file.

    Of a picture that EXIF turns there are two sizes, by the rule of :mod:`boxwright.images`: the upright one is
    taken, unless only that of the stored pixels fits.

    Args:
        sample: The sample.
        scale: Whether boxes are scaled along, which the size must have the shape for; else they must lie within.

    Returns:
        The sample, and what was found, as in :mod:`boxwright_transforms.fix`.

    Raises:
        DataError: The picture is missing or damaged, or neither of its sizes fits.
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
        said = f"{annotated[0]}x{annotated[1]} is {size[0]}x{size[1]}"
        if scale and _same_shape(annotated, size):
            scaled, masks = _scaled(sample, size)
            return scaled, [("scaled", said), *[("masks", "")] * masks]
        if not scale and _holds(size, annotated, sample.boxes.xyxy):
            likely_scaled = [("shape", said)] if _same_shape(annotated, size) and sample.boxes else []
            return _sized(sample, size), [("size", said), *likely_scaled]
    raise _no_size_fits(sample, header, scale)


def _sized(sample: Sample, size: Size) -> Sample:
    return sample.replace(image=sample.image.model_copy(update={"width": size[0], "height": size[1]}))


def _scaled(sample: Sample, size: Size) -> tuple[Sample, int]:
    """The sample at another size, and how many masks were left out."""
    factors = np.array([size[0] / sample.image.width, size[1] / sample.image.height])
    edges = sample.boxes.xyxy * np.tile(factors, 2)
    boxes, masks = move(sample.boxes, edges, lambda points: points * factors, float(factors.prod()))
    return _sized(sample, size).replace(boxes=boxes), masks


def _same_shape(one: Size, two: Size) -> bool:
    """Whether one size is the other one scaled and rounded to whole pixels."""
    (width, height), (wide, high) = one, two
    return abs(high * width - height * wide) <= max(*one, *two)


def _holds(size: Size, annotated: Size, xyxy: NDArray[np.float64]) -> bool:
    """Whether the boxes lie in a picture of this size, but for those that leave the annotated size as well."""
    ends = xyxy[:, 2:]
    return bool(((ends <= np.add(size, 1)) | (ends > annotated)).all())


def _no_size_fits(sample: Sample, header: Header, scale: bool) -> DataError:
    error = size_mismatch(sample, header)
    if scale:
        return DataError(
            error.file, f"{error.problem}, which has another shape", "annotate it again, or try size=picture"
        )
    return DataError(
        error.file, f"{error.problem}, in which the boxes do not lie", "annotate it again, or try size=scale"
    )
