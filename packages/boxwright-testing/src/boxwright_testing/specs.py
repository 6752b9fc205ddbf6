"""Tests of what a plugin says of itself, the same for every kind."""

from __future__ import annotations

import inspect
import json
import os
import pickle
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import cache
from types import ModuleType
from typing import Any, ClassVar, cast

import pytest

from boxwright import BoxwrightError, UsageError
from boxwright.environments import Environment
from boxwright.plugins import (
    IMAGES,
    LoadedPlugins,
    Option,
    PluginRecord,
    Registered,
    Registry,
    convert_options,
    default_registry as installed_registry,
)
from boxwright_testing.sandbox import check_network, no_network

HEAVY = ("PIL", "cv2", "keras", "keras_cv", "matplotlib", "numpy", "pandas", "scipy", "tensorflow", "torch")
"""Libraries that must not be imported by listing plugins: ``boxwright --help`` must answer at once."""

_LIST = """
import importlib, json, sys
heavy = sys.argv[2].split(",")
before = set(sys.modules)
module = importlib.import_module(sys.argv[1])
specs = [spec for name in dir(module) if name.startswith("boxwright_") and name.endswith("s")
         and callable(getattr(module, name)) for spec in getattr(module, name)()]
print(json.dumps({"specs": len(specs), "heavy": [name for name in heavy if name in set(sys.modules) - before]}))
"""


def registry_of(module: ModuleType, name: str = "", distribution: str = "") -> Registry:
    """A registry with one plugin module and boxwright's own plugins, for tests without installing it.

    Args:
        module: The plugin: a module (or any object with a ``__name__``) that implements hooks.
        name: Of its entry point; the module's name by default.
        distribution: The distribution to name in messages.
    """
    name = name or module.__name__
    plugins = LoadedPlugins()
    plugins.register(module, PluginRecord(name, distribution or name, "0", module.__name__))
    return Registry(plugins)


def check_answer(error: BoxwrightError, *names: str, where: str = "") -> None:
    """Checks that an error is an answer: it names the problem, has a remedy, and can be pickled.

    Args:
        error: What was raised.
        names: Texts that it must contain.
        where: Which of several cases this is, for the failure.
    """
    case = f"{where}: " if where else ""
    for name in names:
        assert name in str(error), f"{case}the error does not name {name}: {error}"
    assert error.remedy, f"{case}the error does not say what to do: {error}"
    try:
        copy = pickle.loads(pickle.dumps(error))  # noqa: S301 (our own bytes)
    except Exception as failure:
        raise AssertionError(f"{case}the error cannot travel between processes ({failure}): {error}") from failure
    assert str(copy) == str(error), f"{case}on its way between processes the error became: {copy}"


def fresh_environment() -> dict[str, str]:
    """The environment of a fresh process that imports what this one can."""
    return os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}


@cache
def _listed(module: str) -> dict[str, Any]:
    """What listing a plugin does in a fresh process: the same for all of its specs, so once a plugin."""
    command = [sys.executable, "-c", _LIST, module, ",".join(HEAVY)]
    done = subprocess.run(command, capture_output=True, text=True, env=fresh_environment(), check=False)
    assert done.returncode == 0, f"importing {module} in a fresh process failed:\n{done.stderr}"
    return cast("dict[str, Any]", json.loads(done.stdout))


def missing_requirement(entry: Registered[Any]) -> str:
    """What a plugin needs that is not installed, and how to install it; empty if nothing is missing."""
    if entry.missing:
        return f"needs {', '.join(entry.missing)}: {entry.spec.install}"
    environment = entry.spec.environment
    if environment is not None and Environment(environment).status != "installed":
        return f"needs the environment {environment.name}: boxwright env install {environment.name}"
    return ""


