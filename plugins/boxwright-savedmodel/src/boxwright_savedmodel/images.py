"""Image files to the input of a network, in TensorFlow, as :class:`boxwright.models.InputSettings` does in Pillow."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from boxwright.models import InputSettings

_HEAD = 1 << 18
"""The bytes at the start of a file in which EXIF is searched."""
_ORIENTATION = 0x0112
_MOST_ENTRIES = 1000
_GAP = 3.0
"""``reducing_gap`` of :func:`boxwright.models.shrink`."""


def read(content: Any, inputs: InputSettings) -> tuple[Any, Any]:
    """Decodes an image file, upright, with transparency on white, as the input of a network.

    Args:
        content: A string tensor of shape (): a JPEG or PNG file.
        inputs: The settings.

    Returns:
        The input, ``(height, width, 3)`` float32, and the width and height of the upright image, int32.
    """
    is_jpeg = tf.equal(tf.strings.substr(content, 0, 3), b"\xff\xd8\xff")
    pixels, size = tf.cond(is_jpeg, lambda: _read_jpeg(content, inputs), lambda: _read_png(content))
    return resize(pixels, inputs), size


def resize(pixels: Any, inputs: InputSettings) -> Any:
    """Returns an image, ``(height, width, 3)`` uint8, as the input of a network, float32."""
    size = inputs.height, inputs.width
    if inputs.reduced_size is None:
        resized = tf.compat.v1.image.resize_bilinear(pixels[None], size)[0]
    else:
        reduced = tf.cast(_shrink(pixels, inputs.reduced_size), tf.float32)
        resized = tf.image.resize(reduced, size, antialias=True)
    return tf.ensure_shape(resized, (*size, 3))


def _read_png(content: Any) -> tuple[Any, Any]:
    layers = tf.cast(tf.io.decode_png(content, channels=4), tf.int32)
    colors, alpha = layers[..., :3], layers[..., 3:]
    on_white = (colors * alpha + 255 * (255 - alpha) + 127) // 255
    return tf.cast(on_white, tf.uint8), tf.shape(layers)[1::-1]


def _read_jpeg(content: Any, inputs: InputSettings) -> tuple[Any, Any]:
    """Decodes a JPEG, a large one at 1/2, 1/4 or 1/8 of its size, as ``Image.draft`` of Pillow does."""
    orientation = _orientation(content)
    rotated = orientation >= 5
    stored = tf.io.extract_jpeg_shape(content)[1::-1]
    size = tf.where(rotated, stored[::-1], stored)

    def decode(ratio: int = 1, method: str = "INTEGER_ACCURATE") -> Any:
        return tf.io.decode_jpeg(content, channels=3, ratio=ratio, fancy_upscaling=True, dct_method=method)

    if inputs.reduced_size is not None:
        scale = tf.reduce_min(size // inputs.reduced_size)
        choice = tf.reduce_sum(tf.cast(scale >= [2, 4, 8], tf.int32))
        pixels = tf.switch_case(choice, [lambda ratio=ratio: decode(ratio) for ratio in (1, 2, 4, 8)])
    elif inputs.jpeg == "fast":  # the run decodes rotated images with Pillow
        pixels = tf.cond(tf.equal(orientation, 1), lambda: decode(method=""), decode)
    else:
        pixels = decode()
    pixels = tf.cond(rotated, lambda: tf.transpose(pixels, (1, 0, 2)), lambda: pixels)
    for axis, orientations in ((1, (2, 3, 6, 7)), (0, (3, 4, 7, 8))):
        mirrored = tf.reduce_any(tf.equal(orientation, orientations))
        pixels = _if(mirrored, lambda pixels, axis=axis: tf.reverse(pixels, [axis]), pixels)
    return pixels, size


def _if(condition: Any, change: Any, value: Any) -> Any:
    return tf.cond(condition, lambda: change(value), lambda: value)


def _orientation(content: Any) -> Any:
    """Returns the EXIF orientation of a JPEG (EXIF 2.32, sections 4.6 and 4.7): 1 if it has none, or damaged EXIF."""
    head = tf.cast(tf.io.decode_raw(tf.strings.substr(content, 0, _HEAD), tf.uint8), tf.int64)
    length = tf.size(head, tf.int64)

    def at(place: Any) -> Any:
        inside = (place >= 0) & (place < length)
        return tf.where(inside, tf.gather(head, tf.clip_by_value(place, 0, length - 1)), 0)

    def number(place: Any, size: int, little: Any) -> Any:
        parts = [at(place + offset) for offset in range(size)]
        low_first, high_first = (
            tf.add_n([part * 256**power for power, part in enumerate(each)]) for each in (parts, parts[::-1])
        )
        return tf.where(little, low_first, high_first)

    def is_exif(place: Any) -> Any:
        exif = tf.constant([0xFF, 0xE1, *b"Exif"], tf.int64)
        return tf.reduce_all(tf.stack([at(place + offset) for offset in (0, 1, 4, 5, 6, 7)]) == exif)

    def go_on(place: Any) -> Any:
        has_length = (at(place) == 0xFF) & (at(place + 1) != 0xDA) & (at(place + 1) != 0xFF)
        return has_length & ~is_exif(place)

    (segment,) = tf.while_loop(
        go_on, lambda place: (place + 2 + number(place + 2, 2, False),), (tf.constant(2, tf.int64),)
    )
    start = segment + 10
    little = at(start) == ord("I")
    entries = start + number(start + 4, 4, little)
    count = tf.minimum(number(entries, 2, little), _MOST_ENTRIES)
    places = entries + 2 + 12 * tf.range(count)
    values = tf.where(number(places, 2, little) == _ORIENTATION, number(places + 8, 2, little), 0)
    found = tf.reduce_max(tf.concat([values, [0]], 0))
    return tf.where(is_exif(segment) & (found >= 1) & (found <= 8), found, 1)


def _shrink(pixels: Any, size: tuple[int, int]) -> Any:
    """Returns an image reduced with its aspect ratio, as :func:`boxwright.models.shrink` does."""
    old = tf.cast(tf.shape(pixels)[1::-1], tf.float64)
    factor = tf.reduce_max(tf.constant(size, tf.float64) / old)
    new = tf.maximum(tf.cast(tf.round(old * factor), tf.int32), 1)
    return _if(factor < 1, lambda pixels: _average(pixels, old, new), pixels)


def _average(pixels: Any, old: Any, new: Any) -> Any:
    """Resizes with Pillow's filter ``BOX``: first by whole factors, then by averages of whole pixels.

    Like most versions of Pillow, it averages rows first; others may begin with columns, which changes some pixels by 1.

    Args:
        pixels: ``(height, width, 3)`` uint8.
        old: Its width and height, float64.
        new: The width and height of the result, int32.
    """
    factors = tf.maximum(tf.cast(old / tf.cast(new, tf.float64) / _GAP, tf.int32), 1)

    def reduced(values: Any) -> Any:
        blocks = [_blocks(tf.shape(values)[1 - axis], factors[axis]) for axis in (0, 1)]
        return _means(_sums(_sums(tf.cast(values, tf.float32), *blocks[0], 1), *blocks[1], 0), *blocks)

    values = _if(tf.reduce_any(factors > 1), reduced, tf.cast(pixels, tf.float32))
    for axis in (0, 1):
        length = old[axis] / tf.cast(factors[axis], tf.float64)
        windows = _windows(tf.shape(values)[1 - axis], length, new[axis])
        whole = tf.constant([0], tf.int32), tf.constant([1], tf.int32)
        pair = (windows, whole) if axis == 0 else (whole, windows)
        values = _means(_sums(values, *windows, 1 - axis), *pair)
    return tf.cast(values, tf.uint8)


def _blocks(length: Any, factor: Any) -> tuple[Any, Any]:
    starts = tf.range(0, length, factor)
    return starts, tf.minimum(starts + factor, length)


def _windows(total: Any, length: Any, count: Any) -> tuple[Any, Any]:
    """Returns the first pixel of each average and the one after its last (Pillow, src/libImaging/Resample.c)."""
    scale = tf.cast(tf.cast(length, tf.float32), tf.float64) / tf.cast(count, tf.float64)
    support = tf.maximum(scale, 1) / 2
    centers = (tf.cast(tf.range(count), tf.float64) + 0.5) * scale
    starts, ends = (tf.floor(centers + side + 0.5) for side in (-support, support))
    # Whether a pixel whose center is at the edge is part of an average depends on the rounding of these steps.
    factor = 1 / tf.maximum(scale, 1)
    starts += tf.cast((starts - centers + 0.5) * factor <= -0.5, tf.float64)
    ends -= tf.cast((ends - 1 - centers + 0.5) * factor > 0.5, tf.float64)
    return tf.maximum(tf.cast(starts, tf.int32), 0), tf.minimum(tf.cast(ends, tf.int32), total)


def _sums(values: Any, starts: Any, ends: Any, axis: int) -> Any:
    """Returns the sums of ranges along an axis; of whole numbers below 2**24, so that float32 is exact."""
    shape = [-1 if each == axis else 1 for each in range(3)]

    def part(offset: Any) -> Any:
        inside = tf.cast(starts + offset < ends, values.dtype)
        return tf.gather(values, tf.minimum(starts + offset, ends - 1), axis=axis) * tf.reshape(inside, shape)

    _, sums = tf.while_loop(
        lambda offset, _: offset < tf.reduce_max(ends - starts),
        lambda offset, sums: (offset + 1, sums + part(offset)),
        (tf.constant(1), part(0)),
    )
    return sums


def _means(sums: Any, columns: tuple[Any, Any], rows: tuple[Any, Any]) -> Any:
    """Returns the nearest whole numbers, halves rounded up; the division is exact enough not to cross one."""
    counts = (rows[1] - rows[0])[:, None, None] * (columns[1] - columns[0])[None, :, None]
    counts = tf.cast(counts, sums.dtype)
    return tf.floor((2 * sums + counts) / (2 * counts))
