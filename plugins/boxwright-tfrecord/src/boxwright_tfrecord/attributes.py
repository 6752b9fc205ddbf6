"""The attributes of boxes and images in a record: everything except classes, coordinates and sizes.

The keys are those of the API's ``dataset_tools`` (``create_pascal_tf_record.py``, ``create_coco_tf_record.py``,
``oid_tfrecord_creation.py``, ``create_kitti_tf_record.py``, ``create_pet_tf_record.py``) and of its decoder
(``data_decoders/tf_example_decoder.py``): https://github.com/tensorflow/models/tree/master/research/object_detection.
"""

from __future__ import annotations

import struct
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, cast

from boxwright_tfrecord.example import Example, Values

OBJECT = "image/object/"
MASK = "image/object/mask"
IMAGE = "image/"
FLAGS = {
    "image/object/depiction": "is_depiction",
    "image/object/difficult": "difficult",
    "image/object/is_crowd": "iscrowd",
    "image/object/occluded": "occluded",
    "image/object/truncated": "truncated",
}
"""Integers, in some records fractions, of which 0 is left out."""

_ALWAYS_WRITTEN = ("difficult", "truncated")
_GROUP_OF = "image/object/group_of"
VIEW = "image/object/view"
_NUMBERS = {"image/object/area": ("area", 0.0), "image/object/weight": ("weight", 1.0)}
_NO_POSE = b"Unspecified"  # Pascal VOC and labelImg write it for a box without a pose
_NO_POSES = (b"", _NO_POSE)
_LARGEST_INT = 1 << 63  # not a range, which counts to find a float
_FLOAT = struct.Struct("<f")
_WHOLE = 1 << 24  # float32 represents every integer up to this

# Not of a box, or many numbers for each.
_UNREAD = ("mask", "keypoint/", "densepose/", "bbox/", "class/")
_USUAL = {"image/colorspace": ([b"RGB"], [b"rgb"]), "image/channels": ([3],)}
_DERIVED = frozenset({"image/encoded", "image/format", "image/height", "image/width", "image/key/sha256"})
_DERIVED |= {"image/filename", "image/source_id"}


@lru_cache(maxsize=1024)
def is_read(key: str) -> bool:
    """Returns whether a key's values are used; the others (masks, keypoints) may be large."""
    return not key.startswith(OBJECT) or not key[len(OBJECT) :].startswith(_UNREAD[:3])


def passed_over(keys: Iterable[str]) -> list[str]:
    """Returns the keys of a record that are not read, sorted, without those that repeat the content of the image."""
    return sorted(
        key
        for key in keys
        if not key.startswith(IMAGE)
        or (key.startswith(OBJECT) and key[len(OBJECT) :].startswith(_UNREAD) and not key.startswith(_KNOWN))
    )


def is_tfds(keys: Collection[str]) -> bool:
    """Returns whether a record has the keys of TensorFlow Datasets: ``image`` itself, and ``objects/bbox``."""
    return "image" in keys and not any(key.startswith((f"{IMAGE}encoded", OBJECT)) for key in keys)


_KNOWN = ("image/object/bbox/", "image/object/class/text", "image/object/class/label")


@lru_cache(maxsize=1024)
def _role(key: str) -> tuple[str, Any] | None:
    """Returns the box attribute for a key, and the value that is left out."""
    if key in FLAGS:
        return FLAGS[key], 0
    if key in _NUMBERS:
        return _NUMBERS[key]
    if key == _GROUP_OF:
        return "iscrowd", 0
    name = key.removeprefix(OBJECT)
    if not key.startswith(OBJECT) or key == VIEW or name.startswith(_UNREAD):
        return None
    return name, None


