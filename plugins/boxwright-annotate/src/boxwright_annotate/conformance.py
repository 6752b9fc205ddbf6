"""The conformance tests of the annotator; read by pytest and by ``boxwright plugins check``."""

from __future__ import annotations

from boxwright_testing import AnnotatorTests


class TestPage(AnnotatorTests):
    """What every annotator must do."""

    annotator = "page"
