"""The suite for engines: one that keeps all promises passes; each broken one is caught by the test meant for it."""

from __future__ import annotations

from collections.abc import Callable

pytest_plugins = "pytester"

Suite = Callable[..., dict[str, set[str]]]

BROKEN = {
    "has another order": (
        "toy.Engine.results = lambda self, work, pieces: (work(*piece) for piece in sorted(pieces)[::-1])",
        {
            "test_results_are_in_the_order_of_the_pieces",
            "test_pieces_are_taken_as_they_are_needed",
            "test_an_error_of_the_data_arrives_unchanged",
            "test_a_dataset_in_parts_is_the_whole",
        },
    ),
    "does a piece twice": (
        "toy.Engine.results = lambda self, work, pieces: "
        "(work(*piece) for piece in pieces for _ in range(1 + (piece == (4, 6))))",
        {"test_results_are_in_the_order_of_the_pieces"},
    ),
    "takes all pieces at once": (
        "toy.Engine.results = lambda self, work, pieces: (work(*piece) for piece in list(pieces))",
        {"test_pieces_are_taken_as_they_are_needed"},
    ),
    "changes errors": (
        "def results(self, work, pieces):\n"
        "    for piece in pieces:\n"
        "        done, value = work(*piece)\n"
        "        yield done, value if done else RuntimeError(str(value))\n"
        "toy.Engine.results = results",
        {"test_an_error_of_the_data_arrives_unchanged"},
    ),
}
"""The code of each broken engine, and the tests that must fail."""


def test_an_engine_that_keeps_all_promises_passes(suite: Suite) -> None:
    assert suite("engine", {"nothing": ""}) == {"nothing": set()}


def test_each_broken_engine_is_caught(suite: Suite) -> None:
    failed = suite("engine", {what: code + "\n" for what, (code, _) in BROKEN.items()})
    assert failed == {what: names for what, (_, names) in BROKEN.items()}
