"""``boxwright env``: an environment of its own from the command line, and that no other command makes one."""

from __future__ import annotations

import hashlib
import importlib.util
import shutil
import signal
import sys
import time
import zipfile

import pytest

PLUGIN = f'''
from boxwright import BackendSpec, hookimpl
from boxwright.environments import EnvironmentSpec

boxwright_api = (1, 1)
ENVIRONMENT = EnvironmentSpec(
    name="toy", summary="A toy", lock="toy_files:lock.txt", python="{sys.version_info.major}.{sys.version_info.minor}",
    imports=("tiny",), size=2_000_000, download=1000,
)


@hookimpl
def boxwright_backends():
    return [BackendSpec(name="toybackend", load="json:loads", presets={{"plain": "plain"}}, environment=ENVIRONMENT)]
'''

pytestmark = pytest.mark.skipif(
    shutil.which("uv") is None and importlib.util.find_spec("uv") is None, reason="uv is not installed"
)


@pytest.fixture
def program(boxwright, install_plugin, site, tmp_path, monkeypatch):
    """The program with a plugin whose environment contains one module, from a wheel built here."""
    files = site / "toy_files"
    files.mkdir()
    (files / "__init__.py").touch()
    wheel = files / "tiny-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("tiny.py", "ANSWER = 42\n")
        archive.writestr("tiny-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n")
        archive.writestr("tiny-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr("tiny-1.0.dist-info/RECORD", "")
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    (files / "lock.txt").write_text(f"--no-index\n--find-links {files}\ntiny==1.0 --hash=sha256:{digest}\n")
    monkeypatch.setenv("BOXWRIGHT_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("BOXWRIGHT_PLUGINS", "cli_toyenv,cli_probe")
    install_plugin("cli_toyenv", PLUGIN)
    return boxwright


def test_list_install_check_remove(program, tmp_path):
    path = tmp_path / "home" / "environments" / "toy"
    listed = program("env", "list")
    assert listed.stdout.splitlines()[1].split() == ["toy", "missing", "2.0", "MB", "cli-toyenv", "A", "toy"]
    assert "boxwright env install toy" in listed.stdout

    installed = program("env", "install", "toy")
    assert installed.exit_code == 0, installed.stderr
    assert f"Installing the environment toy: 1 packages, 2.0 MB in {path}." in installed.stderr
    assert "up to 1 kB" in installed.stderr
    assert installed.stdout.startswith("toy is installed: 1 package, ")
    assert str(path) in installed.stdout

    assert "toy is installed already" in program("env", "install", "toy").stdout
    refused = program("env", "install", "toy", "--gpu")
    assert (refused.exit_code, "toy has no packages for GPUs" in refused.stderr) == (2, True)
    checked = program("env", "check", "toy")
    assert (checked.exit_code, checked.stdout.startswith("toy has no problems: 1 package, ")) == (0, True)
    assert program.json("env", "check")["environments"][0]["problems"] == []
    (entry,) = program.json("env", "list")["environments"]
    assert (entry["status"], entry["path"], entry["packages"]) == ("installed", str(path), 1)
    assert entry["gpu"] is False

    assert "toy is removed, which frees " in program("env", "remove", "toy").stdout
    assert not path.exists()
    assert "not installed" in program("env", "remove", "toy").stdout


def test_a_broken_environment_is_found_and_repaired(program, tmp_path):
    program("env", "install", "toy")
    (module,) = (tmp_path / "home").rglob("site-packages/tiny.py")
    module.write_text("this is not valid Python")
    checked = program("env", "check")
    assert checked.exit_code == 1
    assert "toy: 1 problem" in checked.stdout
    assert "tiny cannot be imported: SyntaxError" in checked.stdout
    assert "-> run: boxwright env install toy --again" in checked.stdout
    program("env", "install", "toy", "--again")
    assert program("env", "check").exit_code == 0


def test_another_command_says_the_line_and_installs_nothing(program, lines, tmp_path):
    run = tmp_path / "run"
    done = program("train", "--backend", "toybackend", "--data", lines("a.jpg 9 9 mug 1 1 5 5"), "--out", run)
    assert done.exit_code == 1
    assert "Error: the environment toy is not installed" in done.stderr
    assert "-> run: boxwright env install toy   (2.0 MB on disk)" in done.stderr
    assert not (tmp_path / "home").exists()
    assert not run.exists()


def test_a_name_that_no_plugin_has(program):
    for command in ("install", "check", "remove"):
        done = program("env", command, "tyo")
        assert done.exit_code == 2
        assert "no plugin has an environment named 'tyo'" in done.stderr
        assert "there is: toy" in done.stderr


def test_without_any_environment(boxwright, monkeypatch, tmp_path):
    monkeypatch.setenv("BOXWRIGHT_PLUGINS", "cli_probe")
    monkeypatch.setenv("BOXWRIGHT_HOME", str(tmp_path))
    from boxwright.plugins import default_registry, load_plugins

    default_registry.cache_clear()
    load_plugins.cache_clear()
    assert boxwright("env", "list").stdout == "No installed plugin needs a separate environment.\n"
    assert boxwright("env", "check").stdout == "No environment is installed.\n"
    assert boxwright.json("env", "list") == {"environments": []}


def test_ctrl_c_while_it_installs_leaves_nothing(program, site, tmp_path):
    # A wheel that is never found keeps uv busy: its index does not answer.
    import socket

    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}/simple"
        (site / "toy_files" / "lock.txt").write_text(f"--index-url {address}\ntiny==1.0 --hash=sha256:{'0' * 64}\n")
        process = program.start("env", "install", "toy")
        silent.settimeout(30)
        connection, _ = silent.accept()
        with connection:
            time.sleep(0.2)
            process.send_signal(signal.SIGINT)
            _, stderr = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "interrupted; nothing was installed." in stderr
    assert list((tmp_path / "home" / "environments").iterdir()) == []
