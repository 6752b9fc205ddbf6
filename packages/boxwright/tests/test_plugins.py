"""Plugins as pip installs them: a failing one is reported, and affects no other."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from boxwright import (
    BackendSpec,
    FormatSpec,
    LoaderSpec,
    MetricSpec,
    MissingLibraryError,
    Option,
    PluginError,
    PluginNotFoundError,
    UsageError,
)
from boxwright.plugins.hookspecs import hookimpl
from boxwright.plugins.manager import PluginRecord
from boxwright.plugins.options import convert_options
from boxwright.plugins.registry import Registry

GOOD = """
    from boxwright import FormatSpec, hookimpl
    boxwright_api = (1, 1)
    @hookimpl
    def boxwright_formats():
        return [FormatSpec(name="NAME", load="json:loads")]
"""
FAILING = """
    from boxwright import FormatSpec, MetricSpec, hookimpl
    boxwright_api = (1, 1)
    @hookimpl
    def boxwright_metrics():
        return [MetricSpec(name="tainted", load="json:loads")]
    @hookimpl
    def boxwright_formats():
        BODY
"""
API = "boxwright_api = (1, 1)\n"


def _failing(body: str) -> str:
    return FAILING.replace("BODY", body)


BROKEN = {
    "raises": (f"{API}raise RuntimeError('line one\\nline two')", "failed", "RuntimeError: line one line two"),
    "imports": (f"{API}import no_such_library", "failed", "ModuleNotFoundError: No module named 'no_such_library'"),
    "exits": (f"{API}import sys\nsys.exit('that is all')", "failed", "SystemExit: that is all"),
    "syntax": ("def", "failed", "SyntaxError"),
    "hook-raises": (_failing("raise KeyError('x')"), "failed", "KeyError: 'x'"),
    "hook-exits": (_failing("raise SystemExit(3)"), "failed", "SystemExit: 3"),
    "no-spec": (_failing("return ['voc']"), "failed", "boxwright_formats returned 'voc', which is not a FormatSpec"),
    "wrong-spec": (_failing("return boxwright_metrics()"), "failed", "which is not a FormatSpec"),
    "no-list": (_failing("return None"), "failed", "TypeError"),
    "name": (_failing("return [FormatSpec(name='My Format')]"), "failed", "'My Format': a name is two or more"),
    "unknown-hook": (
        f"from boxwright import hookimpl\n{API}@hookimpl\ndef boxwright_fromats():\n    return []",
        "failed",
        "unknown hook 'boxwright_fromats'",
    ),
    "wrong-argument": (
        f"from boxwright import hookimpl\n{API}@hookimpl\ndef boxwright_formats(path):\n    return []",
        "failed",
        "path",
    ),
    "base-exception": (f"{API}raise GeneratorExit('odd')", "failed", "GeneratorExit: odd"),
    "hook-base-exception": (_failing("raise BaseException('odd')"), "failed", "BaseException: odd"),
    "no-iterable": (_failing("return 3"), "failed", "boxwright_formats returned 3, which is not a list of specs"),
    "wrong-field": (
        _failing("return [FormatSpec(name='odd', load='json:loads', suffixes='.odd')]"),
        "failed",
        "boxwright_formats returned the format 'odd': suffixes is '.odd', not tuple[str, ...]",
    ),
    "wrong-name": (_failing("return [FormatSpec(name=3)]"), "failed", "the format 3: name is 3, not str"),
    "wrong-option": (
        _failing("from boxwright import Option; return [FormatSpec(name='odd', options=(Option('a', help=None),))]"),
        "failed",
        "the format 'odd': options: help is None, not str",
    ),
    "future": ("boxwright_api = (2, 3)", "incompatible", "written for plugin API 2 to 3; this boxwright supports 1"),
    "no-api": ("", "incompatible", "it needs: boxwright_api = (1, 1)"),
    "odd-api": ("boxwright_api = 1", "incompatible", "its boxwright_api is 1"),
}


class Site:
    """A folder of installed distributions, and Python with only these and boxwright."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def install(self, distribution: str, code: str, *, name: str = "", version: str = "1.0", module: str = "") -> None:
        module = module or distribution.replace("-", "_")
        (self.folder / f"{module}.py").write_text(textwrap.dedent(code), "utf-8")
        metadata = self.folder / f"{distribution.replace('-', '_')}-{version}.dist-info"
        metadata.mkdir()
        (metadata / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n", "utf-8"
        )
        (metadata / "entry_points.txt").write_text(f"[boxwright]\n{name or distribution} = {module}\n", "utf-8")

    def run(self, code: str, **environment: str) -> subprocess.CompletedProcess[str]:
        # Distributions that are installed next to boxwright are not visible.
        only_these = textwrap.dedent(
            """
            import json, sys
            from boxwright.plugins import manager
            find, others = manager.entry_points, set(manager.entry_points(group="boxwright"))
            manager.entry_points = lambda group: [point for point in find(group=group) if point not in others]
            sys.path.insert(0, SITE)
            """
        ).replace("SITE", repr(str(self.folder)))
        clean = {key: value for key, value in os.environ.items() if not key.startswith("BOXWRIGHT_")}
        return subprocess.run(
            [sys.executable, "-c", only_these + textwrap.dedent(code)],
            env=clean | environment,
            capture_output=True,
            text=True,
            check=False,
        )

    def json(self, code: str, **environment: str) -> Any:
        done = self.run(code, **environment)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


