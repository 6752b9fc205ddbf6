"""The suite for loaders: one that keeps all promises passes; each broken one is caught by the test meant for it."""

from __future__ import annotations

from collections.abc import Callable

pytest_plugins = "pytester"

Suite = Callable[..., dict[str, set[str]]]

BROKEN = {
    "has a name that is none in Python": (
        """
toy.LOADER = "to-ys"
spec = toy.LoaderSpec
toy.LoaderSpec = lambda **named: spec(**(named | {"name": "to-ys"}))
""",
        {"test_the_name_can_be_called"},
    ),
    "knows one format only": (
        """
init = toy.Toys.__init__
toy.Toys.__init__ = lambda self, dataset, box_format: init(self, dataset, "xyxy")
""",
        {"test_boxes_come_in_the_format_asked_for"},
    ),
    "counts classes from 1": (
        """
example = toy.Toys.example
toy.Toys.example = lambda self, sample, classes: example(self, sample, [number + 1 for number in classes])
""",
        {"test_boxes_come_in_the_format_asked_for"},
    ),
    "leaves images without boxes out": (
        """
iterate = toy.Toys.__iter__
toy.Toys.__iter__ = lambda self: (one for one in iterate(self) if len(one["bounding_boxes"]["classes"]))
""",
        {
            "test_boxes_come_in_the_format_asked_for",
            "test_images_are_what_the_files_show",
        },
    ),
    "returns BGR": (
        """
pixels = toy.Toys.pixels
toy.Toys.pixels = lambda self, sample: pixels(self, sample)[:, :, ::-1]
""",
        {"test_images_are_what_the_files_show"},
    ),
    "can be gone through once": (
        """
to_toys = toy.to_toys
toy.to_toys = lambda dataset, **options: iter(to_toys(dataset, **options))
""",
        {"test_reading_again_returns_the_same"},
    ),
    "reads everything first": (
        """
class Greedy(toy.Toys):
    def __init__(self, dataset, box_format):
        super().__init__(dataset, box_format)
        self.dataset = type("Kept", (list,), {"label_map": dataset.label_map})(dataset)
toy.Toys = Greedy
""",
        {"test_images_are_not_kept"},
    ),
    "takes any format for xyxy": (
        """
def to_toys(dataset, *, bounding_box_format="xyxy"):
    from boxwright import BoxFormat
    known = {member.value for member in BoxFormat}
    return toy.Toys(dataset, bounding_box_format if bounding_box_format in known else "xyxy")
toy.to_toys = to_toys
""",
        {"test_an_unknown_box_format_is_a_usage_error"},
    ),
    "returns black for an image that does not exist": (
        """
pixels = toy.Toys.pixels
def black(self, sample):
    import numpy
    try:
        return pixels(self, sample)
    except DataError:
        return numpy.zeros((sample.image.height, sample.image.width, 3))
toy.Toys.pixels = black
""",
        {"test_a_missing_image_is_named"},
    ),
}


def test_a_loader_that_keeps_all_promises_passes(suite: Suite) -> None:
    assert suite("loader", {"nothing": ""}) == {"nothing": set()}


def test_each_broken_loader_is_caught(suite: Suite) -> None:
    """By the tests that are meant for it, and by no others."""
    failed = suite("loader", {what: code for what, (code, _) in BROKEN.items()}, quick=True)
    assert failed == {what: expected for what, (_, expected) in BROKEN.items()}