class SpecTests:
    """The rules for every spec; the base of the other classes.

    A plugin that is not installed overrides the fixture :meth:`registry`. While the tests run, only this machine can
    be reached; a plugin that is of no use without network, and tells its users so, sets ``needs_network``.
    """

    kind: ClassVar[str] = ""
    """The kind of plugin, as in :data:`boxwright.plugins.KINDS`."""

    needs_network: ClassVar[bool] = False

    @pytest.fixture(autouse=True)
    def _switched_off(self) -> Iterator[None]:
        """Lets no test wait for another machine."""
        with nullcontext() if self.needs_network else no_network():
            yield

    @contextmanager
    def offline(self) -> Iterator[None]:
        """Checks that what runs inside asks nothing of other machines, and hides no failed attempt."""
        if self.needs_network:
            yield
            return
        with no_network() as tried:
            yield
        check_network(tried)

    @property
    def spec_name(self) -> str:
        """The name under which the plugin is registered."""
        raise NotImplementedError

    @pytest.fixture
    def registry(self) -> Registry:
        """The plugins to test among; the installed ones. Override it with :func:`registry_of` for another."""
        return installed_registry()

    @pytest.fixture
    def entry(self, registry: Registry) -> Registered[Any]:
        """The spec under test; skips where a library, or the environment, that it requires is not installed."""
        found = registry.get(self.kind, self.spec_name)
        if missing := missing_requirement(found):
            pytest.skip(f"{self.kind} {self.spec_name} {missing}")
        return found

    def _roles(self, entry: Registered[Any]) -> list[tuple[str, tuple[Option, ...]]]:
        """The fields that name a factory, each with the options it takes."""
        return [("load", entry.spec.options)]

    def test_the_spec_tells_a_user_what_it_is(self, entry: Registered[Any]) -> None:
        """Lists show name and summary: the name is typed by users, so lower case; the summary is one short line."""
        spec = entry.spec
        assert re.fullmatch(r"[a-z0-9][a-z0-9_.-]*", spec.name), f"{spec.name!r}: lower case letters, digits, - _ ."
        assert spec.summary, "give the spec a summary: one line for `boxwright plugins list`"
        assert "\n" not in spec.summary, "the summary must be one line"
        assert len(spec.summary) <= 120, f"the summary is {len(spec.summary)} letters long; 120 fit into a list"
        assert not spec.requires or spec.install, "a spec that requires libraries says the command that installs them"

    def test_the_spec_is_picklable(self, entry: Registered[Any]) -> None:
        """Specs travel to worker processes."""
        copy = pickle.loads(pickle.dumps(entry.spec))  # noqa: S301 (our own bytes)
        assert copy == entry.spec, "the spec changed when it was pickled"

    def test_what_the_spec_names_can_be_imported(self, registry: Registry, entry: Registered[Any]) -> None:
        """``load`` (and ``write``, ``detect``) name a callable as ``"module:attribute"``."""
        for field, _ in self._roles(entry):
            assert callable(registry.resolve(self.kind, self.spec_name, field)), f"{field} names nothing callable"

    def test_options_are_described(self, entry: Registered[Any]) -> None:
        """Option names are lower case with underscores, unique, have help and a default of the declared type."""
        for field, options in self._roles(entry):
            names = [option.name for option in options]
            assert len(set(names)) == len(names), f"duplicate option of {field}: {names}"
            for option in options:
                assert re.fullmatch(r"[a-z][a-z0-9_]*(\.\*)?", option.name), (
                    f"option {option.name!r}: lower case, underscores"
                )
                assert option.help, f"option {option.name!r} has no help"
                if option.default is not None:
                    given = {option.name: option.default}
                    required = tuple(o for o in options if o.name == option.name)
                    converted = convert_options(given, required, "the default")[option.name]
                    assert converted == option.default, (
                        f"the default {option.default!r} of {option.name!r} becomes {converted!r} when written out"
                    )

    def test_the_factory_takes_its_options(self, registry: Registry, entry: Registered[Any]) -> None:
        """Every declared option is a parameter of the factory, with the default that the spec declares."""
        for field, options in self._roles(entry):
            parameters = inspect.signature(registry.resolve(self.kind, self.spec_name, field)).parameters
            open_ended = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values())
            for option in options:
                if option is IMAGES:  # boxwright itself does its work
                    continue
                if option.name.endswith(".*"):  # of many names, which only an open-ended factory can take
                    assert open_ended, f"{field} takes no options of any name, as {option.name!r} says"
                    continue
                parameter = parameters.get(option.name)
                assert parameter is not None or open_ended, f"{field} has no parameter {option.name!r}"
                if parameter is None or option.default is None or parameter.default is inspect.Parameter.empty:
                    continue
                if type(parameter.default) is type(option.default):
                    assert parameter.default == option.default, (
                        f"option {option.name!r}: the spec says the default is {option.default!r},"
                        f" the factory's is {parameter.default!r}"
                    )

    def test_an_unknown_option_is_a_usage_error(self, entry: Registered[Any]) -> None:
        """A mistyped option must not be ignored."""
        for _, options in self._roles(entry):
            with pytest.raises(UsageError, match="no_such_option"):
                convert_options({"no_such_option": "1"}, options, self.spec_name)

    def test_listing_the_plugin_imports_nothing_heavy(self, registry: Registry, entry: Registered[Any]) -> None:
        """The module of the entry point imports only what its specs need, in a fresh process.

        On failure: move the import that is named into the module that ``load`` points to.
        """
        record = next(
            record
            for record in registry.plugins.records
            if any(kind == self.kind and spec is entry.spec for kind, spec in record.specs)
        )
        answer = _listed(record.module)
        assert answer["specs"], f"{record.module} returned no spec in a fresh process"
        assert not answer["heavy"], f"{record.module} imports {', '.join(answer['heavy'])} when it is only listed"
