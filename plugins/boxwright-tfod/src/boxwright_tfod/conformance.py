"""The backend in boxwright's conformance tests; imported by ``boxwright plugins check tfod`` only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import pytest

from boxwright_testing import BackendTests


@pytest.mark.slow
class TestTFOD(BackendTests):
    """The first preset, made small: five trainings, about six minutes."""

    backend: ClassVar[str] = "tfod"
    preset: ClassVar[str] = "ssd_mobilenet_v2_fpnlite_320"
    settings: ClassVar[Mapping[str, Any]] = {
        "model.ssd.feature_extractor.depth_multiplier": "0.35",
        "model.ssd.box_predictor.weight_shared_convolutional_box_predictor.num_layers_before_predictor": "1",
    }
    reproducible: ClassVar[bool] = False
    """The API decides the order of the images and their augmentation."""
