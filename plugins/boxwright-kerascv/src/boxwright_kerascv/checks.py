"""Checks of a training's settings that take no framework: they run before the data is read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from boxwright import UsageError
from boxwright.plugins import AugmenterSpec, convert_options, default_registry
from boxwright_kerascv.recipe import Recipe


def check(config: Mapping[str, Any], *, held_out: bool) -> None:
    """Checks what the options of the backend cannot declare.

    Args:
        config: The configuration of the training.
        held_out: Whether there is validation data.

    Raises:
        UsageError: A setting requires validation data, or an augmenter is unknown or has a wrong option.
    """
    settings = config["settings"]
    early_stopping, plateau = settings.get("early_stopping", 0), settings.get("schedule") == "plateau"
    for needed, what in ((early_stopping, "early stopping"), (plateau, "schedule=plateau")):
        if needed and not held_out:
            raise UsageError(f"{what} requires validation images", "pass --val, or remove the setting")
    if "milestones" in settings:
        try:
            Recipe(config["preset"], 32, 32, 1, 1, 1).with_settings({"milestones": settings["milestones"]})
        except ValueError as error:
            raise UsageError(str(error), "set increasing fractions, such as milestones=0.67,0.89") from None
    list(augmenter_steps(config["augment"] or ()))


def augmenter_steps(steps: Sequence[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yields the name and the options of each step, such as ``crop`` or ``crop:smallest=0.4,probability=1``.

    Raises:
        UsageError: An augmenter does not work with this backend, or has no such option.
        PluginNotFoundError: An augmenter is unknown.
    """
    plugins = default_registry()
    for step in steps:
        name, _, text = step.partition(":")
        spec: AugmenterSpec = plugins.get("augmenter", name).spec
        if spec.backends and "kerascv" not in spec.backends:
            raise UsageError(f"the augmenter {name!r} does not work with kerascv", "remove it")
        given = dict(part.partition("=")[::2] for part in text.split(",") if part)
        yield name, convert_options(given, spec.options, f"--augment {step}")
