"""The suite itself: a plugin that keeps all promises passes; each broken one is caught by the test meant for it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

pytest_plugins = "pytester"

Suite = Callable[..., dict[str, set[str]]]

TOY = Path(__file__).with_name("toy.py")

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

BROKEN_METRICS = {
    "keeps the pairs": (
        """
call = toy.Found.__call__
toy.Found.__call__ = lambda self, pairs, label_map: call(self, list(pairs), label_map)
""",
        {"test_images_are_not_kept"},
    ),
    "does not look at labels": (
        "toy.Found.check = lambda self, sample, detections, label_map: None",
        {"test_unknown_labels_are_data_errors"},
    ),
    "returns 0 where there is nothing to measure": (
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
        {"test_measuring_again_returns_the_same", "test_the_order_of_images_does_not_matter"},
    ),
    "tells somebody": (
        """
check = toy.Found.check
def telling(self, *arguments):
    import socket
    try:
        socket.create_connection(("192.0.2.1", 80), timeout=0.001)
    except OSError:
        pass
    return check(self, *arguments)
toy.Found.check = telling
""",
        {"test_it_touches_nothing_else"},
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


BROKEN_TRAINERS = {
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

BROKEN_EXPORTERS = {
    "writes next to its folder": (
        """
export = toy.Exporter.export
toy.Exporter.export = lambda self, run, out, precision="": export(self, run, out.parent, precision)
""",
        {"test_the_artifact_lies_in_its_folder"},
    ),
    "writes into the run": (
        """
export = toy.Exporter.export
def careless(self, run, out, precision=""):
    run.file("model/exported").write_text(precision)
    return export(self, run, out, precision)
toy.Exporter.export = careless
""",
        {"test_the_artifact_lies_in_its_folder"},
    ),
    "names the run instead of copying from it": (
        """
def export(self, run, out, precision=""):
    (out / "run.json").write_text(str(run.path))
    return out / "run.json"
def load(self, artifact):
    from pathlib import Path
    from boxwright import Run
    from boxwright_testing.probe import ProbeBackend
    if not artifact.is_file() or not Path(artifact.read_text()).is_absolute():
        raise DataError(artifact, "it is not a toy artifact", "export again")
    return ProbeBackend().load(Run(artifact.read_text()))
toy.Exporter.export, toy.Exporter.load = export, load
""",
        {"test_the_artifact_can_be_moved"},
    ),
    "loses too much at a low precision": (
        """
export = toy.Exporter.export
def rough(self, run, out, precision=""):
    artifact = export(self, run, out, precision)
    if precision == "half":
        import json
        content = json.loads(artifact.read_text())
        content["edges"] = {name: [round(edge, 1) for edge in row] for name, row in content["edges"].items()}
        artifact.write_text(json.dumps(content))
    return artifact
toy.Exporter.export = rough
""",
        {"test_the_artifact_finds_what_the_run_finds"},
    ),
    "sorts the classes backwards": (
        """
load = toy.Exporter.load
def backwards(self, artifact):
    model = load(self, artifact)
    model.label_map = toy.LabelMap.from_names(model.label_map.names[::-1], sort=False)
    return model
toy.Exporter.load = backwards
""",
        {"test_the_artifact_finds_what_the_run_finds"},
    ),
    "does not look at the score": (
        """
load = toy.Exporter.load
def deaf(self, artifact):
    model = load(self, artifact)
    predict = model.predict
    model.predict = lambda samples, *, batch_size=8, score=0.0: predict(samples, batch_size=batch_size)
    return model
toy.Exporter.load = deaf
""",
        {"test_batch_size_and_least_score_are_kept_to"},
    ),
    "takes anything for an artifact": (
        """
load = toy.Exporter.load
def trusting(self, artifact):
    import json
    content = json.loads(artifact.read_text())
    return load(self, artifact)
