"""Tests of what the options of a format's writer change in what a written dataset holds."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from boxwright import Sample
from boxwright.registry import Registered, Registry
from boxwright.specs import FormatSpec
from boxwright_testing.comparison import observed_losses
from boxwright_testing.formats import FormatTests
from boxwright_testing.pictures import BOX_EXAMPLES, standard_samples

_SHIFTED = 1e-9
"""Pixels by which an edge may be off where 1 was added and taken off again."""


class WriterOptionTests(FormatTests):
    """What a writer's options change; part of ``WriterTests``."""

    def option_values(self, spec: FormatSpec) -> Iterator[tuple[str, str]]:
        """Each option of the writer with each value that is tried, on its own.

        Those with true and false or a few words, and those that say what a value changes. Override it to leave out a
        value that needs another beside it, and put that to a class of its own by ``write_options``.
        """
        for option in spec.write_options:
            values = dict.fromkeys(option.carries)
            if option.type is bool:
                values |= dict.fromkeys(("false", "true"))
            elif isinstance(option.type, tuple):
                values |= dict.fromkeys(option.type)
            default = str(option.default).lower() if isinstance(option.default, bool) else str(option.default)
            yield from ((option.name, value) for value in values if value != default)

    def test_what_an_option_changes_is_as_declared(
        self, registry: Registry, entry: Registered[Any], tmp_path: Path
    ) -> None:
        """With each value of a writer's option, what is said to be dropped is what is missing after reading back.

        On failure: say in the option's ``carries`` what a written dataset holds more or less with that value:
        ``Option("scores", bool, False, "...", carries={"true": "+box.score"})``.
        """
        plain: FormatSpec = entry.spec
        self.need(plain, "write", "load")
        wrong = []
        values = list(self.option_values(plain))
        if not values:
            pytest.skip(f"the writer of {self.format} has no option that takes one of a few values")
        for name, value in values:
            folder = tmp_path / f"{name}-{value}"
            always = self.write_options(folder / "pictures")
            if name in always:
                continue
            self._tried = MappingProxyType({name: value})
            spec = self.written_with(plain, {**always, name: value})
            wrong += [f"with {name}={value}, {what}" for what in self._wrong(registry, spec, folder)]
        assert not wrong, "\n".join(wrong)

    def _wrong(self, registry: Registry, spec: FormatSpec, folder: Path) -> Iterator[str]:
        """What is declared otherwise than it is found."""
        pictures, location = folder / "pictures", self.location(spec, folder / "out")
        samples = self._samples(spec, pictures)
        losses = self.write(registry, samples, location, pictures).losses
        tolerance = max(self.tolerance, _SHIFTED)
        found = observed_losses(samples, list(self.open(registry, location, pictures)), tolerance)
        said = losses.dropped + losses.changed
        if dict(found) != dict(said):
            yield f"said to be lost: {dict(said)}, found missing: {dict(found)}"
        bytes_of_one = samples[0].image.read()
        held = any(bytes_of_one in _content(path) for path in (folder / "out").rglob("*") if path.is_file())
        if held != ("images" in spec.carries):
            yield f"the pictures are {'' if held else 'not '}in the files that were written"

    def _samples(self, spec: FormatSpec, pictures: Path) -> list[Sample]:
        """With every attribute that the schemas name. Splits only where they are kept: some writers refuse them."""
        samples = standard_samples(
            pictures,
            frozenset({"empty", "subpixel"}) | (spec.carries & {"split"}),
            labels=self.labels,
            subfolders=self.subfolders,
            box_attributes={**BOX_EXAMPLES, **self.attributes(spec, "box."), "boxwright_test": "x"},
            image_attributes={**self.attributes(spec, "image."), "boxwright_test": "x"},
        )
        return [sample if sample.boxes or "empty" in spec.carries else sample.replace(split=None) for sample in samples]


def _content(path: Path) -> bytes:
    content = path.read_bytes()
    return gzip.decompress(content) if content.startswith(b"\x1f\x8b") else content
