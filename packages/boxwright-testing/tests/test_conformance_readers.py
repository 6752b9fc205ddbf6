"""The suite for readers: one that keeps all promises passes; each broken one is caught by the test meant for it."""

from __future__ import annotations

from collections.abc import Callable

pytest_plugins = "pytester"

Suite = Callable[..., dict[str, set[str]]]

BROKEN_READERS = {
    "raises ValueError": (
        """
def careless(self, on_problem):
    for number, line in self.lines():
        yield self.sample(self.parsed(line, number), number)
toy.Reader.read = careless
""",
        {
            "test_damaged_files_are_data_errors",
            "test_altered_files_are_read_or_refused",
            "test_bad_inputs_get_their_answers",
        },
    ),
    "leaves bad lines out silently": (
        """
read = toy.Reader.read
toy.Reader.read = lambda self, on_problem: read(self, lambda error: None)
""",
        {"test_damaged_files_are_data_errors", "test_bad_inputs_get_their_answers"},
    ),
    "tells of the first fault only": (
        """
read = toy.Reader.read
def forgetful(self, on_problem):
    reported = []
    def once(error):
        if not reported:
            on_problem(error)
        reported.append(error)
    return read(self, once)
toy.Reader.read = forgetful
""",
        {"test_bad_inputs_get_their_answers"},
    ),
    "counts nothing under skip": (
        """
read = toy.Reader.read
def evasive(self, on_problem):
    return read(self, on_problem if on_problem.on_error == "fail" else lambda error: None)
toy.Reader.read = evasive
""",
        {
            "test_damaged_files_are_data_errors",
            "test_altered_files_are_read_or_refused",
            "test_bad_inputs_get_their_answers",
        },
    ),
    "trusts numbers": (
        """
sample = toy.Reader.sample
def trusting(self, row, number):
    return sample(self, row | {"width": int(row["width"]), "height": int(row["height"])}, number)
toy.Reader.sample = trusting
""",
        {"test_altered_files_are_read_or_refused"},
    ),
    "raises a private error that cannot travel": (
        """
read = toy.Reader.read
class LineError(DataError):
    def __init__(self, error):
        super().__init__(error.file, error.problem, error.remedy, error.place)
    def __reduce__(self):
        return (LineError, (str(self),))
toy.Reader.read = lambda self, on_problem: read(self, lambda error: on_problem(LineError(error)))
""",
        {
            "test_damaged_files_are_data_errors",
            "test_altered_files_are_read_or_refused",
            "test_bad_inputs_get_their_answers",
        },
    ),
    "names neither file nor remedy": (
        """
read = toy.Reader.read
def curt(self, on_problem):
    return read(self, lambda error: on_problem(DataError("input", error.problem)))
toy.Reader.read = curt
""",
        {
            "test_damaged_files_are_data_errors",
            "test_altered_files_are_read_or_refused",
            "test_bad_inputs_get_their_answers",
        },
    ),
    "returns another order each time": (
        """
random.seed(1)
read = toy.Reader.read
def shuffled(self, on_problem):
    samples = list(read(self, on_problem))
    random.shuffle(samples)
    while samples:
        yield samples.pop()
toy.Reader.read = shuffled
""",
        {"test_reading_again_returns_the_same", "test_order_does_not_depend_on_the_file_system"},
    ),
    "continues where the last reading stopped": (
        """
init, read = toy.Reader.__init__, toy.Reader.read
def started(self, location, strict=False):
    init(self, location, strict)
    self.running = None
def resumed(self, on_problem):
    self.running = self.running or read(self, on_problem)
    yield from self.running
    self.running = None
toy.Reader.__init__, toy.Reader.read = started, resumed
""",
        {"test_reading_again_returns_the_same"},
    ),
    "lists the folder unsorted": (
        """
import os
read = toy.Reader.read
def listed(self, on_problem):
    folder = os.path.dirname(self.location) + "/pictures"
    names = os.listdir(folder) if os.path.exists(folder) else []
    samples = {sample.image.name: sample for sample in read(self, on_problem)}
    yield from (samples.pop(name) for name in names if name in samples)
    yield from samples.values()
toy.Reader.read = listed
""",
        {"test_order_does_not_depend_on_the_file_system", "test_reading_hands_samples_on_one_by_one"},
    ),
    "reads everything first": (
        """
read = toy.Reader.read
toy.Reader.read = lambda self, on_problem: iter(list(read(self, on_problem)))
""",
        {"test_reading_hands_samples_on_one_by_one", "test_memory_for_reading_does_not_grow"},
    ),
    "keeps the text of what it read": (
        """
read = toy.Reader.read
def hoarding(self, on_problem):
    with self.open() as file:
        text = file.read()
    yield from read(self, on_problem)
    del text
toy.Reader.read = hoarding
""",
        {"test_memory_for_reading_does_not_grow"},
    ),
    "does not look at names": (
        "toy.safe_name = lambda name, where: name",
        {"test_images_outside_the_dataset_are_not_reached"},
    ),
    "counts wrongly": (
        """
init = toy.Reader.__init__
def counted(self, location, strict=False):
    init(self, location, strict)
    self.info = self.info.model_copy(update={"num_samples": 1})
toy.Reader.__init__ = counted
""",
        {"test_info_says_what_is_read"},
    ),
    "detects anything": (
        "toy.detect = lambda location: toy.Detection(True, 'why not')",
        {"test_detection_states_a_reason_for_other_datasets", "test_detection_looks_elsewhere"},
    ),
    "declares an option that it does not take": (
        """
init = toy.Reader.__init__
toy.Reader.__init__ = lambda self, location: init(self, location)
""",
        {"test_the_factory_takes_its_options"},
    ),
    "forgets where samples come from": (
        """
sample = toy.Reader.sample
toy.Reader.sample = lambda self, row, number: sample(self, row, number).replace(source="")
""",
        {"test_samples_say_where_they_come_from"},
    ),
    "leaves a cache next to the dataset": (
        """
init = toy.Reader.__init__
def cached(self, location, strict=False):
    init(self, location, strict)
    if "://" not in location:
        with open(location + ".cache", "w") as file:
            file.write("x")
toy.Reader.__init__ = cached
""",
        {"test_reading_touches_nothing_else"},
    ),
    "leaves a temporary file": (
        """
read = toy.Reader.read
def littering(self, on_problem):
    import tempfile
    tempfile.mkstemp()
    return read(self, on_problem)
toy.Reader.read = littering
""",
        {"test_reading_touches_nothing_else"},
    ),
    "tells somebody": (
        """
read = toy.Reader.read
def telling(self, on_problem):
    import socket
    try:
        socket.create_connection(("192.0.2.1", 80), timeout=0.001)
    except OSError:
        pass
    return read(self, on_problem)
toy.Reader.read = telling
""",
        {"test_reading_touches_nothing_else"},
    ),
    "says of the dataset what JSON cannot hold": (
        """
init = toy.Reader.__init__
def odd(self, location, strict=False):
    init(self, location, strict)
    self.info = self.info.model_copy(update={"attributes": {"years": (2023, 2024)}})
toy.Reader.__init__ = odd
""",
        {"test_info_says_what_is_read"},
    ),
    "forgets a label when it is asked for labels only": (
        """
labels = toy.Reader.labels
toy.Reader.labels = lambda self: (found[1:] for found in labels(self))
""",
        {"test_quick_labels_are_the_labels"},
    ),
    "nothing, and shares the work": (
        """
toy.Reader.parts = property(lambda self: self.count)
toy.Reader.read_part, toy.Reader.labels_part = toy.Reader.items, toy.Reader.item_labels
""",
        set(),
    ),
    "yields one item too few in parts": (
        """
toy.Reader.parts = property(lambda self: self.count)
toy.Reader.read_part = lambda self, start, stop, on_problem: self.items(start, stop - 1, on_problem)
""",
        {"test_parts_make_up_the_whole"},
    ),
    "forgets labels in parts": (
        """
toy.Reader.parts = property(lambda self: self.count)
toy.Reader.read_part = toy.Reader.items
toy.Reader.labels_part = lambda self, start, stop: self.item_labels(start + 1, stop)
""",
        {"test_parts_make_up_the_whole"},
    ),
    "opens local files only": (
        """
toy.Reader.open = lambda self: open(self.location, "rb")
""",
        {"test_a_dataset_is_read_from_elsewhere"},
    ),
    "looks for images on this machine only": (
        "toy.join = lambda folder, name: folder.replace('memory:/', '') + '/' + name",
        {"test_a_dataset_is_read_from_elsewhere"},
    ),
    "nothing, and works on this machine only": (
        """
toy.REMOTE = False
init, start = toy.Reader.__init__, toy.Writer.__init__
def here(self, location, strict=False):
    if "://" in location:
        raise UsageError(f"{location} is not on this machine", "copy it here")
    init(self, location, strict)
def onto_disk(self, output, label_map):
    if "://" in output.location:
        raise UsageError(f"{output.location} is not on this machine", "write it here")
    start(self, output, label_map)
toy.Reader.__init__, toy.Writer.__init__ = here, onto_disk
""",
        set(),
    ),
    "works on this machine only, and does not tell": (
        "toy.REMOTE = False",
        {"test_a_dataset_is_read_from_elsewhere"},
    ),
    "nothing, and says that it needs the network": (
        """
toy.ONLINE = True
read = toy.Reader.read
def asking(self, on_problem):
    import socket
    try:
        socket.create_connection(("192.0.2.1", 80), timeout=0.001)
    except OSError:
        pass
    return read(self, on_problem)
toy.Reader.read = asking
""",
        set(),
    ),
    "detects local files only": (
        """
import os
toy.detect = lambda location: toy.Detection(location.endswith(".toy") and os.path.isfile(location), "looked")
""",
        {"test_detection_looks_elsewhere"},
    ),
}


def _failures(suite: Suite, *, memory: bool) -> tuple[dict[str, set[str]], dict[str, set[str]]]:
    """What failed for each broken reader, and what was meant to."""
    cases = {what: case for what, case in BROKEN_READERS.items() if any("memory" in name for name in case[1]) is memory}
    assert cases
    found = suite("reader", {what: code for what, (code, _) in cases.items()}, quick=not memory)
    return found, {what: expected for what, (_, expected) in cases.items()}


def test_a_reader_that_keeps_all_promises_passes(suite: Suite) -> None:
    assert suite("reader", {"nothing": ""}) == {"nothing": set()}


def test_each_broken_reader_is_caught(suite: Suite) -> None:
    """By the tests that are meant for it, and by no others."""
    found, expected = _failures(suite, memory=False)
    assert found == expected


def test_what_a_reader_keeps_in_memory_is_caught(suite: Suite) -> None:
    found, expected = _failures(suite, memory=True)
    assert found == expected
