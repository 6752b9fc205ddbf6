"""Separate environments: declared by a plugin, built with uv from a lock file, completely or not at all.

The one that is built here contains one package of three lines, from a wheel of a fixture; nothing is downloaded.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from boxwright import (
    BackendSpec,
    MissingLibraryError,
    Option,
    OutputError,
    PluginError,
    PluginNotFoundError,
    UsageError,
)
from boxwright.environments import installation
from boxwright.environments.environment import MARKER, Environment, describe_size, home
from boxwright.environments.installation import install, remove
from boxwright.environments.spec import EnvironmentSpec
from boxwright.plugins.options import convert_options
from boxwright.plugins.registry import Registry, environments, find_environment, require

needs_uv = pytest.mark.skipif(
    shutil.which("uv") is None and importlib.util.find_spec("uv") is None,
    reason="uv is not installed",
)


def make_wheel(folder: Path, name: str, version: str, text: str) -> str:
    """Makes a wheel of one module as specified, and returns the line of a lock that requires it."""
    path = folder / f"{name}-{version}-py3-none-any.whl"
    info = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr(f"{name}.py", text)
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", f"{name}.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n")
    return f"{name}=={version} --hash=sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}\n"


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BOXWRIGHT_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("UV_OFFLINE", "1")
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "cache"))


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a plugin's package ``toyplug`` with a lock of one wheel and a worker."""
    folder = tmp_path / "site" / "toyplug"
    (folder / "inside").mkdir(parents=True)
    (folder / "__init__.py").write_text("raise ImportError('finding its files must not import it')\n")
    (folder / "inside" / "__init__.py").write_text("")
    (folder / "inside" / "work.py").write_text("import tiny\n\ndef answer(connection):\n    return tiny.ANSWER\n")
    write_lock(folder, make_wheel(folder, "tiny", "1.0", "ANSWER = 42\n"))
    monkeypatch.syspath_prepend(str(folder.parent))
    return folder


def write_lock(folder: Path, *lines: str) -> None:
    (folder / "lock.txt").write_text(f"--no-index\n--find-links {folder}\n" + "".join(lines))


SPEC = EnvironmentSpec(
    name="toy",
    summary="A toy",
    lock="toyplug:lock.txt",
    worker="toyplug:inside",
    python=f"{sys.version_info.major}.{sys.version_info.minor}",
    imports=("tiny",),
    size=1_000_000,
    download=5_000,
)


