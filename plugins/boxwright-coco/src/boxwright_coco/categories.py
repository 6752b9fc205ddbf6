"""The classes of a COCO file: numbers, names, and what else the file says of them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from functools import cached_property
from typing import Any

from boxwright import DataError, LabelMap, LabelMapItem, is_text
from boxwright_coco.numbers import Numbering, as_number
from boxwright_coco.texts import encoded, quoted

_SHOWN = 20
_MARK = "\1"  # JSON escapes control characters, so that none stands in it
_KEYS = frozenset({"id", "name"})


class Categories:
    """The ``categories`` of a file.

    Two classes of one name are an error, unless one of them is on no annotation: some exports add a class for the
    dataset as a whole, whose name may be that of a real one. That class is passed over.

    Args:
        values: What stands in the file.
        location: The file, for messages.
        used: The class numbers of its annotations.

    Attributes:
        labels: The name of each number, in the order of the file.
        notes: What was passed over.

    Raises:
        DataError: A class has no number or name, or shares one.
    """

    def __init__(self, values: Any, location: str, used: Collection[int]) -> None:
        self._location = location
        self.labels: dict[int, str] = {}
        self.notes: tuple[str, ...] = ()
        if not isinstance(values, list):
            raise DataError(location, "categories is no list", "export the dataset again")
        numbers: dict[str, int] = {}
        for position, value in enumerate(values):
            number, name = self._checked(value, position)
            if number in self.labels:
                raise self._error(f"another class has the id {number} as well", position)
            other = numbers.get(name)
            if other is not None and other in used and number in used:
                raise self._error(f"the classes {other} and {number} are both called {name!r}", position)
            if other is not None:
                kept, left = (number, other) if number in used else (other, number)
                self.notes += (f"the class {left} ({name}) is on no annotation and was passed over for {kept}",)
                self.labels.pop(left, None)
                number = kept
            numbers[name] = number
            self.labels[number] = name

    @property
    def label_map(self) -> LabelMap:
        """The classes, in the order of the file."""
        return LabelMap(items=tuple(LabelMapItem(id=number, name=name) for number, name in self.labels.items()))

    def describe(self) -> str:
        """The first few, for messages: ``1 fig, 2 date``."""
        shown = [f"{number} {name}" for number, name in self.labels.items()]
        return ", ".join(shown[:_SHOWN]) + (", ..." if len(shown) > _SHOWN else "")

    def _checked(self, value: Any, position: int) -> tuple[int, str]:
        given, name = (value.get("id"), value.get("name")) if isinstance(value, dict) else (None, None)
        number = as_number(given)
        if number is None or number < 0:
            raise self._error(f"its id is {given!r}, which is no number from 0", position)
        if isinstance(name, str) and name and is_text(name):
            return number, name
        raise self._error(f"the name of the class {number} is {name!r}", position)

    def _error(self, problem: str, position: int) -> DataError:
        remedy = "give every class an id and a name of its own"
        return DataError(self._location, problem, remedy, f"categories[{position}]")


def says_more(values: Iterable[Mapping[str, Any]]) -> bool:
    """Whether any class has more than a number and a name."""
    return any(set(value) - _KEYS for value in values)


class ClassNumbers(dict[str, str]):
    """The number of each class as JSON text, for a writer.

    Without a label map, numbers can be given only when all classes have come. Until then each class stands in its
    place by name, between two marks, and :meth:`fill_in` puts the numbers there: the classes that the source numbers
    keep theirs, the others get the next free ones from 1 in the order of their names.

    Args:
        label_map: The classes, where they are known.
        described: What the source says of its classes: its ``categories``.
        keep: Whether classes keep their numbers; with false, they are counted from 1.

    Attributes:
        late: Whether there is no label map.
        seen: The classes that have come, to be kept up to date by the writer where ``late`` holds.

    Raises:
        ValueError: A class is looked up that is not in the label map, or that no file can hold.
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
            raise ValueError(f"the class {label!r} holds half a character")
        text = self[label] = f"{_MARK}{quoted(label)}{_MARK}"
        return text

    def categories(self) -> list[dict[str, Any]]:
        """What a file says of the classes, once all have come."""
        numbers = self._final
        return [
            {"id": numbers[name], "name": name}
            | {key: value for key, value in self._described.get(name, {}).items() if key not in _KEYS}
            for name in numbers
        ]

    def fill_in(self, block: bytes) -> bytes:
        """Puts the numbers in place of the names, once all classes have come."""
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
