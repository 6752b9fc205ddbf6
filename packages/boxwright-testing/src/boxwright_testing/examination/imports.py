"""The cost of importing a plugin, and its side effects, observed in a separate process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from boxwright.plugins import PluginRecord, Registered, Registry
from boxwright_testing.examination.findings import ADVICE, FAILED, PASSED, SKIPPED, Finding
from boxwright_testing.examination.package import normal
from boxwright_testing.specs import HEAVY

_LIGHT = frozenset(
    {"annotated_types", "boxwright", "pluggy", "pydantic", "pydantic_core", "typing_extensions", "typing_inspection"}
)
"""What boxwright itself imports to list plugins, or before it opens the first dataset."""

_FRAMEWORKS = frozenset({"cv2", "jax", "keras", "keras_cv", "matplotlib", "pandas", "scipy", "tensorflow", "torch"})
_SLOW = 100.0
"""Milliseconds of CPU time above which listing a plugin is felt by everybody who types ``boxwright``."""

_SECONDS = 300


def observe(record: PluginRecord, roles: Mapping[str, str]) -> dict[str, Any] | Finding:
    """Imports the plugin in a fresh process, alone, and returns what :mod:`boxwright_testing.examination.observer` saw.

    Args:
        record: The plugin.
        roles: What else to import: ``{"load of format csv": "boxwright_csv.reader:CsvReader"}``.
    """
    with tempfile.TemporaryDirectory() as folder:
        answer = Path(folder) / "answer.json"
        words = [word for role, target in roles.items() for word in (role, target)]
        script = str(Path(__file__).with_name("observer.py"))
        environment = os.environ | {"BOXWRIGHT_PLUGINS": record.name, "PYTHONDONTWRITEBYTECODE": "1"}
        environment["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
        try:
            done = subprocess.run(
                [sys.executable, script, str(answer), record.module.partition(":")[0], *words],
                capture_output=True,
                text=True,
                errors="replace",
                env=environment,
                cwd=folder,
                timeout=_SECONDS,
                check=False,
            )
            seen: dict[str, Any] = json.loads(answer.read_text("utf-8"))
        except (OSError, ValueError, subprocess.TimeoutExpired) as error:
            says = f"a fresh process that imports {record.module} did not end: {error}"
            return Finding("import", FAILED, "it can be imported", says, "look for os._exit, endless loops and crashes")
    return seen | {"printed": (done.stdout + done.stderr).strip()}


def roles_of(registry: Registry, record: PluginRecord) -> dict[str, str]:
    """Everything that the specs of a plugin name and that can be imported here: the role, and ``module:attribute``."""
    return {
        f"{field} of {kind} {spec.name}": getattr(spec, field)
        for kind, spec in record.specs
        for field in ("load", "write", "detect")
        if getattr(spec, field, "") and not Registered(spec, record).missing
    }


def import_findings(record: PluginRecord, seen: Mapping[str, Any]) -> Iterator[Finding]:
    """Whether listing the plugin is quick and quiet."""
    if seen["failure"]:
        failure = seen["failure"]
        yield Finding(
            part="import",
            outcome=FAILED,
            what="it can be imported",
            says=failure["error"],
            remedy=f"fix it; `python -c 'import {record.module}'` shows the same",
            place=failure["place"],
            details=failure["traceback"],
        )
        return
    heavy = [name for name in seen["imported"] if name in HEAVY]
    cost = f"{seen['cpu_ms']:.0f} ms of CPU time"
    if heavy:
        yield Finding(
            part="import",
            outcome=FAILED,
            what="listing it imports nothing heavy",
            says=f"importing {record.module} imports {', '.join(heavy)}, which takes {cost}",
            remedy="import them in the module that `load` names, which is imported when the plugin is used",
            promise="`boxwright --help` and `boxwright plugins list` import every plugin, and must answer at once.",
        )
    else:
        yield Finding("import", PASSED, "listing it imports nothing heavy", cost)
    others = [name for name in seen["imported"] if name not in _LIGHT and name not in heavy and not _own(record, name)]
    if others and not heavy:
        says = f"importing {record.module} imports {', '.join(others)} ({cost} in all)"
        yield Finding("import", ADVICE, "listing it imports little", says, "import them where they are used")
    elif seen["cpu_ms"] > _SLOW and not heavy:
        remedy = "see what takes so long: python -X importtime -c 'import " + record.module + "'"
        yield Finding("import", ADVICE, "listing it takes no time", f"it takes {cost}", remedy)
    for role, target in seen["targets"].items():
        if target["failure"]:
            failure = target["failure"]
            yield Finding(
                part="import",
                outcome=FAILED,
                what=f"{role} can be imported",
                says=failure["error"],
                remedy="fix it, or name the library that it needs in the spec's `requires`",
                place=failure["place"],
                details=failure["traceback"],
            )


def isolation_findings(
    registry: Registry, record: PluginRecord, seen: Mapping[str, Any], declared: frozenset[str]
) -> Iterator[Finding]:
    """Whether the plugin leaves other plugins, and everything else around it, alone.

    Args:
        registry: The plugins.
        record: This one.
        seen: What :func:`observe` gave.
        declared: The distributions that are installed along with it.
    """
    yield _surroundings(record, seen)
    if seen["failure"]:
        yield Finding("isolation", SKIPPED, "it works without other plugins", "it cannot be imported")
        return
    imported = {name for part in (seen, *seen["targets"].values()) for name in part["imported"]}
    foreign = {
        other.module.partition(".")[0].partition(":")[0]: other
        for other in registry.plugins.records
        if other.distribution not in (record.distribution, "boxwright")
    }
    borrowed = sorted(imported & set(foreign))
    undeclared = [name for name in borrowed if normal(foreign[name].distribution) not in declared]
    if undeclared:
        names = ", ".join(f"{name} ({foreign[name].distribution})" for name in undeclared)
        yield Finding(
            part="isolation",
            outcome=FAILED,
            what="it works without other plugins",
            says=f"it imports {names}",
            remedy="move what both need into a separate library, or ask for it in boxwright itself",
            promise="One plugin never needs another that may be removed, or broken, at any time.",
        )
    else:
        says = f"except for {', '.join(borrowed)}, which is installed along with it" if borrowed else ""
        yield Finding("isolation", PASSED, "it works without other plugins", says)
    required = {name for _, spec in record.specs for name in spec.requires}
    for role, target in seen["targets"].items():
        frameworks = sorted(_FRAMEWORKS.intersection(target["imported"]))
        if frameworks and not required:
            yield Finding(
                part="isolation",
                outcome=ADVICE,
                what="it names the frameworks that it needs",
                says=f"{role} imports {', '.join(frameworks)}",
                remedy='name it in the spec: requires=("...",), install="python -m pip install ..."',
            )
    clashes = [
        f"{kind} {spec.name} (also of {' and '.join(_claimants(registry, record, kind, spec.name))})"
        for kind, spec in record.specs
        if _claimants(registry, record, kind, spec.name)
    ]
    if clashes:
        says = f"another plugin has the same name: {', '.join(clashes)}"
        yield Finding("isolation", FAILED, "its names are its own", says, "choose another name, or uninstall the other")
    else:
        yield Finding("isolation", PASSED, "its names are its own")


def _surroundings(record: PluginRecord, seen: Mapping[str, Any]) -> Finding:
    what = "importing it leaves everything around it alone"
    # Heavy imports are reported separately, and such libraries set warning filters.
    filters = "the warning filters" if set(HEAVY).intersection(seen["imported"]) else ""
    done = [f"it changes {name}" for name in seen["changed"] if name != filters] + [f"it {act}" for act in seen["did"]]
    if seen["printed"]:
        done.append(f"it prints {seen['printed'][:200]!r}")
    if not done:
        return Finding("isolation", PASSED, what)
    return Finding(
        part="isolation",
        outcome=FAILED,
        what=what,
        says="; ".join(done[:10]),
        remedy=f"do that when the plugin is used, in the modules that its specs name, and not in {record.module}",
        promise="Every plugin is imported with every command, also by those who never use it.",
    )


def _claimants(registry: Registry, record: PluginRecord, kind: str, name: str) -> list[str]:
    entries = [entry for entry in registry.all(kind) if entry.spec.name == name]
    return sorted({entry.distribution for entry in entries if entry.distribution != record.distribution})


def _own(record: PluginRecord, name: str) -> bool:
    return name == record.module.partition(".")[0].partition(":")[0]
