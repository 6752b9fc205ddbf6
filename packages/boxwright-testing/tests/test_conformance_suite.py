"""The suite itself: a plugin that keeps all promises passes; each broken one is caught by the test meant for it."""

from __future__ import annotations

from pathlib import Path

import pytest

import boxwright.prediction  # imported here once: the runs inside forget what they import, and numpy bears one import
import boxwright_testing

assert boxwright.prediction
assert boxwright_testing

pytest_plugins = "pytester"

TOY = Path(__file__).with_name("toy.py")

HEAD = """
import random
import pytest
import toy
from boxwright import Boxes, DataError, Detections, Sample
from boxwright_testing import *

class Own:
    @pytest.fixture
    def registry(self):
        return registry_of(toy)
"""

READER = """
class TestToy(Own, ReaderTests):
    format = "toy"
    def bad_inputs(self, folder):
        path = folder / "bad.toy"
        good = '{"name": "a.jpg", "width": 5, "height": 5, "boxes": [], "more": {}}'
        path.write_text(good + '\\n{"name": 3}\\nnonsense\\n')
        return [BadInput("two bad lines", path, r"bad.toy, line 2", skipped=2, good=1)]
"""

CLASSES = {
    "reader": READER,
    "writer": """
class TestToy(Own, WriterTests):
    format = "toy"
""",
    "transform": """
class TestToy(Own, TransformTests):
    transform = "grow:5"
    bad_steps = ("grow:-1", "grow:by=much")
""",
    "metric": """
class TestToy(Own, MetricTests):
    metric = "toymetric"
""",
    "backend": """
class TestToy(Own, BackendTests):
    backend = "toybackend"
""",
    "augmenter": """
class TestToy(Own, AugmenterTests):
    augmenter = "toymirror"
""",
}


def run(pytester: pytest.Pytester, kind: str, broken: dict[str, str], *options: str) -> dict[str, set[str]]:
    """Runs the suite on copies of the toy, each with something else broken: the names of the tests that failed.

    One run for all, since starting pytest costs more than most tests.
    """
    files = {}
    for number, code in enumerate(broken.values()):
        files[f"toy{number}"] = TOY.read_text("utf-8").replace('"toy:', f'"toy{number}:')
        files[f"test_toy{number}"] = HEAD.replace("import toy", f"import toy{number} as toy") + code + CLASSES[kind]
    pytester.makepyfile(**files)
    pytester.syspathinsert()
    passed, _, failed = pytester.inline_run("-p", "no:cacheprovider", "-q", *options).listoutcomes()
    names: dict[str, set[str]] = {what: set() for what in broken}
    for report in failed:
        file, _, test = report.nodeid.partition("::")
        names[list(broken)[int(file.removeprefix("test_toy").removesuffix(".py"))]].add(test.rpartition("::")[2])
    assert len(passed) >= 8 * len(broken), "the suite did not run"
    return names


QUICK = ("-k", "not another_process and not nothing_heavy and not test_memory")
"""Leaves out the tests that start processes or trace memory, which take a second each."""


@pytest.mark.parametrize("kind", [kind for kind in CLASSES if kind != "augmenter"])
def test_a_plugin_that_keeps_all_promises_passes(pytester: pytest.Pytester, kind: str) -> None:
    assert run(pytester, kind, {"nothing": ""}) == {"nothing": set()}


