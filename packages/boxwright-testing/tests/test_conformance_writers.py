"""The suite for writers: one that keeps all promises passes; each broken one is caught by the test meant for it."""

from __future__ import annotations

from collections.abc import Callable

pytest_plugins = "pytester"

Suite = Callable[..., dict[str, set[str]]]

OPTION = """
init = toy.Writer.__init__
def choosing(self, output, label_map, poses=True):
    init(self, output, label_map)
    if not poses:
        self.carried_by_boxes = ('difficult',)
toy.Writer.__init__ = choosing
changes = {"false": "-box.pose"}
toy.WRITE_OPTIONS = (toy.Option("poses", bool, True, "whether poses are written", carries=changes),)
"""
"""An option of the writer that does what it says."""

BROKEN_WRITERS = {
    "nothing, and has an option": (OPTION, set()),
    "has an option that does not say what it drops": (
        f"{OPTION}changes.clear()",
        {"test_what_an_option_changes_is_as_declared"},
    ),
    "has an option that does not do what it says": (
        f"{OPTION}toy.Writer.__init__ = lambda self, output, label_map, poses=True: init(self, output, label_map)",
        {"test_what_an_option_changes_is_as_declared"},
    ),
    "has an option that claims to drop what the format never had": (
        f"{OPTION}changes['false'] += ' -box.difficult'",
        {"test_what_an_option_changes_is_as_declared"},
    ),
    "has an option that says it in its own words": (
        f"{OPTION}changes['false'] = 'no poses'",
        {"test_the_format_is_described", "test_what_an_option_changes_is_as_declared"},
    ),
    "drops an attribute that it claims to carry": (
        "toy.Writer.carried_by_boxes = ('difficult',)",
        {"test_a_round_trip_keeps_everything_that_is_carried", "test_losses_are_as_declared"},
    ),
    "keeps an attribute that it does not claim": (
        "toy.Writer.carried_by_boxes = ('difficult', 'pose', 'boxwright_test')",
        {"test_losses_are_as_declared"},
    ),
    "rounds edges that it claims to carry": (
        """
write = toy.Writer.write
toy.Writer.write = lambda self, sample: write(
    self, sample.replace(boxes=sample.boxes.with_xyxy(sample.boxes.xyxy.round(3)))
)
""",
        {"test_a_round_trip_keeps_everything_that_is_carried", "test_losses_are_as_declared"},
    ),
    "works in a separate temporary file": (
        """
import os
init, write, close = toy.Writer.__init__, toy.Writer.write, toy.Writer.close
def started(self, output, label_map):
    init(self, output, label_map)
    self.place = output.location + ".tmp"
def kept(self, sample):
    write(self, sample)
    with open(self.place, "ab") as own:
        own.write(b"more")
def cleaned(self):
    os.remove(self.place)
    close(self)
toy.Writer.__init__, toy.Writer.write, toy.Writer.close = started, kept, cleaned
""",
        {
            "test_an_error_in_the_middle_leaves_nothing",
            "test_an_error_in_the_middle_leaves_what_was_there",
            "test_a_dataset_is_written_elsewhere",
        },
    ),
    "keeps all samples until the end": (
        """
class Writer(toy.Writer):
    def __init__(self, output, label_map):
        super().__init__(output, label_map)
        self.kept = []
    def write(self, sample):
        self.kept.append(sample)
    def close(self):
        for sample in self.kept:
            super().write(sample)
        super().close()
toy.Writer = Writer
""",
        {"test_writing_keeps_no_sample", "test_memory_for_writing_does_not_grow"},
    ),
    "loses the second of two images of one name": (
        """
write = toy.Writer.write
def polite(self, sample):
    if sample.image.name not in self.names:
        write(self, sample)
toy.Writer.write = polite
""",
        {"test_two_images_of_one_name_are_never_mixed"},
    ),
    "writes something random": (
        """
write = toy.Writer.write
def noisy(self, sample):
    write(self, sample.replace(attributes=sample.attributes | {"camera": str(random.random())}))
toy.Writer.write = noisy
""",
        {
            "test_writing_again_produces_the_same_bytes",
            "test_a_round_trip_keeps_everything_that_is_carried",
            "test_losses_are_as_declared",
            "test_boxes_without_area_or_outside_are_kept_or_refused",
            "test_a_dataset_is_written_elsewhere",
        },
    ),
    "leaves out boxes without area": (
        """
write = toy.Writer.write
def picky(self, sample):
    keep = [x1 < x2 and y1 < y2 for x1, y1, x2, y2 in sample.boxes.coordinates]
    write(self, sample.replace(boxes=sample.boxes.select(keep)))
toy.Writer.write = picky
""",
        {"test_boxes_without_area_or_outside_are_kept_or_refused"},
    ),
    "drops the fields of the dataset": (
        """
init = toy.Writer.__init__
def forgetful(self, output, label_map):
    output.dataset_attributes = {}
    init(self, output, label_map)
toy.Writer.__init__ = forgetful
""",
        {"test_a_round_trip_keeps_what_is_said_of_the_dataset"},
    ),
    "keeps of the dataset what it does not claim": (
        """
init = toy.Writer.__init__
def keeping(self, output, label_map):
    reported = dict(output.dataset_attributes)
    init(self, output, label_map)
    self.file.seek(0)
    self.add({"toy": 1, "dataset": reported})
toy.Writer.__init__ = keeping
""",
        {"test_a_round_trip_keeps_what_is_said_of_the_dataset"},
    ),
    "has one file for all writers": (
        """
def shared(self, row):
    toy.Writer.newest = self.file if "toy" in row else toy.Writer.newest
    toy.Writer.newest.write(toy.json.dumps(row).encode() + b"\\n")
toy.Writer.add = shared
""",
        {"test_splits_go_to_places_of_their_own"},
    ),
    "leaves images without boxes out": (
        """
write = toy.Writer.write
toy.Writer.write = lambda self, sample: write(self, sample) if sample.boxes else None
""",
        {
            "test_a_round_trip_keeps_everything_that_is_carried",
            "test_images_without_boxes_make_a_dataset",
            "test_losses_are_as_declared",
        },
    ),
    "does not add what it promises": (
        """
row_of = toy.Writer.row
def plain(self, sample):
    row = row_of(self, sample)
    del row["more"]["count"]
    return row
toy.Writer.row = plain
""",
        {"test_additions_are_as_declared"},
    ),
    "adds what it does not tell": (
        """
row_of = toy.Writer.row
def more(self, sample):
    row = row_of(self, sample)
    row["more"]["tool"] = "toy"
    return row
toy.Writer.row = more
""",
        {
            "test_a_round_trip_keeps_everything_that_is_carried",
            "test_boxes_without_area_or_outside_are_kept_or_refused",
        },
    ),
    "trims labels": (
        """
write = toy.Writer.write
def trimmed(self, sample):
    labels = [label.strip() or label for label in sample.boxes.labels]
    boxes = Boxes(labels, sample.boxes.coordinates, sample.boxes.attributes)
    write(self, sample.replace(boxes=boxes))
toy.Writer.write = trimmed
""",
        {"test_awkward_labels_are_kept_or_refused"},
    ),
    "leaves hidden images out": (
        """
write = toy.Writer.write
toy.Writer.write = lambda self, sample: None if sample.image.name.startswith(".") else write(self, sample)
""",
        {"test_awkward_names_are_kept_or_refused"},
    ),
    "leaves a log": (
        """
close = toy.Writer.close
def logging(self):
    with open("toy.log", "a") as log:
        log.write("done")
    close(self)
toy.Writer.close = logging
""",
        {"test_writing_touches_nothing_else"},
    ),
    "marks the images as done": (
        """
write = toy.Writer.write
def marking(self, sample):
    if sample.image.location:
        with open(sample.image.location, "ab") as image:
            image.write(b"done")
    write(self, sample)
toy.Writer.write = marking
""",
        {"test_writing_touches_nothing_else"},
    ),
    "tells somebody": (
        """
close = toy.Writer.close
def telling(self):
    import socket
    try:
        socket.create_connection(("192.0.2.1", 80), timeout=0.001)
    except OSError:
        pass
    close(self)
toy.Writer.close = telling
""",
        {"test_writing_touches_nothing_else"},
    ),
    "nothing, and shares the work": (
        "toy.Writer.prepare, toy.Writer.put = toy.Writer.row, toy.Writer.add",
        set(),
    ),
    "prepares what cannot travel": (
        """
toy.Writer.prepare = lambda self, sample: lambda: self.row(sample)
toy.Writer.put = lambda self, prepared: self.add(prepared())
""",
        {"test_preparing_and_putting_is_writing"},
    ),
    "prepares something else than it writes": (
        """
toy.Writer.prepare, toy.Writer.put = toy.Writer.row, toy.Writer.add
toy.Writer.prepare = lambda self, sample: self.row(sample.replace(boxes=sample.boxes[:1]))
""",
        {"test_preparing_and_putting_is_writing"},
    ),
}


