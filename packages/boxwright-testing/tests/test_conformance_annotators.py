"""The suite for annotators: one that keeps all promises passes; each broken one is caught by the test meant for it."""

from __future__ import annotations

from collections.abc import Callable

pytest_plugins = "pytester"

Suite = Callable[..., dict[str, set[str]]]

BROKEN = {
    "needs an argument": ("toy.Annotator.__init__ = lambda self, port: None", {"test_it_can_be_made_without_options"}),
    "has another method": ("del toy.Annotator.annotate", {"test_it_takes_a_session_and_a_reporter"}),
    "takes no reporter": (
        "toy.Annotator.annotate = lambda self, session: None",
        {"test_it_takes_a_session_and_a_reporter"},
    ),
    "starts a thread": (
        "import threading, time\n"
        "def started(self):\n    threading.Thread(target=time.sleep, args=[1], daemon=True).start()\n"
        "toy.Annotator.__init__ = started",
        {"test_making_it_starts_nothing"},
    ),
}
"""The code of each broken annotator, and the tests that must fail."""


def test_an_annotator_that_keeps_all_promises_passes(suite: Suite) -> None:
    assert suite("annotator", {"nothing": ""}) == {"nothing": set()}


def test_each_broken_annotator_is_caught(suite: Suite) -> None:
    failed = suite("annotator", {what: code + "\n" for what, (code, _) in BROKEN.items()})
    assert failed == {what: names for what, (_, names) in BROKEN.items()}
