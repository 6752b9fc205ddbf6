"""The registry: specs by kind and name, resolved to objects only when used."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from boxwright.environments.spec import EnvironmentSpec
from boxwright.errors import MissingLibraryError, PluginError, PluginNotFoundError
from boxwright.plugins.manager import LoadedPlugins, PluginRecord, load_plugins
from boxwright.plugins.specs import KINDS, Spec
from boxwright.text import did_you_mean

if TYPE_CHECKING:
    from boxwright.environments.environment import Environment

S = TypeVar("S", bound=Spec)


@dataclass(frozen=True)
class Registered(Generic[S]):
    """A spec and the plugin that it came from."""

    spec: S
    plugin: PluginRecord

    @property
    def distribution(self) -> str:
        """The name of the plugin's distribution."""
        return self.plugin.distribution

    @property
    def version(self) -> str:
        """The version of the plugin's distribution."""
        return self.plugin.version

    @property
    def missing(self) -> tuple[str, ...]:
        """The libraries that it requires and that are not installed; found without importing them."""
        return tuple(name for name in self.spec.requires if not _importable(name))


class Registry:
    """All specs of all loaded plugins, by kind and name.

    Two specs of one kind and name make that name unusable until one plugin is removed or left out by
    ``BOXWRIGHT_PLUGINS``; the other names still work.
    """

    def __init__(self, plugins: LoadedPlugins) -> None:
        self.plugins = plugins

    def _entries(self, kind: str, name: str | None = None) -> list[Registered[Any]]:
        return [
            Registered(spec, record)
            for record in self.plugins.records
            for its_kind, spec in record.specs
            if its_kind == kind and name in (None, spec.name)
        ]

    def all(self, kind: str) -> Iterator[Registered[Any]]:
        """Every spec of a kind, by name; a clashing name comes once for each plugin that claims it."""
        yield from sorted(self._entries(kind), key=lambda entry: entry.spec.name)

    def names(self, kind: str) -> list[str]:
        """The usable and unusable names of a kind, sorted."""
        return sorted({entry.spec.name for entry in self._entries(kind)})

    def get(self, kind: str, name: str) -> Registered[Any]:
        """The one spec of a kind and name.

        Raises:
            PluginNotFoundError: None has it; the message offers what is there and names close by.
            PluginError: Two distributions claim it; both are named.
        """
        entries = self._entries(kind, name)
        if len(entries) == 1:
            return entries[0]
        if entries:
            claims = " and ".join(f"{entry.distribution} {entry.version}" for entry in entries)
            raise PluginError(
                f"{kind} {name!r} is claimed by {claims}",
                "uninstall one of them, or name the plugins to use in BOXWRIGHT_PLUGINS",
            )
        names = self.names(kind)
        guess = did_you_mean(name, names)
        statuses = [record.status for record in self.plugins.records]
        if failed := len(statuses) - statuses.count("ok") - statuses.count("disabled"):
            guess += f"{failed} plugin(s) could not be used: see `boxwright plugins list`. "
        if disabled := statuses.count("disabled"):
            guess += f"BOXWRIGHT_PLUGINS leaves {disabled} plugin(s) out. "
        there = f"there is: {', '.join(names)}" if names else f"no {kind} is installed"
        raise PluginNotFoundError(f"no {kind} named {name!r}", guess + there)

    def resolve(self, kind: str, name: str, attribute: str = "load") -> Any:
        """Imports and returns the object that a spec names.

        Args:
            kind: One of :data:`KINDS`.
            name: The spec's name.
            attribute: The field of the spec with ``"module:attribute"``: ``"load"``, or a format's ``"write"``.

        Raises:
            MissingLibraryError: A library that it requires is not installed; the remedy is the install command.
            PluginError: The import failed, or there is nothing of that name in the module.
        """
        entry = self.get(kind, name)
        _require_libraries(kind, entry)
        target = cast(str, getattr(entry.spec, attribute))
        module_name, _, object_name = target.partition(":")
        try:
            return getattr(importlib.import_module(module_name), object_name)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            raise PluginError(
                f"{kind} {name!r} of {entry.distribution} {entry.version} could not be imported"
                f" from {target}: {type(error).__name__}: {error}",
                "reinstall the plugin, or report this to its author",
            ) from error


def require(kind: str, entry: Registered[Any]) -> None:
    """Checks that the libraries of a spec are installed, and its separate environment.

    Raises:
        MissingLibraryError: One is not; the remedy is the install command.
        PluginError: The environment is not the one that the plugin needs.
    """
    _require_libraries(kind, entry)
    if entry.spec.environment is not None:
        from boxwright.environments.environment import Environment

        Environment(entry.spec.environment).require()


def _require_libraries(kind: str, entry: Registered[Any]) -> None:
    if missing := entry.missing:
        install = entry.spec.install or f"python -m pip install {' '.join(missing)}"
        raise MissingLibraryError(
            f"{kind} {entry.spec.name!r} needs {', '.join(missing)}, which is not installed", f"run: {install}"
        )


@cache
def default_registry() -> Registry:
    """The registry of this process; plugins are loaded at the first call."""
    return Registry(load_plugins())


def _importable(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        return False


def environments(registry: Registry | None = None) -> dict[str, Environment]:
    """Every environment that a plugin declares, by name, sorted.

    Raises:
        PluginError: Two plugins declare different ones of one name.
    """
    from boxwright.environments.environment import Environment  # not at the start of every command

    found: dict[str, Environment] = {}
    plugins = registry or default_registry()
    for entry in (entry for kind in KINDS for entry in plugins.all(kind)):
        spec: EnvironmentSpec | None = entry.spec.environment
        if spec is None:
            continue
        other = found.setdefault(spec.name, Environment(spec, entry.distribution))
        if other.spec != spec:
            raise PluginError(
                f"the environment {spec.name!r} is claimed by {other.distribution} and {entry.distribution}",
                "uninstall one of them, or name the plugins to use in BOXWRIGHT_PLUGINS",
            )
    return dict(sorted(found.items()))


def find_environment(name: str, registry: Registry | None = None) -> Environment:
    """The environment of a name.

    Raises:
        PluginNotFoundError: No plugin declares it.
    """
    declared = environments(registry)
    if name not in declared:
        there = f"there is: {', '.join(declared)}" if declared else "no installed plugin needs one"
        raise PluginNotFoundError(f"no plugin has an environment named {name!r}", there)
    return declared[name]
