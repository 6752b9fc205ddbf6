"""The modules that the command line imports at start-up: an allow-list, which keeps heavy libraries out."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

ALLOWED = {
    # the command line
    *["typer", "click", "rich", "shellingham", "markdown_it", "mdurl", "pygments", "colorama"],
    # the core: lazy packages, plugins and schemas
    *["lazy_loader", "pluggy", "pydantic", "pydantic_core", "annotated_types"],
    *["typing_inspection", "typing_extensions", "annotated_doc"],
}
"""Third-party top-level modules besides boxwright's own packages."""

HEAVY = {"tensorflow", "keras", "cv2", "pandas", "matplotlib", "PIL", "numpy", "fsspec"}

PROGRAM = """
import sys
before = set(sys.modules)
sys.argv = ["boxwright", *sys.argv[1:]]
from boxwright_cli.main import main
try:
    main()
except SystemExit as end:
    code = end.code or 0
names = {name.partition(".")[0] for name in set(sys.modules) - before}
print("IMPORTED", *sorted(names - set(sys.stdlib_module_names)), file=sys.stderr)
sys.exit(code)
"""


@pytest.mark.parametrize(
    "words",
    [
        ["--help"],
        ["--version"],
        ["convert", "--help"],
        ["train", "--help"],
        ["plugins", "list"],
        ["plugins", "list", "--json"],
        ["plugins", "show", "trainer", "local"],
        ["formats"],
    ],
    ids=" ".join,
)
def test_only_allowed_modules_are_imported(words):
    done = subprocess.run([sys.executable, "-c", PROGRAM, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout
    last = done.stderr.splitlines()[-1].split()
    assert last[0] == "IMPORTED"
    imported = {name for name in last[1:] if not name.startswith("_")}
    others = {name for name in imported if name != "boxwright" and not name.startswith("boxwright_")}
    assert not others & HEAVY
    assert others <= ALLOWED
    assert "boxwright_cli" in imported


def test_the_help_page_of_a_command_loads_no_plugin():
    words = ["convert", "--help"]
    done = subprocess.run([sys.executable, "-c", PROGRAM, *words], capture_output=True, text=True, check=True)
    imported = set(done.stderr.splitlines()[-1].split()[1:])
    assert {name for name in imported if name.startswith("boxwright")} == {"boxwright", "boxwright_cli"}


@pytest.mark.parametrize("words", [["--help"], ["train", "--help"], ["env", "--help"]], ids=" ".join)
def test_a_help_page_converts_no_value(words):
    """Typer converts values with pydantic, whose import takes longer than the rest of a help page."""
    done = subprocess.run([sys.executable, "-c", PROGRAM, *words], capture_output=True, text=True, check=True)
    assert "pydantic" not in done.stderr.splitlines()[-1].split()


@pytest.mark.parametrize("line", ["", "train --backend", "train --backend kerascv --set", "convert labelimg:x --with"])
def test_a_completion_converts_no_value(line):
    words = ["boxwright", *line.split(), ""]
    environment = {
        "_BOXWRIGHT_COMPLETE": "complete_bash",
        "COMP_WORDS": "\n".join(words),
        "COMP_CWORD": f"{len(words) - 1}",
    }
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True, env=os.environ | environment
    )
    assert done.stdout
    assert "pydantic" not in done.stderr.splitlines()[-1].split()


LIST = """
import sys
from importlib.metadata import PathDistribution

files = set()
read = PathDistribution.read_text
PathDistribution.read_text = lambda self, name: files.add(name) or read(self, name)
sys.argv = ["boxwright", "--help"]
from boxwright_cli.main import main
try:
    main()
finally:
    print("READ", *files, "IMPORTED", *sys.modules, file=sys.stderr)
"""


def test_the_list_of_commands_reads_no_metadata_and_imports_no_command_of_a_plugin():
    done = subprocess.run([sys.executable, "-c", LIST], capture_output=True, text=True, check=True)
    assert "serve" in done.stdout.split()
    read, _, imported = done.stderr.splitlines()[-1].partition(" IMPORTED ")
    assert read.split() == ["READ", "entry_points.txt"]
    assert {"boxwright_serve"} == {name for name in imported.split() if name.startswith("boxwright_serve")}


def test_importing_boxwright_imports_only_lazy_loader():
    code = (
        "import sys; before = set(sys.modules); import boxwright;"
        "new = {name.partition('.')[0] for name in set(sys.modules) - before};"
        "print(*sorted(new - set(sys.stdlib_module_names)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["boxwright", "lazy_loader"]
