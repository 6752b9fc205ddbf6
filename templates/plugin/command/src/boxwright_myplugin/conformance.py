"""The conformance tests of the command; read by pytest and by ``boxwright plugins check``."""

from __future__ import annotations

from boxwright_testing import CommandTests


class TestConformance(CommandTests):
    """What every command must do; `boxwright_testing` documents the attributes that a subclass can set."""

    command = "myplugin"
