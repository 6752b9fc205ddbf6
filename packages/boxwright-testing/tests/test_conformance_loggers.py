"""The suite for loggers: one that keeps all promises passes; each broken one is caught by the test meant for it."""

from __future__ import annotations

from collections.abc import Callable

pytest_plugins = "pytester"

Suite = Callable[..., dict[str, set[str]]]

HEAD = """
@toy.hookimpl
def boxwright_epoch_ended(self, run, epoch, metrics):
"""

BROKEN = {
    "writes nothing": (HEAD + "    pass\n", {"test_it_logs_a_training"}),
    "fails": (
        HEAD + "    raise OSError('the disk is full')\n",
        {"test_it_logs_a_training", "test_it_continues_with_a_resumed_training", "test_secrets_stay_secret"},
    ),
    "writes the environment": (
        HEAD + "    import os\n    run.file('toy.txt').write_text(str(dict(os.environ)))\n",
        {"test_secrets_stay_secret"},
    ),
    "writes the command line": (
        HEAD + "    import sys\n    run.file('toy.txt').write_text(str(sys.argv))\n",
        {"test_secrets_stay_secret"},
    ),
    "asks another machine": (
        HEAD + "    import socket\n    run.file('toy.txt').touch()\n    try:\n"
        "        socket.create_connection(('example.org', 80))\n    except OSError:\n        pass\n",
        {"test_it_logs_a_training"},
    ),
}
"""The code of each broken logger, and the tests that must fail."""


def test_a_logger_that_keeps_all_promises_passes(suite: Suite) -> None:
    assert suite("logger", {"nothing": ""}) == {"nothing": set()}


def test_each_broken_logger_is_caught(suite: Suite) -> None:
    code = {
        what: f"{body}\ntoy.Logger.boxwright_epoch_ended = boxwright_epoch_ended\n"
        for what, (body, _) in BROKEN.items()
    }
    failed = suite("logger", code, quick=True)
    assert failed == {what: names for what, (_, names) in BROKEN.items()}
