"""Neither side imports the other, and naming the plugin imports no framework."""

from __future__ import annotations

import ast
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from boxwright_tfod import ENVIRONMENT

CODE = """
import sys
import boxwright_tfod
(spec,) = boxwright_tfod.boxwright_backends()
assert spec.environment.name == "tfod"
heavy = {"tensorflow", "keras", "numpy", "PIL", "object_detection", "google"}
print(*sorted(heavy & {name.partition(".")[0] for name in sys.modules}))
"""

PACKAGE = Path(find_spec("boxwright_tfod").submodule_search_locations[0])  # type: ignore[union-attr,index]
WORKER = sorted((PACKAGE / "worker").glob("*.py"))


def test_naming_the_plugin_imports_no_framework() -> None:
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def imported(path: Path) -> set[str]:
    """Every absolute module that a file imports, wherever in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names.add(node.module or "")
    return names


@pytest.mark.parametrize("path", WORKER, ids=lambda path: path.stem)
def test_the_worker_imports_nothing_of_boxwright(path: Path) -> None:
    tops = {name.partition(".")[0] for name in imported(path)} - set(sys.stdlib_module_names)
    assert tops <= {"tensorflow", "keras", "google", "numpy", "object_detection"}


@pytest.mark.parametrize("path", WORKER, ids=lambda path: path.stem)
def test_the_shims_come_before_the_api(path: Path) -> None:
    lines = path.read_text("utf-8").splitlines()
    first = {
        what: next((n for n, line in enumerate(lines) if what in line and "import" in line), None)
        for what in ("from . import prepare", "from object_detection")
    }
    if path.stem != "prepare" and first["from object_detection"] is not None:
        assert first["from . import prepare"] is not None
        assert first["from . import prepare"] < first["from object_detection"]


def test_nothing_imports_the_worker() -> None:
    for path in PACKAGE.glob("*.py"):
        assert not any("worker" in name for name in imported(path) if name.startswith("boxwright_tfod"))


def entries(lock: str) -> list[str]:
    return (PACKAGE / lock).read_text("utf-8").replace("\\\n", " ").splitlines()


@pytest.mark.parametrize(("lock", "count"), [("requirements.lock.txt", 60), ("requirements-gpu.lock.txt", 72)])
def test_a_lock_names_every_package_by_version_and_digest_and_no_index(lock: str, count: int) -> None:
    assert len(entries(lock)) == count
    for entry in entries(lock):
        assert entry.partition(" ")[0].count("==") == 1, entry
        assert "--hash=sha256:" in entry
    assert "://" not in (PACKAGE / lock).read_text("utf-8")
    assert f"boxwright_tfod:{lock}" in (ENVIRONMENT.lock, ENVIRONMENT.gpu_lock)


def test_the_packages_for_gpus_are_the_same_with_another_tensorflow() -> None:
    plain, gpu = (
        {entry.partition(" ")[0] for entry in entries(lock)}
        for lock in ("requirements.lock.txt", "requirements-gpu.lock.txt")
    )
    assert plain >= set((PACKAGE / "requirements.in").read_text("utf-8").split())
    assert plain - gpu == {"tensorflow-cpu==2.15.1"}
    added = {name.partition("==")[0] for name in gpu - plain}
    assert {name for name in added if not name.startswith("nvidia-")} == {"tensorflow"}
    # The requirements of the extra and-cuda in the metadata of tensorflow 2.15.1.
    assert gpu >= {
        "nvidia-cublas-cu12==12.2.5.6",
        "nvidia-cuda-cupti-cu12==12.2.142",
        "nvidia-cuda-nvcc-cu12==12.2.140",
        "nvidia-cuda-nvrtc-cu12==12.2.140",
        "nvidia-cuda-runtime-cu12==12.2.140",
        "nvidia-cudnn-cu12==8.9.4.25",
        "nvidia-cufft-cu12==11.0.8.103",
        "nvidia-curand-cu12==10.3.3.141",
        "nvidia-cusolver-cu12==11.5.2.141",
        "nvidia-cusparse-cu12==12.1.2.141",
        "nvidia-nccl-cu12==2.16.5",
        "nvidia-nvjitlink-cu12==12.2.140",
    }
