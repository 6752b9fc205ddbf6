from __future__ import annotations

from boxwright.datasets import Errand

from boxwright_myplugin.conformance import TestConformance as TestConformance
from boxwright_myplugin.engine import MyPluginEngine


def test_one_process_is_enough() -> None:
    engine = MyPluginEngine(processes=1)
    results = [Errand.value(each) for each in engine.results(Errand.of(divmod), [(7, 2), (9, 4)])]
    engine.close()
    assert results == [(3, 1), (2, 1)]
