"""The suite for metrics: one that keeps all promises passes; each broken one is caught by the test meant for it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

pytest_plugins = "pytester"

Suite = Callable[..., dict[str, set[str]]]

TOY = Path(__file__).with_name("toy.py")

BROKEN = {
    "keeps the pairs": (
        """
call = toy.Found.__call__
toy.Found.__call__ = lambda self, pairs, label_map: call(self, list(pairs), label_map)
""",
        {"test_images_are_not_kept"},
    ),
    "does not look at labels": (
        "toy.Found.check = lambda self, sample, detections, label_map: None",
        {"test_unknown_labels_are_data_errors"},
    ),
    "returns 0 where there is nothing to measure": (
        """
call = toy.Found.__call__
def zero(self, pairs, label_map):
    result = call(self, pairs, label_map)
    return toy.MetricResult({"found": max(0.0, result.values["found"])}, main="found")
toy.Found.__call__ = zero
""",
        {"test_nothing_to_measure_is_not_a_number"},
    ),
    "remembers the last measurement": (
        """
call = toy.Found.__call__
seen = []
def remembering(self, pairs, label_map):
    seen.append(0)
    result = call(self, pairs, label_map)
    return toy.MetricResult({"found": result.values["found"] ** len(seen)}, main="found")
toy.Found.__call__ = remembering
""",
        {"test_measuring_again_returns_the_same", "test_the_order_of_images_does_not_matter"},
    ),
    "tells somebody": (
        """
check = toy.Found.check
def telling(self, *arguments):
    import socket
    try:
        socket.create_connection(("192.0.2.1", 80), timeout=0.001)
    except OSError:
        pass
    return check(self, *arguments)
toy.Found.check = telling
""",
        {"test_it_touches_nothing_else"},
    ),
}


def test_a_metric_that_keeps_all_promises_passes(suite: Suite) -> None:
    assert suite("metric", {"nothing": ""}) == {"nothing": set()}


def test_each_broken_metric_is_caught(suite: Suite) -> None:
    """By the tests that are meant for it, and by no others."""
    failed = suite("metric", {what: code for what, (code, _) in BROKEN.items()}, quick=True)
    assert failed == {what: expected for what, (_, expected) in BROKEN.items()}


def test_a_heavy_import_is_caught(pytester: pytest.Pytester) -> None:
    code = """
import toy
from boxwright_testing import MetricTests, registry_of
import pytest

class TestToy(MetricTests):
    metric = "toymetric"

    @pytest.fixture
    def registry(self):
        return registry_of(toy)
"""
    pytester.makepyfile(toy="import numpy\n" + TOY.read_text("utf-8"), test_toy=code)
    pytester.syspathinsert()
    _, _, failed = pytester.inline_run("-p", "no:cacheprovider", "-q", "-k", "nothing_heavy").listoutcomes()
    assert len(failed) == 1
    assert "imports numpy" in failed[0].longreprtext
