"""What a record says of boxes and pictures beside classes, edges and sizes.

The keys are those of the API's ``dataset_tools`` (``create_pascal_tf_record.py``, ``create_coco_tf_record.py``,
``oid_tfrecord_creation.py``, ``create_kitti_tf_record.py``, ``create_pet_tf_record.py``) and of its decoder
(``data_decoders/tf_example_decoder.py``): https://github.com/tensorflow/models/tree/master/research/object_detection.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, cast

from boxwright_tfrecord.example import (
    Values,
    bytes_feature,
    bytes_field,
    bytes_fields_feature,
    float_feature,
    int_feature,
)

OBJECT = b"image/object/"
MASK = b"image/object/mask"
IMAGE = b"image/"
FLAGS = {
    b"image/object/depiction": "is_depiction",
    b"image/object/difficult": "difficult",
    b"image/object/is_crowd": "iscrowd",
    b"image/object/occluded": "occluded",
    b"image/object/truncated": "truncated",
}
"""Whole numbers, in some records fractions, of which 0 is left out."""

_DIFFICULT, _TRUNCATED = b"image/object/difficult", b"image/object/truncated"
_USUAL_FLAGS = frozenset({"difficult", "truncated"})
_BITS = frozenset({(0, 0), (0, 1), (1, 0), (1, 1)})
_AREA, _GROUP_OF, _WEIGHT = b"image/object/area", b"image/object/group_of", b"image/object/weight"
VIEW = b"image/object/view"
_DEFAULTS = {_AREA: 0.0, _WEIGHT: 1.0}
_NO_POSES = (b"", b"Unspecified")
_NO_POSE = bytes_field(b"Unspecified")  # what PASCAL VOC and labelImg write where no pose was given
_LARGEST_INT = 1 << 63  # a range would be counted through for a float
_FLOAT = struct.Struct("<f")
_WHOLE = 1 << 24  # up to which float32 holds every whole number

# Not of a box, or many numbers for each.
_UNREAD = (b"mask", b"keypoint/", b"densepose/", b"bbox/", b"class/")
_USUAL = {b"image/colorspace": ([b"RGB"], [b"rgb"]), b"image/channels": ([3],)}
_DERIVED = frozenset({b"image/encoded", b"image/format", b"image/height", b"image/width", b"image/key/sha256"})
_DERIVED |= {b"image/filename", b"image/source_id"}


@lru_cache(maxsize=1024)
def is_read(key: bytes) -> bool:
    """Whether a key's values are of any use here; the others (masks, keypoints) may be large, and are stepped over."""
    return not key.startswith(OBJECT) or not key[len(OBJECT) :].startswith(_UNREAD[:3])


def passed_over(keys: Iterable[bytes]) -> list[str]:
    """The keys of a record that are not read, sorted; not those that only repeat what the picture says."""
    unread = [
        key
        for key in keys
        if not key.startswith(IMAGE)
        or (key.startswith(OBJECT) and key[len(OBJECT) :].startswith(_UNREAD) and not key.startswith(_KNOWN))
    ]
    return sorted(key.decode(errors="backslashreplace") for key in unread)


_KNOWN = (b"image/object/bbox/", b"image/object/class/text", b"image/object/class/label")


@lru_cache(maxsize=1024)
def _role(key: bytes) -> tuple[str, Any] | None:
    """The attribute of boxes that a key is, and the value that is left out."""
    if key in FLAGS:
        return FLAGS[key], 0
    if key == _GROUP_OF:
        return "iscrowd", 0
    name = key.removeprefix(OBJECT)
    if not key.startswith(OBJECT) or key == VIEW or name.startswith(_UNREAD):
        return None
    return name.decode(errors="backslashreplace"), _DEFAULTS.get(key)


def read_box_attributes(features: Mapping[bytes, Values], count: int) -> list[dict[str, Any]] | None:
    """One dict a box, or ``None`` where no box has anything to say.

    ``image/object/group_of`` is what Open Images calls a crowd, and becomes ``iscrowd`` where there is no other. Keys
    that are not in the API's lists come under their own names where they have a value for each box.
    """
    columns: list[tuple[str, Sequence[Any], Any]] = []
    for key, values in features.items():
        role = _role(key)
        if role is None or len(values) != count or (role[1] == 0 and not any(values)):
            continue
        name, default = role
        if key == _GROUP_OF and b"image/object/is_crowd" in features:
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
def _is_of_picture(key: bytes) -> bool:
    return key.startswith(IMAGE) and not key.startswith(OBJECT) and key not in _DERIVED


