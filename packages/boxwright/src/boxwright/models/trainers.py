"""Trainers by name: ``--trainer mirrored:devices=2``."""

from __future__ import annotations

from typing import Any

from boxwright.datasets.steps import parse_options
from boxwright.errors import PluginNotFoundError
from boxwright.models.protocols import Trainer
from boxwright.plugins.options import convert_options
from boxwright.plugins.registry import Registry
from boxwright.plugins.specs import TrainerSpec

_DISTRIBUTED = ("mirrored", "multiworker")
"""The trainers of boxwright-trainers; ``--workers`` chooses one of them without naming it."""


def check_trainer(step: str, plugins: Registry) -> dict[str, Any]:
    """Returns the options of a trainer that a step such as ``"mirrored:devices=2"`` names, without importing it.

    Raises:
        PluginNotFoundError: No trainer has that name.
        UsageError: An option is invalid.
    """
    name, _, text = step.partition(":")
    if name in _DISTRIBUTED and name not in plugins.names("trainer"):
        raise PluginNotFoundError(
            f"the trainer {name} is not installed", "run: python -m pip install boxwright-trainers"
        )
    spec: TrainerSpec = plugins.get("trainer", name).spec
    given = parse_options(step, name, text, spec.positional).given
    return convert_options(given, spec.options, f"the trainer {name}")


def make_trainer(step: str, plugins: Registry) -> Trainer:
    """Builds the trainer that a step names.

    Raises:
        PluginNotFoundError: No trainer has that name.
        MissingLibraryError: A library that it requires is not installed.
        UsageError: An option is invalid.
    """
    options = check_trainer(step, plugins)
    trainer: Trainer = plugins.resolve("trainer", step.partition(":")[0])(**options)
    return trainer
