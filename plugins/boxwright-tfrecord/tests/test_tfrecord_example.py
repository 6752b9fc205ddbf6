"""The wire format, against hand-encoded bytes and TensorFlow, and what happens to bytes that are something else."""

import importlib.util
import math
import random
import struct
import subprocess
import sys
from collections.abc import Callable

import pytest
from google.protobuf import descriptor_pb2

from boxwright_tfrecord import example as example_module
from boxwright_tfrecord.example import Example, decode_example


def encoded(fill: Callable[[Example], None]) -> bytes:
    example = Example()
    fill(example)
    return example.encode()


def test_features_encoded_by_hand() -> None:
    # Example.features (1) { Features.feature (1) { key (1) "k", value (2) Feature { ... } } }
    head = "0a016b" + "12"
    # bytes_list (1) { value (1) "ab", value (1) "" }
    assert encoded(lambda e: e.add_bytes("k", [b"ab", b""])).hex() == (
        "0a0f" + "0a0d" + head + "08" + "0a06" + "0a026162" + "0a00"
    )
    # float_list (2), packed: 1.0 is 0x3f800000, little-endian
    assert encoded(lambda e: e.add_floats("k", [1.0])).hex() == (
        "0a0f" + "0a0d" + head + "08" + "1206" + "0a04" + "0000803f"
    )
    # int64_list (3), packed: 3 and 270 (0x8e 0x02, as in protobuf.dev/programming-guides/encoding)
    assert encoded(lambda e: e.add_ints("k", [3, 270])).hex() == (
        "0a0e" + "0a0c" + head + "07" + "1a05" + "0a03" + "038e02"
    )
    # An empty list is a list of its kind.
    assert encoded(lambda e: e.add_floats("k", [])).hex() == "0a09" + "0a07" + head + "02" + "1200"
    assert encoded(lambda e: e.add_bytes("k", [])).hex() == "0a09" + "0a07" + head + "02" + "0a00"
    assert encoded(lambda e: e.add_ints("k", [])).hex() == "0a09" + "0a07" + head + "02" + "1a00"


def test_the_descriptor_has_the_messages_of_tensorflow() -> None:
    """The names, numbers and types of tensorflow/core/example/example.proto and feature.proto."""
    kinds = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="example.proto", package="tensorflow", syntax="proto3")
    for name, kind in (("Bytes", kinds.TYPE_BYTES), ("Float", kinds.TYPE_FLOAT), ("Int64", kinds.TYPE_INT64)):
        message = file.message_type.add(name=f"{name}List")
        message.field.add(name="value", number=1, label=kinds.LABEL_REPEATED, type=kind)
    feature = file.message_type.add(name="Feature")
    for number, name in enumerate(("Bytes", "Float", "Int64"), start=1):
        feature.field.add(
            name=f"{name.lower()}_list",
            number=number,
            label=kinds.LABEL_OPTIONAL,
            type=kinds.TYPE_MESSAGE,
            type_name=f".tensorflow.{name}List",
            oneof_index=0,
        )
    feature.oneof_decl.add(name="kind")
    features = file.message_type.add(name="Features")
    entry = features.nested_type.add(name="FeatureEntry", options={"map_entry": True})
    entry.field.add(name="key", number=1, label=kinds.LABEL_OPTIONAL, type=kinds.TYPE_STRING)
    optional = {"label": kinds.LABEL_OPTIONAL, "type": kinds.TYPE_MESSAGE}
    entry.field.add(name="value", number=2, type_name=".tensorflow.Feature", **optional)
    of_map = {"label": kinds.LABEL_REPEATED, "type": kinds.TYPE_MESSAGE}
    features.field.add(name="feature", number=1, type_name=".tensorflow.Features.FeatureEntry", **of_map)
    example = file.message_type.add(name="Example")
    example.field.add(name="features", number=1, type_name=".tensorflow.Features", **optional)
    assert descriptor_pb2.FileDescriptorProto.FromString(example_module._MESSAGES) == file


def test_numbers_that_do_not_fit_are_refused() -> None:
    for number in (1e300, -1e300, 3.403e38):
        with pytest.raises(OverflowError):
            Example().add_floats("k", [0.5, number])
    Example().add_floats("k", [3.4028234663852886e38, math.inf, math.nan])  # the largest float32, and what is none
    with pytest.raises(ValueError, match="ange"):
        Example().add_ints("k", [1 << 63])


