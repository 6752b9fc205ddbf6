"""The suite for exporters: one that keeps all promises passes; each broken one is caught by the test meant for it."""

from __future__ import annotations

from collections.abc import Callable

pytest_plugins = "pytester"

Suite = Callable[..., dict[str, set[str]]]

BROKEN = {
    "writes next to its folder": (
        """
export = toy.Exporter.export
toy.Exporter.export = lambda self, run, out, precision="": export(self, run, out.parent, precision)
""",
        {
            "test_the_artifact_lies_in_its_folder",
            # The others use copies of the folder.
            "test_batch_size_and_least_score_are_kept_to",
            "test_detection_knows_its_artifacts",
            "test_the_artifact_can_be_moved",
            "test_the_artifact_finds_what_the_run_finds",
        },
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
        {"test_the_artifact_can_be_moved", "test_the_artifact_lies_in_its_folder"},
    ),
    "writes down where it was trained": (
        """
export = toy.Exporter.export
def talkative(self, run, out, precision=""):
    (out / "notes.txt").write_text(f"from {run.path}")
    return export(self, run, out, precision)
toy.Exporter.export = talkative
""",
        {"test_the_artifact_lies_in_its_folder"},
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


def test_an_exporter_that_keeps_all_promises_passes(suite: Suite) -> None:
    assert suite("exporter", {"nothing": ""}) == {"nothing": set()}


def test_each_broken_exporter_is_caught(suite: Suite) -> None:
    """By the tests that are meant for it, and by no others."""
    failed = suite("exporter", {what: code for what, (code, _) in BROKEN.items()}, quick=True)
    assert failed == {what: expected for what, (_, expected) in BROKEN.items()}
