"""The description of a dataset: its classes by number, and the images of each split.

Ultralytics' ``data.yaml``: https://docs.ultralytics.com/datasets/detect/. darknet's ``obj.data``:
https://github.com/AlexeyAB/darknet#how-to-train-to-detect-your-custom-objects. labelImg's ``classes.txt``:
``libs/yolo_io.py`` of https://github.com/HumanSignal/labelImg.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from boxwright import DataError
from boxwright.storage import Folder, read_file
from boxwright_yolo.paths import YAML_SUFFIXES, Tree

UNSPLIT: Final = "unsplit"
"""The key in boxwright's data.yaml for the images without a split; Ultralytics ignores it."""

NOT_SPLITS: Final = frozenset({"path", "nc", "names", "download", "yaml_file", "kpt_shape", "flip_idx", "channels"})
"""Keys of data.yaml that are not splits."""

ORDER: Final = ("train", "val", "test")
CLASS_FILES: Final[tuple[str, ...]] = ("classes.txt", "obj.names", "_darknet.labels", "labels/classes.txt")
_DARKNET_SPLITS = {"train": "train", "valid": "val", "test": "test"}
_MAX_BYTES = 4 << 20
_MAX_DEPTH = 20
_MAX_CLASS = 1_000_000
"""A larger class number is a mistake, and every class takes memory."""


@dataclass(frozen=True)
class Description:
    """The content of one of the three kinds of file.

    Attributes:
        place: The file, for messages.
        file: Its path inside the dataset's folder; empty if it is elsewhere.
        names: Class names by number, from 0.
        splits: The written folders, lists and images by split, Ultralytics' order first; empty if the file has no
            splits. The key of the images without a split is :data:`UNSPLIT`.
        optional: Splits that may be missing: those that may not be meant as one.
        base: The value of ``path`` in data.yaml.
        keypoints: The number of key points of a pose, and of numbers per point; ``(0, 0)`` for none.
        notes: Notes for the user.
    """

    place: str
    file: str
    names: Mapping[int, str]
    splits: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    optional: frozenset[str] = frozenset()
    base: str = ""
    keypoints: tuple[int, int] = (0, 0)
    notes: tuple[str, ...] = ()


def find_description(tree: Tree, classes: str | None = None, file: str = "") -> Description:
    """Returns the description of a dataset.

    Args:
        tree: The dataset's folder.
        classes: A path or URL of the class names, instead of the dataset's own.
        file: The path inside the folder of the file that describes it; empty to find it.

    Raises:
        DataError: There is none, or more than one, or it is invalid.
    """
    found = _read(tree, file or _find(tree, classes is not None))
    if classes is None:
        return found
    content = read_file(classes)
    if content is None:
        raise DataError(classes, "file not found", "check the path in ?classes=")
    if classes.lower().endswith(YAML_SUFFIXES):
        names = read_yaml(content, classes).names
    else:
        names = _class_names(content, classes)
    return Description(classes, found.file, names, found.splits, found.optional, found.base, found.keypoints)


def _find(tree: Tree, named: bool) -> str:
    top = sorted(name for name in tree.names if "/" not in name)
    for name in ("data.yaml", "data.yml", "dataset.yaml", "dataset.yml", "obj.data"):
        if name in tree.names:
            return name
    yamls = [name for name in top if name.lower().endswith(YAML_SUFFIXES) and _is_dataset(tree.folder, name)]
    found = yamls or [name for name in top if name.lower().endswith(".data")]
    if len(found) > 1:
        raise DataError(
            tree.folder.location,
            f"it could be described by {' or '.join(found)}",
            f"name one of them: yolo:{tree.folder.place(found[0])}",
        )
    others = [name for name in CLASS_FILES if name in tree.names] or [n for n in top if n.lower().endswith(".names")]
    for name in (*found, *others):
        return name
    if named:
        return ""
    raise DataError(
        tree.folder.location,
        "no data.yaml, obj.data or classes.txt in it, so the class names are unknown",
        "name the folder that contains it, or the file of the class names: ?classes=FILE",
    )


def _is_dataset(folder: Folder, name: str) -> bool:
    try:
        return bool(read_yaml(folder.read(name), name).splits)
    except DataError:
        return False


def _read(tree: Tree, file: str) -> Description:
    if not file:
        return Description("", "", {})
    place = tree.folder.place(file)
    content = tree.folder.read(file)
    if file.lower().endswith(YAML_SUFFIXES):
        return read_yaml(content, place, file)
    if file.lower().endswith(".data"):
        return _read_darknet(tree, content, place, file)
    return Description(place, file, _class_names(content, place))


def read_yaml(content: bytes, place: str, file: str = "") -> Description:
    """Returns the content of a data.yaml.

    Every value is read as text, so a class ``no`` or ``1.0`` keeps its name.

    Raises:
        DataError: It is not valid YAML, has aliases, or has no class names.
    """
    content_of = _mapping(content, place)
    names = _yaml_names(content_of, place)
    splits: dict[str, tuple[str, ...]] = {}
    for key in sorted(content_of, key=lambda key: (ORDER.index(key) if key in ORDER else len(ORDER), key)):
        value = content_of[key]
        paths = value if isinstance(value, list) else [value]
        if key in NOT_SPLITS or value in ("", []):
            continue
        if all(isinstance(path, str) and path for path in paths):
            splits[key] = tuple(paths)
        elif key in ORDER:
            problem = f"{key} is not a folder, a list of folders or a list of images"
            raise DataError(place, problem, f"write {key}: images/{key}")
    base = content_of.get("path", "")
    unnamed = content_of.get("names") in (None, "", [], {})
    notes = (f"{place} has nc and no names, so the classes are class_0, class_1, ...",) if unnamed else ()
    return Description(
        place,
        file,
        names,
        splits,
        frozenset(splits) - {"train", UNSPLIT},
        base if isinstance(base, str) else "",
        _keypoints(content_of.get("kpt_shape"), place),
        notes,
    )