def read_image_attributes(features: Mapping[bytes, Values], filename: str) -> dict[str, Any]:
    """What a record says of the picture as a whole: ``image/class/text`` and the like, under their own names."""
    found: dict[str, Any] = {}
    for key, values in features.items():
        if _is_of_picture(key) and values and values not in _USUAL.get(key, ()):
            name = key[len(IMAGE) :].decode(errors="backslashreplace")
            plain = [_plain(value, key.decode(errors="backslashreplace")) for value in values]
            found[name] = plain if len(plain) > 1 or key.startswith(b"image/class/") else plain[0]
    given = features.get(b"image/source_id")
    source_id = str(_plain(given[0], "image/source_id")) if given else ""
    return found | ({"source_id": source_id} if source_id not in ("", filename) else {})


def _plain(value: bytes | float | int, what: str) -> str | float | int:
    """A value as it was before it was put into a record: text, a whole number, or the shortest float.

    Raises:
        ValueError: Bytes that are no UTF-8.
    """
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            raise ValueError(f"{what} is not UTF-8: {value[:40]!r}") from None
    return shortest(value) if isinstance(value, float) else value


def shortest(number: float) -> float:
    """The number of fewest digits that float32 cannot tell from ``number``: 0.88 for 0.8799999952316284.

    A number with up to six digits comes back as it was before it was rounded to float32.
    """
    if number - number != 0 or (number % 1 == 0 and abs(number) < _WHOLE):
        return number
    packed = _FLOAT.pack(number)
    for digits in range(1, 9):
        nearest = float(f"{number:.{digits}g}")
        if _FLOAT.pack(nearest) == packed:
            return nearest
    return float(f"{number:.9g}")


def box_features(attributes: Sequence[Mapping[str, Any]] | None, count: int) -> tuple[bytes, bytes]:
    """The features of what a picture's boxes have beside classes and edges, in the order of their keys.

    ``difficult``, ``truncated`` and ``view`` are always there, as VOC-style records have them, the others only where a
    box has one.

    Args:
        attributes: One mapping a box, or ``None`` where no box has any.
        count: How many boxes.

    Returns:
        What comes before the boxes' edges, and what comes after their classes.

    Raises:
        ValueError: A value is not of its kind.
    """
    if not attributes:
        return b"", _flags_alone(bytes(count), bytes(count))
    flags = _usual_flags(attributes)
    if flags is not None:
        return b"", _flags_alone(*flags)
    found: dict[bytes, bytes] = {}
    for key, name in FLAGS.items():
        numbers = _numbers(attributes, name, 0)
        if any(numbers) or name in ("difficult", "truncated"):
            whole = all(isinstance(number, int) for number in numbers)
            found[key] = int_feature(key, cast("list[int]", numbers)) if whole else float_feature(key, numbers)
    for key, default in _DEFAULTS.items():
        name = key[len(OBJECT) :].decode()
        if any(name in each for each in attributes):
            found[key] = float_feature(key, _numbers(attributes, name, default))
    found[VIEW] = bytes_fields_feature(VIEW, [_pose(each.get("pose")) for each in attributes])
    return found.pop(_AREA, b""), b"".join(found[key] for key in sorted(found))


def _usual_flags(attributes: Sequence[Mapping[str, Any]]) -> tuple[bytes, bytes] | None:
    """``difficult`` and ``truncated`` of each box, or ``None`` where a box has anything else, or other than 0 and 1."""
    difficult, truncated = [], []
    for each in attributes:
        flags = (each.get("difficult", 0), each.get("truncated", 0)) if each else (0, 0)
        if each and (not each.keys() <= _USUAL_FLAGS or flags not in _BITS or set(map(type, flags)) != {int}):
            return None
        difficult.append(flags[0])
        truncated.append(flags[1])
    return bytes(difficult), bytes(truncated)


@lru_cache(maxsize=1 << 12)
def _flags_alone(difficult: bytes, truncated: bytes) -> bytes:
    """The features that are always there; kept, for most pictures of a dataset share theirs with others."""
    flags = int_feature(_DIFFICULT, difficult) + int_feature(_TRUNCATED, truncated)
    return flags + bytes_fields_feature(VIEW, [_NO_POSE] * len(difficult))


def source_id_feature(attributes: Mapping[str, Any], name: bytes) -> bytes:
    """``image/source_id``: the picture's own, else its file name."""
    given = attributes.get("source_id")
    return bytes_feature(b"image/source_id", (name if given is None else str(given).encode(),))


def _numbers(attributes: Sequence[Mapping[str, Any]], name: str, default: float) -> list[float]:
    numbers: list[float] = []
    for each in attributes:
        value = each.get(name, default)
        if isinstance(value, float) and value - value == 0:
            numbers.append(int(value) if value % 1 == 0 and abs(value) < _LARGEST_INT else value)
        elif isinstance(value, int) and -_LARGEST_INT <= value < _LARGEST_INT:
            numbers.append(int(value))
        else:
            raise ValueError(f"{name} is {value!r}, which is no number that a record can hold")
    return numbers


def _pose(value: object) -> bytes:
    if value is None:
        return _NO_POSE
    if not isinstance(value, str):
        raise ValueError(f"pose is {value!r}, which is no text")
    return bytes_field(value.encode())
