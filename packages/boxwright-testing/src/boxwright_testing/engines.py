"""Tests of an engine: what runs parts of the work elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, ClassVar

import pytest

from boxwright import DataError, Dataset, LogReporter
from boxwright.datasets import Engine, Errand, SampleReader, in_parts
from boxwright.plugins import Registered, Registry, convert_options
from boxwright_testing.samples import drawn_samples
from boxwright_testing.specs import SpecTests

_PIECES = 20
_MANY = 100_000
_SEVEN = ("seven.xml", "it is 7", "leave it out", "line 7")


def doubled(start: int, stop: int) -> list[int]:
    """Returns twice each number."""
    return [2 * number for number in range(start, stop)]


def failing(start: int, stop: int) -> list[int]:
    """Returns the numbers; 7 is an error."""
    if start <= 7 < stop:
        raise DataError(*_SEVEN)
    return [*range(start, stop)]


def names_of(dataset: Dataset) -> Iterator[str]:
    """Yields the name of each image."""
    return (sample.image.name for sample in dataset)


class EngineTests(SpecTests):
    """The rules for every engine.

    Set in the subclass:

    - ``engine``: the engine's name.
    - ``options``: its options in the tests, such as an address.
    """

    kind: ClassVar[str] = "engine"
    engine: ClassVar[str] = ""
    options: ClassVar[Mapping[str, object]] = {}

    @property
    def spec_name(self) -> str:
        """The engine's name."""
        return self.engine

    @pytest.fixture
    def made(self, registry: Registry, entry: Registered[Any]) -> Iterator[Any]:
        """The engine, as ``--engine NAME`` makes it."""
        options = convert_options(self.options, entry.spec.options, f"the engine {self.engine}")
        made = registry.resolve("engine", self.engine)(**options)
        with closing(made):
            yield made

    def test_results_are_in_the_order_of_the_pieces(self, made: Any) -> None:
        """Each piece is done, and its result is yielded once."""
        assert isinstance(made, Engine), "it has no results(work, pieces) and close()"
        pieces = [(2 * number, 2 * number + 2) for number in range(_PIECES)]
        found = [Errand.value(each) for each in made.results(Errand.of(doubled), iter(pieces))]
        assert found == [[2 * start, 2 * start + 2] for start, _ in pieces], f"the results are {found}"

    def test_pieces_are_taken_as_they_are_needed(self, made: Any) -> None:
        """Memory does not grow with the number of pieces: few are taken ahead, and closing ends the work.

        On failure: submit a few pieces for each machine, and the next one when a result is yielded.
        """
        taken = []

        def pieces() -> Iterator[tuple[int, int]]:
            for number in range(_MANY):
                taken.append(number)
                yield number, number + 1

        results = made.results(Errand.of(doubled), pieces())
        assert Errand.value(next(results)) == [0]
        assert len(taken) < _MANY / 10, f"{len(taken):,} of {_MANY:,} pieces were taken before the second result"
        results.close()
        assert [Errand.value(each) for each in made.results(Errand.of(doubled), [(3, 4)])] == [[6]], (
            "after results() was closed, it does no more work"
        )

    def test_an_error_of_the_data_arrives_unchanged(self, made: Any) -> None:
        """The error has its file, place, problem and remedy, and comes in place of the piece's result."""
        results = made.results(Errand.of(failing), iter([(0, 5), (5, 9), (9, 11)]))
        assert Errand.value(next(results)) == [0, 1, 2, 3, 4]
        with pytest.raises(DataError) as caught:
            Errand.value(next(results))
        found = caught.value
        assert (found.file, found.problem, found.remedy, found.place) == _SEVEN, f"the error became {found}"
        results.close()

    def test_a_dataset_in_parts_is_the_whole(self, made: Any, tmp_path: Path) -> None:
        """Parts of a dataset that are read elsewhere make up the dataset."""
        dataset = Dataset(SampleReader(drawn_samples(tmp_path, 7)))
        assert [*in_parts(dataset, names_of, made, LogReporter(), items=2)] == [*names_of(dataset)]
