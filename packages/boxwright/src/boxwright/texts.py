r"""Texts that no file can hold: halves of characters, as JSON's ``"\ud800"`` and undecodable file names say them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from boxwright.errors import DataError

if TYPE_CHECKING:
    from boxwright.schemas import Sample

_REMEDY = "correct it in the source, or leave the picture out with --on-error skip"


def is_text(text: str) -> bool:
    """Whether a text can be written as UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def check_classes(names: Iterable[str]) -> None:
    """Checks the classes of a dataset.

    Raises:
        DataError: One cannot be written as UTF-8.
    """
    for name in names:
        if not is_text(name):
            raise DataError("the classes", f"{name!r} holds half a character", "rename it in the source")


def named(error: DataError | UnicodeEncodeError, sample: Sample) -> DataError:
    """What is wrong with a sample that could not be written, by the box where a class is the cause."""
    place = sample.source or sample.image.name
    for position, label in enumerate(sample.boxes.labels, start=1):
        if not is_text(label):
            problem = f"the class {label!r} holds half a character, which cannot be written as UTF-8"
            return DataError(place, problem, _REMEDY, f"box {position}")
    if isinstance(error, DataError):
        return error
    return DataError(place, f"{error.object!r:.200} holds half a character, which cannot be written as UTF-8", _REMEDY)
