"""The defaults of a training by preset; no framework is imported."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from boxwright_kerascv import OBJECTRON, PACKAGED
from boxwright_retinanet import recipe
from boxwright_retinanet.recipe import FROM_SCRATCH, PRETRAINED, TINY, Defaults, Recipe

_LITE = Defaults(steps=400, epochs=6, learning_rate=1e-3, freeze_levels=3, freeze_statistics=True)
_DEFAULTS = {
    "tiny": TINY,
    **dict.fromkeys(("resnet18", "resnet50"), FROM_SCRATCH),
    **dict.fromkeys(PACKAGED, _LITE),
    **dict.fromkeys(OBJECTRON.presets, replace(_LITE, pixel_budget=66_000, freeze_levels=2)),
}


def default_recipe(preset: str, **data: Any) -> Recipe:
    """Returns :func:`boxwright_retinanet.recipe.default_recipe` of a preset."""
    return recipe.default_recipe(preset, _DEFAULTS.get(preset, PRETRAINED), **data)
