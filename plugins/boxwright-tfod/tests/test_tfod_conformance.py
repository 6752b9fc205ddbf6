"""The conformance suite over the backend, with the first preset made small; five trainings, about six minutes."""

from __future__ import annotations

import pytest

pytest.importorskip("tensorflow")
pytest.importorskip("boxwright_tfrecord")

from boxwright.environments import Environment
from boxwright_tfod import ENVIRONMENT

# pytest collects the classes from here.
from boxwright_tfod.conformance import *  # noqa: F403

pytestmark = [
    pytest.mark.tfod,
    pytest.mark.tensorflow,
    pytest.mark.skipif(
        Environment(ENVIRONMENT).status != "installed", reason="run: boxwright env install tfod   (1.6 GB)"
    ),
]
