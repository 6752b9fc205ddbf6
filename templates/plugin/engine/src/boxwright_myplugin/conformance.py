"""The conformance tests of the engine; read by pytest and by ``boxwright plugins check``."""

from __future__ import annotations

from boxwright_testing import EngineTests


class TestConformance(EngineTests):
    """What every engine must do; `boxwright_testing` documents the attributes that a subclass can set."""

    engine = "myplugin"
