"""The conformance suite over the backend, on TensorFlow."""

from __future__ import annotations

from typing import Any

import pytest

# pytest collects the class from here.
from boxwright_kerashub import conformance

pytestmark = [pytest.mark.tensorflow, pytest.mark.usefixtures("keras_hub")]


class TestKerasHub(conformance.TestKerasHub):
    """The backend."""

    @pytest.mark.slow
    def test_the_same_seed_produces_the_same_training(
        self, registry: Any, trained: Any, model: Any, images: Any, tmp_path: Any
    ) -> None:
        super().test_the_same_seed_produces_the_same_training(registry, trained, model, images, tmp_path)

    @pytest.mark.slow
    def test_an_interrupted_training_goes_on(self, registry: Any, entry: Any, tmp_path: Any, monkeypatch: Any) -> None:
        super().test_an_interrupted_training_goes_on(registry, entry, tmp_path, monkeypatch)
