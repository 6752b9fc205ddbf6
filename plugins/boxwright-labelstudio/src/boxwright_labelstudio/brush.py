"""Label Studio's run lengths of brushes.

A stream of bits: the number of values (32 bits), the bits of a value less 1 (5 bits), the bits of four kinds of lengths
less 1 (4 bits each); then blocks of a flag, the kind of the length (2 bits), the length less 1, and either one value
that is repeated (flag 1) or as many values as the length. The values are the bytes of an RGBA image; a pixel is inside
if its alpha is not 0. Source: ``label_studio_sdk/converter/brush.py`` of
https://github.com/HumanSignal/label-studio-sdk, which has it from https://github.com/thi-ng/umbrella (rle-pack).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from boxwright.datasets import ShapeError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_CHANNELS = 4
_LENGTHS = (3, 4, 8, 16)
"""The bits of the four kinds of lengths that Label Studio itself writes."""


def decoded(codes: Sequence[Any], width: int, height: int) -> NDArray[np.bool_]:
    """Returns which pixels are inside, shape (height, width).

    Raises:
        ShapeError: They are not run lengths of an image of that size.
    """
    import numpy as np

    total = width * height * _CHANNELS
    try:
        bits = _Bits(bytes(codes))
        if bits.take(32) != total:
            raise ShapeError("its run lengths are not those of an image of this size")
        size = bits.take(5) + 1
        lengths = [bits.take(4) + 1 for _ in range(4)]
        values = np.zeros(total, dtype=np.uint32)
        place = 0
        while place < total:
            repeated = bits.take(1)
            end = place + bits.take(lengths[bits.take(2)]) + 1
            if end > total:
                raise ShapeError("its run lengths are longer than the image")
            values[place:end] = bits.take(size) if repeated else [bits.take(size) for _ in range(end - place)]
            place = end
    except ShapeError:
        raise
    except (TypeError, ValueError, OverflowError):
        raise ShapeError("its run lengths cannot be read") from None
    return values.reshape(height, width, _CHANNELS)[:, :, 3] > 0


def encoded(inside: NDArray[np.bool_]) -> list[int]:
    """Returns the run lengths of pixels, shape (height, width)."""
    import numpy as np

    pixels = inside.ravel()
    edges = np.flatnonzero(np.diff(pixels)) + 1
    starts = np.concatenate(([0], edges, [pixels.size]))
    parts = [f"{pixels.size * _CHANNELS:032b}{7:05b}", *(f"{size - 1:04b}" for size in _LENGTHS)]
    for start, end in zip(starts[:-1].tolist(), starts[1:].tolist(), strict=True):
        parts += _runs((end - start) * _CHANNELS, 255 if pixels[start] else 0)
    text = "".join(parts)
    text += "0" * (-len(text) % 8)
    return list(int(text, 2).to_bytes(len(text) // 8, "big"))


def _runs(count: int, value: int) -> Iterable[str]:
    while count:
        kind = next((kind for kind, size in enumerate(_LENGTHS) if count <= 1 << size), 3)
        length = min(count, 1 << _LENGTHS[kind])
        yield f"1{kind:02b}{length - 1:0{_LENGTHS[kind]}b}{value:08b}"
        count -= length


class _Bits:
    """A stream of bits."""

    def __init__(self, content: bytes) -> None:
        self._text = f"{int.from_bytes(content, 'big'):0{len(content) * 8}b}" if content else ""
        self._place = 0

    def take(self, count: int) -> int:
        end = self._place + count
        if end > len(self._text):
            raise ShapeError("its run lengths are incomplete")
        value = int(self._text[self._place : end], 2)
        self._place = end
        return value
