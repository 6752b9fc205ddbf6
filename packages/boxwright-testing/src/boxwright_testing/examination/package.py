"""What a plugin's distribution says of itself, and whether its modules import only what it says."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from functools import cache
from importlib.metadata import Distribution, PackageNotFoundError, distribution, packages_distributions
from importlib.util import find_spec
from pathlib import Path

from boxwright.plugins import PluginRecord
from boxwright_testing.examination.findings import ADVICE, FAILED, PASSED, SKIPPED, Finding

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def package_findings(record: PluginRecord) -> Iterator[Finding]:
    """Checks the metadata that an installer and a user need."""
    try:
        found = distribution(record.distribution)
    except PackageNotFoundError:
        says = f"nothing called {record.distribution} is installed"
        yield Finding("package", SKIPPED, "its metadata", says, "install it: python -m pip install -e .")
        return
    yield _needs_boxwright(found)
    yield from _undeclared(record, found)
    yield from _advice(found)


def declared_by(record: PluginRecord) -> frozenset[str]:
    """The distributions that are installed along with a plugin, and those of its extras; normalised names."""
    try:
        found = distribution(record.distribution)
    except PackageNotFoundError:
        return frozenset({normal(record.distribution)})
    names = {normal(record.distribution)}
    for requirement in found.requires or ():
        name = _named(requirement)
        names |= {name} | _closure(name)
    return frozenset(names)


def normal(name: str) -> str:
    """A distribution's name as installers compare it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _named(requirement: str) -> str:
    match = _NAME.match(requirement)
    return normal(match[0]) if match else ""


@cache
def _closure(name: str) -> frozenset[str]:
    """What is installed along with a distribution, without its extras."""
    found: set[str] = set()
    waiting = [name]
    while waiting:
        try:
            requires = distribution(waiting.pop()).requires or ()
        except PackageNotFoundError:
            continue
        for requirement in requires:
            other = _named(requirement)
            if "extra ==" not in requirement and other not in found:
                found.add(other)
                waiting.append(other)
    return frozenset(found)


def _needs_boxwright(found: Distribution) -> Finding:
    what = "it says which boxwright it works with"
    mentions = [requirement for requirement in found.requires or () if _named(requirement) == "boxwright"]
    if not mentions:
        remedy = 'write "boxwright>=0.1,<0.2" into `dependencies` in pyproject.toml'
        return Finding("package", FAILED, what, "its dependencies do not name boxwright", remedy)
    if not re.search(r"[<~=]", mentions[0].partition(";")[0]):
        remedy = f"give a range that it was tested with: {mentions[0].partition('>')[0].strip()}>=0.1,<0.2"
        return Finding("package", ADVICE, what, f"it takes any: {mentions[0]}", remedy)
    return Finding("package", PASSED, what, mentions[0])


def _advice(found: Distribution) -> Iterator[Finding]:
    for what, names, remedy in (
        (
            "it has a licence",
            ("License-Expression", "License", "License-File"),
            'write license = "Apache-2.0", or yours',
        ),
        ("it has a summary", ("Summary",), "write a description into pyproject.toml"),
        ("it says which Python it needs", ("Requires-Python",), 'write requires-python = ">=3.11" into pyproject.toml'),
    ):
        if any(found.metadata.get_all(name) for name in names):
            yield Finding("package", PASSED, what)
        else:
            yield Finding("package", ADVICE, what, "it is missing", remedy)


def _undeclared(record: PluginRecord, found: Distribution) -> Iterator[Finding]:
    """Imports of the plugin's own modules that nothing installs along with it."""
    what = "it imports only what is installed along with it"
    package = record.module.partition(":")[0].partition(".")[0]
    declared = declared_by(record)
    required = {name for _, spec in record.specs for name in spec.requires}
    owners = packages_distributions()
    for library in map(normal, (owner for name in required for owner in owners.get(name, ()))):
        declared |= {library} | _closure(library)
    places: dict[str, str] = {}
    for path in _sources(package, _worker_folders(record)):
        for name, line in _imports(path):
            # That boxwright itself is declared was looked at before.
            own = name in (package, "boxwright") or name in sys.stdlib_module_names or name in required
            if not own and not declared.intersection(map(normal, owners.get(name, [name]))):
                places.setdefault(name, f"{path}, line {line}")
    if not places:
        yield Finding("package", PASSED, what)
    for name, place in sorted(places.items()):
        owner = owners.get(name, [name])[0]
        yield Finding(
            part="package",
            outcome=FAILED,
            what=what,
            says=f"{name} is imported, and {found.name} does not depend on {owner}",
            remedy=f"write {owner} into `dependencies` in pyproject.toml, or {name} into the spec's `requires`",
            promise="What is not declared is missing on every machine but yours.",
            place=place,
        )


def _worker_folders(record: PluginRecord) -> list[Path]:
    """The folders of functions that run in a separate environment."""
    workers = [spec.environment.worker for _, spec in record.specs if spec.environment is not None]
    folders = []
    for worker in filter(None, workers):
        package, _, folder = worker.partition(":")
        found = find_spec(package)
        if found is not None and found.origin is not None:
            folders.append(Path(found.origin).parent / folder)
    return folders


def _sources(package: str, besides: list[Path]) -> list[Path]:
    """The Python files of an installed package, without those for its tests and in other folders."""
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        return []
    if not spec.submodule_search_locations:
        return [Path(spec.origin)]
    files = sorted(path for folder in spec.submodule_search_locations for path in Path(folder).rglob("*.py"))
    own = [path for path in files if path.name != "conformance.py" and "tests" not in path.parts]
    return [path for path in own if not any(folder in path.parents for folder in besides)]


def _imports(path: Path) -> Iterator[tuple[str, int]]:
    """Top-level names that a file imports for certain, with the line: none under ``try`` or ``TYPE_CHECKING``."""
    try:
        tree = ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Try) or (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)):
            continue
        if isinstance(node, ast.Import):
            yield from ((alias.name.partition(".")[0], node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            yield node.module.partition(".")[0], node.lineno
        waiting += ast.iter_child_nodes(node)
