"""Finds plugins, and keeps a failing one from taking anything else with it.

Entry points are loaded one by one; a plugin that fails is kept as a record and is not raised.
``BOXWRIGHT_PLUGINS=voc,csv`` loads only the entry points of these names; ``BOXWRIGHT_STRICT=1`` raises what would
otherwise be contained.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Generator, Mapping
from copy import copy
from dataclasses import dataclass, field
from functools import cache, cached_property, partial
from importlib.metadata import EntryPoint, entry_points
from types import FunctionType, ModuleType
from typing import Any, Literal

import pluggy

from boxwright._version import __version__
from boxwright.errors import PluginError
from boxwright.plugins import builtin, hookspecs
from boxwright.plugins.checks import wrong_field
from boxwright.plugins.specs import API_VERSION, KINDS, Spec
from boxwright.progress import logger
from boxwright.text import without_secrets

GROUP = "boxwright"
_NAME = re.compile(r"[a-z][a-z0-9._-]+")  # one letter before a colon is a Windows drive


@dataclass
class PluginRecord:
    """The state of one plugin.

    ``status`` is ``"ok"``, ``"failed"`` (its import or a hook raised), ``"incompatible"`` (written for another API
    version) or ``"disabled"`` (left out by ``BOXWRIGHT_PLUGINS``); ``cause`` says why in one line. ``specs`` are those
    that its hooks returned, each with its kind.
    """

    name: str
    distribution: str
    version: str
    module: str
    status: str = "ok"
    cause: str = ""
    specs: list[tuple[str, Spec]] = field(default_factory=list)

    @property
    def registered_name(self) -> str:
        """The name that pluggy knows it by."""
        return f"{self.name} ({self.module})"


class InstalledPlugin(PluginRecord):
    """The record of an entry point; the metadata of its distribution is read when someone asks for it.

    Args:
        point: The entry point.
    """

    def __init__(self, point: EntryPoint) -> None:
        self.point = point
        self.name, self.module = point.name, point.value
        self.status, self.cause, self.specs = "ok", "", []

    @cached_property
    def distribution(self) -> str:  # type: ignore[override]  # like an attribute, it can be set
        """The name of the distribution that declares the entry point."""
        return self._metadata("name") or "unknown"

    @cached_property
    def version(self) -> str:  # type: ignore[override]
        """The version of this distribution."""
        return self._metadata("version")

    def _metadata(self, name: Literal["name", "version"]) -> str:
        try:
            distribution = self.point.dist
            assert distribution is not None
            return str((distribution.name if name == "name" else distribution.version) or "")
        except Exception:  # its metadata is damaged or gone
            return ""


class _Manager(pluggy.PluginManager):
    """A manager that looks at the functions of a module only; nothing else in it can implement a hook.

    To look at all names of a module, its imports included, takes longer than the rest of the registration.
    """

    def parse_hookimpl_opts(self, plugin: object, name: str) -> Any:
        """Returns the options of a hook implementation; ``None`` if it is none."""
        if isinstance(plugin, ModuleType) and not isinstance(vars(plugin).get(name), FunctionType):
            return None
        return super().parse_hookimpl_opts(plugin, name)


class LoadedPlugins:
    """The pluggy manager with every plugin that loaded, and a record of every one that was seen.

    The hooks that return specs are historic: a plugin contributes its specs when it is registered, at start or later.

    Attributes:
        manager: The pluggy manager.
        records: One record per plugin, boxwright's own first.
    """

    def __init__(self) -> None:
        self.manager = _Manager("boxwright")
        self.manager.add_hookspecs(hookspecs)
        self.records: list[PluginRecord] = []
        self._found: list[tuple[str, Any]] = []  # what the hooks of the plugin that is being registered returned
        self._warned: set[tuple[str, str]] = set()
        for kind in KINDS:
            self.manager.hook.__dict__[f"boxwright_{kind}s"].call_historic(partial(self._collect, kind), {})
        self.register(builtin, PluginRecord("boxwright", "boxwright", __version__, builtin.__name__))

    @property
    def hook(self) -> Any:
        """The event hooks, to be called by name: ``plugins.hook.boxwright_epoch_ended(run=..., ...)``.

        Every plugin's implementation is called. One that fails is reported once as a warning, and does not stop the
        others or the caller.
        """
        return self.manager.hook

    def register(self, plugin: object, record: PluginRecord) -> None:
        """Adds a plugin, and its record with the specs that its hooks return.

        Args:
            plugin: A module, or any object, whose attributes are hook implementations.
            record: Names the plugin; its status and cause are set where the plugin fails.

        Raises:
            PluginError: Only under ``BOXWRIGHT_STRICT=1``: the plugin failed.
        """
        self.records.append(record)
        name = record.registered_name
        self._found.clear()
        try:
            self.manager.register(plugin, name=name)
            self.manager.check_pending()  # a hook that does not exist would never be called
            record.specs += self._checked_specs(plugin)
            self._contain_events(plugin, name)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            if self.manager.has_plugin(name):
                self.manager.unregister(name=name)
            self._fail(record, error)

    def load(self, point: EntryPoint) -> None:
        """Imports the module of an entry point and registers it.

        Raises:
            PluginError: Only under ``BOXWRIGHT_STRICT=1``: the plugin failed or is incompatible.
        """
        record = InstalledPlugin(point)
        try:
            module = point.load()
            problem = _incompatibility(module)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            self.records.append(record)
            self._fail(record, error)
            return
        if problem:
            self.records.append(record)
            self._fail(record, problem, "incompatible")
        else:
            self.register(module, record)

    def skip(self, point: EntryPoint, cause: str) -> None:
        """Records an entry point that is not loaded."""
        record = InstalledPlugin(point)
        record.status, record.cause = "disabled", cause
        self.records.append(record)

    def with_loggers(self, loggers: Mapping[str, object], warn: Callable[[str], None]) -> LoadedPlugins:
        """Returns these plugins together with loggers, whose event hooks are called as well: those of one training.

        A logger that fails is reported once. Afterwards it receives only how the training ended.

        Args:
            loggers: Objects whose methods implement event hooks, by name.
            warn: Receives the report.

        Raises:
            PluginError: A logger implements a hook that does not exist.
        """
        together = copy(self)
        together.manager = _Manager("boxwright")
        together.manager.add_hookspecs(hookspecs)
        together._warned = set()
        for name, plugin in self.manager.list_name_plugin():
            together.manager.register(plugin, name)
            if plugin is not builtin:
                together._contain_events(plugin, name)
        for name, each in loggers.items():
            together.manager.register(each, name)
            try:
                together.manager.check_pending()
            except pluggy.PluginValidationError as error:
                raise PluginError(f"{name}: {error}") from None
            failed = _Failed(name, warn)
            for caller in together.manager.get_hookcallers(each) or ():
                for implementation in caller.get_hookimpls():
                    if implementation.plugin is each:
                        implementation.function = failed.contain(implementation.function, caller.name)  # type: ignore[misc]
        return together

    def _collect(self, kind: str, specs: Any) -> None:
        self._found.append((kind, specs))

    def _checked_specs(self, plugin: object) -> list[tuple[str, Spec]]:
        """The specs of the plugin that was registered last."""
        answered = {f"boxwright_{kind}s" for kind, _ in self._found}
        for caller in self.manager.get_hookcallers(plugin) or ():
            if caller.is_historic() and caller.name not in answered:
                raise TypeError(f"{caller.name} returned None, which is not a list of specs")
        checked = []
        for kind, specs in self._found:
            if not isinstance(specs, list | tuple):
                raise TypeError(f"boxwright_{kind}s returned {specs!r:.80}, which is not a list of specs")
            for spec in specs:
                if not isinstance(spec, KINDS[kind]):
                    raise TypeError(f"boxwright_{kind}s returned {spec!r}, which is not a {KINDS[kind].__name__}")
                if problem := wrong_field(spec):
                    raise TypeError(f"boxwright_{kind}s returned the {kind} {spec.name!r:.40}: {problem}")
                if not _NAME.fullmatch(spec.name):
                    raise ValueError(f"{kind} {spec.name!r}: a name is two or more of a-z, 0-9, '.', '_', '-'")
                checked.append((kind, spec))
        return checked

    def _contain_events(self, plugin: object, name: str) -> None:
        for caller in self.manager.get_hookcallers(plugin) or ():
            for implementation in caller.get_hookimpls():
                if implementation.plugin is plugin and not caller.is_historic():
                    contain = self._contained_wrapper if implementation.wrapper else self._contained
                    implementation.function = contain(implementation.function, (name, caller.name))  # type: ignore[misc]

    def _contained(self, function: Callable[..., Any], where: tuple[str, str]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            try:
                return function(*arguments)
            except KeyboardInterrupt:
                raise
            except BaseException as error:
                return self._warn(where, error)

        return call

    def _contained_wrapper(self, function: Callable[..., Any], where: tuple[str, str]) -> Callable[..., Any]:
        def wrap(*arguments: Any) -> Generator[None, Any, Any]:
            wrapper = function(*arguments)
            try:
                next(wrapper)
            except KeyboardInterrupt:
                raise
            except BaseException as error:
                self._warn(where, error)
                return (yield)
            result = yield
            try:
                wrapper.send(result)
            except StopIteration as stop:
                return stop.value
            except KeyboardInterrupt:
                raise
            except BaseException as error:
                self._warn(where, error)
            return result

        return wrap

    def _warn(self, where: tuple[str, str], error: BaseException) -> None:
        if strict():
            raise error
        if where not in self._warned:
            self._warned.add(where)
            logger().warning("plugin %s: %s failed: %r", *where, error)

    def _fail(self, record: PluginRecord, cause: BaseException | str, status: str = "failed") -> None:
        record.status, record.cause = status, cause if isinstance(cause, str) else _describe(cause)
        if strict():
            problem = f"plugin {record.name} ({record.distribution} {record.version}): {record.cause}"
            raise PluginError(problem) from (cause if isinstance(cause, BaseException) else None)


class _Failed:
    """Whether a logger has failed.

    Args:
        name: The logger's name.
        warn: Receives the report of the first failure.
    """

    def __init__(self, name: str, warn: Callable[[str], None]) -> None:
        self._name, self._warn = name, warn
        self._failed = False

    def contain(self, function: Callable[..., Any], event: str) -> Callable[..., Any]:
        """Returns an event hook that never raises, and is not called after a failure unless the training has ended."""

        def call(*arguments: Any) -> None:
            if self._failed and event != "boxwright_run_ended":
                return
            try:
                function(*arguments)
            except KeyboardInterrupt:
                raise
            except BaseException as error:
                if strict():
                    raise
                if not self._failed:
                    self._warn(
                        f"the {self._name} failed, and logs nothing more of this training: "
                        f"{without_secrets(_describe(error))}"
                    )
                self._failed = True

        return call


def strict() -> bool:
    """Whether ``BOXWRIGHT_STRICT`` asks for contained failures to be raised."""
    return os.environ.get("BOXWRIGHT_STRICT", "") not in ("", "0")


@cache
def load_plugins() -> LoadedPlugins:
    """Loads every installed plugin, once per process.

    Raises:
        PluginError: Only under ``BOXWRIGHT_STRICT=1``: a plugin failed or is incompatible.
    """
    plugins = LoadedPlugins()
    allowed = os.environ.get("BOXWRIGHT_PLUGINS")
    names = None if allowed is None else {name.strip() for name in allowed.split(",") if name.strip()}
    for point in sorted(entry_points(group=GROUP), key=lambda point: (point.name, point.value)):
        if names is None or point.name in names:
            plugins.load(point)
        else:
            plugins.skip(point, "not named in BOXWRIGHT_PLUGINS")
    return plugins


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
    return f"written for plugin API {oldest} to {newest}; this boxwright supports {API_VERSION}"


def _describe(error: BaseException) -> str:
    """An error in one line, for a plugin's record."""
    return " ".join(f"{type(error).__name__}: {error}".split())[:300]