LISTING = """
    from boxwright.plugins.registry import default_registry
    print(json.dumps({
        "records": {r.name: [r.distribution, r.version, r.status, r.cause] for r in default_registry().plugins.records},
        "formats": [name for name in default_registry().names("format") if name != "pictures"],
        "metrics": default_registry().names("metric"),
        "modules": sorted(sys.modules),
    }))
"""


@pytest.fixture
def site(tmp_path: Path) -> Site:
    folder = tmp_path / "site"
    folder.mkdir()
    return Site(folder)


def test_failures_are_contained_and_reported(site: Site) -> None:
    for name, (code, _, _) in BROKEN.items():
        site.install(f"boxwright-{name}", code, name=name, version="2.5")
    site.install("boxwright-good", GOOD.replace("NAME", "good"), name="good")
    site.install("another-good", GOOD.replace("NAME", "zebra"), name="zebra")
    found = site.json(LISTING)
    assert found["formats"] == ["good", "zebra"]
    assert found["metrics"] == ["count", "f1"]  # its own, and nothing remains of a plugin of which a part failed
    assert found["records"]["good"] == ["boxwright-good", "1.0", "ok", ""]
    assert found["records"]["boxwright"][2] == "ok"
    for name, (_, status, cause) in BROKEN.items():
        distribution, version, was, why = found["records"][name]
        assert (distribution, version, was) == (f"boxwright-{name}", "2.5", status), why
        assert cause in why
        assert "\n" not in why


@pytest.mark.parametrize("name", ["raises", "exits", "hook-raises", "no-spec", "unknown-hook", "future", "no-api"])
def test_strict_raises(site: Site, name: str) -> None:
    site.install("boxwright-it", BROKEN[name][0], name="it")
    assert site.json(LISTING, BOXWRIGHT_STRICT="0")["formats"] == []
    done = site.run(LISTING, BOXWRIGHT_STRICT="1")
    assert done.returncode == 1
    assert "PluginError: plugin it (boxwright-it" in done.stderr


def test_only_the_named_plugins_are_loaded(site: Site) -> None:
    site.install("boxwright-one", GOOD.replace("NAME", "one"), name="one")
    site.install("boxwright-two", GOOD.replace("NAME", "two"), name="two")
    site.install("boxwright-exits", BROKEN["exits"][0], name="exits")
    found = site.json(LISTING, BOXWRIGHT_PLUGINS=" two , three")
    assert found["formats"] == ["two"]
    assert found["records"]["one"][2:] == ["disabled", "not named in BOXWRIGHT_PLUGINS"]
    assert found["records"]["exits"][2] == "disabled"
    assert "boxwright_one" not in found["modules"]
    assert site.json(LISTING, BOXWRIGHT_PLUGINS="")["formats"] == []
    recorded = site.run(
        "from boxwright.plugins.registry import default_registry\ndefault_registry().get('format', 'one')",
        BOXWRIGHT_PLUGINS="two",
    )
    assert "BOXWRIGHT_PLUGINS leaves 2 plugin(s) out" in recorded.stderr


def test_two_plugins_with_one_name(site: Site) -> None:
    site.install("one-voc", GOOD.replace("NAME", "voc"), name="one-voc", version="1.2")
    site.install("voc-of-others", GOOD.replace("NAME", "voc"), name="voc-of-others", version="0.3")
    site.install("boxwright-good", GOOD.replace("NAME", "good"), name="good")
    code = """
        from boxwright import PluginError
        from boxwright.plugins.registry import default_registry
        try:
            default_registry().get("format", "voc")
        except PluginError as error:
            message = str(error)
        entries = [(entry.spec.name, entry.distribution) for entry in default_registry().all("format")
                   if entry.distribution != "boxwright"]
        print(json.dumps([message, entries, default_registry().get("format", "good").distribution]))
    """
    message, entries, good = site.json(code)
    assert "format 'voc' is claimed by one-voc 1.2 and voc-of-others 0.3" in message
    assert "BOXWRIGHT_PLUGINS" in message
    assert entries == [["good", "boxwright-good"], ["voc", "one-voc"], ["voc", "voc-of-others"]]
    assert good == "boxwright-good"


