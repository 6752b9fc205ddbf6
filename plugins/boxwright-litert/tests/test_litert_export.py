"""LiteRT: the conformance tests, and what only this exporter has."""

from __future__ import annotations

import pytest

from boxwright_testing import NetworkExporterTests

pytestmark = pytest.mark.tensorflow


class TestLiteRT(NetworkExporterTests):
    exporter = "litert"
