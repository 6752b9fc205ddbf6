"""``tf.train.Example`` by protobuf, without TensorFlow.

The messages are those of tensorflow/core/example/{example,feature}.proto, in a separate descriptor pool, so that
TensorFlow can register its own in the same process.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable
from typing import Any

from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import DecodeError
from google.protobuf.message_factory import GetMessageClass

Values = list[bytes] | list[float] | list[int]

# A FileDescriptorProto, as in the modules that protoc generates; google.protobuf.descriptor_pb2, which builds one from
# names, takes 8 MB. test_tfrecord_example.py does that and compares.
_MESSAGES = (
    b"\n\rexample.proto\x12\ntensorflow"
    b'"\x1a\n\tBytesList\x12\r\n\x05value\x18\x01 \x03(\x0c'
    b'"\x1a\n\tFloatList\x12\r\n\x05value\x18\x01 \x03(\x02'
    b'"\x1a\n\tInt64List\x12\r\n\x05value\x18\x01 \x03(\x03'
    b'"\x98\x01\n\x07Feature'
    b"\x12+\n\nbytes_list\x18\x01 \x01(\x0b2\x15.tensorflow.BytesListH\x00"
    b"\x12+\n\nfloat_list\x18\x02 \x01(\x0b2\x15.tensorflow.FloatListH\x00"
    b"\x12+\n\nint64_list\x18\x03 \x01(\x0b2\x15.tensorflow.Int64ListH\x00"
    b"B\x06\n\x04kind"
    b'"\x83\x01\n\x08Features\x122\n\x07feature\x18\x01 \x03(\x0b2!.tensorflow.Features.FeatureEntry'
    b"\x1aC\n\x0cFeatureEntry\x12\x0b\n\x03key\x18\x01 \x01(\t"
    b'\x12"\n\x05value\x18\x02 \x01(\x0b2\x13.tensorflow.Feature:\x028\x01'
    b'"1\n\x07Example\x12&\n\x08features\x18\x01 \x01(\x0b2\x14.tensorflow.Features'
    b"b\x06proto3"
)
_LARGEST_FLOAT = (2 - 2**-23) * 2.0**127

_pool = DescriptorPool()
_pool.AddSerializedFile(_MESSAGES)
_Example: Any = GetMessageClass(_pool.FindMessageTypeByName("tensorflow.Example"))


class Example:
    """A ``tf.train.Example`` to be written."""

    def __init__(self) -> None:
        self._message = _Example()
        self._features = self._message.features.feature

    def add_bytes(self, key: str, values: Iterable[bytes]) -> None:
        """Adds a feature with a list of byte strings."""
        _fill(self._features[key].bytes_list, values)

    def add_floats(self, key: str, values: Collection[float]) -> None:
        """Adds a feature with a list of numbers, rounded to float32.

        Raises:
            OverflowError: A finite number is too large for float32.
        """
        for value in values:
            if _LARGEST_FLOAT < abs(value) < math.inf:
                raise OverflowError(f"{key} is too large for float32: {value!r}")
        _fill(self._features[key].float_list, values)

    def add_ints(self, key: str, values: Iterable[int]) -> None:
        """Adds a feature with a list of integers of 64 bits.

        Raises:
            ValueError: An integer needs more bits.
        """
        _fill(self._features[key].int64_list, values)

    def encode(self) -> bytes:
        """Returns the encoded message, its features sorted by key: equal examples have equal bytes."""
        encoded: bytes = self._message.SerializeToString(deterministic=True)
        return encoded


def _fill(feature_list: Any, values: Iterable[object]) -> None:
    feature_list.value.extend(values)
    feature_list.SetInParent()  # otherwise an empty list is not written


def decode_example(data: bytes, wanted: Callable[[str], bool] | None = None) -> dict[str, Values]:
    """Decodes an ``Example``.

    Args:
        data: The encoded message.
        wanted: Returns whether to return the values of a key; the others have an empty list. ``None`` for all keys.

    Returns:
        The features, sorted by key: bytes, floats (of float32 precision) or integers. An unset feature is an empty
        list.

    Raises:
        ValueError: The bytes are not an encoded ``Example``.
    """
    try:
        features = _Example.FromString(data).features.feature
    except DecodeError as error:
        raise ValueError(str(error)) from None
    # Sorted, because protobuf's order differs between processes.
    return {key: _values(features[key]) if wanted is None or wanted(key) else [] for key in sorted(features)}


def _values(feature: Any) -> Values:
    if feature.HasField("bytes_list"):
        values: Values = feature.bytes_list.value[:]
    elif feature.HasField("float_list"):
        values = feature.float_list.value[:]
    else:
        values = feature.int64_list.value[:]
    return values
