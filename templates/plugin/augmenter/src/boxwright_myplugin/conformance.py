"""The conformance tests of the augmenter; read by pytest and by ``boxwright plugins check``."""

from __future__ import annotations

from boxwright_testing import AugmenterTests


class TestConformance(AugmenterTests):
    """What every augmenter has to keep; `boxwright_testing` says what a subclass can set."""

    augmenter = "myplugin"
