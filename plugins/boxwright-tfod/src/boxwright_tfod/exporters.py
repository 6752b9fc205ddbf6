"""Exporters of the API's models, and loading such files as models, whatever program exported them."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from boxwright import DataError, LabelMap, read_label_map
from boxwright.environments import Environment
from boxwright.models import Run
from boxwright.storage import read_file
from boxwright_tf.quiet import quiet_import
from boxwright_tfod import ENVIRONMENT
from boxwright_tfod.backend import saved_model_of

if TYPE_CHECKING:
    from boxwright_tfod.detector import SavedModelDetector
    from boxwright_tfod.graph import FrozenGraphDetector
    from boxwright_tfod.tflite import TFLiteDetector

GRAPH = "frozen_inference_graph.pb"
FOLDER = "saved_model"
LITE = "model.tflite"
_LABEL_MAPS = ("label_map.pbtxt", "mscoco_label_map.pbtxt")
_LABELS = ("labelmap.txt", "labels.txt")
"""The files next to ``detect.tflite`` in the API's own examples for TensorFlow Lite."""


class SavedModelExporter:
    """The run's SavedModel, unchanged."""

    def export(self, run: Run, out: Path, precision: str = "") -> Path:
        """Copies the SavedModel.

        Raises:
            RunError: The run has no model yet.
        """
        shutil.copytree(saved_model_of(run), out / FOLDER)
        return out / FOLDER

    def load(self, artifact: Path, label_map: LabelMap | None = None) -> SavedModelDetector:
        """Loads a SavedModel of the API.

        Raises:
            RunError: The file cannot be loaded, or is not a detector.
            DataError: The label map is missing.
        """
        with quiet_import():
            from boxwright_tfod.detector import SavedModelDetector
        return SavedModelDetector(artifact, label_map or _label_map_of(artifact))


class FrozenGraphExporter:
    """``frozen_inference_graph.pb`` with the tensor names of the API's first generation."""

    def export(self, run: Run, out: Path, precision: str = "") -> Path:
        """Freezes the run's SavedModel.

        Raises:
            RunError: The run has no model yet.
        """
        folder = saved_model_of(run)
        with quiet_import():
            from boxwright_tfod.graph import freeze
        freeze(folder, out / GRAPH)
        return out / GRAPH

    def load(self, artifact: Path, label_map: LabelMap | None = None) -> FrozenGraphDetector:
        """Loads a frozen graph, also of a model that was trained with TensorFlow 1.

        Raises:
            DataError: The file is not the graph of a detector, or the label map is missing.
        """
        with quiet_import():
            from boxwright_tfod.graph import FrozenGraphDetector
        return FrozenGraphDetector(artifact, label_map or _label_map_of(artifact))


class TFLiteExporter:
    """``model.tflite`` for phones and boards, from SSD; ``fp16`` halves the file, ``int8`` quarters it."""

    def export(self, run: Run, out: Path, precision: str = "") -> Path:
        """Converts the run's checkpoint in the API's environment, and adds TFLite Metadata.

        Raises:
            MissingLibraryError: The environment of the API is not installed.
            UsageError: The model is not SSD, or TensorFlow Lite does not support its resizer.
            RunError: The run has no model yet.
        """
        model = saved_model_of(run).parent.absolute()
        target = out / LITE
        request = {
            "pipeline": str(model / "pipeline.config"),
            "folder": str(model / "checkpoint"),
            "target": str(target.absolute()),
            "precision": precision or "fp32",
            "source": str(run.path),
        }
        with Environment(ENVIRONMENT).worker() as worker:
            metadata = worker.call("tflite:export", request)
        from boxwright_tf.tflite_metadata import Metadata
        from boxwright_tfod.tflite import File, labels_of

        labels = labels_of(run.label_map)
        target.write_bytes(File(target).with_metadata(Metadata(**metadata, labels=labels)))
        return target

    def load(self, artifact: Path, label_map: LabelMap | None = None) -> TFLiteDetector:
        """Loads a ``.tflite`` file, also one that an old version of the API exported.

        Raises:
            DataError: The file is not an SSD for TensorFlow Lite or is damaged, or the label map is missing.
            RunError: LiteRT cannot run the file.
        """
        from boxwright_tfod.tflite import File, TFLiteDetector, classes_in

        file = File(artifact)
        return TFLiteDetector(file, label_map or classes_in(file) or _find_label_map(artifact) or _labels_of(artifact))


def _label_map_of(artifact: Path) -> LabelMap:
    """Returns the label map in the folder of a model, in the model or above it.

    Raises:
        DataError: The label map is missing.
    """
    found = _find_label_map(artifact)
    if found is None:
        raise _no_label_map(artifact)
    return found


def _find_label_map(artifact: Path) -> LabelMap | None:
    for folder in (artifact.parent, artifact, artifact.parent.parent):
        for name in _LABEL_MAPS:
            found = read_label_map(str(folder / name))
            if found is not None:
                return found
    return None


def _labels_of(artifact: Path) -> LabelMap:
    """Returns the label map from the file of labels, one per line, in the folder of a ``.tflite`` file.

    Raises:
        DataError: The labels are missing, or cannot be used.
    """
    from boxwright_tf.tflite_metadata import lines
    from boxwright_tfod.tflite import labelled

    for name in _LABELS:
        content = read_file(str(artifact.parent / name), "check the labels")
        if content is not None:
            return labelled(lines(content.decode("utf-8", "replace")), str(artifact.parent / name))
    raise _no_label_map(artifact)


def _no_label_map(artifact: Path) -> DataError:
    return DataError(
        artifact,
        "the model contains only class ids, and there is no label map in its folder",
        "pass the label_map.pbtxt that it was trained with: --label-map FILE (label_map=FILE)",
    )
