"""Finding plugins: entry points are loaded one by one, and what fails is kept as a record, not raised.

``BOXWRIGHT_PLUGINS=voc,csv`` loads only the entry points of these names; ``BOXWRIGHT_STRICT=1`` raises what would
otherwise be contained.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import pluggy

from boxwright.errors import PluginError
from boxwright.plugins import builtin, hookspecs
from boxwright.plugins.installed import InstalledPoint, installed_points
from boxwright.plugins.specs import API_VERSION
from boxwright.progress import logger

GROUP = "boxwright"


@dataclass
class PluginRecord:
    """What became of one entry point.

    ``status`` is ``"ok"``, ``"failed"`` (its import or a hook raised), ``"incompatible"`` (written for another API
    version) or ``"disabled"`` (left out by ``BOXWRIGHT_PLUGINS``); ``cause`` says why in one line.
    """

    name: str
    distribution: str
    version: str
    module: str
    status: str = "ok"
    cause: str = ""
    specs: list[tuple[str, Any]] = field(default_factory=list)


@dataclass
class LoadedPlugins:
    """The pluggy manager with everything that loaded, and a record of every entry point seen."""

    manager: pluggy.PluginManager
    records: list[PluginRecord]
    _warned: set[tuple[str, str]] = field(default_factory=set, repr=False)

    def call_event(self, hook: str, **arguments: Any) -> None:
        """Calls an event hook of every plugin; one that fails is warned about, once, and does not stop the others."""
        for implementation in getattr(self.manager.hook, hook).get_hookimpls():
            try:
                implementation.function(**{name: arguments[name] for name in implementation.argnames})
            except (Exception, SystemExit) as error:
                if strict():
                    raise
                if (implementation.plugin_name, hook) not in self._warned:
                    self._warned.add((implementation.plugin_name, hook))
                    logger().warning("plugin %s: %s failed: %r", implementation.plugin_name, hook, error)


def strict() -> bool:
    """Whether ``BOXWRIGHT_STRICT`` asks for contained failures to be raised."""
    return os.environ.get("BOXWRIGHT_STRICT", "") not in ("", "0")


@cache
def load_plugins() -> LoadedPlugins:
    """Loads every installed plugin, once a process.

    Raises:
        PluginError: Only under ``BOXWRIGHT_STRICT=1``: a plugin failed or is incompatible.
    """
    manager = pluggy.PluginManager("boxwright")
    manager.add_hookspecs(hookspecs)
    manager.register(builtin, name="boxwright")
    allowed = os.environ.get("BOXWRIGHT_PLUGINS")
    names = None if allowed is None else {name.strip() for name in allowed.split(",") if name.strip()}
    found = sorted(installed_points(GROUP), key=lambda point: (point.name, point.distribution))
    seen: set[tuple[str, str]] = set()
    records: list[PluginRecord] = [
        PluginRecord("boxwright", "boxwright", _own_version(), "boxwright.plugins.builtin"),
    ]
    for point in found:
        if (point.name, point.distribution) in seen:  # an editable install can be listed twice
            continue
        seen.add((point.name, point.distribution))
        record = PluginRecord(point.name, point.distribution, point.version, point.value)
        records.append(record)
        if names is not None and point.name not in names:
            record.status, record.cause = "disabled", "not named in BOXWRIGHT_PLUGINS"
            continue
        _load(manager, point, record)
        if record.status in ("failed", "incompatible") and strict():
            raise PluginError(f"plugin {record.name} ({record.distribution} {record.version}): {record.cause}")
    return LoadedPlugins(manager, records)


def _load(manager: pluggy.PluginManager, point: InstalledPoint, record: PluginRecord) -> None:
    try:
        module = point.load()
        problem = _incompatibility(module)
        if problem:
            record.status, record.cause = "incompatible", problem
            return
        manager.register(module, name=f"{record.name} ({record.distribution})")
        manager.check_pending()  # a hook that does not exist would never be called
    except (Exception, SystemExit) as error:
        record.status = "failed"
        record.cause = describe(error)
        broken = manager.get_plugin(f"{record.name} ({record.distribution})")
        if broken is not None:
            manager.unregister(broken)


def _incompatibility(module: object) -> str:
    declared = getattr(module, "boxwright_api", None)
    if declared is None:
        return f"it does not say which plugin API it was written for; it needs: boxwright_api = (1, {API_VERSION})"
    try:
        oldest, newest = map(int, declared)
    except (TypeError, ValueError):
        return f"its boxwright_api is {declared!r}; it needs the oldest and newest API: (1, {API_VERSION})"
    if oldest <= API_VERSION <= newest:
        return ""
    return f"written for plugin API {oldest} to {newest}; this boxwright speaks {API_VERSION}"


def describe(error: BaseException) -> str:
    """An error in one line, for a plugin's record."""
    return " ".join(f"{type(error).__name__}: {error}".split())[:300]


def _own_version() -> str:
    from boxwright import __version__

    return __version__