def _failures(suite: Suite, *, memory: bool) -> tuple[dict[str, set[str]], dict[str, set[str]]]:
    """What failed for each broken writer, and what was meant to."""
    cases = {what: case for what, case in BROKEN_WRITERS.items() if any("memory" in name for name in case[1]) is memory}
    assert cases
    found = suite("writer", {what: code for what, (code, _) in cases.items()}, quick=not memory)
    return found, {what: expected for what, (_, expected) in cases.items()}


def test_a_writer_that_keeps_all_promises_passes(suite: Suite) -> None:
    assert suite("writer", {"nothing": ""}) == {"nothing": set()}


def test_each_broken_writer_is_caught(suite: Suite) -> None:
    """By the tests that are meant for it, and by no others."""
    found, expected = _failures(suite, memory=False)
    assert found == expected


def test_what_a_writer_keeps_in_memory_is_caught(suite: Suite) -> None:
    found, expected = _failures(suite, memory=True)
    assert found == expected


STRAIGHT = """
write = toy.Writer.write
def straight(self, sample):
    write(self, sample)
    with open(self.place, "ab") as target:
        target.write(b"{}")
def opened(self, output):
    self.place = output.location
    return output.open()
toy.Writer.write, toy.Writer.open = straight, opened
"""


def test_writing_straight_to_the_target_is_caught(suite: Suite) -> None:
    """Much goes wrong then; what must be among it is that a failure leaves something and spoils what was there."""
    failed = suite("writer", {"straight": STRAIGHT}, quick=True)["straight"]
    assert {"test_an_error_in_the_middle_leaves_nothing", "test_an_error_in_the_middle_leaves_what_was_there"} <= failed