def test_damaged_metadata_is_ignored(site: Site) -> None:
    site.install("boxwright-good", GOOD.replace("NAME", "good"), name="good")
    site.install("boxwright-bare", GOOD.replace("NAME", "bare"), name="bare")
    (site.folder / "boxwright_bare-1.0.dist-info/METADATA").unlink()
    found = site.json(LISTING)
    assert found["formats"] == ["bare", "good"]


def test_listing_imports_nothing_heavy() -> None:
    """With all distributions of this environment, TensorFlow too."""
    code = (
        "import sys; from boxwright.plugins.registry import default_registry; r = default_registry()\n"
        "[entry.missing for kind in ('format', 'backend', 'loader', 'metric', 'transform') for entry in r.all(kind)]\n"
        "print(*sys.modules)"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    heavy = {"tensorflow", "keras", "keras_cv", "cv2", "pandas", "matplotlib", "PIL", "numpy", "pydantic", "fsspec"}
    assert heavy.isdisjoint(loaded)


# The registry


def test_unknown_names(make_registry: Callable[..., Registry]) -> None:
    plugins = make_registry(FormatSpec(name="labelimg"), FormatSpec(name="csv"))
    with pytest.raises(PluginNotFoundError, match="no format named 'labelmig'") as caught:
        plugins.get("format", "labelmig")
    assert caught.value.remedy == "did you mean 'labelimg'? there is: csv, labelimg, lines, pictures"
    assert caught.value.exit_code == 2
    with pytest.raises(PluginNotFoundError) as caught:
        plugins.get("format", "zzz")
    assert caught.value.remedy == "there is: csv, labelimg, lines, pictures"
    with pytest.raises(PluginNotFoundError) as caught:
        plugins.get("augmenter", "flip")
    assert caught.value.remedy == "no augmenter is installed"


def test_a_missing_library(make_registry: Callable[..., Registry]) -> None:
    install = 'python -m pip install "boxwright-x[cpu]"'
    plugins = make_registry(
        BackendSpec(name="xx", load="no_module:X", requires=("json", "no_such_library_a"), install=install),
        MetricSpec(name="yy", load="no_module:Y", requires=("no_such_library_a", "no_such_library_b")),
    )
    assert plugins.get("backend", "xx").missing == ("no_such_library_a",)
    with pytest.raises(MissingLibraryError, match="backend 'xx' needs no_such_library_a") as caught:
        plugins.resolve("backend", "xx")
    assert caught.value.remedy == f"run: {install}"
    with pytest.raises(MissingLibraryError) as caught:
        plugins.resolve("metric", "yy")
    assert caught.value.remedy == "run: python -m pip install no_such_library_a no_such_library_b"


@pytest.mark.parametrize(
    ("load", "message"),
    [
        ("no_such_module:X", "ModuleNotFoundError"),
        ("json:X", "AttributeError"),
        ("toys:exits", "SystemExit"),
        ("", "ValueError"),
    ],
)
def test_a_missing_object(make_registry: Callable[..., Registry], toys: Any, load: str, message: str) -> None:
    def leave(name: str) -> None:
        raise SystemExit(name)

    toys.__getattr__ = leave
    plugins = make_registry(LoaderSpec(name="xx", load=load))
    with pytest.raises(PluginError, match=rf"loader 'xx' of toys 1\.0 could not be imported from .*{message}"):
        plugins.resolve("loader", "xx")


OPTIONS = (
    Option("size", int, 3, "in pixels"),
    Option("rate", float),
    Option("one_based", bool),
    Option("images"),
    Option("mode", ("fast", "exact")),
    Option("key", str, required=True, help="what it is called"),
)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"size": "12", "key": "k"}, {"size": 12, "key": "k"}),
        ({"size": 12, "rate": 2, "key": 5}, {"size": 12, "rate": 2.0, "key": "5"}),
        ({"rate": " 1e-3 ", "key": " k "}, {"rate": 0.001, "key": " k "}),
        ({"one_based": "true", "key": ""}, {"one_based": True, "key": ""}),
        ({"one_based": "0", "key": "k"}, {"one_based": False, "key": "k"}),
        ({"one-based": True, "key": "k"}, {"one_based": True, "key": "k"}),
        ({"mode": "exact", "key": "k"}, {"mode": "exact", "key": "k"}),
        ({"images": None, "key": "k"}, {"key": "k"}),
    ],
)
def test_options_are_converted(given: dict[str, object], expected: dict[str, object]) -> None:
    converted = convert_options(given, OPTIONS, "x")
    assert converted == expected
    assert [type(value) for value in converted.values()] == [type(value) for value in expected.values()]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"siez": "1", "key": "k"}, r"csv:a has no option 'siez'\n  -> did you mean 'size'\? it takes: size, rate"),
        ({"size": "1.5", "key": "k"}, r"size='1.5' is not a whole number\n  -> in pixels"),
        ({"rate": "fast", "key": "k"}, "is not a number"),
        ({"rate": "nan", "key": "k"}, "is not a number"),
        ({"rate": "inf", "key": "k"}, "is not a number"),
        ({"one_based": "maybe", "key": "k"}, "neither true nor false"),
        ({"mode": "quick", "key": "k"}, "give one of: fast, exact"),
        ({}, r"needs the option 'key'\n  -> what it is called"),
        ({"key": None}, "needs the option 'key'"),
    ],
)
def test_options_that_are_refused(given: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        convert_options(given, OPTIONS, "csv:a")


LIMITED = (
    Option("rate", float, gt=0),
    Option("share", float, ge=0, lt=1),
    Option("size", int, le=8),
)


@pytest.mark.parametrize("given", [{"rate": "1e-9"}, {"share": "0"}, {"share": 0.999}, {"size": "8"}, {"size": -3}])
def test_numbers_within_the_limits(given: dict[str, object]) -> None:
    ((name, value),) = given.items()
    assert convert_options(given, LIMITED, "x") == {name: float(str(value))}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"rate": "0"}, r"x: rate=0 is out of range\n  -> set a number greater than 0$"),
        ({"share": -0.1}, r"share=-0.1 is out of range\n  -> set a number at least 0 and less than 1$"),
        ({"share": "1"}, r"share=1 is out of range"),
        ({"size": 9}, r"set a number at most 8$"),
    ],
)
def test_numbers_beyond_the_limits_are_refused(given: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        convert_options(given, LIMITED, "x")


def test_options_of_a_spec_without_options() -> None:
    with pytest.raises(UsageError, match="it takes no options"):
        convert_options({"x": 1}, (), "csv:a")


# Events


def test_an_event_hook_that_fails_is_reported_once(
    make_registry: Callable[..., Registry], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard = []

    class Second:
        @hookimpl
        def boxwright_epoch_ended(self, epoch: int) -> None:
            heard.append(epoch)

    def failing(run: object, metrics: object) -> None:
        raise SystemExit(f"epoch {metrics}")

    plugins = make_registry(boxwright_epoch_ended=failing).plugins
    plugins.manager.register(Second(), name="second")
    for epoch in (1, 2):
        plugins.hook.boxwright_epoch_ended(run=None, epoch=epoch, metrics={"loss": epoch})
    assert heard == [1, 2]
    [record] = caplog.records
    assert record.name == "boxwright"
    assert "plugin toys (toys): boxwright_epoch_ended failed" in record.getMessage()
    monkeypatch.setenv("BOXWRIGHT_STRICT", "1")
    with pytest.raises(SystemExit):
        plugins.hook.boxwright_epoch_ended(run=None, epoch=3, metrics={})


def test_an_event_hook_may_be_a_wrapper_and_may_fail(
    make_registry: Callable[..., Registry], caplog: pytest.LogCaptureFixture
) -> None:
    seen: list[str] = []

    def around(epoch: int) -> Any:
        seen.append(f"before {epoch}")
        if epoch == 2:
            raise ValueError("before")
        result = yield
        seen.append(f"after {epoch}")
        if epoch == 3:
            raise ValueError("after")
        return result

    plugins = make_registry(boxwright_epoch_ended=lambda epoch: seen.append(f"plain {epoch}")).plugins
    plugins.register(
        types.SimpleNamespace(boxwright_epoch_ended=hookimpl(wrapper=True)(around)),
        PluginRecord("around", "around", "1", "around"),
    )
    assert plugins.records[-1].status == "ok", plugins.records[-1].cause
    for epoch in (1, 2, 3):
        plugins.hook.boxwright_epoch_ended(run=None, epoch=epoch, metrics={})
    assert seen == ["before 1", "plain 1", "after 1", "before 2", "plain 2", "before 3", "plain 3", "after 3"]
    assert caplog.text.count("boxwright_epoch_ended failed") == 1


def test_a_plugin_that_is_registered_late_contributes_its_specs(make_registry: Callable[..., Registry]) -> None:
    registry = make_registry()
    late = types.SimpleNamespace(boxwright_formats=hookimpl(lambda: [FormatSpec(name="late", load="json:loads")]))
    registry.plugins.register(late, PluginRecord("late", "late-things", "1", "late"))
    assert registry.get("format", "late").distribution == "late-things"
    failing = types.SimpleNamespace(boxwright_formats=hookimpl(lambda: [1 / 0]))
    registry.plugins.register(failing, PluginRecord("failing", "late-things", "1", "late"))
    assert registry.plugins.records[-1].cause == "ZeroDivisionError: division by zero"
    assert registry.get("format", "late").spec.name == "late"
