"""An examination of installed plugins, as ``boxwright plugins check`` makes it."""

from __future__ import annotations

import difflib
from importlib.metadata import PackageNotFoundError, distribution

from boxwright import PluginNotFoundError, Task
from boxwright.plugins import PluginRecord, Registry
from boxwright_testing.examination.findings import FAILED, PASSED, Examination, Finding
from boxwright_testing.examination.imports import import_findings, isolation_findings, observe, roles_of
from boxwright_testing.examination.package import declared_by, normal, package_findings
from boxwright_testing.examination.suite import run, suite_of

_REMEDIES = {
    "failed": "fix the cause; all other plugins work without it",
    "incompatible": "test it with this boxwright, and set boxwright_api in its module",
    "disabled": "name it in BOXWRIGHT_PLUGINS, or unset that variable",
}


def find(registry: Registry, name: str) -> list[PluginRecord]:
    """The plugins of a distribution, or the one of an entry point, of a module, or that brings something of that name.

    Raises:
        PluginNotFoundError: There is none; the message says what is installed, and what is called like it.
    """
    records = [record for record in registry.plugins.records if record.module != "boxwright.plugins.builtin"]
    for fits in (
        lambda record: normal(record.distribution) == normal(name),
        lambda record: record.name == name,
        lambda record: name in (record.module, record.module.partition(".")[0]),
        lambda record: any(spec.name == name for _, spec in record.specs),
    ):
        if found := [record for record in records if fits(record)]:
            return found
    try:
        installed = distribution(name).name
    except (PackageNotFoundError, ValueError):
        names = sorted({record.distribution for record in records} | {record.name for record in records})
        near = difflib.get_close_matches(name, names, n=1)
        guess = f"did you mean {near[0]!r}? " if near else ""
        raise PluginNotFoundError(
            f"no plugin called {name!r} is installed",
            f"{guess}install it first: python -m pip install -e FOLDER",
        ) from None
    raise PluginNotFoundError(
        f"{installed} is installed, and boxwright finds no plugin in it",
        'name its module in pyproject.toml, and install it again: [project.entry-points.boxwright] NAME = "MODULE"',
    )


def examine(registry: Registry, record: PluginRecord, task: Task) -> Examination:
    """Looks at everything that can be seen of an installed plugin.

    Args:
        registry: The installed plugins.
        record: Which of them.
        task: Gets the number of conformance tests, and advances with each.
    """
    examination = Examination(record.name, record.distribution, record.version, record.module)
    examination.add([_status(record)])
    examination.add(package_findings(record))
    seen = observe(record, roles_of(registry, record))
    if isinstance(seen, Finding):
        examination.add([seen])
        return examination
    examination.add(import_findings(record, seen))
    examination.add(isolation_findings(registry, record, seen, declared_by(record)))
    if record.status == "ok" and not seen["failure"]:
        examination.add(run(suite_of(registry, record), task))
    return examination


def _status(record: PluginRecord) -> Finding:
    what = "boxwright uses it"
    if record.status == "ok":
        brings = ", ".join(f"{kind} {spec.name}" for kind, spec in record.specs)
        return Finding("package", PASSED, what, brings or "it implements event hooks only")
    return Finding("package", FAILED, what, f"it is {record.status}: {record.cause}", _REMEDIES[record.status])