def _mapping(content: bytes, place: str) -> dict[str, Any]:
    import yaml

    if len(content) > _MAX_BYTES:
        raise DataError(place, f"it is larger than {_MAX_BYTES >> 20} MiB", "is this a data.yaml?")
    try:
        _check_events(yaml, content, place)
        loaded = yaml.load(content, Loader=_loader(yaml))  # noqa: S506 (BaseLoader makes only texts, lists and dicts)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or getattr(error, "reason", None) or "it cannot be read"
        raise DataError(
            place,
            f"it is not valid YAML: {problem}",
            "repair it, and save it as UTF-8",
            f"line {mark.line + 1}" if mark else "",
        ) from None
    except (ValueError, RecursionError) as error:
        raise DataError(place, f"it is not valid YAML: {error}", "repair it, and save it as UTF-8") from None
    if not isinstance(loaded, dict):
        raise DataError(place, "it is empty" if not loaded else "it has no keys", "add names: and train:")
    return {str(key): value for key, value in loaded.items()}


def _loader(yaml: Any) -> Any:
    return getattr(yaml, "CBaseLoader", yaml.BaseLoader)


def _check_events(yaml: Any, content: bytes, place: str) -> None:
    depth = 0
    for event in yaml.parse(content, Loader=_loader(yaml)):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        alias = isinstance(event, yaml.AliasEvent)
        if alias or depth > _MAX_DEPTH:
            raise DataError(
                place,
                "it has an alias (*name), which is not allowed because it can be used for attacks"
                if alias
                else f"it is nested more than {_MAX_DEPTH} deep",
                "replace the alias by its value" if alias else "repair it",
                f"line {event.start_mark.line + 1}",
            )


def _yaml_names(content: Mapping[str, Any], place: str) -> dict[int, str]:
    names = content.get("names")
    remedy = "write names: [apple, banana], or one line 0: apple for each class"
    if names in (None, "", [], {}) and (count := _number(content.get("nc"))):
        return {number: f"class_{number}" for number in range(count)}
    if isinstance(names, str) and re.match(r"[0-9]+:\S", names):
        problem = f"names is one text, {names:.40}, because a space is missing after each colon"
        raise DataError(place, problem, "write one line 0: apple for each class, with a space after the colon")
    if isinstance(names, list):
        names = dict(enumerate(names))
    if not isinstance(names, dict):
        raise DataError(place, "it has no names, so the class names are unknown", remedy)
    found: dict[int, str] = {}
    for key, name in names.items():
        number = _number(key)
        if number is None or not isinstance(name, str):
            problem = f"{key!r:.40} in names is not a class number" if number is None else f"class {number} has no name"
            raise DataError(place, problem, remedy)
        if name:
            found[number] = name
    count = _number(content.get("nc", len(names)))
    if count not in (len(names), max(found, default=-1) + 1):
        raise DataError(place, f"nc is not the number of names, which is {len(names)}", "correct nc, or leave it out")
    return found


def _number(key: object) -> int | None:
    """Returns a class number, or ``None`` if the key is not one."""
    text = str(key) if isinstance(key, str | int) else ""
    return int(text) if re.fullmatch(r"[0-9]{1,9}", text, re.ASCII) and int(text) <= _MAX_CLASS else None


def _keypoints(value: object, place: str) -> tuple[int, int]:
    if value in (None, ""):
        return (0, 0)
    numbers = [_number(part) for part in value] if isinstance(value, list) else []
    if len(numbers) != 2 or not numbers[0] or numbers[1] not in (2, 3):
        raise DataError(place, "kpt_shape is not [points, 2] or [points, 3]", "correct it, or leave it out")
    return (numbers[0], numbers[1])


def _read_darknet(tree: Tree, content: bytes, place: str, file: str) -> Description:
    values: dict[str, str] = {}
    for line in decoded(content, place).splitlines():
        key, equals, value = line.partition("=")
        if equals and not key.lstrip().startswith("#"):
            values[key.strip()] = value.strip()
    base = file.rpartition("/")[0]
    found = tree.find(values.get("names", ""), base) if values.get("names") else None
    if found is None or found not in tree.names:
        raise DataError(
            place,
            f"the file of the class names, {values.get('names')!r}, is not in the folder",
            "add it, or name the file of the class names: ?classes=FILE",
        )
    splits = {split: (values[key],) for key, split in _DARKNET_SPLITS.items() if values.get(key)}
    names = _class_names(tree.folder.read(found), tree.folder.place(found))
    return Description(tree.folder.place(found), found, names, splits, frozenset(splits) - {"train"}, base)


def _class_names(content: bytes, place: str) -> dict[int, str]:
    """Returns one name per line; the number of a class is that of its line, from 0."""
    lines = decoded(content, place).replace("\r\n", "\n").split("\n")
    return {number: line.strip() for number, line in enumerate(lines) if line.strip()}


def decoded(content: bytes, place: str) -> str:
    """Returns the text of a file: UTF-8 with or without byte order mark, or UTF-16 with one.

    Raises:
        DataError: It is not such a text.
    """
    encoding = "utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError:
        raise DataError(place, f"it is not {encoding.removesuffix('-sig').upper()} text", "save it as UTF-8") from None
    if "\0" in text:
        raise DataError(place, "it is not text: it has NUL characters", "save it as UTF-8")
    return text
