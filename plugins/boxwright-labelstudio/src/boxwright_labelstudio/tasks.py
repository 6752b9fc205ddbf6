"""The tasks of an export, in the form of JSON and of JSON-MIN.

JSON has a task with its ``data`` and ``annotations``, JSON-MIN one entry per annotation, with the data and the values
of each control at the same level (https://labelstud.io/guide/export).
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from boxwright import DataError
from boxwright.datasets import ItemError
from boxwright.storage import IMAGE_SUFFIXES
from boxwright_labelstudio.regions import OWN

_MIN_KEYS: Final = frozenset({"id", "annotator", "annotation_id", "created_at", "updated_at", "lead_time"})
_LARGEST: Final = 1_000_000_000  # pixels
_IMAGE_KEYS: Final = ("image", "img", "photo", "picture", "url")


class Task(NamedTuple):
    """One task.

    Attributes:
        line: The line where it begins.
        number: Its number in the file, from 1.
        key: Its id.
        data: Its data.
        annotations: Its annotations.
        predictions: Its predictions.
    """

    line: int
    number: int
    key: Any
    data: dict[str, Any]
    annotations: list[dict[str, Any]]
    predictions: list[dict[str, Any]]

    @property
    def place(self) -> str:
        """The place in the file, for messages."""
        return f"task {self.number} (line {self.line})"

    def continues(self, other: Task, element: Mapping[str, Any]) -> bool:
        """Returns whether the element of this task is a further annotation of another one, in JSON-MIN."""
        return "data" not in element and self.key is not None and self.key == other.key

    def chosen(self, annotation: str, predictions: str) -> list[Any] | None:
        """Returns the results to read, ``None`` if there are none at all.

        Args:
            annotation: ``"first"``, ``"latest"``, ``"ground_truth"`` or ``"all"``.
            predictions: ``"missing"``, ``"ignore"`` or ``"only"``.
        """
        valid = [each for each in self.annotations if not each.get("was_cancelled")]
        if annotation == "ground_truth":
            valid = [each for each in valid if each.get("ground_truth")]
        if predictions == "only" or (predictions == "missing" and not valid):
            valid = self.predictions
        if not valid:
            return None
        if annotation == "latest":
            valid = [max(enumerate(valid), key=_time)[1]]
        elif annotation != "all":
            valid = valid[:1]
        return [result for each in valid for result in each["result"]]

    def image(self, key: str | None) -> tuple[str, dict[str, Any], dict[str, Any]]:
        """Returns the image's path or URL, the other data, and attributes with the names of keys.

        Raises:
            ItemError: There is no image.
        """
        rest = dict(self.data)
        own = rest.pop(OWN, {})
        found = key or _image_key(rest)
        path = rest.pop(found, None) if found else None
        if not isinstance(path, str) or not path:
            names = ", ".join(map(str, self.data)) or "nothing"
            raise ItemError(f"its data contains no image, but {names:.80}", "name its key: ?image=KEY")
        return path, rest, own if isinstance(own, dict) else {}


def tasks(elements: Iterable[tuple[int, Any]]) -> Iterator[Task | tuple[int, int, ItemError]]:
    """Yields the tasks of a file, or the line, number and error of an element that is not one.

    Consecutive entries of JSON-MIN with the same id are the annotations of one task.
    """
    pending: Task | None = None
    numbered = enumerate(elements, start=1)
    while True:
        try:
            number, (line, element) = next(numbered)
        except StopIteration:
            break
        except DataError:
            if pending is not None:
                yield pending
            raise
        found: Task | tuple[int, int, ItemError]
        try:
            found = _task(element, line, number)
        except ItemError as error:
            found = line, number, error
        if isinstance(found, Task) and pending is not None and found.continues(pending, element):
            pending.annotations.extend(found.annotations)
            continue
        if pending is not None:
            yield pending
        pending = found if isinstance(found, Task) else None
        if not isinstance(found, Task):
            yield found
    if pending is not None:
        yield pending


def _task(element: Any, line: int, number: int) -> Task:
    if not isinstance(element, dict):
        raise ItemError("it is not an object", 'write {"data": {"image": "1.jpg"}, "annotations": []}')
    if "data" not in element:
        return _from_min(element, line, number)
    data = element["data"]
    if not isinstance(data, dict):
        raise ItemError("its data is not an object", 'write "data": {"image": "1.jpg"}')
    given = [_listed(element, key) for key in ("annotations", "completions", "predictions")]
    return Task(line, number, element.get("id"), data, given[0] or given[1], given[2])


def _listed(element: dict[str, Any], key: str) -> list[dict[str, Any]]:
    found = element.get(key) or []
    if not isinstance(found, list):
        raise ItemError(f"its {key} are not a list", f'write "{key}": []')
    listed = []
    for number, each in enumerate(found, start=1):
        if isinstance(each, int) and key != "annotations":
            continue  # an export without the predictions themselves lists their ids
        result = each.get("result", []) if isinstance(each, dict) else None
        if not isinstance(result, list):
            raise ItemError("it has no list of results", 'write "result": []', f"{key}, {number}")
        listed.append({**each, "result": result})
    return listed


def _from_min(element: dict[str, Any], line: int, number: int) -> Task:
    results: list[Any] = []
    data: dict[str, Any] = {}
    for name, values in element.items():
        if name in _MIN_KEYS:
            continue
        regions = [value for value in values if isinstance(value, dict)] if isinstance(values, list) else []
        if not regions or len(regions) != len(values):
            data[name] = values
        for value in regions if regions and len(regions) == len(values) else ():
            rest = {key: each for key, each in value.items() if key not in ("original_width", "original_height", "id")}
            kind = next((key for key in rest if key == "labels" or key.endswith("labels")), name)
            kept = {key: value[key] for key in ("original_width", "original_height", "id") if key in value}
            results.append({"type": kind, "from_name": name, "value": rest, **kept})
    if not results and _image_key(data) is None:
        raise ItemError("it has no data", 'write {"data": {"image": "1.jpg"}, "annotations": []}')
    annotation = {"result": results, "updated_at": element.get("updated_at"), "created_at": element.get("created_at")}
    return Task(line, number, element.get("id"), data, [annotation], [])


def stated_size(data: Mapping[str, Any]) -> tuple[int, int] | None:
    """Returns the width and height that the data of a task contain, ``None`` if they are not sizes."""
    width, height = data.get("width"), data.get("height")
    if type(width) is type(height) is int and 0 < min(width, height) <= max(width, height) < _LARGEST:
        return width, height
    return None


def _image_key(data: Mapping[str, Any]) -> str | None:
    texts = [key for key, value in data.items() if isinstance(value, str)]
    usual = next((key for key in _IMAGE_KEYS if key in texts), None)
    paths = [key for key in texts if _is_image(data[key])]
    return usual if usual in paths or not paths else paths[0]


def _is_image(text: str) -> bool:
    end = os.path.splitext(text.partition("?")[0] if "?d=" not in text else text)[1].lower()
    return end in IMAGE_SUFFIXES or text.startswith("data:image/")


def _time(numbered: tuple[int, dict[str, Any]]) -> tuple[str, int]:
    """Returns when an annotation was changed; of several without a time, the last counts."""
    number, annotation = numbered
    time = annotation.get("updated_at") or annotation.get("created_at") or ""
    return str(time), number
