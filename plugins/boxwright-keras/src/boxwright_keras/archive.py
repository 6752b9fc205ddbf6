"""Refuses ``.keras`` files that are more than calculations."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from google.protobuf.message import DecodeError

from boxwright import DataError
from boxwright.models import untrusted_model
from boxwright_tf.programs import refuse_graph

_OURS = "boxwright>Detector"
_KERAS = {
    "Functional": ("keras.src.models.functional", "keras.models"),
    "InputLayer": ("keras.layers",),
    "DTypePolicy": ("keras",),
    "__keras_tensor__": (None,),
}
"""The objects of Keras in the files of this exporter, with their modules."""
_CONFIG = "config.json"
_LONGEST = 1 << 28


def refuse_archive(path: Path) -> None:
    """Checks a ``.keras`` file before it is loaded.

    Raises:
        DataError: It contains a ``Lambda`` layer, objects other than those of Keras and the layer of this exporter, or
            operations with files, connections or Python code; or it is damaged.
    """
    from tensorflow.core.framework import graph_pb2

    try:
        with zipfile.ZipFile(path) as archive:
            if archive.getinfo(_CONFIG).file_size > _LONGEST:
                raise ValueError(f"{_CONFIG} is too large")
            config = json.loads(archive.read(_CONFIG))
        for each in _objects(config):
            if each.get("registered_name") == _OURS:
                graph = graph_pb2.GraphDef.FromString(bytes.fromhex(each["config"]["graph"]))
                refuse_graph(path, graph)
            elif not _is_keras(each):
                name = each.get("registered_name") or f"{each.get('module')}.{each['class_name']}"
                raise untrusted_model(path, f"it contains the object {name}, which may run any code")
    except (zipfile.BadZipFile, OSError, KeyError, TypeError, ValueError, RecursionError, DecodeError) as error:
        raise DataError(path, f"it is not a .keras file, or damaged: {error}", "export the model again") from None


def _objects(value: Any) -> Iterator[dict[str, Any]]:
    """Yields every object of a configuration."""
    if isinstance(value, dict):
        if "class_name" in value:
            yield value
        value = list(value.values())
    if isinstance(value, list):
        for each in value:
            yield from _objects(each)


def _is_keras(each: dict[str, Any]) -> bool:
    """Whether an object is one of those in the files of this exporter, which only calculate."""
    name, registered = each["class_name"], each.get("registered_name")
    return each.get("module") in _KERAS.get(name, ()) and registered in (None, name)
