"""The suite for transforms: one that keeps all promises passes; each broken one is caught by the test meant for it."""

from __future__ import annotations

from collections.abc import Callable

pytest_plugins = "pytester"

Suite = Callable[..., dict[str, set[str]]]

BROKEN = {
    "changes its input": (
        """
def changed(self, sample):
    sample.attributes["grown"] = self.by
    return sample
toy.Grow.changed = changed
""",
        {"test_the_input_is_not_changed"},
    ),
    "returns something else each time": (
        """
toy.Grow.changed = lambda self, sample: sample.replace(attributes={"grown": random.random()})
""",
        {"test_the_same_input_returns_the_same_output", "test_one_by_one_is_the_same_as_all_at_once"},
    ),
    "needs the whole stream and says that it does not": (
        """
def call(self, samples):
    for number, sample in enumerate(samples):
        yield sample.replace(attributes={"number": number})
toy.Grow.__call__ = call
""",
        {"test_one_by_one_is_the_same_as_all_at_once"},
    ),
    "ends on an image that is not there": (
        """
def call(self, samples):
    for sample in samples:
        sample.image.read()
        yield self.changed(sample)
toy.Grow.__call__ = call
toy.Grow.per_sample = False
""",
        {"test_a_missing_image_is_left_out_when_asked"},
    ),
    "leaves out images silently": (
        """
import os
def apply(self, samples, on_problem):
    return (self.changed(sample) for sample in samples if os.path.exists(sample.image.location or ""))
toy.Grow.apply = apply
toy.Grow.per_sample = False
""",
        {"test_a_missing_image_is_left_out_when_asked"},
    ),
    "sorts": (
        """
def call(self, samples):
    kept = sorted(samples, key=lambda sample: sample.image.width)
    while kept:
        yield kept.pop()
toy.Grow.__call__ = call
toy.Grow.per_sample = False
""",
        {"test_order_is_kept", "test_boxes_stay_with_their_objects", "test_samples_are_handed_on_one_by_one"},
    ),
    "drops attributes": (
        """
toy.Grow.changed = lambda self, sample: sample.replace(boxes=Boxes(sample.boxes.labels, sample.boxes.coordinates))
""",
        {"test_boxes_stay_with_their_objects"},
    ),
    "moves boxes out of the image": (
        """
toy.Grow.changed = lambda self, sample: sample.replace(boxes=sample.boxes.with_xyxy(sample.boxes.xyxy + 1))
""",
        {"test_boxes_stay_with_their_objects"},
    ),
    "changes the size in words only": (
        """
toy.Grow.changed = lambda self, sample: sample.replace(image=sample.image.model_copy(update={"width": 999}))
""",
        {"test_sizes_are_those_of_the_images"},
    ),
    "takes any option": (
        """
def init(self, by=0):
    self.by = by
toy.Grow.__init__ = init
""",
        {"test_wrong_steps_are_usage_errors"},
    ),
    "tells somebody": (
        """
changed = toy.Grow.changed
def telling(self, *arguments):
    import socket
    try:
        socket.create_connection(("192.0.2.1", 80), timeout=0.001)
    except OSError:
        pass
    return changed(self, *arguments)
toy.Grow.changed = telling
""",
        {"test_it_touches_nothing_else"},
    ),
}


def test_a_transform_that_keeps_all_promises_passes(suite: Suite) -> None:
    assert suite("transform", {"nothing": ""}) == {"nothing": set()}


def test_each_broken_transform_is_caught(suite: Suite) -> None:
    """By the tests that are meant for it, and by no others."""
    failed = suite("transform", {what: code for what, (code, _) in BROKEN.items()}, quick=True)
    assert failed == {what: expected for what, (_, expected) in BROKEN.items()}
