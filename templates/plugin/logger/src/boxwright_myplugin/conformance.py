"""The conformance tests of the logger; read by pytest and by ``boxwright plugins check``."""

from __future__ import annotations

from boxwright_testing import LoggerTests


class TestConformance(LoggerTests):
    """What every logger must do; `boxwright_testing` documents the attributes that a subclass can set."""

    logger = "myplugin"
