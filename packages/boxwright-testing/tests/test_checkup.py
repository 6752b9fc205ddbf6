"""What ``boxwright plugins check`` finds: small packages, each with something else wrong."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from boxwright import LogReporter, PluginNotFoundError
from boxwright.plugins import Registry, default_registry, load_plugins
from boxwright_testing.examination import examine, find
from boxwright_testing.examination.findings import Examination, Finding
from boxwright_testing.examination.suite import suite_of

METADATA = """Metadata-Version: 2.4
Name: {name}
Version: 1.0
Summary: A plugin
License-Expression: MIT
Requires-Python: >=3.11
Requires-Dist: boxwright<0.2,>=0.1
"""

TRANSFORM = """
from boxwright import TransformSpec, hookimpl

boxwright_api = (1, 1)
boxwright_conformance = "check_probe_conformance"


@hookimpl
def boxwright_transforms():
    return [TransformSpec(name="check-probe", summary="Keeps images with boxes", load="check_probe:Annotated")]


class Annotated:
    per_sample = True

    def __call__(self, samples):
        return (sample for sample in samples if sample.boxes)
"""

CONFORMANCE = """
from boxwright_testing import TransformTests


class TestProbe(TransformTests):
    transform = "check-probe"
    keeps_images = False
"""

Install = Callable[..., Registry]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Installs the plugin ``check_probe`` and returns the registry with it."""

    def make(
        code: str = TRANSFORM, *, metadata: str = METADATA, conformance: str = CONFORMANCE, **others: str
    ) -> Registry:
        for module, text in {"check_probe": code, "check_probe_conformance": conformance, **others}.items():
            (tmp_path / f"{module}.py").write_text(text, "utf-8")
        for name in ("check_probe", *(other for other in others if other.startswith("check_"))):
            info = tmp_path / f"{name}-1.0.dist-info"
            info.mkdir()
            (info / "METADATA").write_text(metadata.format(name=name.replace("_", "-")), "utf-8")
            (info / "entry_points.txt").write_text(f"[boxwright]\n{name} = {name}\n", "utf-8")
        monkeypatch.syspath_prepend(str(tmp_path))
        _forget()
        return default_registry()

    yield make
    _forget()


def _forget() -> None:
    default_registry.cache_clear()
    load_plugins.cache_clear()
    for name in [name for name in sys.modules if name.startswith("check_")]:
        del sys.modules[name]


def examined(plugins: Registry, monkeypatch: pytest.MonkeyPatch, *, tests: bool = False) -> Examination:
    """The examination of ``check_probe``; the conformance tests are run only where it is about them."""
    if not tests:
        monkeypatch.setattr("boxwright_testing.examination.run", lambda suite, task: suite.findings)
    (record,) = find(plugins, "check_probe")
    with LogReporter().task("") as task:
        return examine(plugins, record, task)


def failures(examination: Examination, outcome: str = "failed") -> dict[str, Finding]:
    return {finding.what: finding for finding in examination.findings if finding.outcome == outcome}


