"""The modules that the command line imports at start-up: an allow-list, which keeps heavy libraries out."""

from __future__ import annotations

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


def test_importing_boxwright_imports_only_lazy_loader():
    code = (
        "import sys; before = set(sys.modules); import boxwright;"
        "new = {name.partition('.')[0] for name in set(sys.modules) - before};"
        "print(*sorted(new - set(sys.stdlib_module_names)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["boxwright", "lazy_loader"]
