"""What an examination of a plugin found."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

PASSED, FAILED, SKIPPED, ADVICE = "passed", "failed", "skipped", "advice"


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Args:
        part: What of the plugin: ``package``, ``import``, ``isolation``, or a spec as in ``format csv``.
        outcome: ``passed``, ``failed``, ``skipped``, or ``advice`` where something works and could be better.
        what: What was looked at, in a few words.
        says: What was found; for ``skipped`` the reason.
        remedy: What its author can do.
        promise: What every plugin keeps, in full, where that was not kept.
        place: The file and line where it went wrong.
        details: A traceback, for ``--debug``.
    """

    part: str
    outcome: str
    what: str
    says: str = ""
    remedy: str = ""
    promise: str = ""
    place: str = ""
    details: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


@dataclass
class Examination:
    """Everything that was found about one plugin.

    Attributes:
        plugin: The entry point's name.
        distribution: What was installed.
        version: Of the distribution.
        module: What the entry point names.
        findings: In the order in which they were found.
    """

    plugin: str
    distribution: str
    version: str
    module: str
    findings: list[Finding] = field(default_factory=list)

    def add(self, findings: Iterable[Finding]) -> None:
        """Adds what was found."""
        self.findings += findings

    @property
    def passed(self) -> bool:
        """Whether nothing failed."""
        return not self.count(FAILED)

    def count(self, outcome: str) -> int:
        """How many findings have an outcome."""
        return sum(finding.outcome == outcome for finding in self.findings)

    def parts(self) -> dict[str, list[Finding]]:
        """The findings by the part that they are about."""
        found: dict[str, list[Finding]] = {}
        for finding in self.findings:
            found.setdefault(finding.part, []).append(finding)
        return found

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "plugin": self.plugin,
            "distribution": self.distribution,
            "version": self.version,
            "module": self.module,
            "passed": self.passed,
            "counts": {outcome: self.count(outcome) for outcome in (PASSED, FAILED, SKIPPED, ADVICE)},
            "findings": [finding.to_dict() for finding in self.findings],
        }
