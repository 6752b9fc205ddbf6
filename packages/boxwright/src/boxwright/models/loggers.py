"""Loggers by name: ``--log csv``, ``--log mlflow:uri=http://127.0.0.1:5000,experiment=mugs``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from boxwright.datasets.steps import parse_options
from boxwright.errors import UsageError
from boxwright.plugins.options import convert_options
from boxwright.plugins.registry import Registry
from boxwright.plugins.specs import LoggerSpec
from boxwright.text import without_secrets


def default_loggers(plugins: Registry) -> list[str]:
    """Returns the loggers of a training for which none were chosen."""
    return [entry.spec.name for entry in plugins.all("logger") if entry.spec.default and not entry.missing]


def make_loggers(steps: Sequence[str], plugins: Registry) -> dict[str, object]:
    """Builds the loggers that steps name.

    Args:
        steps: ``"csv"`` or ``"mlflow:uri=http://127.0.0.1:5000"``.
        plugins: Where they are looked up.

    Returns:
        The loggers by name, for :meth:`boxwright.plugins.LoadedPlugins.with_loggers`.

    Raises:
        PluginNotFoundError: No logger has that name.
        MissingLibraryError: A library that it requires is not installed.
        UsageError: An option is invalid or contains a secret, or a step appears twice.
    """
    made: dict[str, object] = {}
    for step in steps:
        name, _, text = step.partition(":")
        if without_secrets(step) != step:
            raise UsageError(
                f"the options of the logger {name} contain a login or a token: {without_secrets(step)}",
                "remove it, because the run folder keeps them; set it in the environment, as the library documents",
            )
        spec: LoggerSpec = plugins.get("logger", name).spec
        given = parse_options(step, name, text, spec.positional).given
        options: dict[str, Any] = convert_options(given, spec.options, f"the logger {name}")
        if f"logger {step}" in made:
            raise UsageError(f"the logger {step} appears twice", "remove one of them")
        made[f"logger {step}"] = plugins.resolve("logger", name)(**options)
    return made
