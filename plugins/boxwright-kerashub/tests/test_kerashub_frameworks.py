"""Which framework is used, and that no other one is imported."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from boxwright import MissingLibraryError, UsageError
from boxwright_kerashub import FRAMEWORKS, frameworks
from boxwright_kerashub.checks import check
from boxwright_kerashub.frameworks import choose_framework


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The frameworks that are installed; Keras has not been imported."""
    names = ["jax", "torch"]
    monkeypatch.setattr(frameworks, "find_spec", lambda name: name if name in names else None)
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    monkeypatch.setattr(frameworks, "active_framework", lambda: None)
    return names


def test_the_first_one_that_is_installed_is_used(installed: list[str]) -> None:
    assert choose_framework() == "jax"
    installed.insert(0, "tensorflow")
    assert choose_framework() == "tensorflow"


def test_the_setting_wins_over_the_variable_and_that_over_the_run(
    installed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert choose_framework(trained="torch") == "torch"
    assert choose_framework(trained="tensorflow") == "jax", "the run's own is not installed"
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    assert choose_framework(trained="torch") == "jax"
    assert choose_framework("torch") == "torch"


def test_a_framework_that_is_missing_is_named_with_its_command(
    installed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(MissingLibraryError, match="tensorflow is not installed") as caught:
        choose_framework("tensorflow")
    assert "boxwright-kerashub[tensorflow]" in caught.value.remedy
    monkeypatch.setenv("KERAS_BACKEND", "openvino")
    with pytest.raises(UsageError, match="KERAS_BACKEND=openvino"):
        choose_framework()
    monkeypatch.delenv("KERAS_BACKEND")
    installed.clear()
    with pytest.raises(MissingLibraryError, match="none of tensorflow, jax, torch"):
        choose_framework()


def test_a_process_has_one_framework(installed: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frameworks, "active_framework", lambda: "jax")
    assert choose_framework(trained="torch") == "jax"
    with pytest.raises(UsageError, match="Keras already uses jax in this process"):
        choose_framework("torch")


def test_the_framework_of_keras_is_recognized(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "keras", SimpleNamespace(backend=SimpleNamespace(backend=lambda: "torch")))
    assert frameworks.active_framework() == "torch"
    monkeypatch.setitem(sys.modules, "keras", SimpleNamespace())
    assert frameworks.active_framework() is None


def test_settings_are_checked_before_the_data_is_read(installed: list[str], tmp_path: Path) -> None:
    def config(**settings: Any) -> dict[str, Any]:
        return {"settings": settings, "preset": "tiny", "augment": None}

    check(config(framework="jax", weights="none", milestones="0.5,0.9"), held_out=False)
    for settings, problem in (
        ({"early_stopping": 3}, "early stopping requires validation images"),
        ({"schedule": "plateau"}, "schedule=plateau requires validation images"),
        ({"milestones": "0.9,0.5"}, "increasing"),
        ({"weights": str(tmp_path)}, "neither a preset folder of KerasHub"),
    ):
        with pytest.raises(UsageError, match=problem):
            check(config(**settings), held_out=False)
    with pytest.raises(UsageError, match="does not work with kerashub"):
        check(config() | {"augment": ["keras:RandomFlip"]}, held_out=False)
    with pytest.raises(MissingLibraryError, match="tensorflow is not installed"):
        check(config(framework="tensorflow"), held_out=False)


def test_importing_the_plugin_imports_no_framework() -> None:
    code = (
        "import sys, boxwright_kerashub, boxwright_kerashub.checks, boxwright_kerashub.entry;"
        "print(*{'keras', 'keras_hub', 'tensorflow', 'jax', 'torch', 'cv2'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_tensorflow_is_hidden_while_another_framework_is_imported() -> None:
    """KerasHub contains ``try: import tensorflow``."""
    code = """
import os, sys
from importlib.util import find_spec
from boxwright_kerashub.frameworks import importing
expected = find_spec("tensorflow") is not None
with importing("jax"):
    assert os.environ["KERAS_BACKEND"] == "jax"
    try:
        import tensorflow
    except ImportError:
        print("hidden")
assert "KERAS_BACKEND" not in os.environ
assert (find_spec("tensorflow") is not None) == expected
assert "tensorflow" not in sys.modules
"""
    environment = {name: value for name, value in os.environ.items() if name != "KERAS_BACKEND"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.split() == ["hidden"]


TRAINING = """
import json, sys
import boxwright
from boxwright_kerashub.frameworks import choose_framework, importing
framework, out = sys.argv[1:]
with importing(choose_framework(framework)):
    from boxwright_kerashub import backend, network
backend.scratch_backbone = lambda preset, size: network.NarrowBackbone([16, 16, 32, 32], [0, 0, 0, 0], (*size, 3))
data = boxwright.open("demo:train?images=8&seed=4&size=96x80")
val = boxwright.open("demo:test?images=16&seed=4&size=96x80")
run = boxwright.train(
    data, val=val, out=out, backend="kerashub", preset="tiny", image_size=(64, 64), batch_size=4, epochs=2, seed=1,
    settings={"framework": framework, "score_threshold": 0.001},
)
found = list(boxwright.load_model(run).predict(data))
print(json.dumps({
    "modules": [name for name in ("tensorflow", "jax", "torch") if name in sys.modules],
    "losses": [line["loss"] for line in run.metrics()],
    "found": [[box.label, *map(float, box.coordinates), box.attributes["score"]] for box in found[0].boxes][:5],
}))
"""


@pytest.mark.slow
@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_training_imports_only_its_framework(framework: str, tmp_path: Path) -> None:
    """Also where TensorFlow is installed; the run is then read in this process, or by another framework."""
    import json

    for name in (framework, "keras_hub"):
        if not find_spec(name):
            pytest.skip(f"{name} is not installed: see the README of boxwright-kerashub")
    done = subprocess.run(
        [sys.executable, "-c", TRAINING, framework, str(tmp_path / "run")],
        capture_output=True,
        text=True,
        check=False,
        env={name: value for name, value in os.environ.items() if name != "KERAS_BACKEND"},
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["modules"] == [framework]
    assert len(found["losses"]) == 2
    assert found["found"]
    assert json.loads((tmp_path / "run" / "model" / "network.json").read_text())["framework"] == framework
