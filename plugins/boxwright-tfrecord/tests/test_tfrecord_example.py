"""The wire format, against hand-encoded bytes, Google's own examples and TensorFlow."""

import math
import random
import struct

import pytest

from boxwright_tfrecord.example import (
    bytes_feature,
    example_prefix,
    float_feature,
    int_feature,
    parse_example,
    picture_feature,
    varint,
)


def example(*features: bytes) -> bytes:
    body = b"".join(features)
    return example_prefix(len(body)) + body


@pytest.mark.parametrize(
    ("number", "encoded"),
    [
        (0, "00"),
        (1, "01"),
        (127, "7f"),
        (128, "8001"),
        (150, "9601"),  # the example of protobuf.dev/programming-guides/encoding
        (-2, "feffffffffffffffff01"),  # likewise
        ((1 << 63) - 1, "ffffffffffffffff7f"),
    ],
)
def test_varints_are_those_of_the_specification(number: int, encoded: str) -> None:
    assert varint(number).hex() == encoded


def test_features_encoded_by_hand() -> None:
    # Features.feature (field 1) { key (1) "k", value (2) Feature { bytes_list (1) { value (1) "ab", value (1) "" } } }
    assert bytes_feature(b"k", [b"ab", b""]).hex() == "0a0d" + "0a016b" + "1208" + "0a06" + "0a026162" + "0a00"
    # float_list (2), packed: 1.0 is 0x3f800000, little-endian
    assert float_feature(b"k", [1.0]).hex() == "0a0d" + "0a016b" + "1208" + "1206" + "0a04" + "0000803f"
    # int64_list (3), packed: 3 and 270 (0x8e 0x02)
    assert int_feature(b"k", [3, 270]).hex() == "0a0c" + "0a016b" + "1207" + "1a05" + "0a03" + "038e02"
    assert float_feature(b"k", []).hex() == "0a07" + "0a016b" + "1202" + "1200"


def test_a_picture_is_the_same_bytes_without_being_copied() -> None:
    for size in (0, 1, 120, 127, 128, 16_383, 16_384, 2_097_152):
        picture = bytes(size)
        assert picture_feature(b"image/encoded", picture) + picture == bytes_feature(b"image/encoded", [picture])


def test_numbers_that_float32_cannot_hold_are_refused() -> None:
    with pytest.raises(OverflowError):
        float_feature(b"k", [1e300])


def test_packed_and_unpacked_lists_are_one() -> None:
    # The specification lets a writer give each value its own tag; older ones do.
    floats = b"\x12\x0a" + b"\x0d" + struct.pack("<f", 0.5) + b"\x0d" + struct.pack("<f", -2.0)
    ints = b"\x1a\x04" + b"\x08\x03" + b"\x08\x04"
    body = b""
    for key, feature in ((b"f", floats), (b"i", ints)):
        entry = b"\x0a\x01" + key + b"\x12" + varint(len(feature)) + feature
        body += b"\x0a" + varint(len(entry)) + entry
    assert parse_example(b"\x0a" + varint(len(body)) + body) == {b"f": [0.5, -2.0], b"i": [3, 4]}


def test_fields_that_are_not_known_are_stepped_over() -> None:
    known = int_feature(b"k", [7])
    unknown = b"\x98\x01\x05" + b"\x21" + bytes(8) + b"\x2d" + bytes(4) + b"\x32\x02ab"  # fields 19, 4, 5, 6
    body = unknown + known
    assert parse_example(unknown + b"\x0a" + varint(len(body)) + body) == {b"k": [7]}


def test_only_the_keys_that_are_asked_for() -> None:
    data = example(int_feature(b"a", [1]), int_feature(b"b", [2]))
    assert parse_example(data, b"b".__eq__) == {b"a": [], b"b": [2]}


def test_bytes_that_are_no_example_are_value_errors_and_nothing_else() -> None:
    data = example(
        bytes_feature(b"text", [b"fig" * 50]), float_feature(b"f", [0.5, 0.25]), int_feature(b"i", [1, -1, 1 << 40])
    )
    whole = parse_example(data)
    for end in range(1, len(data)):
        with pytest.raises(ValueError, match=r"field|number|list|wire"):
            parse_example(data[:end])
    rng = random.Random(0)
    failures = 0
    for _ in range(3000):
        damaged = bytearray(data)
        for _ in range(rng.randint(1, 4)):
            damaged[rng.randrange(len(damaged))] = rng.randrange(256)
        try:
            parse_example(bytes(damaged))
        except ValueError:
            failures += 1
    assert failures > 300
    assert parse_example(data) == whole


@pytest.mark.tensorflow
def test_tensorflow_serialises_to_the_same_bytes() -> None:
    tf = pytest.importorskip("tensorflow")
    ints = [0, 1, -1, 127, 128, 300, (1 << 63) - 1, -(1 << 63)]
    floats = [0.0, -0.0, 1 / 3, 0.1, 1e-40, 3e38, math.inf]
    texts = [b"", b"fig", "大きい".encode(), bytes(range(256)) * 100]
    theirs = tf.train.Example(
        features=tf.train.Features(
            feature={
                "a/ints": tf.train.Feature(int64_list=tf.train.Int64List(value=ints)),
                "b/floats": tf.train.Feature(float_list=tf.train.FloatList(value=floats)),
                "c/none": tf.train.Feature(float_list=tf.train.FloatList(value=[])),
                "d/texts": tf.train.Feature(bytes_list=tf.train.BytesList(value=texts)),
            }
        )
    ).SerializeToString(deterministic=True)
    ours = example(
        int_feature(b"a/ints", ints),
        float_feature(b"b/floats", floats),
        float_feature(b"c/none", []),
        bytes_feature(b"d/texts", texts),
    )
    assert ours == theirs
    read = parse_example(theirs)
    assert read[b"a/ints"] == ints
    assert read[b"d/texts"] == texts
    assert read[b"c/none"] == []
    assert read[b"b/floats"] == [struct.unpack("<f", struct.pack("<f", number))[0] for number in floats]
