"""The conformance suite over the backend and its augmenters."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("tensorflow")

# pytest collects the classes from here.
from boxwright_kerascv import conformance
from boxwright_kerascv.conformance import *  # noqa: F403

pytestmark = pytest.mark.tensorflow


class TestKerasCV(conformance.TestKerasCV):  # type: ignore[no-redef]
    """The backend. `test_kerascv_training.py` trains again with the same seed, and compares the weights bit by bit."""

    @pytest.mark.slow
    def test_the_same_seed_produces_the_same_training(
        self, registry: Any, trained: Any, model: Any, images: Any, tmp_path: Any
    ) -> None:
        super().test_the_same_seed_produces_the_same_training(registry, trained, model, images, tmp_path)

    @pytest.mark.slow
    def test_an_interrupted_training_goes_on(self, registry: Any, entry: Any, tmp_path: Any, monkeypatch: Any) -> None:
        super().test_an_interrupted_training_goes_on(registry, entry, tmp_path, monkeypatch)

    @pytest.mark.slow
    def test_it_trains_step_by_step(self, registry: Any, trained: Any, model: Any, images: Any, tmp_path: Any) -> None:
        super().test_it_trains_step_by_step(registry, trained, model, images, tmp_path)
