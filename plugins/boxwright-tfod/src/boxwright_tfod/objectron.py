"""MediaPipe Objectron's detector, converted for the API (see :mod:`boxwright_tfod.worker.objectron`)."""

from __future__ import annotations

import tempfile
from importlib.resources import files
from pathlib import Path

import numpy as np

from boxwright import DataError, LabelMap, Reporter
from boxwright.environments import Environment
from boxwright_tfod import ENVIRONMENT

PRESET = "ssd_mobilenet_v2"
"""The preset with the architecture of the detector."""

_CLASSES = 184
"""The bytes before the ``.tflite`` file: the names of the classes, one per line, from the background on."""


def convert(source: Path, folder: Path, reporter: Reporter) -> None:
    """Writes the detector in the layout of the model zoo, and its backbone as a classifier's checkpoint.

    The folder then contains ``checkpoint/``, ``backbone/``, ``pipeline.config`` and ``label_map.pbtxt``.

    Args:
        source: ``objectron_solution_packed_assets.data`` of the npm package ``@mediapipe/objectron``.
        folder: An empty folder.
        reporter: Receives the messages.

    Raises:
        DataError: The file is not that detector.
    """
    from boxwright_tf.tflite_weights import read_convolutions

    content = source.read_bytes()
    model = content[_CLASSES:]
    try:
        convolutions = read_convolutions(model)
        classes = content[:_CLASSES].decode("ascii").splitlines()[1:]
    except ValueError as error:
        raise DataError(source, f"it is not the detector: {error}", "download it again") from None
    with tempfile.TemporaryDirectory() as temporary:
        weights, tflite = Path(temporary) / "weights.npz", Path(temporary) / "model.tflite"
        tflite.write_bytes(model)
        np.savez(weights, *(array for each in convolutions for array in (each.kernel, each.bias)))
        request = {
            "names": [each.output for each in convolutions],
            "weights": str(weights),
            "tflite": str(tflite),
            "text": (files("boxwright_tfod") / "presets" / f"{PRESET}.config").read_text("utf-8"),
            "source": PRESET,
            "folder": str(folder.absolute()),
        }
        with Environment(ENVIRONMENT).worker(reporter=reporter) as worker:
            difference = worker.call("objectron:convert", request)
    (folder / "label_map.pbtxt").write_text(LabelMap.from_names(classes, sort=False).to_pbtxt(), "utf-8")
    reporter.message(f"The outputs of the converted model and the original differ by at most {difference:.0e}.")
