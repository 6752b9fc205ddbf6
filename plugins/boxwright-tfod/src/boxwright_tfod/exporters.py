"""The API's models as files to deploy, and such files, whoever exported them, as models."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from boxwright import DataError, LabelMap, RunError, read_label_map
from boxwright.environments import Environment
from boxwright.models import Run
from boxwright.storage import read_file
from boxwright_tf.quiet import quiet_import
from boxwright_tfod import ENVIRONMENT
from boxwright_tfod.backend import SAVED_MODEL

if TYPE_CHECKING:
    from boxwright_tfod.detector import SavedModelDetector
    from boxwright_tfod.graph import FrozenGraphDetector
    from boxwright_tfod.tflite import TFLiteDetector

GRAPH = "frozen_inference_graph.pb"
FOLDER = "saved_model"
LITE = "model.tflite"
_LABEL_MAPS = ("label_map.pbtxt", "mscoco_label_map.pbtxt")
_LABELS = ("labelmap.txt", "labels.txt")
"""What the API's own examples for TensorFlow Lite have beside their ``detect.tflite``."""


class SavedModelExporter:
    """The run's SavedModel, as ``exporter_main_v2`` wrote it."""

    def export(self, run: Run, out: Path, precision: str = "") -> Path:
        """Copies it.

        Raises:
            RunError: The run has no model yet.
        """
        shutil.copytree(_saved_model_of(run), out / FOLDER)
        return out / FOLDER

    def load(self, artifact: Path, label_map: LabelMap | None = None) -> SavedModelDetector:
        """A SavedModel of the API as a model.

        Raises:
            RunError: It cannot be loaded, or is no detector.
            DataError: There is no label map.
        """
        with quiet_import():
            from boxwright_tfod.detector import SavedModelDetector
        return SavedModelDetector(artifact, label_map or _beside(artifact))


class FrozenGraphExporter:
    """``frozen_inference_graph.pb`` with the tensor names of the API's first generation."""

    def export(self, run: Run, out: Path, precision: str = "") -> Path:
        """Freezes the run's SavedModel.

        Raises:
            RunError: The run has no model yet.
        """
        folder = _saved_model_of(run)
        with quiet_import():
            from boxwright_tfod.graph import freeze
        freeze(folder, out / GRAPH)
        return out / GRAPH

    def load(self, artifact: Path, label_map: LabelMap | None = None) -> FrozenGraphDetector:
        """A frozen graph as a model, also of models that were trained with TensorFlow 1.

        Raises:
            DataError: It is no graph of a detector, or there is no label map.
        """
        with quiet_import():
            from boxwright_tfod.graph import FrozenGraphDetector
        return FrozenGraphDetector(artifact, label_map or _beside(artifact))


class TFLiteExporter:
    """``model.tflite`` for phones and boards, of SSD; ``fp16`` halves the file, ``int8`` quarters it."""

    def export(self, run: Run, out: Path, precision: str = "") -> Path:
        """Has the API convert the run's checkpoint, in its environment, and writes into the file how to use it.

        Raises:
            MissingLibraryError: The environment of the API is not installed.
            UsageError: The model is of another kind than SSD, or TensorFlow Lite cannot have its resizer.
            RunError: The run has no model yet.
        """
        model = _saved_model_of(run).parent.absolute()
        target = out / LITE
        request = {
            "pipeline": str(model / "pipeline.config"),
            "folder": str(model / "checkpoint"),
            "target": str(target.absolute()),
            "precision": precision or "fp32",
            "source": str(run.path),
        }
        with Environment(ENVIRONMENT).worker() as worker:
            found = worker.call("tflite:export", request)
        from boxwright_tfod.tflite import File, labels_of
        from boxwright_tfod.tflite_metadata import Metadata

        labels = labels_of(run.label_map)
        target.write_bytes(File(target).with_metadata(Metadata(**found, labels=labels)))
        return target

    def load(self, artifact: Path, label_map: LabelMap | None = None) -> TFLiteDetector:
        """A ``.tflite`` file as a model, also one that the API exported years ago.

        Raises:
            DataError: It is no SSD for TensorFlow Lite, damaged, or there is no label map.
            RunError: LiteRT cannot run it.
        """
        from boxwright_tfod.tflite import File, TFLiteDetector, classes_in

        file = File(artifact)
        return TFLiteDetector(
            file, label_map or classes_in(file) or _label_map_beside(artifact) or _labels_beside(artifact)
        )


def _saved_model_of(run: Run) -> Path:
    folder = run.file(SAVED_MODEL)
    if not folder.is_dir():
        raise RunError(f"{run.path} has no trained model yet (it is {run.status})", "train to the end: --resume")
    return folder


def _beside(artifact: Path) -> LabelMap:
    """The label map that stands beside a model, or above it.

    Raises:
        DataError: There is none.
    """
    found = _label_map_beside(artifact)
    if found is None:
        raise _no_label_map(artifact)
    return found


def _label_map_beside(artifact: Path) -> LabelMap | None:
    for folder in (artifact.parent, artifact, artifact.parent.parent):
        for name in _LABEL_MAPS:
            found = read_label_map(str(folder / name))
            if found is not None:
                return found
    return None


def _labels_beside(artifact: Path) -> LabelMap:
    """The labels, one a line, that stand beside a ``.tflite`` file.

    Raises:
        DataError: There are none, or they cannot be used.
    """
    from boxwright_tfod.tflite import labelled
    from boxwright_tfod.tflite_metadata import lines

    for name in _LABELS:
        content = read_file(str(artifact.parent / name), "check the labels")
        if content is not None:
            return labelled(lines(content.decode("utf-8", "replace")), str(artifact.parent / name))
    raise _no_label_map(artifact)


def _no_label_map(artifact: Path) -> DataError:
    return DataError(
        artifact,
        "the model knows its classes by number only, and there is no label map beside it",
        "name the label_map.pbtxt that it was trained with: --label-map FILE (label_map=FILE)",
    )
