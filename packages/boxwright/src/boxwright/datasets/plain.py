"""Samples of plain values, made by the ten thousand."""

from __future__ import annotations

from typing import Any, TypeVar

from pydantic import BaseModel

from boxwright.compiled import speedups
from boxwright.schemas import Boxes, ImageRef, Sample

_M = TypeVar("_M", bound=BaseModel)
_PICTURE_FIELDS = frozenset({"name", "width", "height", "location"})
_SAMPLE_FIELDS = frozenset({"image", "boxes", "split", "attributes", "source"})
_set = object.__setattr__
_compiled = speedups.plain_sample if speedups is not None else None


def plain_sample(
    name: str,
    width: int,
    height: int,
    location: str | None,
    boxes: Boxes,
    split: str | None,
    attributes: dict[str, Any],
    source: str,
) -> Sample:
    """A sample of a picture that lies in a file, for readers of many thousands: the same as by its class, but quicker.

    The values are checked here, by hand, where they are what nearly all are; what is not is left to pydantic.

    Args:
        name: The picture's, as for :class:`~boxwright.ImageRef`.
        width: In pixels.
        height: In pixels.
        location: Where the picture is.
        boxes: As for :class:`~boxwright.Sample`.
        split: Likewise.
        attributes: Likewise; they are kept, not copied.
        source: Likewise.

    Raises:
        ValueError: A value is wrong.
    """
    if _compiled is not None:
        made: Sample | None = _compiled(
            ImageRef, Sample, Boxes, name, width, height, location, boxes, split, attributes, source
        )
        if made is not None:
            return made
    texts = name + source if location is None else name + source + location
    usual = name and texts.isascii() and type(width) is type(height) is int and width > 0 and height > 0
    if (
        not usual
        or not (split is None or type(split) is str)
        or type(boxes) is not Boxes
        or type(attributes) is not dict
    ):
        image = ImageRef(name=name, width=width, height=height, location=location)
        return Sample(image=image, boxes=boxes, split=split, attributes=attributes, source=source)
    image = _made(
        ImageRef,
        {"name": name, "width": width, "height": height, "location": location, "data": None, "format": None},
        _PICTURE_FIELDS,
    )
    return _made(
        Sample,
        {"image": image, "boxes": boxes, "split": split, "attributes": attributes, "source": source},
        _SAMPLE_FIELDS,
    )


def _made(model: type[_M], content: dict[str, Any], given: frozenset[str]) -> _M:
    """An object with checked values, as ``model_construct`` makes one, but for looking at every field again."""
    made = model.__new__(model)
    _set(made, "__dict__", content)
    _set(made, "__pydantic_fields_set__", set(given))
    _set(made, "__pydantic_extra__", None)
    _set(made, "__pydantic_private__", None)
    return made
