"""``tf.train.Example`` in protobuf's wire format.

The messages (tensorflow/core/example/{example,feature}.proto)::

    Example  { Features features = 1; }
    Features { map<string, Feature> feature = 1; }
    Feature  { oneof kind { BytesList bytes_list = 1; FloatList float_list = 2; Int64List int64_list = 3; } }
    *List    { repeated ... value = 1; }       floats and integers packed

and how they lie in bytes: https://protobuf.dev/programming-guides/encoding/. Keys are written in sorted order, so that
the same picture always gives the same bytes: those of protobuf's own deterministic serialisation.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache, lru_cache

Values = list[bytes] | list[float] | list[int]

_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5
_BYTES, _FLOATS, _INTS = 1, 2, 3
_FIELD_1 = b"\x0a"  # field 1, length-delimited
_FIELD_2 = b"\x12"
_FEATURE_TAGS = {_BYTES: b"\x0a", _FLOATS: b"\x12", _INTS: b"\x1a"}


def varint(number: int) -> bytes:
    """A whole number in base 128; a negative one as its 64-bit two's complement."""
    number &= 0xFFFFFFFFFFFFFFFF
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)


# Lengths are looked up: a record has some sixty of them, and nearly all are small.
_VARINTS = [varint(number) for number in range(1024)]


def bytes_field(value: bytes) -> bytes:
    """One value of a list of byte strings."""
    size = len(value)
    return _FIELD_1 + (_VARINTS[size] if size < 1024 else varint(size)) + value


def bytes_feature(key: bytes, values: Iterable[bytes]) -> bytes:
    """One key of the feature map with a list of byte strings."""
    return bytes_fields_feature(key, map(bytes_field, values))


def bytes_fields_feature(key: bytes, fields: Iterable[bytes]) -> bytes:
    """As :func:`bytes_feature`, of values that have been through :func:`bytes_field` before."""
    return _entry(key, _BYTES, b"".join(fields))


def float_feature(key: bytes, values: Sequence[float]) -> bytes:
    """One key of the feature map with a list of numbers, rounded to float32.

    Raises:
        OverflowError: A number is too large for float32.
    """
    return _entry(key, _FLOATS, _packed(struct.pack(f"<{len(values)}f", *values)))


def int_feature(key: bytes, values: Sequence[int]) -> bytes:
    """One key of the feature map with a list of whole numbers, 64 bits."""
    one_byte_each = values and min(values) >= 0 and max(values) < 128
    return _entry(key, _INTS, _packed(bytes(values) if one_byte_each else b"".join(map(varint, values))))


@lru_cache(maxsize=1024)
def same_ints_feature(key: bytes, value: int, count: int) -> bytes:
    """As :func:`int_feature`, of one number ``count`` times; kept, for most records hold the same ones."""
    return int_feature(key, [value] * count)


def _packed(content: bytes) -> bytes:
    return bytes_field(content) if content else b""


@cache
def _key_field(key: bytes) -> bytes:
    return bytes_field(key) + _FIELD_2


def _entry(key: bytes, kind: int, content: bytes) -> bytes:
    size = len(content)
    feature = _FEATURE_TAGS[kind] + (_VARINTS[size] if size < 1024 else varint(size)) + content
    size = len(feature)
    return bytes_field(_key_field(key) + (_VARINTS[size] if size < 1024 else varint(size)) + feature)


def picture_feature(key: bytes, picture: bytes) -> bytes:
    """The bytes that stand before a picture so that both together are ``bytes_feature(key, [picture])``.

    Pictures are the bulk of a record; this way they are never copied.
    """
    content = _FIELD_1 + varint(len(picture))
    size = len(content) + len(picture)
    content = _FEATURE_TAGS[_BYTES] + varint(size) + content
    size = len(content) + len(picture)
    content = _FIELD_1 + varint(len(key)) + key + _FIELD_2 + varint(size) + content
    size = len(content) + len(picture)
    return _FIELD_1 + varint(size) + content


