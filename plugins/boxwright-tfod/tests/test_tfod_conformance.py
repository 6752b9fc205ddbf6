"""The conformance suite over the backend, with the first preset made small; five trainings, about six minutes."""

from __future__ import annotations

from typing import ClassVar

import pytest

pytest.importorskip("tensorflow")
pytest.importorskip("boxwright_tfrecord")

from boxwright.environments import Environment
from boxwright_testing import BackendTests
from boxwright_tfod import ENVIRONMENT

pytestmark = [
    pytest.mark.slow,
    pytest.mark.tfod,
    pytest.mark.tensorflow,
    pytest.mark.skipif(
        Environment(ENVIRONMENT).status != "installed", reason="run: boxwright env install tfod   (1.6 GB)"
    ),
]


class TestTFOD(BackendTests):
    backend = "tfod"
    preset = "ssd_mobilenet_v2_fpnlite_320"
    settings: ClassVar = {
        "model.ssd.feature_extractor.depth_multiplier": "0.35",
        "model.ssd.box_predictor.weight_shared_convolutional_box_predictor.num_layers_before_predictor": "1",
    }
    # The order of the pictures and their augmentation are the API's own.
    reproducible = False
