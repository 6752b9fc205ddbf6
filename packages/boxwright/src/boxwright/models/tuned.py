"""How a run or an artifact chooses detections after ``boxwright tune``, in its file ``tuned.json``."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from boxwright.errors import DataError
from boxwright.models.decoder import EVERYTHING, DecoderSettings, choose_detections
from boxwright.models.manifest import RECORD, manifest_content
from boxwright.models.protocols import Model, TunableModel
from boxwright.models.slicing import SlicedModel
from boxwright.schemas import Detections, Sample
from boxwright.storage.output import AtomicOutput, commit_together

TUNED = "tuned.json"
CURVE = "tuned.svg"
DECODER = "decoder.json"
"""The file of an artifact with the settings of its decoder."""


def read_tuning(folder: Path) -> DecoderSettings | None:
    """Returns the tuned settings of a run or an artifact, ``None`` without them.

    Raises:
        DataError: The file is damaged.
    """
    return _read(folder, "decoder")


def read_original(folder: Path) -> DecoderSettings | None:
    """Returns the settings from before the first tuning: those of an artifact, or of a tuned run, else ``None``.

    Raises:
        DataError: A file is damaged.
    """
    original = _read(folder, "original")
    if original is None and (folder / RECORD).is_file():
        original = _read(folder, "", DECODER)
    return original


def _read(folder: Path, key: str, name: str = TUNED) -> DecoderSettings | None:
    path = folder / name
    try:
        content = json.loads(path.read_text("utf-8"))
        return DecoderSettings.from_dict(content[key] if key else content)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise DataError(path, f"it cannot be read: {error!r}", "remove it, and tune again") from None


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


def write_tuning(folder: Path, content: Mapping[str, Any], curve: bytes | None = None) -> None:
    """Writes tuned settings, also where the ``detect.py`` of an artifact finds them, all files or none.

    Args:
        folder: The folder of a run or an artifact.
        content: With the settings as ``decoder``.
        curve: The content of ``tuned.svg``; without it, the file is removed.

    Raises:
        OutputError: They cannot be written.
    """
    files = {TUNED: _json(content)} | _description(folder, DecoderSettings.from_dict(content["decoder"]))
    _commit(folder, files if curve is None else files | {CURVE: curve}, () if curve is not None else (CURVE,))


def remove_tuning(folder: Path) -> bool:
    """Restores the settings before the first tuning; returns whether there was one.

    Raises:
        DataError: The file with them is damaged.
        OutputError: They cannot be restored.
    """
    original = _read(folder, "original")
    if original is None:
        return False
    if files := _description(folder, original):
        _commit(folder, files, (TUNED, CURVE))
    else:
        (folder / CURVE).unlink(missing_ok=True)
        (folder / TUNED).unlink()
    return True


def _description(folder: Path, decoder: DecoderSettings) -> dict[str, bytes]:
    """Returns the settings in the description of an artifact, and the manifest with the digest of that file."""
    record = folder / RECORD
    if not (folder / DECODER).is_file() or not record.is_file():
        return {}
    settings = _json(decoder.to_dict())
    manifest = manifest_content(record)
    manifest["files"][DECODER] = {"bytes": len(settings), "sha256": hashlib.sha256(settings).hexdigest()}
    return {DECODER: settings, RECORD: _json(manifest)}


def _json(content: Mapping[str, Any]) -> bytes:
    return (json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode()


def _commit(folder: Path, files: Mapping[str, bytes], removed: Iterable[str]) -> None:
    first = next(iter(files))
    output = AtomicOutput(str(folder / first), overwrite=True)
    try:
        for name, content in files.items():
            with output.open("" if name == first else name) as file:
                file.write(content)
        commit_together([output], [str(folder / name) for name in removed])
    finally:
        output.abort()


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
