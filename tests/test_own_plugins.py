"""The results of ``boxwright plugins check`` for the plugins in this repository."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from boxwright.plugins import default_registry
from boxwright_testing.examination.package import package_findings
from boxwright_testing.examination.suite import suite_of

OURS = sorted(folder.name for folder in (Path(__file__).resolve().parents[1] / "plugins").iterdir() if folder.is_dir())
DEFAULTS = {"format csv", "format labelimg", "format voc"}
"""Plugins that need only the suite's defaults."""


def check(distribution: str) -> dict[str, list[str]]:
    """Returns the failures and the advice of the command."""
    command = [sys.executable, "-m", "boxwright_cli", "plugins", "check", distribution, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    answer = json.loads(done.stdout)
    assert done.returncode == (0 if answer["passed"] else 1)
    findings = [finding for plugin in answer["plugins"] for finding in plugin["findings"]]
    assert len(findings) > 10
    return {
        outcome: [f"{each['part']}: {each['what']}: {each['says']}" for each in findings if each["outcome"] == outcome]
        for outcome in ("failed", "advice")
    }


@pytest.mark.parametrize("distribution", OURS)
def test_every_plugin_names_how_it_is_tested(distribution: str) -> None:
    """With no more than the defaults, a format that rounds or a step that needs an amount would fail."""
    plugins = default_registry()
    records = [record for record in plugins.plugins.records if record.distribution == distribution]
    if not records:
        pytest.skip(f"{distribution} is not installed")
    for record in records:
        suite = suite_of(plugins, record)
        untested = [finding.part for finding in suite.findings if not finding.part.startswith("exporter ")]
        assert untested == []
        assert set(suite.defaults) <= DEFAULTS
        assert {f"{kind} {spec.name}" for kind, spec in record.specs if kind != "exporter"} <= set(suite.parts.values())
        assert [finding.what for finding in package_findings(record) if finding.outcome != "passed"] == []


def test_the_command_passes_a_plugin() -> None:
    assert check("boxwright-cocoeval") == {"failed": [], "advice": []}


@pytest.mark.slow
@pytest.mark.parametrize("distribution", OURS)
def test_the_command_passes_every_plugin(distribution: str) -> None:
    assert check(distribution)["failed"] == []