def test_a_heavy_import_is_caught(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(toy="import numpy\n" + TOY.read_text("utf-8"), test_toy=HEAD + CLASSES["metric"])
    pytester.syspathinsert()
    _, _, failed = pytester.inline_run("-p", "no:cacheprovider", "-q", "-k", "nothing_heavy").listoutcomes()
    assert len(failed) == 1
    assert "imports numpy" in failed[0].longreprtext


BROKEN_READERS = {
    "raises ValueError": (
        """
def careless(self, on_problem):
    import json
    with open(self.location, encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            yield self.sample(json.loads(line), number)
toy.Reader.read = careless
""",
        {"test_damaged_files_are_data_errors", "test_bad_inputs_get_their_answers"},
    ),
    "leaves bad lines out in silence": (
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
    told = []
    def once(error):
        if not told:
            on_problem(error)
        told.append(error)
    return read(self, once)
toy.Reader.read = forgetful
""",
        {"test_bad_inputs_get_their_answers"},
    ),
    "names neither file nor remedy": (
        """
read = toy.Reader.read
def curt(self, on_problem):
    return read(self, lambda error: on_problem(DataError("input", error.problem)))
toy.Reader.read = curt
""",
        {"test_damaged_files_are_data_errors", "test_bad_inputs_get_their_answers"},
    ),
    "gives another order each time": (
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
        {"test_reading_again_gives_the_same", "test_order_does_not_depend_on_the_file_system"},
    ),
    "goes on where the last reading stopped": (
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
        {"test_reading_again_gives_the_same"},
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
    with open(self.location, "rb") as file:
        text = file.read()
    yield from read(self, on_problem)
    del text
toy.Reader.read = hoarding
""",
        {"test_memory_for_reading_does_not_grow"},
    ),
    "does not look at names": (
        "toy.safe_name = lambda name, where: name",
        {"test_pictures_outside_the_dataset_are_not_reached"},
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
        {"test_detection_gives_a_reason_for_what_is_not_its_own"},
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
}

BROKEN_WRITERS = {
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
    "works in a temporary file of its own": (
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
        {"test_an_error_in_the_middle_leaves_nothing", "test_an_error_in_the_middle_leaves_what_was_there"},
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
    "loses the second of two pictures of one name": (
        """
write = toy.Writer.write
def polite(self, sample):
    if sample.image.name not in self.names:
        write(self, sample)
toy.Writer.write = polite
""",
        {"test_two_pictures_of_one_name_are_never_mixed"},
    ),
    "writes something random": (
        """
write = toy.Writer.write
def noisy(self, sample):
    write(self, sample.replace(attributes=sample.attributes | {"camera": str(random.random())}))
toy.Writer.write = noisy
""",
        {
            "test_writing_again_gives_the_same_bytes",
            "test_a_round_trip_keeps_everything_that_is_carried",
            "test_losses_are_as_declared",
            "test_boxes_without_area_or_outside_are_kept_or_refused",
        },
    ),
    "leaves out boxes without area": (
        """
write = toy.Writer.write
def picky(self, sample):
    keep = [x1 < x2 and y1 < y2 for x1, y1, x2, y2 in sample.boxes.edges]
    write(self, sample.replace(boxes=sample.boxes.select(keep)))
toy.Writer.write = picky
""",
        {"test_boxes_without_area_or_outside_are_kept_or_refused"},
    ),
}


BROKEN_TRANSFORMS = {
    "changes its input": (
        """
def changed(self, sample):
    sample.attributes["grown"] = self.by
    return sample
toy.Grow.changed = changed
""",
        {"test_the_input_is_not_changed"},
    ),
    "gives something else each time": (
        """
toy.Grow.changed = lambda self, sample: sample.replace(attributes={"grown": random.random()})
""",
        {"test_the_same_input_gives_the_same_output", "test_one_by_one_is_the_same_as_all_at_once"},
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
toy.Grow.changed = lambda self, sample: sample.replace(boxes=Boxes(sample.boxes.labels, sample.boxes.edges))
""",
        {"test_boxes_stay_with_their_objects"},
    ),
    "moves boxes out of the picture": (
        """
toy.Grow.changed = lambda self, sample: sample.replace(boxes=sample.boxes.with_xyxy(sample.boxes.xyxy + 1))
""",
        {"test_boxes_stay_with_their_objects"},
    ),
    "changes the size in words only": (
        """
toy.Grow.changed = lambda self, sample: sample.replace(image=sample.image.model_copy(update={"width": 999}))
""",
        {"test_sizes_are_those_of_the_pictures"},
    ),
    "takes any option": (
        """
def init(self, by=0):
    self.by = by
toy.Grow.__init__ = init
""",
        {"test_wrong_steps_are_usage_errors"},
    ),
}

BROKEN_METRICS = {
    "keeps the pairs": (
        """
call = toy.Found.__call__
toy.Found.__call__ = lambda self, pairs, label_map: call(self, list(pairs), label_map)
""",
        {"test_pictures_are_not_kept"},
    ),
    "does not look at labels": (
        "toy.Found.check = lambda self, sample, detections, label_map: None",
        {"test_unknown_labels_are_data_errors"},
    ),
    "gives 0 where there is nothing to measure": (
        """
call = toy.Found.__call__
def zero(self, pairs, label_map):
    result = call(self, pairs, label_map)
    return toy.MetricResult({"found": max(0.0, result.values["found"])}, main="found")
toy.Found.__call__ = zero
""",
        {"test_nothing_to_measure_is_not_a_number"},
    ),
    "remembers the last measurement": (
        """
call = toy.Found.__call__
seen = []
def remembering(self, pairs, label_map):
    seen.append(0)
    result = call(self, pairs, label_map)
    return toy.MetricResult({"found": result.values["found"] ** len(seen)}, main="found")
toy.Found.__call__ = remembering
""",
        {"test_the_same_again_gives_the_same", "test_the_order_of_pictures_does_not_matter"},
    ),
}

BROKEN_BACKENDS = {
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
        {"test_the_same_seed_gives_the_same_training"},
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
            "test_predicting_again_gives_the_same",
            "test_batch_size_does_not_change_predictions",
            "test_the_least_score_is_kept_to",
            "test_the_same_seed_gives_the_same_training",
        },
    ),
    "gives boxes of the network's size": (
        """
def raw(self, sample):
    boxes = Boxes(self.label_map.names[:1], [(1.0, 1.0, 70.0, 60.0)], [{"score": 0.5}])
    return Detections(image=sample.image, boxes=boxes)
toy.Model.found = raw
""",
        {"test_predictions_are_well_formed"},
    ),
    "leaves pictures out in which it finds nothing": (
        """
predict = toy.Model.predict
def sparse(self, samples, *, batch_size=8, score=0.0):
    return (found for found in predict(self, samples, score=score) if found.image.width != 90)
toy.Model.predict = sparse
""",
        {"test_predictions_are_well_formed"},
    ),
}


BROKEN_AUGMENTERS = {
    "nothing": ("", set()),
    "takes its chance from elsewhere": (
        """
import tensorflow as tf
toy.Mirror.chance = lambda self, seed: tf.random.uniform([])
""",
        {"test_all_chance_comes_from_the_seed"},
    ),
    "never does anything": (
        "toy.Mirror.chance = lambda self, seed: 1.0",
        {"test_all_chance_comes_from_the_seed"},
    ),
    "decides once, when it is traced": (
        "toy.Mirror.chance = lambda self, seed: random.random()",
        {"test_all_chance_comes_from_the_seed"},
    ),
    "moves boxes out of the picture": (
        """
call = toy.Mirror.__call__
def shifted(self, example, seed):
    result = call(self, example, seed)
    return result | {"boxes": result["boxes"] + 20.0}
toy.Mirror.__call__ = shifted
""",
        {"test_boxes_stay_in_the_picture"},
    ),
    "loses the shape of no boxes": (
        """
import tensorflow as tf
call = toy.Mirror.__call__
def flattened(self, example, seed):
    result = call(self, example, seed)
    boxes = result["boxes"]
    return result | {"boxes": tf.cond(tf.size(boxes) > 0, lambda: boxes, lambda: tf.zeros([0]))}
toy.Mirror.__call__ = flattened
""",
        {"test_pictures_without_boxes_are_taken"},
    ),
}


@pytest.mark.parametrize("kind", ["reader", "writer", "transform", "metric", "backend"])
def test_each_broken_promise_is_caught(pytester: pytest.Pytester, kind: str) -> None:
    """By the tests that are meant for it, and by no others."""
    cases = {what: case for what, case in BROKEN[kind].items() if not any("memory" in name for name in case[1])}
    failed = run(pytester, kind, {what: code for what, (code, _) in cases.items()}, *QUICK)
    assert failed == {what: expected for what, (_, expected) in cases.items()}


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


def test_writing_straight_to_the_target_is_caught(pytester: pytest.Pytester) -> None:
    """Much goes wrong then; what must be among it is that a failure leaves something and spoils what was there."""
    failed = run(pytester, "writer", {"straight": STRAIGHT}, *QUICK)["straight"]
    assert {"test_an_error_in_the_middle_leaves_nothing", "test_an_error_in_the_middle_leaves_what_was_there"} <= failed


@pytest.mark.parametrize("kind", ["reader", "writer"])
def test_what_is_kept_in_memory_is_caught(pytester: pytest.Pytester, kind: str) -> None:
    cases = {what: case for what, case in BROKEN[kind].items() if any("memory" in name for name in case[1])}
    assert cases
    failed = run(pytester, kind, {what: code for what, (code, _) in cases.items()})
    assert failed == {what: expected for what, (_, expected) in cases.items()}


@pytest.fixture(scope="module")
def tensorflow() -> object:
    """Imported before ``pytester`` looks at what is imported: it makes Python forget later ones, TensorFlow cannot."""
    return pytest.importorskip("tensorflow")


@pytest.mark.tensorflow
def test_each_broken_augmenter_is_caught(tensorflow: object, pytester: pytest.Pytester) -> None:
    failed = run(pytester, "augmenter", {what: code for what, (code, _) in BROKEN_AUGMENTERS.items()}, *QUICK)
    assert failed == {what: expected for what, (_, expected) in BROKEN_AUGMENTERS.items()}


BROKEN = {
    "reader": BROKEN_READERS,
    "writer": BROKEN_WRITERS,
    "transform": BROKEN_TRANSFORMS,
    "metric": BROKEN_METRICS,
    "backend": BROKEN_BACKENDS,
}
