"""``boxwright plugins``: lists installed and failed plugins, and helps to write them."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from boxwright_cli.commands import plugins_check, plugins_new
from boxwright_cli.commands.formats import option_value, options_table
from boxwright_cli.meanings import names
from boxwright_cli.pages import Command, Group
from boxwright_cli.session import Session
from boxwright_cli.values import JsonOption

app = typer.Typer(
    cls=Group,
    help="List, show and check plugins; create a new one.",
    rich_markup_mode=None,
    no_args_is_help=True,
)


@app.command("list", cls=Command)
def list_(
    context: typer.Context,
    kind: Annotated[
        str | None,
        typer.Argument(
            metavar="[KIND]", help="Only plugins of this kind, such as exporter.", autocompletion=names("kind")
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """List the installed plugins: what each provides, and the cause of failures.

    KIND is format, transform, augmenter, backend, metric, trainer, exporter, loader, logger, command, annotator or
    engine. The environment variable BOXWRIGHT_PLUGINS=voc,csv allows only those plugins; BOXWRIGHT_STRICT=1 makes a
    failed plugin an error.

    Examples:
      boxwright plugins list
      boxwright plugins list exporter
    """
    session = Session.of(context)
    session.start(json=as_json)
    from boxwright.plugins import default_registry

    if kind is not None:
        _list_kind(session, _kind(kind))
        return
    records = [_describe(record) for record in default_registry().plugins.records]
    clashes = _clashes()
    if as_json:
        session.result({"plugins": records, "clashes": clashes, "speedups": _speedups()})
        return
    session.table(
        ("PLUGIN", "DISTRIBUTION", "VERSION", "STATUS", "PROVIDES"),
        [(r["name"], r["distribution"], r["version"], r["status"], _provides(r)) for r in records],
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
    session.say()
    session.say(f"The compiled parts (boxwright-speedups) are {_speedups()}.")
    first = next(f"{k} {names[0]}" for r in reversed(records) for k, names in r["brings"].items())
    session.next_steps("Show one in detail:", [f"boxwright plugins show {first}"])


def _speedups() -> str:
    try:
        from boxwright_speedups import state
    except ImportError:
        return "not installed; run: python -m pip install boxwright-speedups"
    return state


def _list_kind(session: Session, kind: str) -> None:
    from boxwright.plugins import default_registry

    found = [
        {
            "name": entry.spec.name,
            "summary": entry.spec.summary,
            "distribution": entry.distribution,
            "version": entry.version,
            "missing": list(entry.missing),
            "install": _install(entry.spec, entry.missing) if entry.missing else entry.spec.install,
        }
        for entry in default_registry().all(kind)
    ]
    if session.json:
        session.result({"kind": kind, "plugins": found})
        return
    if not found:
        session.say(f"No {kind} is installed. To list the plugins: boxwright plugins list")
        return
    session.table(
        (kind.upper(), "DISTRIBUTION", "SUMMARY"), [(f["name"], f["distribution"], f["summary"]) for f in found]
    )
    for f in found:
        if f["missing"]:
            session.say()
            session.say(f"{f['name']} needs {', '.join(f['missing'])}, not installed; run: {f['install']}")
    session.next_steps("Show one in detail:", [f"boxwright plugins show {kind} {found[0]['name']}"])


@app.command("show", cls=Command)
def show(
    context: typer.Context,
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="[KIND] NAME",
            help="Such as `backend kerascv`; a unique name needs no kind.",
            autocompletion=names("plugin"),
        ),
    ],
    as_json: JsonOption = False,
) -> None:
    """Show one plugin: options, presets, requirements.

    The kinds are format, transform, augmenter, backend, metric, trainer, exporter, loader, logger, command,
    annotator and engine. Set the options of a backend with `boxwright train --set NAME=VALUE`.

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
    if shown["environment"]:
        state = "installed" if shown["environment"]["installed"] else "NOT installed"
        session.say(f"uses the environment {shown['environment']['name']}: {state}")
        if not shown["environment"]["installed"]:
            session.say(f"  run: boxwright env install {shown['environment']['name']}")
    if shown["backends"]:
        session.say(f"for models of: {', '.join(shown['backends'])}")
    if shown["precisions"]:
        session.say(f"precisions: {', '.join(shown['precisions'])} (the first is the default)")
    if shown["presets"]:
        session.say()
        default = shown["default_preset"]
        rows = [(n, f"{text} (default)" if n == default else text) for n, text in shown["presets"].items()]
        session.table(("", ""), rows, title="Presets")
    if shown["objects"]:
        session.say()
        session.table(("", ""), list(shown["objects"].items()), title="Python objects, for train(objects=...)")
    for title, options in (("Options", shown["options"]), ("Options for writing", shown["write_options"])):
        if options:
            session.say()
            session.table(("", "", ""), [(o["name"], option_value(o), o["help"]) for o in options], title=title)


app.command("check", cls=Command)(plugins_check.check)
app.command("new", cls=Command)(plugins_new.new)


