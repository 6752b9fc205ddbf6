"""The API's models as files to deploy, and such files, whoever exported them, as models."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from boxwright import LabelMap, RunError
from boxwright.errors import DataError
from boxwright.pbtxt import read_label_map
from boxwright.run import Run
from boxwright_tf.quiet import quiet_import
from boxwright_tfod.backend import SAVED_MODEL

if TYPE_CHECKING:
    from boxwright_tfod.detector import SavedModelDetector

GRAPH = "frozen_inference_graph.pb"
FOLDER = "saved_model"
_LABEL_MAPS = ("label_map.pbtxt", "mscoco_label_map.pbtxt")


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

    def load(self, artifact: Path, label_map: LabelMap | None = None) -> SavedModelDetector:
        """A frozen graph as a model, also of models that were trained with TensorFlow 1.

        Raises:
            DataError: It is no graph of a detector, or there is no label map.
        """
        with quiet_import():
            from boxwright_tfod.graph import FrozenGraphDetector
        return FrozenGraphDetector(artifact, label_map or _beside(artifact))


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
    for folder in (artifact.parent, artifact, artifact.parent.parent):
        for name in _LABEL_MAPS:
            found = read_label_map(str(folder / name))
            if found is not None:
                return found
    raise DataError(
        artifact,
        "the model knows its classes by number only, and there is no label map beside it",
        "name the label_map.pbtxt that it was trained with: --label-map FILE (label_map=FILE)",
    )
