"""What ``validate`` looks for: every check with its severity, what it is called, and what to do about what it finds."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from boxwright.errors import DataError


class Severity(StrEnum):
    """How bad a problem is."""

    ERROR = "error"
    """Training or measuring would stop at it, or give wrong results."""
    WARNING = "warning"
    """Most often a mistake; results may suffer."""
    NOTE = "note"
    """Nothing wrong, and good to know."""


@dataclass(frozen=True)
class Check:
    """One thing that is looked for.

    Attributes:
        name: For machines.
        severity: How bad it is.
        title: What the problems are, in the plural.
        remedy: What to do about each.
    """

    name: str
    severity: Severity
    title: str
    remedy: str


def _table(severity: Severity, **checks: tuple[str, str]) -> dict[str, Check]:
    return {name: Check(name, severity, title, remedy) for name, (title, remedy) in checks.items()}


_FIX = "convert --with fix does it for all of them"

CHECKS = (
    _table(
        Severity.ERROR,
        no_pictures=("datasets with nothing in them", "check the location and the format"),
        unreadable=("items that cannot be read", "correct the file, or leave the item out with --on-error skip"),
        missing_picture=(
            "pictures that are not there",
            "put the picture there, or say where the pictures are: FORMAT:PLACE?images=FOLDER",
        ),
        damaged_picture=("pictures that cannot be decoded", "replace the file, or leave it out"),
        size_mismatch=(
            "pictures of another size than annotated",
            "annotate the picture again, or correct the size: convert --with fix:size=picture where the boxes fit"
            " the picture as it is, fix:size=scale where the picture was scaled after it was annotated",
        ),
        repeated_name=("pictures that are named twice", "put the boxes together, or give one of them another name"),
        box_without_area=("boxes without area", f"draw the box again or remove it; {_FIX}"),
        box_outside=("boxes wholly outside their picture", f"draw the box again or remove it; {_FIX}"),
        leaked_picture=(
            "pictures that are in several parts of the data",
            "keep it in one part: what was learnt cannot be a test",
        ),
        class_numbers=(
            "classes whose numbers differ between label maps",
            "write the parts anew with one label map: convert --label-map FILE",
        ),
        unknown_class=(
            "classes that the label map lacks",
            "add the class to the label map, or correct the boxes' label",
        ),
    )
    | _table(
        Severity.WARNING,
        box_over_border=("boxes that reach outside their picture", f"cut the box off at the border; {_FIX}"),
        tiny_box=("tiny boxes", "a slip of the hand? convert --with fix:tiny=PIXELS drops them"),
        duplicate_box=(
            "boxes that are there twice",
            "remove one of them; convert --with fix does it where they are exactly equal",
        ),
        contradicting_boxes=(
            "boxes of two classes at one place",
            "decide what the object is, and remove the other box",
        ),
        stored_frame=(
            "pictures that viewers turn, with boxes for the picture as stored",
            "boxwright turns the boxes along; for programs that do not, convert --with resize:WIDTHxHEIGHT turns"
            " the pictures for good",
        ),
        ambiguous_frame=(
            "pictures that viewers turn, with boxes that may be for either side",
            "boxwright takes the boxes to be in the turned picture: look whether they fit (boxwright view)",
        ),
        repeated_picture=(
            "pictures that are there twice under two names",
            "convert --with dedupe keeps one of them",
        ),
        leaked_likeness=(
            "pictures that look like one in another part of the data",
            "look at them; put pictures of one scene into one part: convert --with split:...,near_duplicates=true",
        ),
        missing_class=("classes that one part of the data lacks", "share the pictures out anew, or add some"),
        rare_class=(
            "classes with very few boxes",
            "annotate more of them, or drop the class: convert --with remap:NAME=",
        ),
        class_spelling=(
            "class names that differ in spelling alone",
            "give them one name: convert --with remap:OLD=NEW",
        ),
        label_map_gap=("classes that only one of the label maps has", "use one label map for all parts"),
    )
    | _table(
        Severity.NOTE,
        whole_picture_box=("boxes that cover their whole picture", "is it the object that is meant, or the picture?"),
        turned_picture=(
            "pictures that viewers turn (EXIF orientation), with boxes to match",
            "boxwright turns such pictures; programs that do not, TensorFlow's decoders among them, misplace the boxes",
        ),
        unusual_picture=("pictures of an unusual kind", "boxwright converts it to 8-bit RGB; other programs may not"),
        picture_without_boxes=("pictures without any box", "right if nothing is in it; else annotate it"),
        similar_picture=("pictures that look alike", "convert --with dedupe:how=near keeps one of them"),
        pixel_convention=("datasets that seem to count pixels in another way", "compare with what made the boxes"),
        class_typo=(
            "class names that differ in one letter",
            "a slip? convert --with remap:OLD=NEW gives them one name",
        ),
        unused_class=("classes of the label map without any box", "remove the class, or annotate some"),
        imbalance=("classes that are far apart in number", "annotate more of the rare one"),
        reader_note=("what the format's reader has to say", ""),
    )
)
"""Every check by its name, the worst first."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that was found.

    Attributes:
        check: The name of the check in :data:`CHECKS`.
        file: The picture, annotation file or dataset.
        problem: What is wrong.
        place: Where in the file: ``box 2 (fig)``; empty for the whole file.
        own_remedy: What to do, where that is not what the check says.
    """

    check: str
    file: str
    problem: str
    place: str = ""
    own_remedy: str = ""

    @classmethod
    def of(cls, check: str, error: DataError) -> Problem:
        """An error as a problem, with the error's own remedy."""
        return cls(check, error.file, error.problem, error.place, error.remedy)

    @property
    def severity(self) -> Severity:
        """How bad it is."""
        return CHECKS[self.check].severity

    @property
    def remedy(self) -> str:
        """What to do."""
        return self.own_remedy or CHECKS[self.check].remedy

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "severity": self.severity.value,
            "check": self.check,
            "file": self.file,
            "place": self.place,
            "problem": self.problem,
            "remedy": self.remedy,
        }