def test_a_plugin_as_it_should_be(install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    examination = examined(install(), monkeypatch, tests=True)
    assert failures(examination) == failures(examination, "advice") == {}
    assert examination.passed
    parts = examination.parts()
    assert list(parts) == ["package", "import", "isolation", "transform check-probe"]
    assert [finding.what for finding in parts["isolation"]] == [
        "importing it leaves everything around it alone",
        "it works without other plugins",
        "its names are its own",
    ]
    assert len(parts["transform check-probe"]) >= 15
    assert examination.to_dict()["counts"]["failed"] == 0


def test_a_failed_conformance_test_says_what_why_and_where(install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = TRANSFORM.replace("(sample for sample in samples if sample.boxes)", "iter([1 / 0 for sample in samples])")
    examination = examined(install(broken), monkeypatch, tests=True)
    failed = failures(examination)
    assert not examination.passed
    finding = failed["order is kept"]
    assert finding.part == "transform check-probe"
    assert finding.says == "ZeroDivisionError: division by zero"
    assert finding.promise == "Images keep their order."
    assert finding.place.endswith("check_probe.py, line 17")
    assert "Traceback" in finding.details or "check_probe.py:17" in finding.details
    assert "an empty stream returns an empty stream" not in failed


def test_who_is_tested_with_the_defaults_is_reported_so(install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    """This one drops images on purpose, and does not say so."""
    plugins = install(TRANSFORM.replace('boxwright_conformance = "check_probe_conformance"\n', ""))
    examination = examined(plugins, monkeypatch, tests=True)
    assert "order is kept" in failures(examination)
    advice = failures(examination, "advice")["how it was tested"]
    assert advice.part == "transform check-probe"
    assert "boxwright_conformance" in advice.remedy


def test_the_message_of_an_assertion_is_shown_without_the_machinery(
    install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    examination = examined(
        install(conformance=CONFORMANCE.replace("keeps_images = False", "")), monkeypatch, tests=True
    )
    finding = failures(examination)["order is kept"]
    assert finding.says == "8 images went in and 7 came out"
    assert finding.place == ""  # in the tests, which is not a place to look


@pytest.mark.parametrize(
    ("code", "what", "says"),
    [
        ("import numpy\n", "listing it imports nothing heavy", "imports numpy"),
        ("print('hello')\n", "importing it leaves everything around it alone", "it prints 'hello'"),
        ("import os; os.environ['CHECK'] = '1'\n", "importing it leaves everything around it alone", "variable CHECK"),
        ("import os; os.chdir('/')\n", "importing it leaves everything around it alone", "changes the working folder"),
        ("import sys; sys.path.append('x')\n", "importing it leaves everything around it alone", "changes sys.path"),
        (
            "import logging; logging.basicConfig()\n",
            "importing it leaves everything around it alone",
            "changes the root logger",
        ),
        (
            "import warnings; warnings.simplefilter('ignore')\n",
            "importing it leaves everything around it alone",
            "changes the warning filters",
        ),
        (
            "open('check.log', 'w').close()\n",
            "importing it leaves everything around it alone",
            "opened check.log for writing",
        ),
        (
            "import subprocess; subprocess.run(['true'])\n",
            "importing it leaves everything around it alone",
            "ran true",
        ),
        (
            "import threading; threading.Timer(1, print).start()\n",
            "importing it leaves everything around it alone",
            "changes the threads",
        ),
        (
            "import contextlib, socket\n"
            "with contextlib.suppress(OSError):\n    socket.create_connection(('192.0.2.1', 9), timeout=0.01)\n",
            "importing it leaves everything around it alone",
            "connected to",
        ),
        (
            "import boxwright.plugins.registry as r\nr.require = lambda *a, **k: {}\n",
            "importing it leaves everything around it alone",
            "changes boxwright.plugins.registry.require",
        ),
    ],
)
def test_what_importing_does(
    install: Install, monkeypatch: pytest.MonkeyPatch, code: str, what: str, says: str
) -> None:
    plugins = install()  # imported here as it should be: what it does is seen in a process separate
    path = Path(sys.modules["check_probe"].__file__ or "")
    path.write_text(code + TRANSFORM, "utf-8")
    failed = failures(examined(plugins, monkeypatch))
    assert list(failed) == [what]
    assert says in failed[what].says
    assert failed[what].remedy


def test_a_plugin_that_cannot_be_imported(install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    failed = failures(examined(install("\n\nraise RuntimeError('no licence found')\n" + TRANSFORM), monkeypatch))
    assert list(failed) == ["boxwright uses it", "it can be imported"]
    assert failed["boxwright uses it"].says == "it is failed: RuntimeError: no licence found"
    assert failed["it can be imported"].says == "RuntimeError: no licence found"
    assert failed["it can be imported"].place.endswith("check_probe.py, line 3")


def test_a_syntax_error_is_reported_with_its_line(install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    failed = failures(examined(install("x = 1\nif x\n    pass\n"), monkeypatch))
    assert "SyntaxError" in failed["it can be imported"].says
    assert failed["it can be imported"].place.endswith("check_probe.py, line 2")


def test_a_plugin_of_another_api(install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    failed = failures(examined(install(TRANSFORM.replace("(1, 1)", "(7, 9)")), monkeypatch))
    assert "written for plugin API 7 to 9" in failed["boxwright uses it"].says


def test_a_plugin_that_ends_the_process(install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    plugins = install()
    Path(sys.modules["check_probe"].__file__ or "").write_text("import os; os._exit(3)\n", "utf-8")
    failed = failures(examined(plugins, monkeypatch))
    assert "did not end" in failed["it can be imported"].says


def test_a_role_that_cannot_be_imported(install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    examination = examined(install(TRANSFORM.replace("check_probe:Annotated", "check_probe:Missing")), monkeypatch)
    finding = failures(examination)["load of transform check-probe can be imported"]
    assert "Missing" in finding.says


def test_what_is_printed_by_a_library_that_is_used_is_no_fault(
    install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    loud = "import os\nprint('hello')\nos.write(2, b'hello')\nfrom check_probe import Annotated\n"
    code = TRANSFORM.replace("check_probe:Annotated", "check_loud:Annotated")
    plugins = install(code)
    Path(sys.modules["check_probe"].__file__ or "").with_name("check_loud.py").write_text(loud, "utf-8")
    assert failures(examined(plugins, monkeypatch)) == {}


def test_imports_that_nothing_declares(install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    uses = TRANSFORM.replace("    per_sample", "    def helper(self):\n        import pytest\n\n    per_sample")
    failed = failures(examined(install(uses), monkeypatch))
    finding = failed["it imports only what is installed along with it"]
    assert finding.says == "pytest is imported, and check-probe does not depend on pytest"
    assert finding.place.endswith("check_probe.py, line 15")
    for allowed in (
        "    try:\n        import pytest\n    except ImportError:\n        pytest = None\n",
        "    from typing import TYPE_CHECKING\n    if TYPE_CHECKING:\n        import pytest\n",
        "    import numpy, PIL, pydantic\n",  # come with boxwright
    ):
        Path(sys.modules["check_probe"].__file__ or "").write_text(
            TRANSFORM.replace("    per_sample", f"{allowed}    per_sample"), "utf-8"
        )
        assert "it imports only what is installed along with it" not in failures(
            examined(default_registry(), monkeypatch)
        )


def test_a_declared_import_is_no_fault(install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    uses = TRANSFORM.replace("    per_sample", "    def helper(self):\n        import pytest\n\n    per_sample")
    assert failures(examined(install(uses, metadata=METADATA + "Requires-Dist: pytest>=8\n"), monkeypatch)) == {}


def test_what_comes_with_a_required_library_need_not_be_declared(
    install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    """pytest depends on iniconfig: who requires the one has the other."""
    uses = TRANSFORM.replace("    per_sample", "    def helper(self):\n        import iniconfig\n\n    per_sample")
    requires = 'load="check_probe:Annotated", requires=("pytest",), install="python -m pip install pytest"'
    assert failures(examined(install(uses.replace('load="check_probe:Annotated"', requires)), monkeypatch)) == {}


def test_what_is_marked_as_slow_is_left_out_and_said(install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    slow = CONFORMANCE + "\n    @pytest.mark.slow\n    def test_all_day_long(self):\n        assert False\n"
    examination = examined(install(conformance=f"import pytest\n{slow}"), monkeypatch, tests=True)
    assert failures(examination) == {}
    assert failures(examination, "skipped")["all day long"].says.startswith("it takes minutes")


def test_another_plugin_is_not_needed(install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    other = "boxwright_api = (1, 1)\n"
    uses = TRANSFORM.replace("    def __call__", "    import check_other\n\n    def __call__")
    plugins = install(uses, check_other=other)
    failed = failures(examined(plugins, monkeypatch))
    assert failed["it works without other plugins"].says == "it imports check_other (check-other)"


def test_a_name_that_another_plugin_has(install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    plugins = install(check_double=TRANSFORM.replace("check_probe", "check_double"))
    failed = failures(examined(plugins, monkeypatch))
    assert "transform check-probe (also of check-double)" in failed["its names are its own"].says


def test_a_package_that_says_too_little(install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    examination = examined(install(metadata="Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n"), monkeypatch)
    assert list(failures(examination)) == ["it says which boxwright it works with"]
    assert list(failures(examination, "advice")) == [
        "it has a licence",
        "it has a summary",
        "it says which Python it needs",
    ]


def test_any_boxwright_is_advised_against(install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    examination = examined(install(metadata=METADATA.replace("boxwright<0.2,>=0.1", "boxwright")), monkeypatch)
    assert examination.passed
    assert failures(examination, "advice")["it says which boxwright it works with"].says == "it takes any: boxwright"


def test_a_conformance_module_that_is_not_there(install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = TRANSFORM.replace('"check_probe_conformance"', '"check_probe_nothing"')
    failed = failures(examined(install(broken), monkeypatch))
    assert "check_probe_nothing" in failed["its conformance module can be imported"].says
    assert (
        "has no test class"
        in failures(examined(_again(install, ""), monkeypatch))["its conformance module can be imported"].says
    )


def _again(install: Install, conformance: str) -> Registry:
    folder = Path(sys.modules["check_probe"].__file__ or "").parent
    (folder / "check_probe.py").write_text(TRANSFORM, "utf-8")
    (folder / "check_probe_conformance.py").write_text(conformance, "utf-8")
    _forget()
    return default_registry()


def test_what_cannot_be_tested_with_the_defaults_is_reported(install: Install) -> None:
    code = """
from boxwright import BackendSpec, ExporterSpec, FormatSpec, MetricSpec, Option, TransformSpec, hookimpl

boxwright_api = (1, 1)


@hookimpl
def boxwright_formats():
    return [
        FormatSpec(name="check-read", summary="Read", load="check_probe:Thing"),
        FormatSpec(name="check-both", summary="Both", load="check_probe:Thing", write="check_probe:Thing"),
    ]


@hookimpl
def boxwright_transforms():
    return [TransformSpec(name="check-step", load="check_probe:Thing", options=(Option("by", int, required=True),))]


@hookimpl
def boxwright_exporters():
    return [ExporterSpec(name="check-export", load="check_probe:Thing")]


@hookimpl
def boxwright_metrics():
    return [
        MetricSpec(name="check-metric", load="check_probe:Thing"),
        MetricSpec(name="check-heavy", load="check_probe:Thing", requires=("no_such_thing",), install="get it"),
    ]
"""
    plugins = install(code)
    (record,) = find(plugins, "check-probe")
    suite = suite_of(plugins, record)
    assert sorted(suite.parts.values()) == ["format check-both", "metric check-metric"]
    assert "(ReaderTests, WriterTests):\n    format = 'check-both'" in suite.code
    reported = {finding.part: (finding.outcome, finding.says) for finding in suite.findings}
    assert reported["format check-read"][0] == "advice"
    assert "make_dataset" in reported["format check-read"][1]
    assert "'check-step' alone is not a step" in reported["transform check-step"][1]
    assert "backend" in reported["exporter check-export"][1]
    assert reported["metric check-heavy"] == ("skipped", "it needs no_such_thing: get it")


@pytest.mark.parametrize("name", ["check_probe", "check-probe", "Check.Probe"])
def test_plugins_are_found_by_all_their_names(install: Install, name: str) -> None:
    assert [record.name for record in find(install(), name)] == ["check_probe"]


def test_what_is_not_there_is_guessed_at(install: Install) -> None:
    plugins = install()
    with pytest.raises(PluginNotFoundError, match="did you mean 'check_probe'"):
        find(plugins, "chek_probe")
    with pytest.raises(PluginNotFoundError, match="boxwright finds no plugin in it"):
        find(plugins, "pytest")
