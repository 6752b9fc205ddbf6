"""``boxwright plugins check``: tests an installed plugin, for its author."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from boxwright_cli.commands.plugins_new import INSTALL
from boxwright_cli.session import Session
from boxwright_cli.text import amount
from boxwright_cli.values import JsonOption

_STYLES = {"failed": "red", "advice": "yellow"}
_HEADS = {"package": "Package", "import": "Import", "isolation": "Isolation"}


def check(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="PACKAGE|NAME", help="An installed package, or the name of a plugin.")],
    as_json: JsonOption = False,
) -> None:
    """Check an installed plugin: its package, the effects of its import, and the conformance tests.

    Lists the problems and their remedies; the exit status is 1 if a check failed. --verbose also lists the checks that
    passed, --debug the traceback of each failure. The plugin is not changed.

    Examples:
      boxwright plugins check boxwright-csv
      boxwright plugins check myformat --json
    """
    session = Session.of(context)
    reporter = session.start(json=as_json)
    session.if_interrupted = "the checks were not completed."
    examinations = _examine(name, reporter)
    if as_json:
        passed = all(examination.passed for examination in examinations)
        session.result({"passed": passed, "plugins": [examination.to_dict() for examination in examinations]})
    else:
        verbose = bool(context.find_root().params.get("verbose"))
        for examination in examinations:
            _show(session, examination, verbose=verbose)
    if not all(examination.passed for examination in examinations):
        raise typer.Exit(1)


def _examine(name: str, reporter: Any) -> list[Any]:
    from boxwright import MissingLibraryError
    from boxwright.plugins import default_registry

    try:
        from boxwright_testing.examination import examine, find
    except ImportError as error:
        raise MissingLibraryError(f"the conformance tests are not installed ({error})", f"run: {INSTALL}") from None
    plugins = default_registry()
    examinations = []
    for record in find(plugins, name):
        with reporter.task(f"Examining {record.name}") as task:
            examinations.append(examine(plugins, record, task))
    return examinations


def _show(session: Session, examination: Any, *, verbose: bool) -> None:
    session.say(f"{examination.distribution} {examination.version}: the plugin {examination.plugin}", style="bold")
    for part, findings in examination.parts().items():
        passed = [finding for finding in findings if finding.outcome == "passed"]
        skipped = [finding for finding in findings if finding.outcome == "skipped"]
        session.say()
        counts = [f"{len(passed)} of {len(findings)} passed"]
        if skipped:
            counts.append(f"{len(skipped)} skipped")
        session.say(f"{_HEADS.get(part, part)}: {', '.join(counts)}", style="bold")
        for finding in findings:
            if finding.outcome in _STYLES:
                _show_finding(session, finding)
        if verbose:
            for finding in passed:
                session.say(f"  passed   {finding.what}" + (f" ({finding.says})" if finding.says else ""))
        for reason, names in _by_reason(skipped).items():
            session.say(f"  skipped  {'; '.join(names)}: {reason}", style="dim")
    session.say()
    _show_result(session, examination)


def _show_finding(session: Session, finding: Any) -> None:
    head = "FAILED  " if finding.outcome == "failed" else "advice  "
    session.say(f"  {head} {finding.what}", style=_STYLES[finding.outcome])
    for line in finding.says.splitlines():
        session.say(f"           {line}")
    if finding.place:
        session.say(f"           at {finding.place}")
    if finding.promise:
        session.say(f"           Tested: {finding.promise}", style="dim")
    if finding.remedy:
        session.say(f"           -> {finding.remedy}")
    if session.debug and finding.details:
        session.say(finding.details)


def _by_reason(skipped: list[Any]) -> dict[str, list[str]]:
    """Returns the names of the skipped checks by reason."""
    found: dict[str, list[str]] = {}
    for finding in skipped:
        reason = finding.says + (f"; {finding.remedy}" if finding.remedy else "")
        found.setdefault(reason, []).append(finding.what)
    return found


def _show_result(session: Session, examination: Any) -> None:
    failed, advice = examination.count("failed"), examination.count("advice")
    counts = f"{examination.count('passed')} passed, {examination.count('skipped')} skipped"
    more = f", {amount(advice, 'piece')} of advice" if advice else ""
    if not failed:
        session.say(f"All checks passed: {counts}{more}.", style="green")
        return
    session.say(f"{failed} FAILED, {counts}{more}.", style="red")
    if not session.debug:
        session.next_steps(
            "Show each failure with its traceback:", [f"boxwright --debug plugins check {examination.plugin}"]
        )
