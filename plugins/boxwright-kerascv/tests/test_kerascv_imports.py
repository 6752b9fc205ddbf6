"""Listing the plugin imports no framework, and its specs match the code."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("tensorflow")

import boxwright_kerascv
import boxwright_retinanet
from boxwright import MissingLibraryError, train
from boxwright.datasets import Dataset
from boxwright.models import DecoderSettings
from boxwright.plugins import default_registry
from boxwright_kerascv.keras_layers import KerasAugmenter
from boxwright_retinanet.augment import AUGMENTERS
from boxwright_retinanet.mix import MIXING
from boxwright_retinanet.options import DECODER_OPTIONS, RECIPE_OPTIONS
from boxwright_retinanet.recipe import Recipe

pytestmark = pytest.mark.tensorflow

ALL: dict[str, Any] = {**AUGMENTERS, **MIXING, "keras": KerasAugmenter}
SPECS = [*boxwright_retinanet.boxwright_augmenters(), *boxwright_kerascv.boxwright_augmenters()]

_CHECK = """
import sys, boxwright_kerascv, boxwright_retinanet
assert boxwright_kerascv.boxwright_backends()[0].presets
assert len(boxwright_kerascv.boxwright_augmenters()) == 1
assert len(boxwright_retinanet.boxwright_augmenters()) == 15
heavy = {"tensorflow", "keras", "keras_cv", "numpy", "PIL", "pydantic"} & set(sys.modules)
assert not heavy, heavy
import boxwright_retinanet.recipe, boxwright_retinanet.anchors, boxwright_retinanet.augment, boxwright_retinanet.mix
heavy = {"tensorflow", "keras", "keras_cv"} & set(sys.modules)
assert not heavy, heavy
"""


def test_the_plugin_module_imports_nothing_heavy() -> None:
    done = subprocess.run([sys.executable, "-c", _CHECK], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_listed_augmenters_are_the_available_ones() -> None:
    assert {spec.name for spec in SPECS} == set(ALL)
    for name, make in ALL.items():
        assert default_registry().resolve("augmenter", name) is make


@pytest.mark.parametrize("library", ["tensorflow", "keras_cv"])
def test_the_error_for_a_missing_library_contains_the_install_command(
    drawn: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, library: str
) -> None:
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name == library else find_spec(name, *rest)
    )
    with pytest.raises(MissingLibraryError, match=library) as caught:
        train(drawn, out=tmp_path / "run", backend="kerascv")
    assert 'python -m pip install "boxwright-kerascv[cpu]"' in caught.value.remedy
    assert "boxwright-kerascv[cuda]" in caught.value.remedy
    assert not (tmp_path / "run").exists()


PRESETS_DECIDE = ("freeze_levels", "freeze_statistics")
DEPENDENT = (
    "steps",
    "learning_rate",
    "pixel_budget",
    "oversample",
    "first_level",
    "max_detections",
    "pre_nms",
    *PRESETS_DECIDE,
)
"""The options whose default depends on the data or the preset."""


def test_the_readme_lists_every_preset_option_and_augmenter_with_its_default() -> None:
    text = (Path(__file__).resolve().parents[1] / "README.md").read_text("utf-8")
    table = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("| `")]
    names = {name for row in table for name in re.findall("`([^`]+)`", row[0])}
    assert set(boxwright_kerascv.PRESETS) <= names
    assert set(ALL) <= names
    rows = {row[0].strip("`"): row[1] for row in table}
    defaults = {field.name: field.default for field in (*fields(Recipe), *fields(DecoderSettings))}
    for option in (boxwright_kerascv.NETWORK, *RECIPE_OPTIONS, *DECODER_OPTIONS):
        stated = rows[option.name]
        if option.name not in DEPENDENT:
            default = defaults[option.name]
            text_of = ",".join(map(str, default)) if isinstance(default, tuple) else str(default).lower()
            assert stated == text_of, option.name
    assert {option.name for option in boxwright_kerascv.OTHER_OPTIONS} <= set(rows)
    for spec in SPECS:
        row = next(line for line in text.splitlines() if line.startswith(f"| `{spec.name}` |"))
        for option in spec.options[1:]:
            default = next(field.default for field in fields(ALL[spec.name]) if field.name == option.name)  # type: ignore[arg-type]
            assert f"`{option.name}`" in row
            assert str(default) in row
