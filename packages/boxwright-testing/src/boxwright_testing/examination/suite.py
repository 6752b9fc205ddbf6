"""The conformance tests, run on an installed plugin.

Each spec has a test class: the one in the plugin's own conformance module, or one with the defaults. A plugin
names its module in that of the entry point::

    boxwright_conformance = "boxwright_myformat.conformance"

and the module contains the classes, like a test file::

    from boxwright_testing import ReaderTests, WriterTests


    class TestMyFormat(ReaderTests, WriterTests):
        format = "myformat"
        subfolders = False
"""

from __future__ import annotations

import importlib
import inspect
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from boxwright import BoxwrightError, Task
from boxwright.datasets import make_transform
from boxwright.plugins import FormatSpec, PluginRecord, Registered, Registry, Spec
from boxwright_testing.examination.findings import ADVICE, FAILED, PASSED, SKIPPED, Finding
from boxwright_testing.specs import SpecTests, missing_requirement

ATTRIBUTE = "boxwright_conformance"
"""What a plugin's module calls the name of its conformance module."""

_MIXINS = {
    "transform": "TransformTests",
    "augmenter": "AugmenterTests",
    "backend": "BackendTests",
    "metric": "MetricTests",
    "trainer": "TrainerTests",
    "loader": "LoaderTests",
    "logger": "LoggerTests",
    "command": "CommandTests",
    "annotator": "AnnotatorTests",
    "engine": "EngineTests",
}
_SETTINGS = """[pytest]
addopts = -q --import-mode=importlib -p no:cacheprovider -p boxwright_testing.examination.recorder
"""
_POLL = 0.2


@dataclass(frozen=True)
class Suite:
    """The test classes of one plugin.

    Attributes:
        code: A test file.
        parts: Which spec each class of it is about: ``{"TestCsv": "format csv"}``.
        defaults: The specs for which the plugin names no class.
        findings: What is not tested, and why.
    """

    code: str
    parts: dict[str, str]
    defaults: list[str]
    findings: list[Finding]


def suite_of(registry: Registry, record: PluginRecord) -> Suite:
    """Collects, or makes, a test class for each spec of a plugin."""
    findings: list[Finding] = []
    lines = ["from boxwright_testing import *"]
    parts: dict[str, str] = {}
    defaults: list[str] = []
    module = _named_module(record, findings)
    if module:
        lines.append(f"from {module} import *")
        for name, kind, spec_name in _classes(module):
            lines.append(f"from {module} import {name}")
            parts[name] = f"{kind} {spec_name}"
    for number, (kind, spec) in enumerate(record.specs):
        part = f"{kind} {spec.name}"
        if part in parts.values():
            continue
        reason = _untestable(registry, record, kind, spec)
        if reason:
            findings.append(reason)
            continue
        name = f"TestBoxwright{number}"
        parts[name] = part
        defaults.append(part)
        lines += ["", "", f"class {name}({', '.join(_bases(kind, spec))}):", f"    {kind} = {spec.name!r}"]
    return Suite("\n".join(lines) + "\n", parts, defaults, findings)


def _named_module(record: PluginRecord, findings: list[Finding]) -> str:
    """The plugin's own conformance module, or ``""``; its problems are added to the findings."""
    what = "its conformance module can be imported"
    plugin = importlib.import_module(record.module.partition(":")[0])
    name = getattr(plugin, ATTRIBUTE, "")
    if not name:
        return ""
    try:
        importlib.import_module(name)
    except (Exception, SystemExit) as error:
        remedy = f"fix it, or remove {ATTRIBUTE} from {record.module}"
        findings.append(Finding("package", FAILED, what, f"{name}: {type(error).__name__}: {error}", remedy))
        return ""
    if not list(_classes(name)):
        remedy = "define classes in it that inherit from those of boxwright_testing, and begin with Test"
        findings.append(Finding("package", FAILED, what, f"{name} has no test class", remedy))
        return ""
    return str(name)


def _classes(module: str) -> Iterator[tuple[str, str, str]]:
    """The test classes of a module: name, kind, and the name of the spec that each is about."""
    for name, value in vars(importlib.import_module(module)).items():
        if name.startswith("Test") and inspect.isclass(value) and issubclass(value, SpecTests) and value.kind:
            try:
                yield name, value.kind, value().spec_name
            except NotImplementedError:
                continue


def _bases(kind: str, spec: Spec) -> list[str]:
    if isinstance(spec, FormatSpec):
        return ["ReaderTests"] * bool(spec.load) + ["WriterTests"] * bool(spec.write) or ["FormatTests"]
    return [_MIXINS[kind]]


