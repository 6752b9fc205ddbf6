"""The classes of a COCO file: ids, names, and other keys."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from functools import cached_property
from typing import Any

from boxwright import DataError, LabelMap, LabelMapItem, is_text
from boxwright_coco.numbers import Numbering, as_number
from boxwright_coco.texts import encoded, quoted

_SHOWN = 20
_MARK = "\1"  # JSON escapes control characters, so it contains none
_KEYS = frozenset({"id", "name"})


class Categories:
    """The ``categories`` of a file.

    Two classes with the same name are an error, unless one of them is not used: some exports add a class for the
    dataset, whose name may be that of a real class. That class is ignored.

    Args:
        values: The value in the file.
        location: The file, for messages.
        used: The class ids of its annotations.

    Attributes:
        labels: The names by id, in the order of the file.
        notes: Notes on ignored classes.

    Raises:
        DataError: A class has no id or name, or a duplicate.
    """

    def __init__(self, values: Any, location: str, used: Collection[int]) -> None:
        self._location = location
        self.labels: dict[int, str] = {}
        self.notes: tuple[str, ...] = ()
        if not isinstance(values, list):
            raise DataError(location, "categories is not a list", "export the dataset again")
        numbers: dict[str, int] = {}
        for position, value in enumerate(values):
            number, name = self._checked(value, position)
            if number in self.labels:
                raise self._error(f"duplicate id {number}", position)
            other = numbers.get(name)
            if other is not None and other in used and number in used:
                raise self._error(f"the classes {other} and {number} are both called {name!r}", position)
            if other is not None:
                kept, left = (number, other) if number in used else (other, number)
                self.notes += (f"the class {left} ({name}) is not used and was replaced by {kept}",)
                self.labels.pop(left, None)
                number = kept
            numbers[name] = number
            self.labels[number] = name

    @property
    def label_map(self) -> LabelMap:
        """The label map, in the order of the file."""
        return LabelMap(items=tuple(LabelMapItem(id=number, name=name) for number, name in self.labels.items()))

    def describe(self) -> str:
        """Returns the first few classes, for messages: ``1 fig, 2 date``."""
        shown = [f"{number} {name}" for number, name in self.labels.items()]
        return ", ".join(shown[:_SHOWN]) + (", ..." if len(shown) > _SHOWN else "")

    def _checked(self, value: Any, position: int) -> tuple[int, str]:
        given, name = (value.get("id"), value.get("name")) if isinstance(value, dict) else (None, None)
        number = as_number(given)
        if number is None or number < 0:
            raise self._error(f"the id is {given!r}, not an integer of at least 0", position)
        if isinstance(name, str) and name and is_text(name):
            return number, name
        raise self._error(f"the name of the class {number} is {name!r}", position)

    def _error(self, problem: str, position: int) -> DataError:
        remedy = "give each class its own id and name"
        return DataError(self._location, problem, remedy, f"categories[{position}]")


def have_other_keys(values: Iterable[Mapping[str, Any]]) -> bool:
    """Returns whether any class has other keys than an id and a name."""
    return any(set(value) - _KEYS for value in values)


class ClassNumbers(dict[str, str]):
    """The id of each class as JSON text, for a writer.

    Without a label map, ids can be assigned only after all classes are known. Until then, the text contains the name of
    the class between two marks, which :meth:`fill_in` replaces by ids: classes with an id in the source keep it, the
    others get the next free ids from 1, sorted by name.

    Args:
        label_map: The classes, if they are known.
        described: The ``categories`` of the source.
        keep: Whether classes keep their ids; if false, they are counted from 1.

    Attributes:
        late: Whether there is no label map.
        seen: The classes so far, which the writer updates if ``late`` is true.

    Raises:
        ValueError: A class is not in the label map, or cannot be encoded.
    """

    def __init__(
        self, label_map: LabelMap | None, described: Iterable[Mapping[str, Any]] = (), *, keep: bool = True
    ) -> None:
        super().__init__()
        self.late = label_map is None
        self.seen: set[str] = set()
        self._described = {value["name"]: value for value in described}
        self._keep = keep
        self._numbers: dict[str, int] = {}
        for position, item in enumerate(label_map.items if label_map is not None else (), start=1):
            self._numbers[item.name] = item.id if keep else position
            self[item.name] = str(self._numbers[item.name])

    def __missing__(self, label: str) -> str:
        if not self.late:
            raise ValueError(f"the class {label!r} is not in the label map ({', '.join(self)})")
        if not is_text(label):
            raise ValueError(f"the class {label!r} contains an unpaired surrogate")
        text = self[label] = f"{_MARK}{quoted(label)}{_MARK}"
        return text

    def categories(self) -> list[dict[str, Any]]:
        """Returns the ``categories`` of the file, after all classes are known."""
        numbers = self._final
        return [
            {"id": numbers[name], "name": name}
            | {key: value for key, value in self._described.get(name, {}).items() if key not in _KEYS}
            for name in numbers
        ]

    def fill_in(self, block: bytes) -> bytes:
        """Replaces names by ids, after all classes are known."""
        parts = block.split(_MARK.encode())
        parts[1::2] = map(self._final_texts.__getitem__, parts[1::2])
        return b"".join(parts)

    @cached_property
    def _final(self) -> dict[str, int]:
        if not self.late:
            return self._numbers
        known = [name for name in self._described if name in self.seen]
        numbering, numbers = Numbering(), {}
        for name in [*known, *sorted(self.seen.difference(known))]:
            number = self._described.get(name, {}).get("id") if self._keep else None
            numbers[name] = numbering.take(as_number(number))
        return numbers

    @cached_property
    def _final_texts(self) -> dict[bytes, bytes]:
        return {encoded(quoted(name)): str(number).encode() for name, number in self._final.items()}
