"""The suite for backends: one that keeps all promises passes; each broken one is caught by the test meant for it."""

from __future__ import annotations

from collections.abc import Callable

pytest_plugins = "pytester"

Suite = Callable[..., dict[str, set[str]]]

BROKEN = {
    "starts again on resume": (
        """
fit = toy.Backend.fit
def again(self, job):
    job.resume = False
    fit(self, job)
toy.Backend.fit = again
""",
        {"test_an_interrupted_training_goes_on"},
    ),
    "reports no epochs": (
        """
toy.TrainJob = __import__("boxwright").TrainJob
fit = toy.Backend.fit
def silent(self, job):
    job.epochs = 0
    fit(self, job)
toy.Backend.fit = silent
""",
        {"test_training_leaves_a_whole_run", "test_an_interrupted_training_goes_on"},
    ),
    "trains at random": (
        "toy.Backend.loss = lambda self, epoch: random.random()",
        {"test_the_same_seed_produces_the_same_training"},
    ),
    "predicts at random": (
        """
found = toy.Model.found
def shaky(self, sample):
    detections = found(self, sample)
    return detections.above(random.choice([0.85, 0.95]))
random.seed(2)
toy.Model.found = shaky
""",
        {
            "test_predicting_again_returns_the_same",
            "test_batch_size_does_not_change_predictions",
            "test_the_least_score_is_kept_to",
            "test_the_same_seed_produces_the_same_training",
        },
    ),
    "returns boxes of the network's size": (
        """
def raw(self, sample):
    boxes = Boxes(self.label_map.names[:1], [(1.0, 1.0, 70.0, 60.0)], [{"score": 0.5}])
    return Detections(image=sample.image, boxes=boxes)
toy.Model.found = raw
""",
        {"test_predictions_are_well_formed"},
    ),
    "leaves images out in which it finds nothing": (
        """
predict = toy.Model.predict
def sparse(self, samples, *, batch_size=8, score=0.0):
    return (found for found in predict(self, samples, score=score) if found.image.width != 90)
toy.Model.predict = sparse
""",
        {"test_predictions_are_well_formed"},
    ),
    "tells somebody": (
        """
fit = toy.Backend.fit
def telling(self, *arguments):
    import socket
    try:
        socket.create_connection(("192.0.2.1", 80), timeout=0.001)
    except OSError:
        pass
    return fit(self, *arguments)
toy.Backend.fit = telling
""",
        {"test_training_needs_no_network"},
    ),
}


def test_a_backend_that_keeps_all_promises_passes(suite: Suite) -> None:
    assert suite("backend", {"nothing": ""}) == {"nothing": set()}


def test_each_broken_backend_is_caught(suite: Suite) -> None:
    """By the tests that are meant for it, and by no others."""
    failed = suite("backend", {what: code for what, (code, _) in BROKEN.items()}, quick=True)
    assert failed == {what: expected for what, (_, expected) in BROKEN.items()}
