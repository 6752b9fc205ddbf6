"""The input of panlabel: the dataset itself, a copy of it, or a folder with links to its parts.

It reads local files, so remote annotations are downloaded first, together with the images if their sizes are needed. It
searches for images next to the annotations, so a folder of images is linked there.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable

from boxwright import BoxwrightError, DataError, UsageError
from boxwright.images import safe_filename
from boxwright.storage import IMAGE_SUFFIXES, MAX_DATASET_BYTES, MAX_IMAGE_BYTES, filesystem, is_remote, read_within
from boxwright_panlabel.bridges import Bridge
from boxwright_panlabel.layouts import needs_conversion, to_panlabel

_CLASSES = ("classes.txt", "class_names.txt", "classes.names", "obj.names")
_NOT_ANNOTATIONS = (
    *("meta.json", "classes.json", "config.json", "features.json", "metadata.json"),
    *("key_id_map.json", "obj_class_to_machine_color.json"),
)
"""Files that describe the project."""


def fetched(location: str, bridge: Bridge, folder: str) -> str:
    """Returns the local path of a dataset: its own, or that of a copy in a folder.

    Raises:
        DataError: The dataset does not exist, is empty, or cannot be downloaded.
    """
    if is_remote(location):
        try:
            location = fetch(location, folder, images=bridge.sizes != "stated")
        except FileNotFoundError:
            raise DataError(location, f"{bridge.target} not found", "check the URL") from None
    if os.path.exists(location) and (special := first_special(location)):
        raise DataError(special, "it is not a regular file, but a pipe, a device or a socket", "remove it")
    if not os.path.exists(location):
        raise DataError(location, f"{bridge.target} not found", "check the path")
    if os.path.isfile(location) and not os.path.getsize(location):
        raise DataError(location, "the file is empty", "export it again")
    return location


def first_special(location: str) -> str:
    """Returns a file that would block panlabel for ever; an empty string if there is none."""
    paths = (os.path.join(base, name) for base, _, names in os.walk(location) for name in names)
    for path in paths if os.path.isdir(location) else (location,):
        if os.path.exists(path) and not os.path.isfile(path):
            return path
    return ""


def fetch(location: str, folder: str, *, images: bool) -> str:
    """Copies a dataset from a URL into a folder, and returns its path there.

    Args:
        location: A file, which is copied with the files next to it, or a folder.
        folder: An empty folder.
        images: Whether its images are needed.

    Raises:
        FileNotFoundError: The location does not exist.
        DataError: It cannot be downloaded.
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
        # Of the files next to a file, only its classes and images are needed.
        needed = files.find(base) if whole or images else [root, *(f"{base}/{other}" for other in _CLASSES)]
        for path in needed:
            inside = path[len(base) :].lstrip("/")
            is_image = os.path.splitext(path)[1].lower() in IMAGE_SUFFIXES
            if path != root and not (images if is_image else whole or (inside in _CLASSES and files.isfile(path))):
                continue
            place = os.path.join(target, *safe_filename(inside, location).split("/"))
            os.makedirs(os.path.dirname(place), exist_ok=True)
            with open(place, "wb") as file:
                limit = MAX_IMAGE_BYTES if is_image else MAX_DATASET_BYTES
                file.write(read_within(files, path, f"{location}: {inside}", limit))
    except (FileNotFoundError, BoxwrightError):
        raise
    except Exception as error:  # each of fsspec's file systems raises the errors of its own library
        raise DataError(location, f"it cannot be downloaded: {error or repr(error)}", "copy the dataset here") from None
    return target if whole else os.path.join(target, name)


def annotation_files(location: str, bridge: Bridge) -> list[str]:
    """Returns the annotation files of a folder, by their suffix; none for a file."""
    if not os.path.isdir(location):
        return []
    inside = os.path.join(location, "annotations")
    found = [
        os.path.join(folder, name)
        for folder, _, names in os.walk(inside if os.path.isdir(inside) else location)
        for name in names
        if name.lower().endswith(bridge.endings) and name not in _NOT_ANNOTATIONS
    ]
    if bridge.name == "supervisely":
        found = [path for path in found if "ann" in os.path.relpath(path, location).split(os.sep)[:-1]]
    return sorted(found)


def first_unreadable(paths: Iterable[str]) -> str:
    """Returns the first file that is empty, not UTF-8 or not JSON, and the reason; an empty string if there is none."""
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
    """The path to pass to panlabel.

    Args:
        location: The local dataset.
        images: The folder of the images, if it is not that of the dataset.
        bridge: The format.
        workplace: A folder for links.

    Raises:
        DataError: The folder of the images is needed, and cannot be downloaded.
        UsageError: Links cannot be made.
    """
    converted = needs_conversion(bridge, location)
    linked = images is not None and bridge.sizes != "stated"
    if not converted and not linked:
        return location
    if linked and is_remote(images or ""):
        images = fetch(images or "", os.path.join(workplace, "images"), images=True)
    folder = os.path.join(workplace, "stage")
    os.mkdir(folder)
    if not converted:
        return _linked(location, folder, bridge, images or "")
    if bridge.sizes != "stated":
        base = location if os.path.isdir(location) else os.path.dirname(os.path.abspath(location))
        _link(images if images is not None else base, os.path.join(folder, "images"))
    return to_panlabel(bridge, annotation_files(location, bridge) or [location], location, folder)


def _linked(location: str, folder: str, bridge: Bridge, images: str) -> str:
    """Links a file and its classes, or the parts of a folder, and the images; returns the path in the folder."""
    image_folder = bridge.image_folder or "images"
    if os.path.isdir(location):
        base, path = location, folder
        parts = [name for name in os.listdir(location) if name != image_folder]
    else:
        base, name = os.path.split(os.path.abspath(location))
        path = os.path.join(folder, name)
        parts = [name, *(other for other in _CLASSES if os.path.isfile(os.path.join(base, other)))]
    for name in parts:
        _link(os.path.join(base, name), os.path.join(folder, name))
    _link(images, os.path.join(folder, image_folder))
    return path


def _link(source: str, target: str) -> None:
    try:
        os.symlink(os.path.abspath(source), target, target_is_directory=os.path.isdir(source))
    except OSError as error:
        problem = f"a link to {source} cannot be made: {error.strerror or error}"
        raise UsageError(problem, "put the images next to the annotations") from None


def class_names(location: str) -> tuple[str, set[str]] | None:
    """Returns the file of classes next to a yolo-keras file, and the names in it; ``None`` if it does not exist."""
    base = location if os.path.isdir(location) else os.path.dirname(location)
    for name in _CLASSES:
        path = os.path.join(base, name)
        if os.path.isfile(path):
            with open(path, encoding="utf-8-sig", errors="replace") as file:
                return path, {line.strip() for line in file}
    return None
