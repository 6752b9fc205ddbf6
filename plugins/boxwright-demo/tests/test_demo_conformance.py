"""The conformance suite over the reader."""

# pytest collects the classes from here.
from boxwright_demo.conformance import *  # noqa: F403
