"""The conformance tests of the transform; read by pytest and by ``boxwright plugins check``."""

from __future__ import annotations

from boxwright_testing import TransformTests


class TestConformance(TransformTests):
    """What every transform must do; `boxwright_testing` documents the attributes that a subclass can set."""

    transform = "myplugin:8"
    bad_steps = (
        "myplugin:0",
        "myplugin:-1",
        "myplugin:small",
        "myplugin:least=1,least=2",
    )
    keeps_boxes = False
