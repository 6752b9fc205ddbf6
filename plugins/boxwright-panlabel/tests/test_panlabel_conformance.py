"""Every format goes through the conformance suite."""

from __future__ import annotations

import pytest

pytest.importorskip("panlabel")

# pytest collects the classes from here.
from boxwright_panlabel.conformance import *  # noqa: F403