@pytest.fixture
def toy(plugin: Path) -> Environment:
    return Environment(SPEC, "toy-plug")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The folder in which the first test that needs an environment leaves it, for the others to copy."""
    return {"folder": tmp_path_factory.mktemp("built") / "toy"}


@pytest.fixture
def installed(toy: Environment, built: dict[str, Path]) -> Environment:
    """The installed environment. Building takes a second, copying almost none."""
    if built["folder"].exists():
        shutil.copytree(built["folder"], toy.path, symlinks=True)
        made = toy.made | {"digest": toy.digest}  # the lock names a folder of this test
        (toy.path / MARKER).write_text(json.dumps(made))
    else:
        assert install(toy)
        shutil.copytree(toy.path, built["folder"], symlinks=True)
    return toy


class TestHome:
    def test_the_environment_variable_is_used(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setenv("BOXWRIGHT_HOME", str(tmp_path))
        assert home() == tmp_path

    @pytest.mark.skipif(os.name == "nt", reason="Windows has another place")
    def test_the_default_is_the_standard_data_folder(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("BOXWRIGHT_HOME")
        monkeypatch.setenv("HOME", "/home/somebody")
        monkeypatch.setenv("XDG_DATA_HOME", "/data")
        assert home() == Path("/data/boxwright")
        monkeypatch.setenv("XDG_DATA_HOME", "not/absolute")
        assert home() == Path("/home/somebody/.local/share/boxwright")


class TestDeclared:
    def test_those_of_all_plugins_by_name(self, make_registry: Callable[..., Registry], plugin: Path) -> None:
        other = replace(SPEC, name="another")
        registry = make_registry(
            BackendSpec(name="one", environment=SPEC),
            BackendSpec(name="two", environment=other),
            BackendSpec(name="no"),
        )
        assert list(environments(registry)) == ["another", "toy"]
        assert find_environment("toy", registry).spec == SPEC
        with pytest.raises(PluginNotFoundError, match="'tyo'") as caught:
            find_environment("tyo", registry)
        assert caught.value.remedy == "there is: another, toy"

    def test_two_of_one_name_are_an_error_unless_they_are_the_same(
        self, make_registry: Callable[..., Registry]
    ) -> None:
        same = make_registry(BackendSpec(name="one", environment=SPEC), BackendSpec(name="two", environment=SPEC))
        assert list(environments(same)) == ["toy"]
        twice = make_registry(
            BackendSpec(name="one", environment=SPEC), BackendSpec(name="two", environment=replace(SPEC, python="3.9"))
        )
        with pytest.raises(PluginError, match="claimed"):
            environments(twice)


class TestMissing:
    def test_the_error_contains_the_command_to_run(self, toy: Environment) -> None:
        with pytest.raises(MissingLibraryError) as caught:
            toy.require()
        assert caught.value.message == "the environment toy is not installed"
        assert caught.value.remedy == "run: boxwright env install toy   (1.0 MB on disk)"
        with pytest.raises(MissingLibraryError):
            toy.worker()
        assert not toy.path.parent.exists()  # and nothing was made

    def test_training_needs_it_and_loading_may_not(self, make_registry: Callable[..., Registry], plugin: Path) -> None:
        registry = make_registry(BackendSpec(name="one", load="json:loads", environment=SPEC))
        with pytest.raises(MissingLibraryError, match="environment toy"):
            require("backend", registry.get("backend", "one"))
        assert registry.resolve("backend", "one") is json.loads

    def test_packages_for_gpus_that_do_not_exist(self, toy: Environment, monkeypatch: pytest.MonkeyPatch) -> None:
        with pytest.raises(UsageError, match="toy has no packages for GPUs"):
            install(toy, gpu=True)
        monkeypatch.setattr(installation.sys, "platform", "darwin")
        with pytest.raises(UsageError, match="only for Linux"):
            install(Environment(replace(SPEC, gpu_lock="toyplug:lock.txt")), gpu=True)
        assert toy.status == "missing"

    def test_uv_is_missing(self, toy: Environment, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "uv", None)
        monkeypatch.setattr(installation.shutil, "which", lambda name: None)
        with pytest.raises(MissingLibraryError) as caught:
            install(toy)
        assert caught.value.remedy == "run: python -m pip install uv"

    @needs_uv
    def test_too_little_disk_space(self, toy: Environment, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(
            installation.shutil, "disk_usage", lambda path: SimpleNamespace(total=0, used=0, free=900_000)
        )
        with pytest.raises(OutputError, match=r"room for 900 kB, and toy takes 1\.0 MB"):
            install(toy)


@needs_uv
class TestInstalled:
    def test_it_works_and_describes_itself(self, installed: Environment) -> None:
        assert installed.status == "installed"
        assert installed.check() == []
        assert installed.made["packages"] == 1
        assert installed.made["bytes"] > 0
        assert [path.name for path in installed.path.parent.iterdir()] == ["toy"]
        with installed.worker() as worker:
            assert worker.call("work:answer", {}) == 42

    def test_nothing_of_this_environment_is_in_it(self, installed: Environment) -> None:
        code = "import sys, importlib.util as u; print(u.find_spec('boxwright'), sys.prefix)"
        done = subprocess.run([installed.python, "-c", code], capture_output=True, text=True, check=True)
        assert done.stdout.split() == ["None", str(installed.path)]

    def test_an_installed_one_is_kept_unless_again_is_set(self, installed: Environment) -> None:
        mark = installed.path / "mark"
        mark.touch()
        assert not install(installed)
        assert mark.exists()
        assert install(installed, again=True)
        assert not mark.exists()
        assert installed.check() == []

    @pytest.mark.skipif(sys.platform != "linux", reason="the packages for GPUs are for Linux")
    def test_the_packages_for_gpus_replace_the_others_and_are_kept(self, installed: Environment, plugin: Path) -> None:
        lines = [f"--no-index\n--find-links {plugin}\n", make_wheel(plugin, "tiny", "3.0", "ANSWER = 'GPU'\n")]
        (plugin / "gpu.txt").write_text("".join(lines))
        environment = Environment(replace(SPEC, gpu_lock="toyplug:gpu.txt", gpu_size=2_000_000))
        assert (environment.gpu, environment.status, environment.size) == (False, "installed", 1_000_000)
        assert install(environment, gpu=True)
        assert (environment.gpu, environment.status, environment.size) == (True, "installed", 2_000_000)
        with environment.worker() as worker:
            assert worker.call("work:answer", {}) == "GPU"
        assert not install(environment)
        assert not install(environment, gpu=True)
        (plugin / "gpu.txt").write_text("".join(lines) + "\n")
        assert environment.status == "outdated"
        assert install(environment)
        assert environment.gpu
        assert install(environment, gpu=False)
        assert (environment.gpu, environment.check()) == (False, [])

    def test_another_list_makes_it_outdated(self, installed: Environment, plugin: Path) -> None:
        write_lock(plugin, make_wheel(plugin, "tiny", "2.0", "ANSWER = 43\n"))
        assert installed.status == "outdated"
        with pytest.raises(PluginError, match="older than the plugin") as caught:
            installed.require()
        assert caught.value.remedy == "run: boxwright env install toy"
        assert install(installed)
        with installed.worker() as worker:
            assert worker.call("work:answer", {}) == 43

    def test_problems_are_found(self, installed: Environment) -> None:
        (site,) = installed.path.glob("lib/python*/site-packages")
        (site / "tiny.py").write_text("import no_such_module\n")
        assert installed.check() == ["tiny cannot be imported: ModuleNotFoundError: No module named 'no_such_module'"]
        info = site / "tiny-1.0.dist-info" / "METADATA"
        info.write_text(info.read_text().replace("1.0", "0.9"))
        assert installed.check() == ["tiny is 0.9, not 1.0"]
        shutil.rmtree(info.parent)
        assert installed.check() == ["tiny 1.0 is not in it"]
        installed.python.unlink()
        assert installed.status == "broken"
        assert "is broken" in installed.check()[0]
        assert install(installed)  # which repairs it
        assert installed.check() == []

    @pytest.mark.parametrize("content", ["", "{", "[]", '{"layout": 99}'])
    def test_a_damaged_marker_is_a_broken_environment(self, installed: Environment, content: str) -> None:
        (installed.path / MARKER).write_text(content)
        assert installed.status == "broken"

    def test_remove(self, installed: Environment) -> None:
        assert remove(installed) > 0
        assert list(installed.path.parent.iterdir()) == []
        assert installed.status == "missing"
        assert remove(installed) == 0


@needs_uv
class TestFailure:
    """After any failure, an environment exists completely or not at all."""

    def nothing_is_left(self, toy: Environment) -> bool:
        return list(toy.path.parent.iterdir()) == []

    def test_a_package_that_cannot_be_found(self, toy: Environment, plugin: Path) -> None:
        write_lock(plugin, "absent==1.0 --hash=sha256:" + "0" * 64 + "\n")
        with pytest.raises(PluginError, match="absent") as caught:
            install(toy)
        assert "nothing was changed" in caught.value.remedy
        assert self.nothing_is_left(toy)

    def test_a_package_that_differs_from_the_lock(self, toy: Environment, plugin: Path) -> None:
        make_wheel(plugin, "tiny", "1.0", "ANSWER = 'something else'\n")
        with pytest.raises(PluginError, match="(?i)hash"):
            install(toy)
        assert self.nothing_is_left(toy)

    def test_a_package_without_a_digest(self, toy: Environment, plugin: Path) -> None:
        write_lock(plugin, "tiny==1.0\n")
        with pytest.raises(PluginError, match="(?i)hash"):
            install(toy)
        assert self.nothing_is_left(toy)

    def test_one_that_is_built_but_does_not_work(self, toy: Environment, plugin: Path) -> None:
        write_lock(plugin, make_wheel(plugin, "tiny", "1.1", "import no_such_module\n"))
        with pytest.raises(PluginError, match=r"does not work: tiny cannot be imported"):
            install(toy)
        assert self.nothing_is_left(toy)

    def test_a_failure_leaves_the_older_one_unchanged(self, installed: Environment, plugin: Path) -> None:
        lock = (plugin / "lock.txt").read_text()
        write_lock(plugin, make_wheel(plugin, "tiny", "1.1", "import no_such_module\n"))
        with pytest.raises(PluginError):
            install(installed)
        (plugin / "lock.txt").write_text(lock)
        assert installed.check() == []

    def test_ctrl_c(self, toy: Environment, monkeypatch: pytest.MonkeyPatch) -> None:
        def interrupt(*arguments: Any) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(installation, "faults", interrupt)
        with pytest.raises(KeyboardInterrupt):
            install(toy)
        assert self.nothing_is_left(toy)

    def test_leftovers_of_a_killed_process_are_removed(self, toy: Environment) -> None:
        ended = subprocess.Popen([sys.executable, "-c", ""])
        ended.wait()
        dead = toy.path.with_name(f".toy.partial-{ended.pid}")
        alive = toy.path.with_name(f".toy.partial-{os.getppid()}")
        for folder in (dead, alive):
            folder.mkdir(parents=True)
        remove(toy)
        assert not dead.exists()
        assert alive.exists()


class TestWildcardOptions:
    OPTIONS = (Option("steps", int), Option("model.*", str), Option("rate.*", float))

    def test_names_are_kept_and_values_converted(self) -> None:
        given = {"steps": "3", "model.ssd.a-b": "x y", "rate.first": "0.5"}
        assert convert_options(given, self.OPTIONS, "toy") == {"steps": 3, "model.ssd.a-b": "x y", "rate.first": 0.5}

    @pytest.mark.parametrize("name", ["model", "models.ssd", ".model", "modell"])
    def test_others_are_unknown(self, name: str) -> None:
        with pytest.raises(UsageError, match="has no option"):
            convert_options({name: "1"}, self.OPTIONS, "toy")

    def test_a_value_of_the_wrong_type(self) -> None:
        with pytest.raises(UsageError, match="not a number"):
            convert_options({"rate.first": "fast"}, self.OPTIONS, "toy")


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 kB"), (300_000, "300 kB"), (1e6, "1.0 MB"), (12_300_000, "12 MB"), (1.6e9, "1.6 GB"), (25e9, "25 GB")],
)
def test_readable_sizes(count: float, text: str) -> None:
    assert describe_size(count) == text
