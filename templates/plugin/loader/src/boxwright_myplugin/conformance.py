"""The conformance tests of the loader; read by pytest and by ``boxwright plugins check``."""

from __future__ import annotations

from boxwright_testing import LoaderTests


class TestConformance(LoaderTests):
    """What every loader has to keep; `boxwright_testing` says what a subclass can set."""

    loader = "myplugin"
