"""Pages: the conformance tests, in a browser where there is one."""

from __future__ import annotations

import pytest

pytest.importorskip("tensorflow")
pytest.importorskip("tf2onnx")

from boxwright_testing import NetworkExporterTests

pytestmark = [pytest.mark.tensorflow, pytest.mark.slow]


class TestPage(NetworkExporterTests):
    exporter = "page"
