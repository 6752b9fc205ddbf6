"""Layout of a TensorFlow dataset: which features are the image, the boxes, their classes and attributes."""

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
    """One feature of a box or an image.

    Attributes:
        key: Name of the feature in TFDS.
        name: Name of the attribute.
        classes: Names of the values, if the feature is a ``ClassLabel`` that is read as text.
    """

    key: str
    name: str
    classes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Layout:
    """The features of an example by their meaning.

    Attributes:
        image: The image.
        objects: The sequence of boxes; empty if an image has a single box.
        bbox: The coordinates of a box.
        label: The class of a box; empty if there is only one class.
        shared: Whether the class is that of the image, and all its boxes have it.
        classes: The class names, in the order of TFDS.
        box_format: The format of the coordinates.
        filename: The file name of the image; empty if there is none.
        source_id: The id of the image; empty if there is none.
        box_columns: The other features of a box.
        image_columns: The other features of an image.
        unread: The features that are not read: sequences, other images.
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
    box_columns: tuple[Column, ...]
    image_columns: tuple[Column, ...]
    unread: tuple[str, ...]

    def features(self) -> dict[str, Any]:
        """Returns the features to decode, for ``tfds.decode.PartialDecoding``."""
        keys = [self.image, self.filename, self.source_id, *(column.key for column in self.image_columns)]
        keys += [self.label] if self.shared else []
        box_keys = [self.bbox, *(column.key for column in self.box_columns)]
        box_keys += [] if self.shared else [self.label]
        features: dict[str, Any] = {key: True for key in keys if key}
        boxes = {key: True for key in box_keys if key}
        return features | ({self.objects: boxes} if self.objects else boxes)


def find_layout(features: Any, dataset: str, objects: str | None, label: str | None) -> Layout:
    """Returns the layout of a dataset.

    Args:
        features: ``builder.info.features``.
        dataset: Name of the dataset, for messages.
        objects: Name of the feature with the boxes, if the user set it.
        label: Name of the feature with the class of a box, if the user set it.

    Raises:
        DataError: There is no image or no box, or more than one feature matches.
    """
    features = _sorted(features)
    kinds = {key: type(feature).__name__ for key, feature in features.items()}
    images = [key for key, kind in kinds.items() if kind == "Image"]
    image = "image" if "image" in images else _only(images, dataset, "images", "")
    found = {key: inside for key, feature in features.items() if (inside := _boxes_in(feature))}
    sequence = _selected(list(found), objects, dataset, "objects", "boxes")
    single = kinds[sequence] == "BBoxFeature"
    box_features = features if single else _sorted(features[sequence].feature)
    bbox = sequence if single else found[sequence][0]
    shared = single or (bool(_labels(features)) and not _labels(box_features))
    label_key, classes = _find_classes(features if shared else box_features, label, dataset, sequence)
    filename, source_id = (next((key for key in keys if key in kinds), "") for keys in (_FILE_NAMES, _SOURCE_IDS))
    used = {image, sequence, label_key if shared else "", filename, source_id}
    box_columns = () if single else _columns(box_features, {bbox, label_key})
    image_columns = _columns(features, used)
    unread = [key for key in kinds if key not in used | {column.key for column in image_columns}]
    if not single:
        read = {bbox, label_key, *(column.key for column in box_columns)}
        unread += [f"{sequence}/{key}" for key in box_features if key not in read]
    return Layout(
        image=image,
        objects="" if single else sequence,
        bbox=bbox,
        label=label_key,
        shared=shared,
        classes=classes,
        box_format=_format_of(box_features[bbox], dataset),
        filename=filename,
        source_id=source_id,
        box_columns=box_columns,
        image_columns=image_columns,
        unread=tuple(unread),
    )


def _sorted(features: Any) -> dict[str, Any]:
    """Returns the features sorted by name, because their order in ``features.json`` varies."""
    return {key: features[key] for key in sorted(features.keys())}


def _boxes_in(feature: Any) -> list[str]:
    """Returns the features with the coordinates of a box: the feature itself, or those in a sequence."""
    if type(feature).__name__ == "BBoxFeature":
        return [""]
    inner: Any = getattr(feature, "feature", None)
    if type(feature).__name__ != "Sequence" or type(inner).__name__ != "FeaturesDict":
        return []
    boxes = [key for key, each in inner.items() if type(each).__name__ == "BBoxFeature"]
    return sorted(boxes, key=lambda key: (key != "bbox", key))


def _only(keys: list[str], dataset: str, content: str, option: str) -> str:
    if len(keys) == 1:
        return keys[0]
    if not keys:
        raise DataError(dataset, f"no feature contains {content}: it is not a detection dataset", "use another dataset")
    problem = f"several features contain {content}: {', '.join(keys)}"
    raise DataError(dataset, problem, f"choose one: ?{option}={keys[0]}" if option else "use another dataset")


def _selected(keys: list[str], name: str | None, dataset: str, option: str, content: str) -> str:
    if name is None:
        return "objects" if "objects" in keys else _only(keys, dataset, content, option)
    if name not in keys:
        raise DataError(dataset, f"no feature {name!r} with {content}", f"use one of: {', '.join(keys)}")
    return name


def _labels(features: dict[str, Any]) -> list[str]:
    return [key for key, feature in features.items() if type(feature).__name__ == "ClassLabel"]


def _find_classes(
    features: dict[str, Any], name: str | None, dataset: str, sequence: str
) -> tuple[str, tuple[str, ...]]:
    """Returns the feature with the class of a box, and the class names; without one, the name is from the sequence."""
    labels = _labels(features)
    if name is not None:
        key = _selected(labels, name, dataset, "label", "classes")
    else:
        usual = next((name for name in _LABELS if name in labels), None)
        if usual is None and not labels:
            return "", (sequence.removesuffix("s") if sequence not in ("bbox", "objects") else "object",)
        key = usual or _only(labels, dataset, "classes", "label")
    return key, tuple(features[key].names or map(str, range(features[key].num_classes)))


def _columns(features: dict[str, Any], used: set[str]) -> tuple[Column, ...]:
    """Returns the features that become attributes: numbers, texts, names, short lists of numbers."""
    columns = []
    for key, feature in features.items():
        kind = type(feature).__name__
        if key in used or kind not in ("ClassLabel", "Text", "Tensor", "Scalar", "BBoxFeature"):
            continue
        if kind != "Text" and None in feature.shape:
            continue
        name = _NAMES.get(key, key)
        as_text = kind == "ClassLabel" and name not in _NUMBERS
        columns.append(Column(key, name, tuple(feature.names or ()) if as_text else ()))
    return tuple(columns)


def _format_of(feature: Any, dataset: str) -> BoxFormat:
    declared = feature.bbox_format
    name = getattr(declared, "value", declared)
    if name not in _FORMATS:
        raise DataError(dataset, "the format of its boxes is unknown", "declare bbox_format in the feature")
    return _FORMATS[name]
