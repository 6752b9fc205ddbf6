"""The conformance suite over the backend and its augmenters."""

from __future__ import annotations

import pytest

pytest.importorskip("tensorflow")

# pytest collects the classes from here.
from boxwright_kerascv.conformance import *  # noqa: F403

pytestmark = pytest.mark.tensorflow
