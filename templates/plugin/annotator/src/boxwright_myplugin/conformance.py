"""The conformance tests of the annotator; read by pytest and by ``boxwright plugins check``."""

from __future__ import annotations

from boxwright_testing import AnnotatorTests


class TestConformance(AnnotatorTests):
    """What every annotator must do; `boxwright_testing` documents the attributes that a subclass can set."""

    annotator = "myplugin"