def example_prefix(size: int) -> bytes:
    """The bytes that stand before ``size`` bytes of features to make them an ``Example``."""
    return _FIELD_1 + varint(size)


def parse_example(data: bytes, wanted: Callable[[bytes], bool] | None = None) -> dict[bytes, Values]:
    """Reads a serialised ``Example``.

    Args:
        data: The message.
        wanted: Whether to read the feature of a key; the others are stepped over, and come as empty lists. ``None``
            reads all.

    Returns:
        Key and values: bytes, floats (of float32 precision) or integers; an unset feature is an empty list.

    Raises:
        ValueError: The bytes are no such message.
    """
    features: dict[bytes, Values] = {}
    for field, wire, start, end in _fields(data, 0, len(data)):
        if field != 1 or wire != _LENGTH:
            continue
        for inner, inner_wire, entry_start, entry_end in _fields(data, start, end):
            if inner == 1 and inner_wire == _LENGTH:
                key, at = _map_entry(data, entry_start, entry_end)
                features[key] = _feature(data, *at) if wanted is None or wanted(key) else []
    return features


def _map_entry(data: bytes, start: int, end: int) -> tuple[bytes, tuple[int, int]]:
    key, at = b"", (start, start)
    for field, wire, inner_start, inner_end in _fields(data, start, end):
        if wire == _LENGTH and field == 1:
            key = data[inner_start:inner_end]
        elif wire == _LENGTH and field == 2:
            at = (inner_start, inner_end)
    return key, at


def _feature(data: bytes, start: int, end: int) -> Values:
    kind, values = 0, list[bytes | float | int]()
    for field, wire, inner_start, inner_end in _fields(data, start, end):
        if wire != _LENGTH or field not in _FEATURE_TAGS:
            continue
        if field != kind:  # of a "oneof", the last one holds
            kind, values = field, []
        values.extend(_list(data, inner_start, inner_end, kind))
    return values  # type: ignore[return-value]  # one kind throughout


def _list(data: bytes, start: int, end: int, kind: int) -> Iterator[bytes | float | int]:
    for field, wire, inner_start, inner_end in _fields(data, start, end):
        if field != 1:
            continue
        if kind == _BYTES and wire == _LENGTH:
            yield data[inner_start:inner_end]
        elif kind == _FLOATS and wire in (_LENGTH, _FIXED32):
            count, rest = divmod(inner_end - inner_start, 4)
            if rest:
                raise ValueError("a list of floats is not a multiple of four bytes long")
            yield from struct.unpack_from(f"<{count}f", data, inner_start)
        elif kind == _INTS and wire in (_LENGTH, _VARINT):
            while inner_start < inner_end:
                number, inner_start = _read_varint(data, inner_start, inner_end)
                yield number - (1 << 64) if number >> 63 else number
        else:
            raise ValueError(f"wire type {wire} in a list of kind {kind}")


def _fields(data: bytes, position: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    """Yields ``(field number, wire type, start, end)`` of each field's content between two positions."""
    while position < end:
        tag = data[position]
        position += 1
        if tag > 127:
            tag, position = _read_varint(data, position - 1, end)
        wire = tag & 7
        if wire == _LENGTH:
            if position >= end:
                raise ValueError("a field has no length")
            length = data[position]
            position += 1
            if length > 127:
                length, position = _read_varint(data, position - 1, end)
            stop = position + length
        elif wire == _VARINT:
            stop = _read_varint(data, position, end)[1]
        elif wire in (_FIXED64, _FIXED32):
            stop = position + (8 if wire == _FIXED64 else 4)
        else:
            raise ValueError(f"there is no wire type {wire}")
        if stop > end:
            raise ValueError("a field is longer than what holds it")
        yield tag >> 3, wire, position, stop
        position = stop


def _read_varint(data: bytes, position: int, end: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        if position >= end or shift > 63:
            raise ValueError("a number does not end")
        byte = data[position]
        position += 1
        number |= (byte & 127) << shift
        if byte < 128:
            return number & 0xFFFFFFFFFFFFFFFF, position
        shift += 7