def test_packed_and_unpacked_lists_are_the_same() -> None:
    # The specification lets a writer give each value its own tag; older ones do.
    floats = b"\x12\x0a" + b"\x0d" + struct.pack("<f", 0.5) + b"\x0d" + struct.pack("<f", -2.0)
    ints = b"\x1a\x04" + b"\x08\x03" + b"\x08\x04"
    body = b""
    for key, feature in ((b"i", ints), (b"f", floats)):
        entry = b"\x0a\x01" + key + b"\x12" + bytes([len(feature)]) + feature
        body += b"\x0a" + bytes([len(entry)]) + entry
    found = decode_example(b"\x0a" + bytes([len(body)]) + body)
    assert found == {"f": [0.5, -2.0], "i": [3, 4]}
    assert list(found) == ["f", "i"]


def test_unknown_fields_are_ignored() -> None:
    known = encoded(lambda e: e.add_ints("k", [7]))[2:]
    unknown = b"\x98\x01\x05" + b"\x21" + bytes(8) + b"\x2d" + bytes(4) + b"\x32\x02ab"  # fields 19, 4, 5, 6
    body = unknown + known
    assert decode_example(unknown + b"\x0a" + bytes([len(body)]) + body) == {"k": [7]}


def test_a_feature_without_a_list_is_empty() -> None:
    assert decode_example(bytes.fromhex("0a07" + "0a05" + "0a016b" + "1200")) == {"k": []}


def test_only_the_requested_keys_have_values() -> None:
    def fill(example: Example) -> None:
        example.add_ints("a", [1])
        example.add_ints("b", [2])

    assert decode_example(encoded(fill), "b".__eq__) == {"a": [], "b": [2]}


def test_other_bytes_are_value_errors_and_nothing_else() -> None:
    def fill(example: Example) -> None:
        example.add_bytes("text", [b"fig" * 50])
        example.add_floats("f", [0.5, 0.25])
        example.add_ints("i", [1, -1, 1 << 40])

    data = encoded(fill)
    whole = decode_example(data)
    for end in range(1, len(data)):
        with pytest.raises(ValueError, match="pars"):
            decode_example(data[:end])
    rng = random.Random(0)
    failures = 0
    for _ in range(3000):
        damaged = bytearray(data)
        for _ in range(rng.randint(1, 4)):
            damaged[rng.randrange(len(damaged))] = rng.randrange(256)
        try:
            decode_example(bytes(damaged))
        except ValueError:
            failures += 1
    assert failures > 300
    assert decode_example(data) == whole


def test_a_key_that_is_not_utf8_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="pars"):
        decode_example(bytes.fromhex("0a07" + "0a05" + "0a01ff" + "1200"))


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

    def fill(example: Example) -> None:
        example.add_bytes("d/texts", texts)
        example.add_floats("c/none", [])
        example.add_floats("b/floats", floats)
        example.add_ints("a/ints", ints)

    assert encoded(fill) == theirs
    read = decode_example(theirs)
    assert read["a/ints"] == ints
    assert read["d/texts"] == texts
    assert read["c/none"] == []
    assert read["b/floats"] == [struct.unpack("<f", struct.pack("<f", number))[0] for number in floats]


@pytest.mark.slow
@pytest.mark.tensorflow
def test_tensorflow_registers_its_own_messages_after_ours() -> None:
    pytest.importorskip("tensorflow")
    code = (
        "import boxwright_tfrecord.example as ours, tensorflow as tf\n"
        "example = ours.Example(); example.add_ints('k', [7])\n"
        "theirs = tf.train.Example.FromString(example.encode())\n"
        "assert list(theirs.features.feature['k'].int64_list.value) == [7]\n"
        "assert ours.decode_example(theirs.SerializeToString()) == {'k': [7]}\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


@pytest.mark.tensorflow
def test_our_messages_are_registered_after_tensorflows() -> None:
    tf = pytest.importorskip("tensorflow")
    spec = importlib.util.find_spec("boxwright_tfrecord.example")
    assert spec is not None
    assert spec.loader is not None
    ours = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(ours)
    example = ours.Example()
    example.add_ints("k", [7])
    theirs = tf.train.Example.FromString(example.encode())
    assert list(theirs.features.feature["k"].int64_list.value) == [7]
    assert ours.decode_example(theirs.SerializeToString()) == {"k": [7]}