def _untestable(registry: Registry, record: PluginRecord, kind: str, spec: Any) -> Finding | None:
    """Why a spec cannot be tested with the defaults, if it cannot."""
    part, what = f"{kind} {spec.name}", "the conformance tests"
    if missing := missing_requirement(Registered(spec, record)):
        return Finding(part, SKIPPED, what, f"it {missing}")
    if len([entry for entry in registry.all(kind) if entry.spec.name == spec.name]) > 1:
        return Finding(part, SKIPPED, what, "another plugin claims the same name", "uninstall one of them")
    example = ""
    if isinstance(spec, FormatSpec) and spec.load and not spec.write:
        example = "it is only read, and there is no dataset to read: override make_dataset"
    elif kind == "exporter":
        example = "the backend whose model it exports is not known: set backend, preset and settings"
    elif kind == "transform":
        try:
            make_transform(spec.name, registry)
        except BoxwrightError as error:
            example = f"{spec.name!r} alone is not a step ({error.message}): set transform = {spec.name + ':...'!r}"
    elif any(option.required for option in spec.options):
        example = "it needs options"
    if not example:
        return None
    return Finding(part, ADVICE, what, f"not run: {example}", f"name a conformance module by {ATTRIBUTE} = ...")


def run(suite: Suite, task: Task) -> list[Finding]:
    """Runs the tests in a separate process; ``task`` gets their number, and advances with each."""
    if not suite.parts:
        return list(suite.findings)
    with tempfile.TemporaryDirectory(prefix="boxwright-check-") as folder:
        root = Path(folder)
        (root / "pytest.ini").write_text(_SETTINGS, "utf-8")
        (root / "test_plugin.py").write_text(suite.code, "utf-8")
        record, output = root / "record.jsonl", root / "output.txt"
        record.touch()
        environment = os.environ | {"BOXWRIGHT_RECORD": str(record), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
        environment["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
        for variable in ("PYTEST_ADDOPTS", "PYTEST_PLUGINS"):
            environment.pop(variable, None)
        command = [sys.executable, "-m", "pytest", "--basetemp", str(root / "work"), "test_plugin.py"]
        with output.open("wb") as out:
            process = subprocess.Popen(command, cwd=folder, env=environment, stdout=out, stderr=subprocess.STDOUT)
            try:
                records = list(_followed(record, process, task))
            finally:
                process.kill()
                process.wait()
        findings = _findings(suite, records, str(root / "work"))
        findings += [_default_advice(part) for part in suite.defaults if _failed(findings, part)]
        # 0: all passed, 1: some failed; anything else means that pytest itself failed.
        if process.returncode not in (0, 1):
            said = output.read_text("utf-8", "replace").strip()[-2000:]
            says = f"pytest ended with code {process.returncode}"
            findings.append(Finding("package", FAILED, "the conformance tests run", says, "see why", details=said))
    return [*suite.findings, *findings]


def _followed(record: Path, process: subprocess.Popen[bytes], task: Task) -> Iterator[dict[str, Any]]:
    """What the recorder writes, as it comes."""
    with record.open(encoding="utf-8") as lines:
        text = ""
        while True:
            ended = process.poll() is not None
            text += lines.read()
            *whole, text = text.split("\n")
            for line in whole:
                found = json.loads(line)
                if "tests" in found:
                    task.update(total=found["tests"])
                    continue
                task.advance()
                yield found
            if ended:
                return
            time.sleep(_POLL)


def _findings(suite: Suite, records: list[dict[str, Any]], work: str) -> list[Finding]:
    found: dict[str, Finding] = {}
    for record in records:
        words = record["test"].split("::")
        part = suite.parts.get(words[1] if len(words) > 2 else "", "package")
        finding = _finding(part, words[-1], record, work)
        # An error in the teardown of a failed test adds nothing.
        if record["test"] not in found or found[record["test"]].outcome == PASSED:
            found[record["test"]] = finding
    return list(found.values())


def _finding(part: str, test: str, record: dict[str, Any], work: str) -> Finding:
    what = test.removeprefix("test_").replace("_", " ").strip()
    message = record["message"].replace(work, "").strip()
    if record["outcome"] != FAILED:
        return Finding(part, record["outcome"], what, message if record["outcome"] == SKIPPED else "")
    doc, _, hint = inspect.cleandoc(record.get("doc", "")).partition("On failure:")
    mine = str(Path(__file__).parents[1])
    place = record.get("place", "")
    return Finding(
        part=part,
        outcome=FAILED,
        what=what,
        says=_plain(message),
        remedy=_words(hint),
        promise=_words(doc),
        place="" if place.startswith(mine) or "_pytest" in place else place,
        details=record["details"].replace(work, ""),
    )


def _failed(findings: list[Finding], part: str) -> bool:
    return any(finding.part == part and finding.outcome == FAILED for finding in findings)


def _default_advice(part: str) -> Finding:
    says = "it was tested with the defaults, since the plugin names no conformance module"
    remedy = f"if something is otherwise on purpose, such as a tolerance, say so in one: {ATTRIBUTE} = ..."
    return Finding(part, ADVICE, "how it was tested", says, remedy)


def _words(doc: str) -> str:
    """Part of a docstring as one paragraph, without its markup."""
    return re.sub(r":[a-z]+:`~?([^`]*)`", r"\1", " ".join(doc.split())).replace("``", "").strip()


def _plain(message: str) -> str:
    """The message of an assertion without the expression that pytest shows below it; of an error, all of it."""
    head, _, explained = message.partition("\nassert ")
    given = head if explained else message.partition("\n +  where")[0]
    given = re.sub(r"^(AssertionError|Failed): ", "", given)
    return "\n".join(line.strip() for line in given.splitlines() if line.strip())