toy.Exporter.load = trusting
""",
        {"test_what_is_no_artifact_is_refused"},
    ),
    "tells somebody": (
        """
export = toy.Exporter.export
def telling(self, run, out, precision=""):
    import socket
    try:
        socket.getaddrinfo("192.0.2.1", 80)
    except OSError:
        pass
    return export(self, run, out, precision)
toy.Exporter.export = telling
""",
        {"test_the_artifact_lies_in_its_folder"},
    ),
    "detects anything": (
        "toy.detect_model = lambda path: toy.Detection(True, 'why not')",
        {"test_detection_knows_its_artifacts"},
    ),
    "does not detect its own": (
        "toy.detect_model = lambda path: toy.Detection(False, 'never seen')",
        {"test_detection_knows_its_artifacts"},
    ),
    "names a precision twice": (
        """
spec = toy.ExporterSpec
toy.ExporterSpec = lambda **named: spec(**(named | {"precisions": ("full", "full")}))
""",
        {
            "test_precisions_are_names",
            "test_the_artifact_lies_in_its_folder",
            "test_the_artifact_finds_what_the_run_finds",
            "test_detection_knows_its_artifacts",
        },
    ),
}

BROKEN_LOADERS = {
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
    "moves boxes out of the image": (
        """
call = toy.Mirror.__call__
def shifted(self, example, seed):
    result = call(self, example, seed)
    return result | {"boxes": result["boxes"] + 20.0}
toy.Mirror.__call__ = shifted
""",
        {"test_boxes_stay_in_the_image"},
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
        {"test_images_without_boxes_are_taken"},
    ),
}

BROKEN = {
    "transform": BROKEN_TRANSFORMS,
    "metric": BROKEN_METRICS,
    "backend": BROKEN_BACKENDS,
    "trainer": BROKEN_TRAINERS,
    "exporter": BROKEN_EXPORTERS,
    "loader": BROKEN_LOADERS,
}

QUICK = ("-k", "not another_process and not nothing_heavy and not test_memory")
"""Leaves out the tests that start processes or trace memory, which take a second each."""


@pytest.mark.parametrize("kind", BROKEN)
def test_a_plugin_that_keeps_all_promises_passes(suite: Suite, kind: str) -> None:
    assert suite(kind, {"nothing": ""}) == {"nothing": set()}


@pytest.mark.parametrize("kind", BROKEN)
def test_each_broken_promise_is_caught(suite: Suite, kind: str) -> None:
    """By the tests that are meant for it, and by no others."""
    failed = suite(kind, {what: code for what, (code, _) in BROKEN[kind].items()}, *QUICK)
    assert failed == {what: expected for what, (_, expected) in BROKEN[kind].items()}


def test_a_heavy_import_is_caught(pytester: pytest.Pytester) -> None:
    code = """
import toy
from boxwright_testing import MetricTests, registry_of
import pytest

class TestToy(MetricTests):
    metric = "toymetric"

    @pytest.fixture
    def registry(self):
        return registry_of(toy)
"""
    pytester.makepyfile(toy="import numpy\n" + TOY.read_text("utf-8"), test_toy=code)
    pytester.syspathinsert()
    _, _, failed = pytester.inline_run("-p", "no:cacheprovider", "-q", "-k", "nothing_heavy").listoutcomes()
    assert len(failed) == 1
    assert "imports numpy" in failed[0].longreprtext


@pytest.fixture(scope="module")
def tensorflow() -> object:
    """Imported before ``pytester`` looks at what is imported: it makes Python forget later ones, TensorFlow cannot."""
    return pytest.importorskip("tensorflow")


@pytest.mark.tensorflow
def test_each_broken_augmenter_is_caught(tensorflow: object, suite: Suite) -> None:
    failed = suite("augmenter", {what: code for what, (code, _) in BROKEN_AUGMENTERS.items()}, *QUICK)
    assert failed == {what: expected for what, (_, expected) in BROKEN_AUGMENTERS.items()}
