"""The suite for trainers: one that keeps all promises passes; each broken one is caught by the test meant for it."""

from __future__ import annotations

from collections.abc import Callable

pytest_plugins = "pytester"

Suite = Callable[..., dict[str, set[str]]]

BROKEN = {
    "does nothing": (
        "toy.Trainer.train = lambda self, backend, job: None",
        {
            "test_training_leaves_a_whole_run",
            "test_the_result_is_that_of_the_local_trainer",
            "test_what_was_asked_for_is_what_is_trained",
            "test_an_error_reaches_the_user",
            "test_an_interrupted_training_goes_on",
        },
    ),
    "asks for two epochs regardless of the job": (
        """
def train(self, backend, job):
    job.epochs = 2
    backend.fit(job)
toy.Trainer.train = train
""",
        {"test_what_was_asked_for_is_what_is_trained"},
    ),
    "has a private seed": (
        """
def train(self, backend, job):
    job.seed = 7
    backend.fit(job)
toy.Trainer.train = train
""",
        {"test_the_result_is_that_of_the_local_trainer", "test_what_was_asked_for_is_what_is_trained"},
    ),
    "swallows what goes wrong": (
        """
def train(self, backend, job):
    try:
        backend.fit(job)
    except BaseException:
        pass
toy.Trainer.train = train
""",
        {"test_an_error_reaches_the_user", "test_an_interrupted_training_goes_on"},
    ),
    "makes another error of it": (
        """
def train(self, backend, job):
    try:
        backend.fit(job)
    except Exception as error:
        raise RuntimeError("the worker failed") from error
toy.Trainer.train = train
""",
        {"test_an_error_reaches_the_user"},
    ),
    "starts again on resume": (
        """
def train(self, backend, job):
    job.resume = False
    backend.fit(job)
toy.Trainer.train = train
""",
        {"test_an_interrupted_training_goes_on"},
    ),
    "tells somebody": (
        """
def train(self, backend, job):
    import socket
    try:
        socket.create_connection(("192.0.2.1", 80), timeout=0.001)
    except OSError:
        pass
    backend.fit(job)
toy.Trainer.train = train
""",
        {"test_training_needs_no_network"},
    ),
    "wants an argument": (
        "toy.Trainer.__init__ = lambda self, where: None",
        {
            "test_the_factory_takes_its_options",
            "test_training_leaves_a_whole_run",
            "test_training_needs_no_network",
            "test_the_result_is_that_of_the_local_trainer",
            "test_what_was_asked_for_is_what_is_trained",
            "test_an_error_reaches_the_user",
            "test_an_interrupted_training_goes_on",
        },
    ),
}


def test_a_trainer_that_keeps_all_promises_passes(suite: Suite) -> None:
    assert suite("trainer", {"nothing": ""}) == {"nothing": set()}


def test_each_broken_trainer_is_caught(suite: Suite) -> None:
    """By the tests that are meant for it, and by no others."""
    failed = suite("trainer", {what: code for what, (code, _) in BROKEN.items()}, quick=True)
    assert failed == {what: expected for what, (_, expected) in BROKEN.items()}
