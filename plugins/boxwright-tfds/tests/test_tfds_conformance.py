"""The conformance suite over the reader."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("tensorflow_datasets")
pytest.importorskip("tensorflow")

# pytest collects the classes from here.
from boxwright_tfds import conformance
from boxwright_tfds.conformance import *  # noqa: F403

pytestmark = pytest.mark.tensorflow


class TestTfds(conformance.TestTfds):  # type: ignore[no-redef]
    """The reader; TFDS opens each altered dataset in a tenth of a second."""

    @pytest.mark.slow
    def test_altered_files_are_read_or_refused(self, registry: Any, spec: Any, tmp_path: Any) -> None:
        super().test_altered_files_are_read_or_refused(registry, spec, tmp_path)
