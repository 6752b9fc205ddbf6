"""The conformance tests of the metric; read by pytest and by ``boxwright plugins check``."""

from __future__ import annotations

from boxwright_testing import MetricTests


class TestConformance(MetricTests):
    """What every metric has to keep; `boxwright_testing` says what a subclass can set."""

    metric = "myplugin"
