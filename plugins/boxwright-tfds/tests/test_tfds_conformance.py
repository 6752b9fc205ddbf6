"""The conformance suite over the reader."""

from __future__ import annotations

import pytest

pytest.importorskip("tensorflow_datasets")
pytest.importorskip("tensorflow")

# pytest collects the classes from here.
from boxwright_tfds.conformance import *  # noqa: F403

pytestmark = pytest.mark.tensorflow
