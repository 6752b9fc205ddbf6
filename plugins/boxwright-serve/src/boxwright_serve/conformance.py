"""The conformance tests of the command; read by pytest and by ``boxwright plugins check``."""

from __future__ import annotations

from boxwright_testing import CommandTests


class TestServe(CommandTests):
    """The command ``serve``."""

    command = "serve"
