"""Finds a prepared dataset on this machine, without TensorFlow and without the internet.

TFDS keeps a dataset in ``DATA_DIR/NAME/[CONFIG/]VERSION``, with ``dataset_info.json`` and ``features.json`` beside its
records (https://www.tensorflow.org/datasets/external_tfrecord#folder_structure).
"""

from __future__ import annotations

import json
import os
import re
from typing import Any

from boxwright import DataError, UsageError
from boxwright.plugins import Detection
from boxwright.storage import is_remote

INFO, FEATURES = "dataset_info.json", "features.json"
_NAME = re.compile(r"[a-z][a-z0-9_]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*(:[0-9.]+)?")
_VERSION = re.compile(r"[0-9]+\.[0-9]+\.[0-9]+")
_LARGEST = 64 << 20


def data_folder(given: str | None) -> str:
    """Where TFDS keeps its datasets: as given, else ``TFDS_DATA_DIR``, else ``~/tensorflow_datasets``."""
    return os.path.expanduser(given or os.environ.get("TFDS_DATA_DIR") or os.path.join("~", "tensorflow_datasets"))


def find_prepared(location: str, data_dir: str | None) -> str | None:
    """The folder of one prepared version, or ``None`` where there is none.

    Args:
        location: A folder with a prepared version in it or below it, or a name as TFDS has it: ``voc/2007``,
            ``voc/2007:5.0.0``, ``coco``.
        data_dir: As for :func:`data_folder`.

    Raises:
        UsageError: The location is a URL, or several configurations fit the name.
    """
    if is_remote(location):
        raise UsageError(f"tfds reads folders of this machine, not {location}", "copy the dataset here first")
    if os.path.isdir(location) and (found := _newest(location)):
        return found
    if not _NAME.fullmatch(location):
        return None
    name, _, version = location.partition(":")
    folder = os.path.join(data_folder(data_dir), *name.split("/"), version)
    return _newest(folder) if os.path.isdir(folder) else None


def is_name(location: str) -> bool:
    """Whether a location may be a dataset's name, rather than a folder."""
    return _NAME.fullmatch(location) is not None and not os.path.isdir(location)


def _newest(folder: str) -> str | None:
    """The folder itself if it is a prepared version, else the newest version in it or in its only configuration."""
    if _is_prepared(folder):
        return folder
    if version := _newest_version(folder):
        return version
    inside = sorted(entry.name for entry in os.scandir(folder) if entry.is_dir())
    found = {name: path for name in inside if (path := _newest_version(os.path.join(folder, name)))}
    if len(found) > 1:
        problem = f"{folder} holds several datasets: {', '.join(found)}"
        raise UsageError(problem, f"name one: tfds:.../{next(iter(found))}")
    return next(iter(found.values()), None)


def _newest_version(folder: str) -> str | None:
    names = [entry.name for entry in os.scandir(folder) if entry.is_dir() and _VERSION.fullmatch(entry.name)]
    prepared = [name for name in names if _is_prepared(os.path.join(folder, name))]
    newest = max(prepared, key=lambda name: [int(part) for part in name.split(".")], default=None)
    return None if newest is None else os.path.join(folder, newest)


def _is_prepared(folder: str) -> bool:
    return os.path.isfile(os.path.join(folder, INFO))


def check_files(folder: str) -> None:
    """Checks that the two files in which TFDS describes a dataset are JSON.

    Raises:
        DataError: One is not there, or is no JSON object.
    """
    for name in (INFO, FEATURES):
        _loaded(os.path.join(folder, name))


def _loaded(path: str) -> dict[str, Any]:
    try:
        if os.path.getsize(path) > _LARGEST:
            raise DataError(path, f"it is larger than {_LARGEST >> 20} MiB", "prepare the dataset again")
        with open(path, "rb") as file:
            content = json.load(file)
    except FileNotFoundError:
        raise DataError(path, "there is no such file", "prepare the dataset again, with TFDS 4 or newer") from None
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(path, f"it is no JSON: {error}", "prepare the dataset again") from None
    if not isinstance(content, dict):
        raise DataError(path, "it is no JSON object", "prepare the dataset again")
    return content


def detect(location: str) -> Detection:
    """Looks for a prepared version in or below a folder, and for boxes among its features."""
    if is_remote(location) or not os.path.isdir(location):
        return Detection(False, "it is no folder of this machine")
    try:
        folder = _newest(location)
        if folder is None:
            return Detection(False, f"no {INFO} in it")
        features = json.dumps(_loaded(os.path.join(folder, FEATURES)))
    except (DataError, UsageError, OSError) as error:
        return Detection(False, error.message if isinstance(error, DataError | UsageError) else str(error))
    if "bounding_boxes_feature" not in features and "BBoxFeature" not in features:
        return Detection(False, f"its {FEATURES} has no BBoxFeature")
    return Detection(True, f"its {FEATURES} has a BBoxFeature")
