"""The conformance tests of the trainer; read by pytest and by ``boxwright plugins check``."""

from __future__ import annotations

from boxwright_testing import TrainerTests


class TestConformance(TrainerTests):
    """What every trainer must do; `boxwright_testing` documents the attributes that a subclass can set."""

    trainer = "myplugin"