def _describe(record: Any) -> dict[str, Any]:
    from boxwright.plugins import Registered

    unavailable = []
    for kind, spec in record.specs:
        missing = Registered(spec, record).missing
        if missing:
            unavailable.append(
                {"kind": kind, "name": spec.name, "missing": list(missing), "install": _install(spec, missing)}
            )
    provides: dict[str, list[str]] = {}
    for kind, spec in record.specs:
        provides.setdefault(kind, []).append(spec.name)
    return {
        "name": record.name,
        "distribution": record.distribution,
        "version": record.version,
        "status": record.status,
        "cause": record.cause,
        "brings": provides,
        "unavailable": unavailable,
    }


def _provides(record: dict[str, Any]) -> str:
    return "; ".join(f"{kind} {', '.join(names)}" for kind, names in record["brings"].items())


def _install(spec: Any, missing: tuple[str, ...]) -> str:
    return spec.install or f"python -m pip install {' '.join(missing)}"


def _clashes() -> list[dict[str, Any]]:
    from boxwright.plugins import KINDS, default_registry

    claims: dict[tuple[str, str], list[str]] = {}
    for kind in KINDS:
        for entry in default_registry().all(kind):
            claims.setdefault((kind, entry.spec.name), []).append(f"{entry.distribution} {entry.version}")
    return [{"kind": kind, "name": name, "distributions": d} for (kind, name), d in claims.items() if len(d) > 1]


def _kind(word: str) -> str:
    """Returns the kind for a word, which can be plural and in capitals."""
    from boxwright import UsageError
    from boxwright.plugins import KINDS

    kind = word.lower() if word.lower() in KINDS else word.lower().removesuffix("s")
    if kind not in KINDS:
        raise UsageError(f"{word!r} is not a kind of plugin", f"the kinds are: {', '.join(KINDS)}")
    return kind


def _find(words: list[str]) -> tuple[str, str]:
    """Returns the kind and name for ``KIND NAME``, or for a ``NAME`` that only one kind has."""
    from boxwright import PluginNotFoundError, UsageError
    from boxwright.plugins import KINDS, default_registry

    plugins = default_registry()
    if len(words) > 2:
        raise UsageError(
            f"{' '.join(words)!r} is more than a kind and a name", "write: boxwright plugins show KIND NAME"
        )
    if len(words) == 2:
        return _kind(words[0]), words[1]
    (name,) = words
    having = [kind for kind in KINDS if name in plugins.names(kind)]
    if len(having) == 1:
        return having[0], name
    if having:
        raise UsageError(
            f"{name!r} is a {' and a '.join(having)}", f"choose one: boxwright plugins show {having[0]} {name}"
        )
    import difflib

    everything = sorted({n for kind in KINDS for n in plugins.names(kind)})
    near = difflib.get_close_matches(name, everything, n=1)
    guess = f"did you mean {near[0]!r}? " if near else ""
    raise PluginNotFoundError(
        f"no plugin provides anything named {name!r}", f"{guess}the names are: {', '.join(everything)}"
    )


def _details(kind: str, name: str) -> dict[str, Any]:
    from boxwright.models import default_preset
    from boxwright.plugins import AugmenterSpec, BackendSpec, ExporterSpec, FormatSpec, default_registry

    entry = default_registry().get(kind, name)
    spec, missing = entry.spec, entry.missing
    is_format, is_exporter = isinstance(spec, FormatSpec), isinstance(spec, ExporterSpec)
    return {
        "kind": kind,
        "name": name,
        "summary": spec.summary,
        "distribution": entry.distribution,
        "version": entry.version,
        "requires": [{"name": library, "installed": library not in missing} for library in spec.requires],
        "install": _install(spec, missing) if missing else spec.install,
        "docs": (is_format and spec.docs) or _homepage(entry.distribution),
        "presets": dict(spec.presets) if isinstance(spec, BackendSpec) else {},
        "default_preset": default_preset(spec) if isinstance(spec, BackendSpec) else "",
        "objects": dict(spec.objects) if isinstance(spec, BackendSpec) else {},
        "precisions": list(spec.precisions) if is_exporter else [],
        "backends": list(spec.backends) if is_exporter or isinstance(spec, AugmenterSpec) else [],
        "environment": _environment(spec),
        "options": options_table(spec.options),
        "write_options": options_table(spec.write_options if is_format else ()),
    }


def _environment(spec: Any) -> dict[str, Any] | None:
    """Returns the separate environment that a plugin uses, and whether it is installed."""
    if spec.environment is None:
        return None
    from boxwright.environments import Environment

    return {"name": spec.environment.name, "installed": Environment(spec.environment).status == "installed"}


def _homepage(distribution: str) -> str:
    from importlib.metadata import PackageNotFoundError, metadata

    try:
        urls = metadata(distribution).get_all("Project-URL") or []
    except PackageNotFoundError:
        return ""
    links = dict(url.partition(", ")[::2] for url in urls)
    return links.get("Documentation") or next(iter(links.values()), "")
