"""How a run or an artifact chooses detections after ``boxwright tune``, in its file ``tuned.json``."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from boxwright.errors import DataError
from boxwright.models.decoder import EVERYTHING, DecoderSettings, choose_detections
from boxwright.models.manifest import RECORD
from boxwright.models.protocols import Model, TunableModel
from boxwright.models.slicing import SlicedModel
from boxwright.models.weights import digest_of
from boxwright.schemas import Detections, Sample
from boxwright.storage.output import write_atomically

TUNED = "tuned.json"
DECODER = "decoder.json"
"""The file of an artifact with the settings of its decoder."""


def read_tuning(folder: Path) -> DecoderSettings | None:
    """Returns the tuned settings of a run or an artifact, ``None`` without them.

    Raises:
        DataError: The file is damaged.
    """
    path = folder / TUNED
    try:
        return DecoderSettings.from_dict(json.loads(path.read_text("utf-8"))["decoder"])
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise DataError(path, f"it cannot be read: {error}", "remove it, and tune again") from None


def apply_tuning(model: Model, folder: Path) -> Model:
    """Returns a model with the tuned settings of its folder, if there are any."""
    decoder = read_tuning(folder)
    return model if decoder is None else tunable(model).with_decoder(decoder)


class ChosenModel:
    """A model of any backend, of whose detections some are chosen.

    Args:
        model: The model.
        decoder: How detections are chosen among those of the model; by default, all of them are kept.
    """

    def __init__(self, model: Model, decoder: DecoderSettings | None = None) -> None:
        self.model = model
        self.label_map = model.label_map
        self.decoder = decoder or EVERYTHING

    @property
    def is_raw(self) -> bool:
        """Whether the predictions before suppression can be chosen from."""
        return False

    def with_decoder(self, decoder: DecoderSettings) -> ChosenModel:
        """Returns the model with another choice of detections."""
        return ChosenModel(self.model, decoder)

    def predict(self, samples: Iterable[Sample], *, batch_size: int = 8, score: float = 0.0) -> Iterator[Detections]:
        """Yields one ``Detections`` per sample, in order."""
        names = self.label_map.names
        numbers = {name: number for number, name in enumerate(names)}
        for found in self.model.predict(samples, batch_size=batch_size):
            classes = np.array([numbers[label] for label in found.boxes.labels], np.int64)
            boxes, scores, kept = choose_detections(found.boxes.xyxy, np.array(found.scores), classes, self.decoder)
            chosen = Detections.from_arrays(found.image, [names[number] for number in kept], boxes, scores)
            yield chosen.above(score)


def write_tuning(folder: Path, content: Mapping[str, Any]) -> None:
    """Writes tuned settings, also where the ``detect.py`` of an artifact finds them.

    Args:
        folder: The folder of a run or an artifact.
        content: With the settings as ``decoder``.
    """
    write_atomically(folder / TUNED, (json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode())
    _describe(folder, DecoderSettings.from_dict(content["decoder"]))


def remove_tuning(folder: Path) -> bool:
    """Restores the settings before the first tuning; returns whether there was one."""
    path = folder / TUNED
    if not path.is_file():
        return False
    _describe(folder, DecoderSettings.from_dict(json.loads(path.read_text("utf-8"))["original"]))
    path.unlink()
    return True


def _describe(folder: Path, decoder: DecoderSettings) -> None:
    """Writes settings into the description of an artifact, and the digest of that file into the manifest."""
    path, record = folder / DECODER, folder / RECORD
    if not path.is_file() or not record.is_file():
        return
    write_atomically(path, (json.dumps(decoder.to_dict(), indent=2) + "\n").encode())
    manifest = json.loads(record.read_text("utf-8"))
    manifest["files"][DECODER] = {"bytes": path.stat().st_size, "sha256": digest_of(path)}
    write_atomically(record, (json.dumps(manifest, indent=2, ensure_ascii=False) + "\n").encode())


def copy_tuning(source: Path, target: Path) -> None:
    """Copies the tuned settings from one folder to another, if there are any."""
    if (source / TUNED).is_file():
        shutil.copyfile(source / TUNED, target / TUNED)


def tunable(model: Model) -> TunableModel:
    """Returns a model whose choice of detections can be changed."""
    return model if isinstance(model, TunableModel) else ChosenModel(model)


def decoder_of(model: Model) -> DecoderSettings:
    """Returns how a model chooses detections; the defaults for a model that does not tell."""
    if isinstance(model, SlicedModel):
        return decoder_of(model.model)
    return model.decoder if isinstance(model, TunableModel) else DecoderSettings()
