"""The conformance tests of the augmenter; read by pytest and by ``boxwright plugins check``."""

from __future__ import annotations

from boxwright_testing import AugmenterTests


class TestConformance(AugmenterTests):
    """What every augmenter must do; `boxwright_testing` documents the attributes that a subclass can set."""

    augmenter = "myplugin"
