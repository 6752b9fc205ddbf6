"""Engines by name: ``--engine ray``, ``--engine ray:address=10.0.0.1:6379,cpus=2``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from boxwright.datasets.protocols import Engine
from boxwright.datasets.steps import parse_options
from boxwright.plugins.options import convert_options
from boxwright.plugins.registry import Registry
from boxwright.plugins.specs import EngineSpec


@contextmanager
def opened_engine(engine: str | Engine | None, plugins: Registry) -> Iterator[Engine | None]:
    """A context manager that makes an engine, and closes it at the end.

    Args:
        engine: ``"ray"`` or ``"ray:address=10.0.0.1:6379"``; an empty text or ``None`` for none. An engine that was
            made before is returned unchanged and stays open.
        plugins: Where it is looked up.

    Raises:
        PluginNotFoundError: No engine has that name.
        MissingLibraryError: A library that it requires is not installed.
        UsageError: An option is invalid.
        EngineError: Its machines cannot be reached.
    """
    if not isinstance(engine, str):
        yield engine
        return
    if not engine:
        yield None
        return
    name, options = engine_options(engine, plugins)
    made: Engine = plugins.resolve("engine", name)(**options)
    try:
        yield made
    finally:
        made.close()


def engine_options(engine: str, plugins: Registry) -> tuple[str, Mapping[str, Any]]:
    """Returns the name and the options of an engine.

    Raises:
        PluginNotFoundError: No engine has that name.
        UsageError: An option is invalid.
    """
    name, _, text = engine.partition(":")
    spec: EngineSpec = plugins.get("engine", name).spec
    given = parse_options(engine, name, text, "").given
    return name, convert_options(given, spec.options, f"the engine {name}")
