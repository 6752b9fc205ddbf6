"""A pytest plugin that writes down what became of each test; for :mod:`boxwright_testing.examination.suite`.

The file that ``BOXWRIGHT_RECORD`` names gets one JSON object a line: first the number of tests, then one a result.
"""

from __future__ import annotations

import json
import os
from typing import Any

import pytest

_docs: dict[str, str] = {}


def pytest_configure(config: pytest.Config) -> None:
    """Makes the mark known by which a plugin's author says that a test takes too long to be waited for."""
    config.addinivalue_line("markers", "slow: takes minutes; left out by boxwright plugins check")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leaves out what is marked as slow, and says so."""
    for item in items:
        if item.get_closest_marker("slow") is not None:
            item.add_marker(pytest.mark.skip(reason="it takes minutes, and is left to the plugin's own tests"))


def pytest_collection_finish(session: pytest.Session) -> None:
    """Writes how many tests there are, and keeps what each says of itself."""
    for item in session.items:
        _docs[item.nodeid] = getattr(getattr(item, "function", None), "__doc__", None) or ""
    _write({"tests": len(session.items)})


def pytest_collectreport(report: pytest.CollectReport) -> None:
    """Writes why a file could not be collected."""
    if report.failed:
        _write({"test": report.nodeid, "outcome": "failed", "message": str(report.longrepr), "details": ""})


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Writes the outcome of a test: of its body, or of its setup or teardown if that failed."""
    if report.when == "call" or report.outcome != "passed":
        _write(
            {
                "test": report.nodeid,
                "doc": _docs.get(report.nodeid, ""),
                "outcome": report.outcome,
                "message": _message(report),
                "place": _place(report),
                "details": report.longreprtext,
            }
        )


def _message(report: Any) -> str:
    if report.skipped:
        return str(report.longrepr[2]).removeprefix("Skipped: ") if isinstance(report.longrepr, tuple) else ""
    crash = getattr(report.longrepr, "reprcrash", None)
    return str(crash.message if crash is not None else report.longreprtext)


def _place(report: Any) -> str:
    crash = getattr(report.longrepr, "reprcrash", None)
    return f"{crash.path}, line {crash.lineno}" if crash is not None else ""


def _write(record: dict[str, Any]) -> None:
    with open(os.environ["BOXWRIGHT_RECORD"], "a", encoding="utf-8") as file:
        file.write(json.dumps(record) + "\n")
