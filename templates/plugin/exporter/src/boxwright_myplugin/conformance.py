"""The conformance tests of the exporter; read by pytest and by ``boxwright plugins check``."""

from __future__ import annotations

from boxwright_testing import ExporterTests


class TestConformance(ExporterTests):
    """What every exporter must do; `boxwright_testing` documents the attributes that a subclass can set."""

    exporter = "myplugin"
