from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from boxwright import Boxes, Sample
from boxwright_testing import pictures


@pytest.fixture
def suit(everywhere: Callable[[str, object], None]) -> Callable[..., None]:
    """``suit(label=..., name=...)``: the suite's own samples with labels and names that a narrow format can hold.

    Each of the many pictures lies under its own name, too, for formats that have their sizes from there.
    """

    def changed(sample: Sample, label: Callable[[str], str], name: Callable[[str], str]) -> Sample:
        boxes = Boxes([label(each) for each in sample.boxes.labels], sample.boxes.edges, sample.boxes.attributes)
        return sample.replace(boxes=boxes, image=sample.image.model_copy(update={"name": name(sample.image.name)}))

    def patch(label: Callable[[str], str] = str, name: Callable[[str], str] = str) -> None:
        many, standard = pictures.many_samples, pictures.standard_samples

        def many_samples(folder: Path, count: int) -> Iterator[Sample]:
            for sample in many(folder, count):
                # Not by pathlib, which interns every name: the table of interned strings counts as memory.
                with open(os.path.join(folder, sample.image.name), "wb") as file:
                    file.write(sample.image.read())
                yield changed(sample, label, name)

        def standard_samples(*arguments: Any, **options: Any) -> list[Sample]:
            return [changed(sample, label, name) for sample in standard(*arguments, **options)]

        everywhere("many_samples", many_samples)
        everywhere("standard_samples", standard_samples)

    return patch


@pytest.fixture
def everywhere(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, object], None]:
    """``everywhere(name, function)``: another function of that name in every module of the suite that uses it."""

    def patch(name: str, function: object) -> None:
        for module in [module for key, module in sys.modules.items() if key.startswith("boxwright_testing.")]:
            if hasattr(module, name):
                monkeypatch.setattr(module, name, function)

    return patch
