"""Which of a TensorFlow dataset's features are the picture, the boxes, their classes, and what is said of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from boxwright import BoxFormat, DataError

_FORMATS = {
    "REL_YXYX": BoxFormat.REL_YXYX,
    "REL_XYXY": BoxFormat.REL_XYXY,
    "YXYX": BoxFormat.YXYX,
    "XYXY": BoxFormat.XYXY,
    "XYWH": BoxFormat.XYWH,
}
_FILE_NAMES = ("image/filename", "image/file_name", "filename", "file_name")
_SOURCE_IDS = ("image/id", "image_id", "id")
_LABELS = ("label", "type")
_NAMES = {
    "is_crowd": "iscrowd",
    "is_difficult": "difficult",
    "is_group_of": "iscrowd",
    "is_occluded": "occluded",
    "is_truncated": "truncated",
    "occlusion": "occluded",
}
_NUMBERS = frozenset({"difficult", "truncated", "occluded", "iscrowd"})


@dataclass(frozen=True)
class Column:
    """One feature of a box or a picture.

    Attributes:
        key: What TFDS calls it.
        name: The attribute that it becomes.
        classes: The names of its values, where it is a ``ClassLabel`` that is read as text.
    """

    key: str
    name: str
    classes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Layout:
    """Where things are in an example.

    Attributes:
        image: The picture.
        objects: The sequence of boxes; empty where a picture has one box.
        bbox: The four numbers of a box.
        label: The box's class; empty where there is only one class.
        shared: Whether the class is the picture's, and all its boxes have it.
        classes: The names of the classes, in TFDS's order.
        box_format: What the four numbers are.
        filename: The picture's file name; empty where there is none.
        source_id: The picture's number; empty where there is none.
        box: The other features of a box.
        picture: The other features of a picture.
        unread: What is left: sequences, other pictures.
    """

    image: str
    objects: str
    bbox: str
    label: str
    shared: bool
    classes: tuple[str, ...]
    box_format: BoxFormat
    filename: str
    source_id: str
    box: tuple[Column, ...]
    picture: tuple[Column, ...]
    unread: tuple[str, ...]

    def wanted(self) -> dict[str, Any]:
        """What to decode, as ``tfds.decode.PartialDecoding`` takes it."""
        keys = [self.image, self.filename, self.source_id, *(column.key for column in self.picture)]
        keys += [self.label] if self.shared else []
        of_box = [self.bbox, *(column.key for column in self.box)]
        of_box += [] if self.shared else [self.label]
        wanted: dict[str, Any] = {key: True for key in keys if key}
        boxes = {key: True for key in of_box if key}
        return wanted | ({self.objects: boxes} if self.objects else boxes)


def find_layout(features: Any, place: str, objects: str | None, label: str | None) -> Layout:
    """Reads a dataset's features.

    Args:
        features: ``builder.info.features``.
        place: The dataset, for messages.
        objects: The name of the feature with the boxes, where the user gave it.
        label: Likewise of a box's class.

    Raises:
        DataError: There is no picture, no box, or more than one feature could be meant.
    """
    features = _sorted(features)
    kinds = {key: type(feature).__name__ for key, feature in features.items()}
    images = [key for key, kind in kinds.items() if kind == "Image"]
    image = "image" if "image" in images else _only(images, place, "pictures", "")
    found = {key: inside for key, feature in features.items() if (inside := _boxes_in(feature))}
    sequence = _chosen(list(found), objects, place, "objects", "boxes")
    alone = kinds[sequence] == "BBoxFeature"
    of_box = features if alone else _sorted(features[sequence].feature)
    bbox = sequence if alone else found[sequence][0]
    shared = alone or (bool(_labels(features)) and not _labels(of_box))
    named, classes = _class_of(features if shared else of_box, label, place, sequence)
    filename, source_id = (next((key for key in keys if key in kinds), "") for keys in (_FILE_NAMES, _SOURCE_IDS))
    taken = {image, sequence, named if shared else "", filename, source_id}
    box = () if alone else _columns(of_box, {bbox, named})
    picture = _columns(features, taken)
    unread = [key for key in kinds if key not in taken | {column.key for column in picture}]
    if not alone:
        read = {bbox, named, *(column.key for column in box)}
        unread += [f"{sequence}/{key}" for key in of_box if key not in read]
    return Layout(
        image=image,
        objects="" if alone else sequence,
        bbox=bbox,
        label=named,
        shared=shared,
        classes=classes,
        box_format=_format_of(of_box[bbox], place),
        filename=filename,
        source_id=source_id,
        box=box,
        picture=picture,
        unread=tuple(unread),
    )


def _sorted(features: Any) -> dict[str, Any]:
    """Features in the order of their names; ``features.json`` has them in another order every time."""
    return {key: features[key] for key in sorted(features.keys())}


def _boxes_in(feature: Any) -> list[str]:
    """The features with four numbers of a box: the feature itself, or those in a sequence."""
    if type(feature).__name__ == "BBoxFeature":
        return [""]
    inner: Any = getattr(feature, "feature", None)
    if type(feature).__name__ != "Sequence" or type(inner).__name__ != "FeaturesDict":
        return []
    boxes = [key for key, each in inner.items() if type(each).__name__ == "BBoxFeature"]
    return sorted(boxes, key=lambda key: (key != "bbox", key))


def _only(keys: list[str], place: str, what: str, option: str) -> str:
    if len(keys) == 1:
        return keys[0]
    if not keys:
        raise DataError(place, f"it has no feature with {what}: it is no detection dataset", "choose another dataset")
    problem = f"several features have {what}: {', '.join(keys)}"
    raise DataError(place, problem, f"name one: ?{option}={keys[0]}" if option else "choose another dataset")


def _chosen(keys: list[str], given: str | None, place: str, option: str, what: str) -> str:
    if given is None:
        return "objects" if "objects" in keys else _only(keys, place, what, option)
    if given not in keys:
        raise DataError(place, f"it has no feature {given!r} with {what}", f"give one of: {', '.join(keys)}")
    return given


def _labels(features: dict[str, Any]) -> list[str]:
    return [key for key, feature in features.items() if type(feature).__name__ == "ClassLabel"]


def _class_of(of_box: dict[str, Any], given: str | None, place: str, sequence: str) -> tuple[str, tuple[str, ...]]:
    """The feature with a box's class, and the classes' names; a box without one is called after its sequence."""
    labels = _labels(of_box)
    if given is not None:
        key = _chosen(labels, given, place, "label", "classes")
    else:
        usual = next((name for name in _LABELS if name in labels), None)
        if usual is None and not labels:
            return "", (sequence.removesuffix("s") if sequence not in ("bbox", "objects") else "object",)
        key = usual or _only(labels, place, "classes", "label")
    return key, tuple(of_box[key].names or map(str, range(of_box[key].num_classes)))


def _columns(features: dict[str, Any], taken: set[str]) -> tuple[Column, ...]:
    """The features that become attributes: numbers, texts, names, short rows of numbers."""
    columns = []
    for key, feature in features.items():
        kind = type(feature).__name__
        if key in taken or kind not in ("ClassLabel", "Text", "Tensor", "Scalar", "BBoxFeature"):
            continue
        if kind != "Text" and None in feature.shape:
            continue
        name = _NAMES.get(key, key)
        as_text = kind == "ClassLabel" and name not in _NUMBERS
        columns.append(Column(key, name, tuple(feature.names or ()) if as_text else ()))
    return tuple(columns)


def _format_of(feature: Any, place: str) -> BoxFormat:
    given = feature.bbox_format
    name = getattr(given, "value", given)
    if name not in _FORMATS:
        raise DataError(place, "it does not say what the four numbers of a box are", "ask those who made the dataset")
    return _FORMATS[name]
