"""The conformance suite over the reader."""

from __future__ import annotations

import pytest

pytest.importorskip("tensorflow_datasets")
pytest.importorskip("tensorflow")

from boxwright_testing import damages

# pytest collects the classes from here.
from boxwright_tfds.conformance import *  # noqa: F403

pytestmark = pytest.mark.tensorflow


@pytest.fixture(autouse=True)
def fewer_alterations(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reads fifty altered files, not all, because TFDS traces a graph for each."""
    monkeypatch.setattr(damages, "FIELDS", 2)
    monkeypatch.setattr(damages, "CHANGES", 30)
