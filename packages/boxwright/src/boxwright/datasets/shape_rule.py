"""What a reader does with shapes that are not upright boxes: the option ``?shapes=box|skip|fail``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from boxwright.datasets.shapes import Points, Rectangle, Shape, ShapeError
from boxwright.schemas import Boxes, Coordinates, check_coordinates

_REFUSED = "read the box around it (?shapes=box), leave such shapes out (?shapes=skip)"


class ItemError(Exception):
    """An error in one item of a file, raised where the file is not known.

    Args:
        problem: The problem.
        remedy: The remedy.
        place: The place in the item: ``annotation 2 (fig)``.
    """

    def __init__(self, problem: str, remedy: str, place: str = "") -> None:
        super().__init__(problem, remedy, place)
        self.problem = problem
        self.remedy = remedy
        self.place = place


class DrawnShape(NamedTuple):
    """An object of an annotation, before it becomes a box.

    Attributes:
        place: Its place, for messages.
        label: Its label.
        shape: Returns its shape, or raises a ``ShapeError``.
        attributes: Its other properties.
    """

    place: str
    label: str
    shape: Callable[[], Shape]
    attributes: Mapping[str, Any] = MappingProxyType({})


class RefusedShapeError(ShapeError):
    """A shape is not allowed, under ``?shapes=fail``."""


class ShapeRule:
    """Applies the option ``shapes``, and counts.

    Args:
        choice: ``"box"``, ``"skip"`` or ``"fail"``.

    Attributes:
        boxed: Shapes of which the box around them was returned, by kind.
        left_out: Shapes that were left out, by kind.
    """

    def __init__(self, choice: str = "box") -> None:
        self._choice = choice
        self.boxed: Counter[str] = Counter()
        self.left_out: Counter[str] = Counter()

    def __call__(self, shape: Shape) -> tuple[Coordinates, dict[str, Any]] | None:
        """Returns the smallest box that contains a shape, and the attributes that keep the shape.

        A rectangle without rotation is a box without further attributes, and not counted. Points without any extent
        have no box, so they are left out.

        Returns:
            ``None`` if the shape is left out.

        Raises:
            ShapeError: The shape is empty, or has coordinates that are not finite numbers.
            RefusedShapeError: Under ``"fail"``.
        """
        if isinstance(shape, Rectangle) and not shape.rotation % 360:
            return shape.box, {}
        box = shape.box
        if self._choice == "fail":
            raise RefusedShapeError(f"it is not an upright box, but {_named(shape.kind)}")
        point = isinstance(shape, Points) and box[:2] == box[2:]
        if self._choice == "skip" or point:
            self.left_out[shape.kind] += 1
            return None
        self.boxed[shape.kind] += 1
        return box, shape.attributes

    def boxes(self, drawn: Iterable[DrawnShape]) -> Boxes:
        """Returns the boxes of an image.

        Raises:
            ItemError: A shape is invalid, or refused.
        """
        labels: list[str] = []
        coordinates: list[Coordinates] = []
        attributes: list[dict[str, Any]] = []
        for each in drawn:
            try:
                found = self(each.shape())
            except RefusedShapeError as error:
                raise ItemError(str(error), _REFUSED, each.place) from None
            except ShapeError as error:
                raise ItemError(str(error), "draw it again", each.place) from None
            if found is not None:
                if problem := check_coordinates(found[0]):
                    raise ItemError(problem, "draw it again", each.place)
                labels.append(each.label)
                coordinates.append(found[0])
                attributes.append({**each.attributes, **found[1]})
        return Boxes(labels, coordinates, attributes)

    def box_of(self, kind: str) -> bool:
        """Counts a shape of which only the box around it is known.

        Args:
            kind: The name of the shape, such as ``"polygon"``.

        Returns:
            Whether the box is read; if not, it is left out.

        Raises:
            RefusedShapeError: Under ``"fail"``.
        """
        if self._choice == "fail":
            raise RefusedShapeError(f"it is not an upright box, but {_named(kind)}")
        (self.left_out if self._choice == "skip" else self.boxed)[kind] += 1
        return self._choice == "box"

    def restart(self) -> None:
        """Counts from zero: the dataset is read from the start."""
        self.boxed.clear()
        self.left_out.clear()

    def add(self, totals: Mapping[tuple[str, str], int]) -> None:
        """Adds what :meth:`totals` returned elsewhere."""
        for (what, kind), count in totals.items():
            (self.boxed if what == "boxed" else self.left_out)[kind] += count

    def totals(self) -> Counter[tuple[str, str]]:
        """All counts, by what was done and the kind."""
        counts = Counter({("boxed", kind): count for kind, count in self.boxed.items()})
        counts.update({("left out", kind): count for kind, count in self.left_out.items()})
        return counts


def shape_notes(counts: Mapping[tuple[str, str], int]) -> list[str]:
    """Returns lines for a report: ``shapes read as the boxes around them: 3 polygons``."""
    notes = []
    for what, text in (
        ("boxed", "shapes read as the boxes around them (?shapes=skip leaves them out)"),
        ("left out", "shapes left out, because they have no box or ?shapes=skip is set"),
    ):
        found = [
            f"{count:,} {kind if count == 1 else _plural(kind)}"
            for (done, kind), count in sorted(counts.items())
            if done == what and count
        ]
        if found:
            notes.append(f"{text}: {', '.join(found)}")
    return notes


def _plural(kind: str) -> str:
    return kind if kind.endswith("s") else f"{kind}s"


def _named(kind: str) -> str:
    return kind if kind == "points" else f"an {kind}" if kind[0] in "aeiou" else f"a {kind}"
