"""Tests of an annotator: what lets a person edit the boxes of a dataset."""

from __future__ import annotations

import inspect
import threading
from typing import Any, ClassVar

import pytest

from boxwright.annotation import Annotator
from boxwright.plugins import Registered, Registry
from boxwright_testing.specs import SpecTests


class AnnotatorTests(SpecTests):
    """The rules for every annotator; they do not run it, because it waits for a person.

    Set in the subclass ``annotator``, the annotator's name.
    """

    kind: ClassVar[str] = "annotator"
    annotator: ClassVar[str] = ""

    @property
    def spec_name(self) -> str:
        """The annotator's name."""
        return self.annotator

    @pytest.fixture
    def made(self, registry: Registry, entry: Registered[Any]) -> Any:
        """The annotator without options, as ``boxwright annotate --with NAME`` makes it."""
        factory = registry.resolve("annotator", self.annotator)
        try:
            with self.offline():
                return factory()
        except TypeError as error:
            return error

    def test_it_can_be_made_without_options(self, made: Any) -> None:
        """``boxwright annotate --with NAME`` passes no options."""
        assert not isinstance(made, TypeError), f"it needs an option: {made}"

    def test_it_takes_a_session_and_a_reporter(self, made: Any) -> None:
        """Its method is called as ``annotate(session, reporter)``."""
        assert isinstance(made, Annotator | TypeError), "it has no method annotate(session, reporter)"
        parameters = list(inspect.signature(made.annotate).parameters) if isinstance(made, Annotator) else ["", ""]
        assert len(parameters) == 2, f"annotate has the parameters {parameters}, not a session and a reporter"

    def test_making_it_starts_nothing(self, made: Any) -> None:
        """Threads and servers start in ``annotate``, after the dataset was read."""
        before = threading.active_count()
        if not isinstance(made, TypeError):
            type(made)()
        assert threading.active_count() == before, "making it starts a thread"
