"""The conformance tests of the trainer; read by pytest and by ``boxwright plugins check``."""

from __future__ import annotations

from boxwright_testing import TrainerTests


class TestConformance(TrainerTests):
    """What every trainer has to keep; `boxwright_testing` says what a subclass can set."""

    trainer = "myplugin"
