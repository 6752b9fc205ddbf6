"""Listing the plugin imports nothing heavy, and TensorFlow's start-up messages are suppressed."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

pytest.importorskip("tensorflow")

from boxwright_tf.quiet import quiet_import

pytestmark = pytest.mark.tensorflow

_CHECK = """
import sys, boxwright_tf
specs = boxwright_tf.boxwright_loaders()
assert [spec.name for spec in specs] == ["tf"], specs
heavy = {"tensorflow", "keras", "numpy", "PIL", "pydantic"} & set(sys.modules)
assert not heavy, heavy
import boxwright_tf.loader
assert "tensorflow" in sys.modules
"""


def test_the_plugin_module_imports_nothing_heavy_and_tensorflow_starts_silently() -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("TF_", "BOXWRIGHT_"))}
    done = subprocess.run([sys.executable, "-c", _CHECK], capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    assert (done.stdout, done.stderr) == ("", "")


@pytest.fixture
def not_imported_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "tensorflow")
    monkeypatch.delenv("BOXWRIGHT_TF_LOG", raising=False)


@pytest.mark.usefixtures("not_imported_yet")
def test_output_of_the_import_is_suppressed(capfd: pytest.CaptureFixture[str]) -> None:
    with quiet_import():
        os.write(2, b"from C++")
    os.write(2, b"after")
    assert capfd.readouterr().err == "after"


@pytest.mark.usefixtures("not_imported_yet")
def test_a_failing_import_shows_its_output(capfd: pytest.CaptureFixture[str]) -> None:
    def fail() -> None:
        with quiet_import():
            os.write(2, b"the reason")
            raise ImportError("unknown symbol")

    with pytest.raises(ImportError, match="unknown symbol"):
        fail()
    assert capfd.readouterr().err == "the reason"


@pytest.mark.usefixtures("not_imported_yet")
def test_a_variable_shows_the_output(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BOXWRIGHT_TF_LOG", "1")
    with quiet_import():
        os.write(2, b"from C++")
    assert capfd.readouterr().err == "from C++"
