"""Third-party plugins in a fresh environment with only ``boxwright`` and ``boxwright-cli``."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
GUIDE = ROOT / "docs" / "writing-a-plugin.md"
PYTHON = "bin/python" if os.name != "nt" else "Scripts/python.exe"
UNREACHABLE = re.compile(r"network|dns error|error sending request|connection|timed? out", re.IGNORECASE)

BROKEN = {
    "crash": "raise ImportError('libgadget.so.7: cannot open shared object file')\n",
    "future": "boxwright_api = (7, 9)\n",
    "hook": (
        "from boxwright import hookimpl\n\nboxwright_api = (1, 1)\n\n\n"
        "@hookimpl\ndef boxwright_formats():\n    return [{'name': 'hook'}]\n"
    ),
}
CAUSES = {
    "crash": ("failed", "ImportError: libgadget.so.7: cannot open shared object file"),
    "future": ("incompatible", "written for plugin API 7 to 9; this boxwright supports 1"),
    "hook": ("failed", "returned {'name': 'hook'}, which is not a FormatSpec"),
}

Program = Callable[..., subprocess.CompletedProcess[str]]


def uv(*words: str, cwd: Path | None = None) -> None:
    """Runs uv; skips if the package index cannot be reached and the requirements were never downloaded."""
    program = shutil.which("uv")
    if program is None:
        pytest.skip("uv is not on PATH")
    environment = {name: value for name, value in os.environ.items() if name not in ("VIRTUAL_ENV", "PYTHONPATH")}
    done = subprocess.run(
        [program, *words], cwd=cwd, env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    if done.returncode and UNREACHABLE.search(done.stderr):
        pytest.skip(f"the package index cannot be reached: {done.stderr.strip().splitlines()[-1]}")
    assert done.returncode == 0, f"uv {' '.join(words)}: {done.stderr}"


def package(folder: Path, name: str, code: str, project: str = "") -> Path:
    """Writes a third-party plugin of one module."""
    module = f"boxwright_{name}"
    folder.mkdir(parents=True)
    (folder / f"{module}.py").write_text(code, "utf-8")
    (folder / "pyproject.toml").write_text(
        project
        or f"""
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "boxwright-{name}"
version = "0.3"
dependencies = ["boxwright"]

[project.entry-points.boxwright]
{name} = "{module}"

[tool.hatch.build.targets.wheel]
include = ["{module}.py"]
""",
        "utf-8",
    )
    return folder


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Program:
    """The program of a fresh environment with the plugin of the guide, three broken ones, and one from the skeleton."""
    folder = tmp_path_factory.mktemp("third-party")
    text = GUIDE.read_text("utf-8")
    project = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)[0]
    code = re.findall(r"```python\n(.*?)```", text, re.DOTALL)[0]
    plugins = [package(folder / "lines", "lines", code, project)]
    plugins += [package(folder / name, name, broken) for name, broken in BROKEN.items()]
    plugins.append(_published(folder))
    uv("venv", "--quiet", "--python", sys.executable, str(folder / "fresh"))
    python = folder / "fresh" / PYTHON
    ours = [str(ROOT / "packages" / name) for name in ("boxwright", "boxwright-cli")]
    settings = ["--quiet", "--python", str(python), "-c", str(ROOT / "constraints.txt")]
    # uv may have cached builds of an earlier state.
    refresh = [word for name in ("boxwright", "boxwright-cli") for word in ("--refresh-package", name)]
    uv("pip", "install", *settings, *refresh, *ours, *map(str, plugins))

    def run(*words: str, cwd: Path = folder, **environment: str) -> subprocess.CompletedProcess[str]:
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("BOXWRIGHT_", "PYTHON"))}
        command = [str(python), "-m", "boxwright_cli", *words]
        return subprocess.run(
            command, cwd=cwd, env=clean | environment, capture_output=True, text=True, timeout=120, check=False
        )

    return run


def _published(folder: Path) -> Path:
    """Builds a new plugin and returns its wheel, which its author would upload."""
    out = folder / "sheets"
    command = [sys.executable, "-m", "boxwright_cli", "plugins", "new", "sheets", "--out", str(out)]
    subprocess.run(command, check=True, capture_output=True)
    uv("build", "--quiet", "--out-dir", str(folder / "dist"), cwd=out)
    (wheel,) = (folder / "dist").glob("*.whl")
    assert len(list((folder / "dist").glob("*.tar.gz"))) == 1
    return wheel


def installed(program: Program) -> dict[str, dict[str, object]]:
    """Returns the record of each plugin in ``boxwright plugins list``."""
    listed = program("plugins", "list", "--json")
    assert listed.returncode == 0, listed.stderr
    return {record["name"]: record for record in json.loads(listed.stdout)["plugins"]}


def test_the_environment_is_fresh(program: Program) -> None:
    assert set(installed(program)) == {"boxwright", "lines", "sheets", *BROKEN}


def test_a_third_party_plugin_converts(program: Program, tmp_path: Path) -> None:
    row = {"name": "a.jpg", "width": 40, "height": 30, "boxes": [["fig", 1, 2, 30.5, 20]]}
    (tmp_path / "a.lines").write_text(json.dumps(row) + "\n", "utf-8")
    done = program("convert", "lines:a.lines", "sheets:b.sheets", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    back = program("convert", "sheets:b.sheets", "lines:c.lines", cwd=tmp_path)
    assert back.returncode == 0, back.stderr
    assert json.loads((tmp_path / "c.lines").read_text("utf-8")) == row
    described = program("formats", "--json")
    assert {"lines", "sheets"} <= {each["name"] for each in json.loads(described.stdout)["formats"]}


def test_a_broken_one_is_listed_with_its_cause(program: Program) -> None:
    records = installed(program)
    for name, (status, cause) in CAUSES.items():
        assert records[name]["status"] == status
        assert cause in str(records[name]["cause"])
        assert (records[name]["distribution"], records[name]["version"]) == (f"boxwright-{name}", "0.3")
        assert records[name]["brings"] == {}
    text = program("plugins", "list").stdout
    assert "crash (boxwright-crash 0.3) is failed: ImportError: libgadget.so.7" in text


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["formats"], ["plugins", "show", "format", "lines"]])
def test_a_broken_one_does_not_affect_other_commands(program: Program, words: list[str]) -> None:
    done = program(*words)
    assert done.returncode == 0
    assert done.stderr == ""
    assert "gadget" not in done.stdout


def test_strict_mode_reports_the_cause(program: Program) -> None:
    done = program("formats", BOXWRIGHT_STRICT="1")
    assert done.returncode == 1
    assert "libgadget.so.7" in done.stderr
    assert "Traceback" not in done.stderr
    chosen = program("formats", BOXWRIGHT_STRICT="1", BOXWRIGHT_PLUGINS="lines")
    assert chosen.returncode == 0
    assert "lines" in chosen.stdout


def test_an_invalid_file_of_a_third_party_format_is_reported(program: Program, tmp_path: Path) -> None:
    (tmp_path / "bad.lines").write_text("nonsense\n", "utf-8")
    done = program("info", "lines:bad.lines", cwd=tmp_path)
    assert done.returncode == 1
    assert "bad.lines, line 1: it is not an annotation" in done.stderr
    assert "-> correct the line" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("words", [["check", "lines"], ["new", "other"]])
def test_a_missing_distribution_for_authors_is_reported(program: Program, tmp_path: Path, words: list[str]) -> None:
    done = program("plugins", *words, cwd=tmp_path)
    assert done.returncode == 1
    assert "run: python -m pip install boxwright-testing" in done.stderr
    assert list(tmp_path.iterdir()) == []
