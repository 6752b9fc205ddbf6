"""What ``--set weights=`` names: a run, a file, or declared weights."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from boxwright import DataError, Run, RunError, UsageError
from boxwright.models import find_all_weights, find_weights
from boxwright_kerascv import OBJECTRON, PACKAGED
from boxwright_retinanet.checkpoint import NETWORK, WEIGHTS

NONE = "none"
_STATE = "run.json"


@dataclass(frozen=True)
class Start:
    """Weights to start from.

    Attributes:
        path: A ``.weights.h5`` or ``.keras`` file of a network or its backbone.
        classes: The classes of the network, in the order of its outputs; empty if they are not known.
        backbone: The serialized backbone of the network; empty if it is not known.
    """

    path: str
    classes: tuple[str, ...] = ()
    backbone: dict[str, Any] = field(default_factory=dict)


def find_start(value: str | None, preset: str) -> Start | None:
    """Returns the weights to copy into a network; ``None`` for those of its preset, or for random ones.

    Args:
        value: The setting: a run folder, a file, a name from ``boxwright weights list``, ``"none"``, or nothing.
        preset: The preset of the new network.

    Raises:
        UsageError: The value is neither, or means the weights of another preset.
        RunError: The run has no model that this backend trained.
        MissingLibraryError: The package with the weights of the preset is not installed.
        DataError: Its file has another digest.
    """
    if value is None and preset in PACKAGED:
        find_weights(preset).require()
    if value is None and preset in OBJECTRON.presets:
        find_weights(OBJECTRON.name).converted("kerascv")
    if value is None or value == NONE:
        return None
    path = Path(value)
    if path.is_dir():
        return _of_run(Run(path), preset)
    if path.is_file():
        return _of_file(path, preset)
    declared = find_all_weights().get(value)
    spec = declared.specs.get("kerascv") if declared else None
    if spec is None:
        raise UsageError(
            f"weights={value}: neither a run, nor a file, nor a name from `boxwright weights list`",
            "check the path, or see: boxwright weights list",
        )
    if preset not in spec.presets:
        raise UsageError(f"the weights {value!r} do not match the preset {preset}", f"use: --preset {spec.presets[0]}")
    return find_start(None, preset)


def _of_run(run: Run, preset: str) -> Start:
    if run.backend != "kerascv":
        raise RunError(f"{run.path} was trained with {run.backend}", "pass a run of kerascv")
    weights = run.trained_file(WEIGHTS)
    if (other := run.config["preset"]) != preset:
        raise UsageError(f"{run.path} was trained with the preset {other}, not {preset}", f"pass --preset {other}")
    return Start(str(weights), tuple(run.label_map.names), _backbone(run))


def _of_file(path: Path, preset: str) -> Start:
    """The weights of a file; if a run contains it, the run knows its classes."""
    run = path.resolve().parent.parent
    inside = (run / WEIGHTS).resolve() == path.resolve() and (run / _STATE).is_file()
    return _of_run(Run(run), preset) if inside else Start(str(path))


def _backbone(run: Run) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(run.file(NETWORK).read_text("utf-8"))["backbone"]
    except (OSError, ValueError, KeyError, RecursionError) as error:
        raise DataError(run.file(NETWORK), f"it does not describe the network: {error!r}", "use another run") from None
    return found
