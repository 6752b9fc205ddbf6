"""The conformance tests of the backend; imported only by ``boxwright plugins check``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import pytest

from boxwright_testing import BackendTests


class TestKerasHub(BackendTests):
    """The backend, with its smallest preset, in the framework that is chosen by default."""

    backend: ClassVar[str] = "kerashub"
    preset: ClassVar[str] = "tiny"
    settings: ClassVar[Mapping[str, Any]] = {"score_threshold": 0.001}
    """An untrained detector has only low scores."""
    least_score: ClassVar[float] = 0.001

    @pytest.fixture(autouse=True)
    def narrower(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Uses a backbone with fewer layers, which halves the time of tracing in the four trainings."""
        from boxwright_kerashub.frameworks import choose_framework, importing

        with importing(choose_framework()):
            from boxwright_kerashub import backend, network

        def backbone(preset: str, image_size: tuple[int, int]) -> network.NarrowBackbone:
            return network.NarrowBackbone([16, 16, 32, 32], [0, 0, 0, 0], (*image_size, 3))

        monkeypatch.setattr(backend, "scratch_backbone", backbone)
