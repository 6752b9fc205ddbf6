"""What earlier runs of recipes left: for each step its options, inputs and outputs, in ``.boxwright/cache.json``."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import IO, Any, Final

from boxwright import OutputError
from boxwright.storage import take, write_atomically
from boxwright_cli.recipes.contents import Listing, difference, overlaps

FOLDER: Final = Path(".boxwright")
_LAYOUT: Final = 2
_POLL_SECONDS: Final = 0.2


@dataclass(frozen=True)
class State:
    """What decides the result of a step.

    Attributes:
        command: Its command.
        options: The values of its arguments and options, with defaults.
        versions: The versions of boxwright and of the plugins that it uses, by their names.
        inputs: The files of each input that no step makes.
        after: The digest of the outputs of each step that makes one of its inputs, by the step's name and its places.
    """

    command: str = ""
    options: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    inputs: dict[str, Listing] = field(default_factory=dict)
    after: dict[str, str] = field(default_factory=dict)

    def changes(self, now: State) -> list[str]:
        """Returns the differences from another state, in words; empty if they are equal."""
        if self.command != now.command:
            return [f"the command was {self.command}"]
        found = [
            f"{key}: {_shown(self.options.get(key))} -> {_shown(now.options.get(key))}"
            for key in {**self.options, **now.options}
            if self.options.get(key) != now.options.get(key)
        ]
        for name in {**self.versions, **now.versions}:
            before, after = self.versions.get(name), now.versions.get(name)
            if before != after:
                found.append(f"{name}: version {before or 'unknown'} -> {after or 'none'}")
        for key in {**self.inputs, **now.inputs}:
            if words := difference(self.inputs.get(key, {}), now.inputs.get(key, {})):
                found.append(f"{key}: {words}")
        for label in {**self.after, **now.after}:
            if self.after.get(label) != now.after.get(label):
                found.append(f"the output of {label} is another one")
        return found

    @property
    def digest(self) -> str:
        """Tells apart the entries of a step with other options."""
        content = json.dumps([self.command, self.options], sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Entry:
    """What one step left.

    Attributes:
        label: Its name with the values of the matrix, as it ran last.
        state: What decided its result.
        done: Whether it ended without an error.
        adopted: Whether its command ran outside the recipe, and its result is not known.
        owned: Whether the recipe made its outputs, so that it may replace them.
        places: The places that it made for the recipe.
        outputs: The files of each output, as the step left them.
        current: The same after later steps have changed them.
        result: The numbers of its result.
        seconds: The time that it took.
    """

    label: str
    state: State
    done: bool = False
    adopted: bool = False
    owned: bool = False
    places: list[str] = field(default_factory=list)
    outputs: dict[str, Listing] = field(default_factory=dict)
    current: dict[str, Listing] = field(default_factory=dict)
    result: dict[str, float | None] = field(default_factory=dict)
    seconds: float = 0.0


class Cache:
    """The entries of all steps, in a file.

    A step has one entry for each set of options, so that another value of a variable, or one more of a matrix, does not
    make those before it run again.

    Args:
        recipe: The path of the recipe, which is part of each entry's key.
        folder: The folder with the file.
    """

    def __init__(self, recipe: str, folder: Path = FOLDER) -> None:
        self._recipe, self._path = os.path.relpath(recipe, folder.parent), folder / "cache.json"
        self._entries: dict[str, Entry] = {}  # the one that ran last is the last
        self._replaced: dict[str, list[str]] = {}  # the places of entries that were removed, by recipe
        self.reload()

    def reload(self) -> None:
        """Reads the file again; one that is damaged counts as empty, so that all steps run."""
        self._entries, self._replaced = {}, {}
        try:
            content = json.loads(self._path.read_text("utf-8"))
            if content["boxwright_cache"] == _LAYOUT:
                self._entries = {
                    key: Entry(**(entry | {"state": State(**entry["state"])}))
                    for key, entry in content["steps"].items()
                }
                self._replaced = content["replaced"]
            if not (all(map(_is_sound, self._entries.values())) and _are_texts(self._replaced)):
                self._entries, self._replaced = {}, {}
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            pass

    def get(self, step: str, digest: str) -> Entry | None:
        """Returns the entry of a step with the digest of its state."""
        return self._entries.get(self._key(step, digest))

    def latest(self, label: str) -> Entry | None:
        """Returns the last entry of a step with this label, whatever its options."""
        start = self._key("", "")
        found = (entry for key, entry in reversed(self._entries.items()) if key.startswith(start))
        return next((entry for entry in found if entry.label == label), None)

    def made(self) -> set[str]:
        """Returns the places that the recipe has made, with whatever values of its variables."""
        start = self._key("", "")
        own = {place for key, entry in self._entries.items() if key.startswith(start) for place in entry.places}
        return own.union(self._replaced.get(self._recipe, ()))

    def put(self, step: str, entry: Entry) -> None:
        """Writes the entry of a step, in place of those of the step with outputs in the same places."""
        start, key = self._key(step, ""), self._key(step, entry.state.digest)
        for other in [each for each in self._entries if each.startswith(start) and each != key]:
            if any(overlaps(one, two) for one in self._entries[other].places for two in entry.places):
                former = self._entries.pop(other).places
                self._replaced[self._recipe] = sorted({*self._replaced.get(self._recipe, ()), *former})
        self._entries.pop(key, None)
        self._entries[key] = entry
        self._write()

    def update_current(self, step: str, digest: str, current: Mapping[str, Listing]) -> None:
        """Replaces the files of outputs that a later step has changed, if there is an entry."""
        entry = self.get(step, digest)
        if entry is not None:
            self._entries[self._key(step, digest)] = replace(entry, current=entry.current | dict(current))
            self._write()

    def _key(self, step: str, digest: str) -> str:
        return f"{self._recipe}: {step} {digest}" if step else f"{self._recipe}: "

    def _write(self) -> None:
        steps = {key: asdict(entry) for key, entry in self._entries.items()}
        content = {"boxwright_cache": _LAYOUT, "steps": steps, "replaced": self._replaced}
        try:
            self._path.parent.mkdir(exist_ok=True)
            write_atomically(self._path, (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode())
        except OSError as error:
            remedy = "run the recipe in a folder that can be written"
            raise OutputError(f"{self._path} cannot be written: {error.strerror}", remedy) from None


@contextmanager
def only_run(waiting: Callable[[str], None], folder: Path = FOLDER) -> Iterator[IO[str]]:
    """Waits until no other recipe runs in this folder; yields the locked file.

    A step whose run was killed inherits the file, so that the next run waits for it as well.

    Args:
        waiting: Called once with a sentence if there is another run.
        folder: The folder of the cache.

    Raises:
        OutputError: The folder cannot be written.
    """
    path = folder / "lock"
    try:
        folder.mkdir(exist_ok=True)
        file = path.open("a+", encoding="utf-8")
    except OSError as error:
        remedy = "run the recipe in a folder that can be written"
        raise OutputError(f"{path} cannot be written: {error.strerror}", remedy) from None
    with file:
        said = False
        while not take(file):
            if not said:
                file.seek(0)
                waiting(f"{file.read().strip() or 'Another process'} runs a recipe in this folder; waiting for it.")
                said = True
            time.sleep(_POLL_SECONDS)
        file.truncate(0)
        file.write(f"Process {os.getpid()} on {platform.node()}")
        file.flush()
        yield file


def _is_sound(entry: Entry) -> bool:
    """Whether the values read from a file have the types that are declared."""
    state = entry.state
    listings = [state.inputs, entry.outputs, entry.current]
    return (
        isinstance(state.command, str)
        and isinstance(entry.label, str)
        and all(isinstance(each, dict) for each in (state.options, *listings, entry.result))
        and all(isinstance(value, dict) for listing in listings for value in listing.values())
        and all(
            isinstance(text, str)
            for texts in (state.versions, state.after, *(each for listing in listings for each in listing.values()))
            for text in texts.values()
        )
        and isinstance(entry.places, list)
        and all(isinstance(place, str) for place in entry.places)
        and all(number is None or isinstance(number, int | float) for number in entry.result.values())
        and isinstance(entry.seconds, int | float)
    )


def _are_texts(lists: Any) -> bool:
    return isinstance(lists, dict) and all(
        isinstance(texts, list) and all(isinstance(text, str) for text in texts) for texts in lists.values()
    )


def _shown(value: Any) -> str:
    return "unset" if value is None else json.dumps(value, ensure_ascii=False, default=str)
