"""A trained network as exporters take it, and the settings around it in the folder of an export."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple, Protocol, runtime_checkable

from boxwright.errors import DataError, UsageError
from boxwright.label_map import LabelMap, read_label_map
from boxwright.models.portable import DecoderSettings, InputSettings
from boxwright.models.run import Run
from boxwright.plugins.registry import default_registry

LABEL_MAP = "label_map.pbtxt"
LABELS = "labels.txt"
INPUT = "preprocess.json"
DECODER = "decoder.json"


@dataclass(frozen=True)
class Network:
    """A trained network without the code that trained it.

    Attributes:
        saved_model: A folder with a TensorFlow SavedModel. Its signature ``serving_default`` takes ``images``
            ``(batch, height, width, 3)`` float32, 0 to 255, of the size of ``inputs``, and returns ``boxes``
            ``(batch, N, 4)`` float32, ``xyxy`` in pixels of the input, and ``scores`` ``(batch, N, classes)`` float32,
            0 to 1, both before suppression.
        inputs: How an image becomes the input.
        decoder: How detections are chosen.
        label_map: The classes, in the order of the scores.
    """

    saved_model: Path
    inputs: InputSettings
    decoder: DecoderSettings
    label_map: LabelMap


@runtime_checkable
class NetworkBackend(Protocol):
    """A :class:`~boxwright.models.Backend` that offers its networks to every exporter."""

    def write_network(self, run: Run, folder: Path) -> Network:
        """Writes the network of a run into an empty folder, and returns it."""
        ...


class Settings(NamedTuple):
    """What surrounds the network of an export."""

    label_map: LabelMap
    inputs: InputSettings
    decoder: DecoderSettings


@contextmanager
def open_network(run: Run) -> Iterator[Network]:
    """Opens the network of a run, in a temporary folder.

    Raises:
        UsageError: The backend of the run does not offer its networks.
        RunError: The run has no model yet.
    """
    backend: Any = default_registry().resolve("backend", run.backend)()
    if not isinstance(backend, NetworkBackend):
        raise UsageError(
            f"the backend {run.backend} of {run.path} does not offer its networks to exporters",
            "see `boxwright plugins list exporter` for exporters of that backend",
        )
    with TemporaryDirectory() as folder:
        yield backend.write_network(run, Path(folder))


def write_settings(network: Network, folder: Path) -> None:
    """Writes the classes and the settings around a network into the folder of an export."""
    (folder / LABEL_MAP).write_text(network.label_map.to_pbtxt(), "utf-8")
    (folder / LABELS).write_text("".join(f"{name}\n" for name in network.label_map.names), "utf-8")
    for name, settings in ((INPUT, network.inputs), (DECODER, network.decoder)):
        (folder / name).write_text(json.dumps(settings.to_dict(), indent=2) + "\n", "utf-8")


def read_settings(folder: Path) -> Settings:
    """Returns what :func:`write_settings` wrote.

    Raises:
        DataError: A file is missing or damaged.
    """
    label_map = read_label_map(str(folder / LABEL_MAP))
    if label_map is None:
        raise DataError(folder / LABEL_MAP, "file not found", "export the model again")
    inputs, decoder = (
        _read(folder / name, kind) for name, kind in ((INPUT, InputSettings), (DECODER, DecoderSettings))
    )
    return Settings(label_map, inputs, decoder)


def _read(path: Path, kind: Any) -> Any:
    try:
        return kind(**json.loads(path.read_text("utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise DataError(path, f"it cannot be read: {error}", "export the model again") from None
