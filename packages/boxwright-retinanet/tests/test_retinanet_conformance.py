"""The conformance suite over the augmenters."""

from __future__ import annotations

# pytest collects the classes from here.
from boxwright_retinanet.conformance import *  # noqa: F403
