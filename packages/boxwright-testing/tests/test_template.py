from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import boxwright_testing
from boxwright import UsageError
from boxwright.plugins import KINDS
from boxwright_testing.template import Names, render, template_folder


@pytest.mark.parametrize(
    ("typed", "plugin", "distribution", "package", "prefix", "suffix"),
    [
        ("lines", "lines", "boxwright-lines", "boxwright_lines", "Lines", ".lines"),
        ("my-format", "my-format", "boxwright-my-format", "boxwright_my_format", "MyFormat", ".myformat"),
        ("my_format", "my_format", "boxwright-my-format", "boxwright_my_format", "MyFormat", ".myformat"),
        ("boxwright-via3", "via3", "boxwright-via3", "boxwright_via3", "Via3", ".via3"),
        ("boxwright_a2b", "a2b", "boxwright-a2b", "boxwright_a2b", "A2b", ".a2b"),
    ],
)
def test_names(typed: str, plugin: str, distribution: str, package: str, prefix: str, suffix: str) -> None:
    names = Names.of(typed)
    assert (names.plugin, names.distribution, names.package) == (plugin, distribution, package)
    assert (names.prefix, names.suffix) == (prefix, suffix)


@pytest.mark.parametrize(
    "name",
    ["", "a", "A", "Lines", "1st", "two words", "a..b", "-a", "a-", "a--b", "../x", "a/b", "вишня", "x" * 25, "a\n"],
)
def test_what_cannot_be_a_name(name: str) -> None:
    with pytest.raises(UsageError, match="cannot be called") as caught:
        Names.of(name)
    assert caught.value.remedy


@pytest.mark.parametrize("name", ["import", "yield", "match", "format", "transform"])
def test_words_that_mean_something_else(name: str) -> None:
    with pytest.raises(UsageError) as caught:
        Names.of(name)
    assert caught.value.remedy == f"choose another name, such as my-{name}"


def test_a_loader_is_a_method() -> None:
    with pytest.raises(UsageError, match="dataset.to_NAME"):
        dict(render(Names.of("my-loader"), "loader"))
    assert "def to_my_loader(" in dict(render(Names.of("my_loader"), "loader"))["src/boxwright_my_loader/loader.py"]


def test_there_is_no_such_kind() -> None:
    with pytest.raises(UsageError, match="gadget"):
        dict(render(Names.of("lines"), "gadget"))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["lines", "x_y"])
def test_every_kind_is_rendered_whole(kind: str, name: str) -> None:
    names = Names.of(name)
    files = dict(render(names, kind))
    package = f"src/{names.package}"
    assert {".gitignore", "README.md", "pyproject.toml", f"tests/test_{names.identifier}.py"} <= set(files)
    assert {f"{package}/{each}" for each in ("__init__.py", "conformance.py", "py.typed")} <= set(files)
    for path, text in files.items():
        assert not re.search("myplugin|MyPlugin|mykind", path + text), f"{path} keeps a placeholder"
        if path.endswith(".py"):
            ast.parse(text)
            assert '"""' in text.partition("\n")[0] or path.startswith("tests/"), f"{path} has no docstring"
    project = tomllib.loads(files["pyproject.toml"])["project"]
    assert project["name"] == names.distribution
    assert project["entry-points"] == {"boxwright": {name: names.package}}
    assert project["license"]
    spec = files[f"{package}/__init__.py"]
    assert f'name="{name}"' in spec
    assert f"def boxwright_{kind}s()" in spec
    assert files["README.md"].startswith(f"# {names.distribution}\n")
    assert "## Development" in files["README.md"]


def test_the_longest_name_breaks_no_line() -> None:
    """The skeletons keep room for it; that ruff agrees is seen by `nox -s template`."""
    names = Names.of("a" + "x" * 23)
    for kind in KINDS:
        if kind == "loader":
            continue
        for path, text in render(names, kind):
            if path.endswith(".py"):
                assert [line for line in text.splitlines() if len(line) > 120] == [], f"{kind}: {path}"


def test_endings_and_names_are_reported_apart() -> None:
    names = Names.of("my-format")
    text = names.put_into(
        '".myplugin" a.myplugin {x}.myplugin r"\\.myplugin" myplugin:a test_myplugin to_myplugin', "format"
    )
    assert text == '".myformat" a.myformat {x}.myformat r"\\.myformat" my-format:a test_my_format to_my_format'


def _rendered(folder: Path, kind: str, name: str) -> Names:
    names = Names.of(name)
    for path, text in render(names, kind):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text, "utf-8")
    return names


def test_what_is_rendered_passes_its_own_tests(tmp_path: Path) -> None:
    """The quick kinds, all in one process; `nox -s template` does it for all, installed and with ruff and mypy."""
    quick = {"format": "lines", "exporter": "x_y", "metric": "two-words", "trainer": "a2b", "transform": "grow"}
    for kind, name in quick.items():
        names = _rendered(tmp_path / kind, kind, name)
        info = tmp_path / kind / "src" / f"{names.package}-0.1.0.dist-info"
        info.mkdir()
        metadata = f"Metadata-Version: 2.1\nName: {names.distribution}\nVersion: 0.1.0\n"
        (info / "METADATA").write_text(metadata, "utf-8")
        (info / "entry_points.txt").write_text(f"[boxwright]\n{names.plugin} = {names.package}\n", "utf-8")
    path = [*(str(tmp_path / kind / "src") for kind in quick), *filter(None, sys.path)]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error", *quick]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    assert "passed" in done.stdout


@pytest.mark.skipif(shutil.which("ruff") is None, reason="ruff is not installed")
def test_what_is_rendered_is_formatted(tmp_path: Path) -> None:
    for kind in KINDS:
        for name in ("lines", "x_y"):
            _rendered(tmp_path / kind / name, kind, name)
    for words in (["check"], ["format", "--check"]):
        done = subprocess.run(["ruff", *words, "--no-cache", "."], cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout


def test_the_skeletons_are_found_where_a_wheel_puts_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "site-packages" / "boxwright_testing"
    shutil.copytree(template_folder(), package / "skeletons")
    module = package / "template.py"
    monkeypatch.setattr(boxwright_testing.template, "__file__", str(module))
    assert template_folder() == package / "skeletons"
    shutil.rmtree(package / "skeletons")
    with pytest.raises(FileNotFoundError, match="skeletons"):
        template_folder()
