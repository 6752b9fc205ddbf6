"""``boxwright run``: runs the steps of a recipe."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from boxwright_cli.meanings import reads
from boxwright_cli.session import Session
from boxwright_cli.text import amount, duration
from boxwright_cli.values import JsonOption, OverwriteOption, parse_settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from boxwright_cli.recipes.plan import Plan
    from boxwright_cli.recipes.running import Outcome

_FLAGS = ("debug", "quiet", "verbose", "follow_links", "trust_model")


def run(
    context: typer.Context,
    recipe: Annotated[
        Path | None,
        typer.Argument(metavar="RECIPE", help="The YAML file with the steps.", autocompletion=reads("file")),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="Another value of a variable; [0, 1] for several."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show which steps would run, and why, and run none.")
    ] = False,
    only: Annotated[str | None, typer.Option("--only", metavar="STEP", help="Run no other step.")] = None,
    start: Annotated[
        str | None, typer.Option("--from", metavar="STEP", help="Leave out the steps above this one.")
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option("--report", metavar="FILE", help="Also write the results of all combinations to a .html page."),
    ] = None,
    schema: Annotated[
        bool, typer.Option("--schema", help="Print the JSON schema of recipes with the installed plugins.")
    ] = False,
    overwrite: OverwriteOption = False,
    as_json: JsonOption = False,
) -> None:
    """Run the steps of a recipe, except those that are done.

    A step is done if its options, the content of its inputs and the versions of its plugins are those of its last run,
    and its outputs are unchanged. An interrupted run continues where it stopped. A variable with a list of values makes
    a matrix, whose results are one table. Paths are relative to the current folder.

    Examples:
      boxwright run recipe.yaml
      boxwright run recipe.yaml --dry-run
      boxwright run recipe.yaml --set "seed=[0, 1, 2]" --report results.html
    """
    session = Session.of(context)
    program = context.find_root().command
    if schema:
        from boxwright_cli.recipes.schema import recipe_schema

        session.result(recipe_schema(program))
        return
    if recipe is None:
        raise typer.BadParameter("pass a recipe; `boxwright init` writes one", param_hint="'RECIPE'")
    reporter = session.start(json=as_json)
    session.if_interrupted = "run the recipe again to continue."
    from boxwright.render import page_output
    from boxwright_cli.recipes.cache import Cache, only_run
    from boxwright_cli.recipes.checks import check_plan
    from boxwright_cli.recipes.commands import step_commands
    from boxwright_cli.recipes.document import read_recipe
    from boxwright_cli.recipes.plan import make_plan
    from boxwright_cli.recipes.running import Runner, execute_apart

    changes = {name: str(value) for name, value in parse_settings(settings or []).items()}
    plan = make_plan(read_recipe(str(recipe)).with_variables(changes), step_commands(program))
    selected = _selected(plan, only, start)
    check_plan(plan)
    if dry_run:
        outcomes = Runner(plan, Cache(str(recipe)), _nothing, selected).dry_run()
        _show_dry_run(session, outcomes, as_json)
        return
    flags = [f"--{name.replace('_', '-')}" for name in _FLAGS if context.find_root().params.get(name)]
    page = page_output(report, overwrite=overwrite) if report is not None else None
    with only_run(reporter.message) as lock:
        runner = Runner(plan, Cache(str(recipe)), execute_apart(flags, lock), selected, overwrite=overwrite)
        outcomes = runner.run(lambda outcome: reporter.message(_line(outcome)))
    from boxwright_cli.recipes.results import Results

    results = Results.of(plan, outcomes)
    if page is not None:
        with page, page.open() as file:
            file.write(results.page(f"Results of {recipe.name}").encode())
    if as_json:
        content = {"steps": [outcome.to_dict() for outcome in outcomes], "results": results.to_dict()}
        session.result(content | {"report": str(report) if report else None})
        return
    _show(session, outcomes, results)
    if report is not None:
        session.say(f"report: {report}", style="bold")


def _nothing(words: list[str]) -> Any:
    raise AssertionError(words)


def _selected(plan: Plan, only: str | None, start: str | None) -> list[str]:
    """Returns the names of the steps to run."""
    from boxwright import UsageError, did_you_mean

    names = list(plan.recipe.steps)
    for option, name in (("--only", only), ("--from", start)):
        if name is not None and name not in names:
            raise UsageError(
                f"{option}: the recipe has no step {name!r}", f"{did_you_mean(name, names)}it has: {', '.join(names)}"
            )
    if only is not None and start is not None:
        raise UsageError("--only and --from exclude each other", "pass one of them")
    if only is not None:
        return [only]
    return names if start is None else names[names.index(start) :]


def _line(outcome: Outcome) -> str:
    what = {"run": "runs", "resume": "resumes", "done": "is done", "skip": "left out"}[outcome.action]
    return f"{outcome.step.label}: {what}{': ' + '; '.join(outcome.reasons) if outcome.reasons else ''}"


def _show_dry_run(session: Session, outcomes: Sequence[Outcome], as_json: bool) -> None:
    if as_json:
        session.result({"steps": [outcome.to_dict() for outcome in outcomes]})
        return
    for outcome in outcomes:
        session.say(_line(outcome), style="" if outcome.action in ("done", "skip") else "bold")
        if outcome.action in ("run", "resume"):
            session.say(f"  boxwright {shlex.join(outcome.words)}")
    count = sum(outcome.action in ("run", "resume") for outcome in outcomes)
    session.say(f"{amount(count, 'step')} of {len(outcomes):,} would run")


def _show(session: Session, outcomes: Sequence[Outcome], results: Any) -> None:
    from boxwright_cli.recipes.results import shown_names

    for outcome in outcomes:
        spent = f", {duration(outcome.seconds)}" if outcome.seconds else ""
        what = {"run": "ran", "resume": "resumed", "done": "done before", "skip": "left out"}[outcome.action]
        session.say(f"{outcome.step.label}: {what}{spent}")
    names = shown_names(results.names)
    if not names:
        return
    session.say()
    columns, rows = results.table(names)
    session.table([name.upper() if name in results.variables else name for name in columns], rows)
    if results.means:
        session.say()
        columns, rows = results.table_of_means(names)
        session.table(columns, rows, title="Mean over the seeds (lowest to highest)")
