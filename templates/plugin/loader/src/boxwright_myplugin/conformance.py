"""The conformance tests of the loader; read by pytest and by ``boxwright plugins check``."""

from __future__ import annotations

from boxwright_testing import LoaderTests


class TestConformance(LoaderTests):
    """What every loader must do; `boxwright_testing` documents the attributes that a subclass can set."""

    loader = "myplugin"
