"""Prepared datasets in local folders, found without TensorFlow and without network access.

TFDS stores a dataset in ``DATA_DIR/NAME/[CONFIG/]VERSION``, with ``dataset_info.json`` and ``features.json`` next to
its records (https://www.tensorflow.org/datasets/external_tfrecord#folder_structure).
"""

from __future__ import annotations

import json
import os
import re
from typing import Any

from boxwright import DataError, UsageError
from boxwright.plugins import Detection
from boxwright.storage import is_remote, open_regular

INFO, FEATURES = "dataset_info.json", "features.json"
_NAME = re.compile(r"[a-z][a-z0-9_]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*(:[0-9.]+)?")
_VERSION = re.compile(r"[0-9]+\.[0-9]+\.[0-9]+")
_MAX_BYTES = 64 << 20


def data_folder(data_dir: str | None) -> str:
    """Returns the folder of prepared datasets: ``data_dir``, else ``TFDS_DATA_DIR``, else ``~/tensorflow_datasets``."""
    return os.path.expanduser(data_dir or os.environ.get("TFDS_DATA_DIR") or os.path.join("~", "tensorflow_datasets"))


def find_prepared(location: str, data_dir: str | None) -> str | None:
    """Returns the folder of one prepared version, or ``None`` if there is none.

    Args:
        location: A folder that contains a prepared version at any level, or a name in TFDS: ``voc/2007``,
            ``voc/2007:5.0.0``, ``coco``.
        data_dir: The folder of prepared datasets; see :func:`data_folder`.

    Raises:
        UsageError: The location is a URL, or several configurations match.
    """
    if is_remote(location):
        raise UsageError(f"tfds reads local folders, not {location}", "copy the dataset to a local folder first")
    if os.path.isdir(location) and (found := _newest(location)):
        return found
    if not _NAME.fullmatch(location):
        return None
    folder = os.path.join(data_folder(data_dir), *location.replace(":", "/").split("/"))
    return _newest(folder) if os.path.isdir(folder) else None


def is_name(location: str) -> bool:
    """Returns whether a location may be the name of a dataset, not a folder."""
    return _NAME.fullmatch(location) is not None and not os.path.isdir(location)


def _newest(folder: str) -> str | None:
    """Returns the folder if it is a prepared version, else the newest version in it or in its only configuration."""
    if _is_prepared(folder):
        return folder
    if version := _newest_version(folder):
        return version
    inside = sorted(entry.name for entry in os.scandir(folder) if entry.is_dir())
    found = {name: path for name in inside if (path := _newest_version(os.path.join(folder, name)))}
    if len(found) > 1:
        problem = f"{folder} contains several datasets: {', '.join(found)}"
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
    """Checks that the two files that describe a dataset contain JSON.

    Raises:
        DataError: One is missing, or does not contain a JSON object.
    """
    for name in (INFO, FEATURES):
        _load_json(os.path.join(folder, name))


def _load_json(path: str) -> dict[str, Any]:
    try:
        if os.path.getsize(path) > _MAX_BYTES:
            raise DataError(path, f"the file is larger than {_MAX_BYTES >> 20} MiB", "prepare the dataset again")
        with open(path, "rb", opener=open_regular) as file:
            content = json.load(file)
    except FileNotFoundError:
        raise DataError(path, "file not found", "prepare the dataset again, with TFDS 4 or newer") from None
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(path, f"invalid JSON: {error}", "prepare the dataset again") from None
    if not isinstance(content, dict):
        raise DataError(path, "the file does not contain a JSON object", "prepare the dataset again")
    return content


def detect(location: str) -> Detection:
    """Returns whether a folder contains a prepared version with boxes among its features."""
    if is_remote(location) or not os.path.isdir(location):
        return Detection(False, "not a local folder")
    try:
        folder = _newest(location)
        if folder is None:
            return Detection(False, f"it contains no {INFO}")
        features = json.dumps(_load_json(os.path.join(folder, FEATURES)))
    except (DataError, UsageError, OSError) as error:
        return Detection(False, error.message if isinstance(error, DataError | UsageError) else str(error))
    if "bounding_boxes_feature" not in features and "BBoxFeature" not in features:
        return Detection(False, f"its {FEATURES} has no BBoxFeature")
    return Detection(True, f"its {FEATURES} has a BBoxFeature")
