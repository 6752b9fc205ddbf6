"""The conformance tests of the backend; read by pytest and by ``boxwright plugins check``."""

from __future__ import annotations

from boxwright_testing import BackendTests


class TestConformance(BackendTests):
    """What every backend must do; `boxwright_testing` documents the attributes that a subclass can set."""

    backend = "myplugin"
