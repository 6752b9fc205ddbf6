"""Runs the suite on copies of the toy plugin, each with something else broken."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import google.protobuf.text_format
import numpy
import pytest

import boxwright.models.prediction
import boxwright_testing
from boxwright_testing import damages

# Imported here once: the runs inside forget their imports, and libraries in C bear one import.
assert numpy
assert google.protobuf.text_format
assert boxwright.models.prediction
assert boxwright_testing

TOY = Path(__file__).with_name("toy.py")

HEAD = """
import random
import pytest
import toy
from boxwright import Boxes, DataError, Detections, Sample, UsageError
from boxwright_testing import *

class Own:
    @pytest.fixture(scope="class")
    def registry(self):
        return registry_of(toy)
"""

READER = """
class TestToy(Own, ReaderTests):
    format = "toy"
    remote = getattr(toy, "REMOTE", True)
    needs_network = getattr(toy, "ONLINE", False)
    attribute_examples = {"dataset.info": {"year": 2024}}
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
    remote = getattr(toy, "REMOTE", True)
    attribute_examples = {"dataset.info": {"year": 2024}}
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
    "trainer": """
class TestToy(Own, TrainerTests):
    trainer = "toytrainer"
""",
    "exporter": """
class TestToy(Own, ExporterTests):
    exporter = "toyexporter"
""",
    "logger": """
class TestToy(Own, LoggerTests):
    logger = "toylogger"
""",
    "command": """
class TestToy(Own, CommandTests):
    command = getattr(toy, "COMMAND", "toycommand")
""",
    "engine": """
class TestToy(Own, EngineTests):
    engine = "toyengine"
""",
    "annotator": """
class TestToy(Own, AnnotatorTests):
    annotator = "toyannotator"
""",
    "loader": """
class TestToy(Own, LoaderTests):
    loader = getattr(toy, "LOADER", "toys")
""",
}
"""The test class of each kind, as a plugin's author writes it."""

Suite = Callable[..., dict[str, set[str]]]

QUICK = ("-k", "not another_process and not nothing_heavy and not test_memory")
"""Leaves out the tests that start processes or trace memory, which take a second each."""


@pytest.fixture
def suite(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Suite:
    """Runs the tests of one kind, and returns for each of the broken toys the names of the tests that failed.

    One run for all, since starting pytest costs more than most tests, and with fewer alterations of each file: the
    toys break on every third.
    """
    monkeypatch.setattr(damages, "FIELDS", 4)
    monkeypatch.setattr(damages, "CHANGES", 20)
    monkeypatch.setattr(damages, "_ODD_NUMBERS", (b"-7", b"1e999", b"0x10", b""))

    def run(kind: str, broken: Mapping[str, str], *, quick: bool = False) -> dict[str, set[str]]:
        files = {}
        for number, code in enumerate(broken.values()):
            files[f"toy{number}"] = TOY.read_text("utf-8").replace('"toy:', f'"toy{number}:')
            files[f"test_toy{number}"] = HEAD.replace("import toy", f"import toy{number} as toy") + code + CLASSES[kind]
        pytester.makepyfile(**files)
        pytester.syspathinsert()
        options = ("-p", "no:cacheprovider", "-q", "--tb=no", *(QUICK if quick else ()))
        passed, _, failed = pytester.inline_run(*options).listoutcomes()
        names: dict[str, set[str]] = {what: set() for what in broken}
        for report in failed:
            file, _, test = report.nodeid.partition("::")
            name = test.rpartition("::")[2].partition("[")[0]
            names[list(broken)[int(file.removeprefix("test_toy").removesuffix(".py"))]].add(name)
        assert len(passed) >= 8 * len(broken), "the suite did not run"
        return names

    return run
