"""Converts between panlabel 0.7's layouts and those of the tools, for the formats in which they differ.

- ``supervisely``: the ``points`` of an object are in the object itself, not in a ``geometry``
  (https://docs.supervisely.com/customization-and-integration/00_ann_format_navi/04_supervisely_format_objects).
- ``v7-darwin``: one JSON file per image, with the ``slots`` inside ``item`` (https://docs.v7labs.com/reference/darwin-json).
- ``wider-face``: the list does not begin with the number of images, and an image without faces has a row of zeros.
- ``edge-impulse``: ``bounding_boxes.labels`` has the boxes by image name
  (https://docs.edgeimpulse.com/tools/specifications/data-annotation/image-annotation); panlabel reads this one as well.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any

from boxwright import DataError
from boxwright_panlabel.bridges import Bridge
from boxwright_panlabel.document import parts

_CHUNK = 1 << 16
_NO_FACE = b"0 0 0 0 0 0 0 0 0 0\n"
_COUNT = re.compile(rb"[0-9]{1,9}\s*")
_ZEROS = re.compile(rb"0( 0)*\s*")


def needs_conversion(bridge: Bridge, location: str) -> bool:
    """Returns whether a dataset must be converted before panlabel can read it."""
    if bridge.name == "wider-face":
        return os.path.isfile(location) and not _is_counted(location)
    return bridge.name in ("supervisely", "v7-darwin")


def to_panlabel(bridge: Bridge, files: Iterable[str], location: str, folder: str) -> str:
    """Converts a dataset to panlabel's layout.

    Args:
        bridge: The format.
        files: The annotation files.
        location: The dataset: the file, or the folder that contains the files.
        folder: An empty folder.

    Returns:
        The path to pass to panlabel.

    Raises:
        DataError: A file is not JSON.
    """
    if bridge.name == "wider-face":
        path = os.path.join(folder, os.path.basename(location))
        _count(location, path)
        return path
    if bridge.name == "v7-darwin":
        path = os.path.join(folder, "dataset.json")
        with open(path, "w", encoding="utf-8") as file:
            for number, item in enumerate(_items(files)):
                file.write(("," if number else "[") + json.dumps(_with_slots_outside(item)))
            file.write("]")
        return path
    if not os.path.isdir(location):
        path = os.path.join(folder, os.path.basename(location))
        _rewrite(location, path, _nested)
        return path
    for source in (*files, os.path.join(location, "meta.json")):
        if os.path.isfile(source):
            target = os.path.join(folder, os.path.relpath(source, location))
            os.makedirs(os.path.dirname(target), exist_ok=True)
            _rewrite(source, target, _nested)
    return folder


def from_panlabel(bridge: Bridge, target: str) -> Iterator[tuple[str, Iterable[bytes]]]:
    """Yields the converted files that panlabel wrote, by name: ``""`` for the file of a ``"file"`` format.

    Skips its notes that images are not copied.
    """
    if bridge.name == "v7-darwin":
        for _, _, item in parts(target):
            content = item.decoded()
            yield f"annotations/{content['item']['name']}.json", (json.dumps(_with_slots_inside(content)).encode(),)
    elif os.path.isfile(target):
        yield "", _uncounted(target) if bridge.name == "wider-face" else _chunks(target)
    else:
        yield from _folder(bridge, target)


def _folder(bridge: Bridge, target: str) -> Iterator[tuple[str, Iterable[bytes]]]:
    for folder, _, names in sorted(os.walk(target)):
        for file in sorted(names):
            path = os.path.join(folder, file)
            name = os.path.relpath(path, target).replace(os.sep, "/")
            if bridge.name == "edge-impulse":
                yield name, _by_image(path)
            elif bridge.name == "supervisely" and name != "meta.json" and name.endswith(".json"):
                yield name, (json.dumps(_flat(_loaded(path))).encode(),)
            elif file != "README.txt":
                yield name, _chunks(path)


def _chunks(path: str) -> Iterator[bytes]:
    with open(path, "rb") as file:
        while chunk := file.read(_CHUNK):
            yield chunk


def _loaded(path: str) -> Any:
    try:
        with open(path, "rb") as file:
            return json.load(file)
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(path, f"it is not JSON: {error}", "correct the file, or export it again") from None


def _rewrite(source: str, target: str, change: Callable[[Any], Any]) -> None:
    with open(target, "w", encoding="utf-8") as file:
        json.dump(change(_loaded(source)), file)


def _objects(content: Any) -> list[dict[str, Any]]:
    objects = content.get("objects") if isinstance(content, dict) else None
    return [each for each in objects if isinstance(each, dict)] if isinstance(objects, list) else []


def _nested(content: Any) -> Any:
    """Returns a Supervisely annotation in panlabel's layout."""
    for each in _objects(content):
        if "geometry" not in each and "points" in each:
            each["geometry"] = {"points": each["points"]}
    return content


