"""The conformance tests of the metric; read by pytest and by ``boxwright plugins check``."""

from __future__ import annotations

from boxwright_testing import MetricTests


class TestConformance(MetricTests):
    """What every metric must do; `boxwright_testing` documents the attributes that a subclass can set."""

    metric = "myplugin"