def read_box_attributes(features: Mapping[str, Values], count: int) -> list[dict[str, Any]] | None:
    """Returns the attributes of each box, or ``None`` if no box has any.

    Open Images calls a crowd ``image/object/group_of``; it becomes ``iscrowd`` if the record has no
    ``image/object/is_crowd``. Keys that are not in the API's lists become attributes of the same name if they have a
    value for each box.
    """
    columns: list[tuple[str, Sequence[Any], Any]] = []
    for key, values in features.items():
        role = _role(key)
        if role is None or len(values) != count or (role[1] == 0 and not any(values)):
            continue
        name, default = role
        if key == _GROUP_OF and "image/object/is_crowd" in features:
            name = "group_of"
        if any(value != default for value in values):
            columns.append((name, values, default))
    views = cast("list[bytes]", features.get(VIEW) or [])
    if not columns and all(view in _NO_POSES for view in views):
        return None
    attributes: list[dict[str, Any]] = [
        {name: _plain(values[i], name) for name, values, default in columns if values[i] != default}
        for i in range(count)
    ]
    for each, view in zip(attributes, views, strict=False):
        if view not in _NO_POSES:
            each["pose"] = _plain(view, "image/object/view")
    return attributes


@lru_cache(maxsize=1024)
def _is_of_image(key: str) -> bool:
    return key.startswith(IMAGE) and not key.startswith(OBJECT) and key not in _DERIVED


def read_image_attributes(features: Mapping[str, Values], filename: str) -> dict[str, Any]:
    """Returns the attributes of the image as a whole: ``image/class/text`` and others, without ``image/``."""
    found: dict[str, Any] = {}
    for key, values in features.items():
        if _is_of_image(key) and values and values not in _USUAL.get(key, ()):
            plain = [_plain(value, key) for value in values]
            found[key[len(IMAGE) :]] = plain if len(plain) > 1 or key.startswith("image/class/") else plain[0]
    given = features.get("image/source_id")
    source_id = str(_plain(given[0], "image/source_id")) if given else ""
    return found | ({"source_id": source_id} if source_id not in ("", filename) else {})


def _plain(value: bytes | float | int, key: str) -> str | float | int:
    """Returns a value as it was before it was put into a record: text, an integer, or the shortest float.

    Raises:
        ValueError: The bytes are not UTF-8.
    """
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            raise ValueError(f"{key} is not UTF-8: {value[:40]!r}") from None
    return shortest(value) if isinstance(value, float) else value


def shortest(number: float) -> float:
    """Returns the number of fewest digits that is the same float32: 0.88 for 0.8799999952316284.

    This restores any number of up to six digits.
    """
    if number - number != 0 or (number % 1 == 0 and abs(number) < _WHOLE):
        return number
    packed = _FLOAT.pack(number)
    for digits in range(1, 9):
        nearest = float(f"{number:.{digits}g}")
        if _FLOAT.pack(nearest) == packed:
            return nearest
    return float(f"{number:.9g}")


def add_box_attributes(example: Example, attributes: Sequence[Mapping[str, Any]]) -> None:
    """Adds the attributes of an image's boxes, one mapping per box.

    ``difficult``, ``truncated`` and ``view`` are always written, as in records made from Pascal VOC, the others only if
    a box has one.

    Raises:
        ValueError: A value has the wrong type.
    """
    used = set().union(*attributes)
    for key, name in FLAGS.items():
        numbers = _numbers(attributes, name, 0) if name in used else [0] * len(attributes)
        if name in _ALWAYS_WRITTEN or any(numbers):
            if all(isinstance(number, int) for number in numbers):
                example.add_ints(key, cast("list[int]", numbers))
            else:
                example.add_floats(key, numbers)
    for key, (name, default) in _NUMBERS.items():
        if name in used:
            example.add_floats(key, _numbers(attributes, name, default))
    example.add_bytes(VIEW, [_pose(each.get("pose")) for each in attributes])


def _numbers(attributes: Sequence[Mapping[str, Any]], name: str, default: float) -> list[float]:
    numbers: list[float] = []
    for each in attributes:
        value = each.get(name, default)
        if isinstance(value, float) and value - value == 0:
            numbers.append(int(value) if value % 1 == 0 and abs(value) < _LARGEST_INT else value)
        elif isinstance(value, int) and -_LARGEST_INT <= value < _LARGEST_INT:
            numbers.append(int(value))
        else:
            raise ValueError(f"{name} is {value!r}, not a number that a record can contain")
    return numbers


def _pose(value: object) -> bytes:
    if value is None:
        return _NO_POSE
    if not isinstance(value, str):
        raise ValueError(f"pose is {value!r}, not text")
    return value.encode()
