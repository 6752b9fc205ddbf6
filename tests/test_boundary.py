"""What is outside the core imports only public names: those in the ``__all__`` of the public packages."""

from __future__ import annotations

import ast
import importlib
import inspect
from pathlib import Path

ROOT = Path(__file__).parents[1]
PUBLIC = (
    "boxwright",
    "boxwright.analysis",
    "boxwright.annotation",
    "boxwright.datasets",
    "boxwright.environments",
    "boxwright.images",
    "boxwright.models",
    "boxwright.plugins",
    "boxwright.render",
    "boxwright.storage",
)
EXEMPT = {"observer.py": "it watches whether a plugin changes the modules of the core"}
OUTSIDE = [
    path
    for pattern in ("packages/boxwright-*/src/**/*.py", "plugins/*/src/**/*.py", "templates/plugin/**/*.py")
    for path in ROOT.glob(pattern)
    if path.name not in EXEMPT
]


def public_names(module: str) -> set[str]:
    return {*importlib.import_module(module).__all__, *(["__version__"] if module == "boxwright" else [])}


def violations(path: Path, root: Path = ROOT) -> list[str]:
    """Yields the imports of a file that bypass the public packages."""
    found = []
    names: list[tuple[str, str | None]]
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names = [(name.name, None) for name in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names = [(node.module, name.name) for name in node.names]
        else:
            continue
        for module, name in names:
            if module.partition(".")[0] != "boxwright":
                continue
            if f"{module}.{name}" in PUBLIC:
                continue
            if module not in PUBLIC or (name is not None and name not in public_names(module)):
                found.append(f"{path.relative_to(root)}:{node.lineno}: {module}{'' if name is None else f'.{name}'}")
    return found


def test_every_import_from_outside_is_public() -> None:
    assert len(OUTSIDE) > 150
    assert [problem for path in OUTSIDE for problem in violations(path)] == []


def test_public_names_have_docstrings() -> None:
    """Classes and functions; a constant is documented where it is defined."""
    bare = []
    for module in PUBLIC:
        package = importlib.import_module(module)
        for name in package.__all__:
            member = getattr(package, name)
            if (inspect.isclass(member) or inspect.isroutine(member)) and not (
                getattr(member, "__doc__", None) or ""
            ).strip():
                bare.append(f"{module}.{name}")
    assert bare == []


def test_a_violation_is_seen(tmp_path: Path) -> None:
    path = tmp_path / "code.py"
    path.write_text(
        "from boxwright.datasets.dataset import Dataset\nfrom boxwright import Sample, open, _lazy\n", "utf-8"
    )
    assert violations(path, tmp_path) == ["code.py:1: boxwright.datasets.dataset.Dataset", "code.py:2: boxwright._lazy"]