def _flat(content: Any) -> Any:
    """Returns a Supervisely annotation in Supervisely's layout."""
    for each in _objects(content):
        each["points"] = each.pop("geometry")["points"]
        each["tags"] = []
    return content


def _items(files: Iterable[str]) -> Iterator[Any]:
    for path in files:
        content = _loaded(path)
        yield from content if isinstance(content, list) else (content,)


def _with_slots_outside(content: Any) -> Any:
    """Returns a Darwin annotation in panlabel's layout."""
    item = content.get("item") if isinstance(content, dict) else None
    if not isinstance(item, dict):
        return content
    folder, name = str(item.get("path") or "").strip("/"), item.get("name")
    if folder and isinstance(name, str):
        item = item | {"name": f"{folder}/{name}"}
    return {"slots": item.get("slots")} | content | {"item": item}


def _with_slots_inside(content: dict[str, Any]) -> dict[str, Any]:
    """Returns a Darwin annotation in Darwin's layout."""
    folder, _, name = content["item"]["name"].rpartition("/")
    slots = [{"type": "image", "slot_name": slot.pop("name", "0")} | slot for slot in content.pop("slots")]
    content["item"] = {"name": name, "path": f"/{folder}", "slots": slots}
    for each in content["annotations"]:
        each["slot_names"] = ["0"]
    return content


def _by_image(path: str) -> Iterator[bytes]:
    yield b'{"version": 1, "type": "bounding-box-labels", "boundingBoxes": {'
    comma = b""
    for key, _, item in parts(path):
        if key == "files":
            file = item.decoded()
            yield comma + f"{json.dumps(file['path'])}: {json.dumps(file['boundingBoxes'])}".encode()
            comma = b",\n"
    yield b"}}\n"


def _is_counted(location: str) -> bool:
    with open(location, "rb") as file:
        return file.readline(64).strip().isdigit()


def _count(source: str, target: str) -> None:
    with open(source, "rb") as file:
        count = sum(1 for _ in _entries(file))
        file.seek(0)
        with open(target, "wb") as out:
            out.write(b"%d\n" % count)
            for entry in _entries(file):
                out.writelines(entry)


def _entries(lines: Iterable[bytes]) -> Iterator[list[bytes]]:
    """Yields the lines of each image: its name, the number of faces, the faces."""
    reading = iter(lines)
    for name in reading:
        number = next(reading, b"")
        count = int(number) if _COUNT.fullmatch(number) else 0
        faces = list(islice(reading, count or 1))
        # If there is something else instead of the row of zeros, panlabel reports the error.
        yield [name, number, *(() if not count and faces and _ZEROS.fullmatch(faces[0]) else faces)]


def _uncounted(path: str) -> Iterator[bytes]:
    with open(path, "rb") as file:
        file.readline()
        for name in file:
            number = file.readline()
            yield name
            yield number
            faces = [file.readline() for _ in range(int(number))]
            yield from faces or (_NO_FACE,)
