"""What panlabel is given to read: the dataset itself, a copy of it, or a folder with links to its parts.

It reads files of this machine, so what lies elsewhere is fetched first: the annotations, and where they do not say the
pictures' sizes, the pictures. It looks for pictures beside the annotations, so a folder of pictures is linked to
there.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable

from boxwright import BoxwrightError, DataError, UsageError
from boxwright.images import safe_filename
from boxwright.storage import IMAGE_SUFFIXES, filesystem, is_remote
from boxwright_panlabel.bridges import Bridge
from boxwright_panlabel.mending import is_mended, mend

_CLASSES = ("classes.txt", "class_names.txt", "classes.names", "obj.names")
_NO_PICTURES = ("meta.json", "classes.json")


def fetched(location: str, bridge: Bridge, folder: str) -> str:
    """The dataset as files of this machine: itself, or a copy in a folder.

    Raises:
        DataError: There is nothing, or it is empty, or cannot be fetched.
    """
    if is_remote(location):
        try:
            location = fetch(location, folder, pictures=bridge.sizes != "stated")
        except FileNotFoundError:
            raise DataError(location, f"there is no such {bridge.target}", "check the address") from None
    if not os.path.exists(location):
        raise DataError(location, f"there is no such {bridge.target}", "check the path")
    if os.path.isfile(location) and not os.path.getsize(location):
        raise DataError(location, "the file is empty", "export it again")
    return location


def fetch(location: str, folder: str, *, pictures: bool) -> str:
    """Copies a dataset from a URL into a folder, and returns its path there.

    Args:
        location: A file, with what lies beside it, or a folder.
        folder: An empty folder.
        pictures: Whether its pictures are needed.

    Raises:
        FileNotFoundError: There is nothing.
        DataError: It cannot be fetched.
    """
    files, root = filesystem(location)
    root = root.rstrip("/")
    name = root.rpartition("/")[2]
    try:
        if not files.exists(root):
            raise FileNotFoundError(location)
        whole = files.isdir(root)
        base = root if whole else root.rpartition("/")[0]
        target = os.path.join(folder, name) if whole else folder
        os.makedirs(target, exist_ok=True)
        # Beside a file, only its classes and its pictures matter.
        wanted = files.find(base) if whole or pictures else [root, *(f"{base}/{other}" for other in _CLASSES)]
        for path in wanted:
            inside = path[len(base) :].lstrip("/")
            is_picture = os.path.splitext(path)[1].lower() in IMAGE_SUFFIXES
            if path != root and not (pictures if is_picture else whole or (inside in _CLASSES and files.isfile(path))):
                continue
            place = os.path.join(target, *safe_filename(inside, location).split("/"))
            os.makedirs(os.path.dirname(place), exist_ok=True)
            with open(place, "wb") as file:
                file.write(files.cat_file(path))
    except (FileNotFoundError, BoxwrightError):
        raise
    except Exception as error:  # each of fsspec's file systems raises the errors of its own library
        raise DataError(location, f"it cannot be fetched: {error or repr(error)}", "copy the dataset here") from None
    return target if whole else os.path.join(target, name)


def annotation_files(location: str, bridge: Bridge) -> list[str]:
    """The annotation files of a folder, by how their names end; none for a file."""
    if not os.path.isdir(location):
        return []
    inside = os.path.join(location, "annotations")
    found = [
        os.path.join(folder, name)
        for folder, _, names in os.walk(inside if os.path.isdir(inside) else location)
        for name in names
        if name.lower().endswith(bridge.endings) and name not in _NO_PICTURES
    ]
    if bridge.name == "supervisely":
        found = [path for path in found if "ann" in os.path.relpath(path, location).split(os.sep)[:-1]]
    return sorted(found)


def first_unreadable(paths: Iterable[str]) -> str:
    """The first of some files that is empty, no UTF-8 or no JSON, and why; nothing where none is."""
    for path in paths:
        try:
            with open(path, "rb") as file:
                text = file.read().decode()
            if not text:
                return f"{path}: the file is empty"
            if path.lower().endswith(".json"):
                json.loads(text)
        except (OSError, ValueError, RecursionError) as error:
            return f"{path}: {error}"
    return ""


def staged(location: str, images: str | None, bridge: Bridge, workplace: str) -> str:
    """The path to give to panlabel.

    Args:
        location: The dataset, on this machine.
        images: The pictures' folder, where it is not the dataset's own.
        bridge: The format.
        workplace: A folder for links.

    Raises:
        DataError: The pictures' folder is needed here, and cannot be fetched.
        UsageError: Links cannot be made.
    """
    broken = is_mended(bridge, location)
    linked = images is not None and bridge.sizes != "stated"
    if not broken and not linked:
        return location
    if linked and is_remote(images or ""):
        images = fetch(images or "", os.path.join(workplace, "images"), pictures=True)
    folder = os.path.join(workplace, "stage")
    os.mkdir(folder)
    if not broken:
        return _linked(location, folder, bridge, images or "")
    if bridge.sizes != "stated":
        base = location if os.path.isdir(location) else os.path.dirname(os.path.abspath(location))
        _link(images if images is not None else base, os.path.join(folder, "images"))
    return mend(bridge, annotation_files(location, bridge) or [location], location, folder)


def _linked(location: str, folder: str, bridge: Bridge, images: str) -> str:
    """Links a file and what belongs to it, or a folder's parts, and the pictures; gives the place in the folder."""
    pictures = bridge.pictures or "images"
    if os.path.isdir(location):
        base, path = location, folder
        parts = [name for name in os.listdir(location) if name != pictures]
    else:
        base, name = os.path.split(os.path.abspath(location))
        path = os.path.join(folder, name)
        parts = [name, *(other for other in _CLASSES if os.path.isfile(os.path.join(base, other)))]
    for name in parts:
        _link(os.path.join(base, name), os.path.join(folder, name))
    _link(images, os.path.join(folder, pictures))
    return path


def _link(source: str, target: str) -> None:
    try:
        os.symlink(os.path.abspath(source), target, target_is_directory=os.path.isdir(source))
    except OSError as error:
        problem = f"a link to {source} cannot be made: {error.strerror or error}"
        raise UsageError(problem, "put the pictures beside the annotations") from None


def class_names(location: str) -> tuple[str, set[str]] | None:
    """The file of classes beside a text of yolo-keras, and the names in it; ``None`` where there is no such file."""
    base = location if os.path.isdir(location) else os.path.dirname(location)
    for name in _CLASSES:
        path = os.path.join(base, name)
        if os.path.isfile(path):
            with open(path, encoding="utf-8-sig", errors="replace") as file:
                return path, {line.strip() for line in file}
    return None
