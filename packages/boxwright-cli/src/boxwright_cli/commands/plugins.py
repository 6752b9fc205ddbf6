"""``boxwright plugins``: what is installed, what failed and why, and the commands for those who write one."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from boxwright_cli.commands import plugins_check, plugins_new
from boxwright_cli.commands.formats import option_value, options_table
from boxwright_cli.pages import Command, Group
from boxwright_cli.session import Session
from boxwright_cli.values import JsonOption

app = typer.Typer(
    cls=Group,
    help="List the installed plugins, show or examine one closely, and make one of your own.",
    rich_markup_mode=None,
    no_args_is_help=True,
)


@app.command("list", cls=Command)
def list_(context: typer.Context, as_json: JsonOption = False) -> None:
    """List the installed plugins: what each brings, what failed and why.

    BOXWRIGHT_PLUGINS=labelimg,csv in the environment allows only those; BOXWRIGHT_STRICT=1 makes a failed plugin an
    error.

    Example:
      boxwright plugins list
    """
    session = Session.of(context)
    session.start(json=as_json)
    from boxwright.registry import registry

    records = [_describe(record) for record in registry().plugins.records]
    clashes = _clashes()
    if as_json:
        session.result({"plugins": records, "clashes": clashes})
        return
    session.table(
        ("PLUGIN", "DISTRIBUTION", "VERSION", "STATUS", "BRINGS"),
        [(r["name"], r["distribution"], r["version"], r["status"], _brings(r)) for r in records],
    )
    for r in records:
        if r["cause"]:
            session.say()
            session.say(f"{r['name']} ({r['distribution']} {r['version']}) is {r['status']}: {r['cause']}")
        for missing in r["unavailable"]:
            session.say()
            session.say(f"{missing['kind']} {missing['name']} needs {', '.join(missing['missing'])}, not installed;")
            session.say(f"  run: {missing['install']}")
    for clash in clashes:
        session.say()
        session.say(f"{clash['kind']} {clash['name']} is claimed by {' and '.join(clash['distributions'])};")
        session.say("  uninstall one of them, or name the plugins to use in BOXWRIGHT_PLUGINS")
    session.next_steps("Look at one closely:", ["boxwright plugins show backend kerascv"])


@app.command("show", cls=Command)
def show(
    context: typer.Context,
    words: Annotated[
        list[str],
        typer.Argument(metavar="[KIND] NAME", help="As in `backend kerascv`; a name that is there once needs no kind."),
    ],
    as_json: JsonOption = False,
) -> None:
    """Show what one plugin takes: options, presets, requirements.

    The kinds are format, transform, augmenter, backend, metric, trainer, exporter and loader. What is shown as an
    option of a backend goes to `boxwright train --set NAME=VALUE`.

    Examples:
      boxwright plugins show backend kerascv
      boxwright plugins show resize
    """
    session = Session.of(context)
    session.start(json=as_json)
    kind, name = _find(words)
    shown = _details(kind, name)
    if as_json:
        session.result(shown)
        return
    session.say(f"{kind} {name}", style="bold")
    session.say(shown["summary"])
    session.say()
    session.say(f"from {shown['distribution']} {shown['version']}")
    for requirement in shown["requires"]:
        session.say(f"needs {requirement['name']}: {'installed' if requirement['installed'] else 'NOT installed'}")
    if not all(requirement["installed"] for requirement in shown["requires"]):
        session.say(f"  run: {shown['install']}")
    if shown["docs"]:
        session.say(f"documentation: {shown['docs']}")
    if shown["presets"]:
        session.say()
        first = next(iter(shown["presets"]))
        rows = [(n, f"{text} (default)" if n == first else text) for n, text in shown["presets"].items()]
        session.table(("", ""), rows, title="Presets")
    for title, options in (("Options", shown["options"]), ("Options for writing", shown["write_options"])):
        if options:
            session.say()
            session.table(("", "", ""), [(o["name"], option_value(o), o["help"]) for o in options], title=title)


app.command("check", cls=Command)(plugins_check.check)
app.command("new", cls=Command)(plugins_new.new)


def _describe(record: Any) -> dict[str, Any]:
    from boxwright.registry import Registered

    unavailable = []
    for kind, spec in record.specs:
        missing = Registered(spec, record.distribution, record.version).missing
        if missing:
            unavailable.append(
                {"kind": kind, "name": spec.name, "missing": list(missing), "install": _install(spec, missing)}
            )
    brings: dict[str, list[str]] = {}
    for kind, spec in record.specs:
        brings.setdefault(kind, []).append(spec.name)
    return {
        "name": record.name,
        "distribution": record.distribution,
        "version": record.version,
        "status": record.status,
        "cause": record.cause,
        "brings": brings,
        "unavailable": unavailable,
    }


def _brings(record: dict[str, Any]) -> str:
    return "; ".join(f"{kind} {', '.join(names)}" for kind, names in record["brings"].items())


def _install(spec: Any, missing: tuple[str, ...]) -> str:
    return spec.install or f"python -m pip install {' '.join(missing)}"


def _clashes() -> list[dict[str, Any]]:
    from boxwright.registry import KINDS, registry

    claims: dict[tuple[str, str], list[str]] = {}
    for kind in KINDS:
        for entry in registry().all(kind):
            claims.setdefault((kind, entry.spec.name), []).append(f"{entry.distribution} {entry.version}")
    return [{"kind": kind, "name": name, "distributions": d} for (kind, name), d in claims.items() if len(d) > 1]


def _find(words: list[str]) -> tuple[str, str]:
    """Kind and name of ``KIND NAME`` or of a ``NAME`` that only one kind has."""
    from boxwright.errors import PluginNotFoundError, UsageError
    from boxwright.registry import KINDS, registry

    plugins = registry()
    kinds = ", ".join(KINDS)
    if len(words) > 2:
        raise UsageError(
            f"{' '.join(words)!r} is more than a kind and a name", "write: boxwright plugins show KIND NAME"
        )
    if len(words) == 2:
        kind = words[0].lower().removesuffix("s") if words[0].lower() not in KINDS else words[0].lower()
        if kind not in KINDS:
            raise UsageError(f"there is no kind of plugin called {words[0]!r}", f"the kinds are: {kinds}")
        return kind, words[1]
    (name,) = words
    having = [kind for kind in KINDS if name in plugins.names(kind)]
    if len(having) == 1:
        return having[0], name
    if having:
        raise UsageError(
            f"{name!r} is a {' and a '.join(having)}", f"say which: boxwright plugins show {having[0]} {name}"
        )
    import difflib

    everything = sorted({n for kind in KINDS for n in plugins.names(kind)})
    near = difflib.get_close_matches(name, everything, n=1)
    guess = f"did you mean {near[0]!r}? " if near else ""
    raise PluginNotFoundError(f"no plugin brings anything named {name!r}", f"{guess}there is: {', '.join(everything)}")


def _details(kind: str, name: str) -> dict[str, Any]:
    from boxwright.registry import registry

    entry = registry().get(kind, name)
    spec, missing = entry.spec, entry.missing
    return {
        "kind": kind,
        "name": name,
        "summary": spec.summary,
        "distribution": entry.distribution,
        "version": entry.version,
        "requires": [{"name": library, "installed": library not in missing} for library in spec.requires],
        "install": _install(spec, missing) if missing else spec.install,
        "docs": getattr(spec, "docs", "") or _homepage(entry.distribution),
        "presets": dict(getattr(spec, "presets", {})),
        "precisions": list(getattr(spec, "precisions", ())),
        "options": options_table(spec.options),
        "write_options": options_table(getattr(spec, "write_options", ())),
    }


def _homepage(distribution: str) -> str:
    from importlib.metadata import PackageNotFoundError, metadata

    try:
        urls = metadata(distribution).get_all("Project-URL") or []
    except PackageNotFoundError:
        return ""
    links = dict(url.partition(", ")[::2] for url in urls)
    return links.get("Documentation") or next(iter(links.values()), "")
