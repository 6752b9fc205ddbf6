"""The checks of ``validate``: names, severities, titles and remedies."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from boxwright.errors import DataError
from boxwright.models.job import USUAL_DETECTIONS


class Severity(StrEnum):
    """The severity of a problem."""

    ERROR = "error"
    """Training or evaluation would fail, or return wrong results."""
    WARNING = "warning"
    """Usually a mistake, which may make results worse."""
    NOTE = "note"
    """Not a mistake, but useful to know."""


@dataclass(frozen=True)
class Check:
    """One check.

    Attributes:
        name: The identifier in JSON.
        severity: The severity of the problems that it finds.
        title: The problems, in the plural.
        remedy: What to do about each problem.
    """

    name: str
    severity: Severity
    title: str
    remedy: str


def _table(severity: Severity, checks: dict[str, tuple[str, str]]) -> dict[str, Check]:
    return {name: Check(name, severity, title, remedy) for name, (title, remedy) in checks.items()}


_FIX = "convert --with fix does so for all of them"

CHECKS = (
    _table(
        Severity.ERROR,
        {
            "no_pictures": ("empty datasets", "check the location and the format"),
            "unreadable": ("items that cannot be read", "correct the file, or skip the item with --on-error skip"),
            "missing_picture": (
                "missing images",
                "add the image, or set the folder of the images: FORMAT:LOCATION?images=FOLDER",
            ),
            "undecoded_picture": (
                "images whose format needs a library that is not installed",
                "install the library that decodes it",
            ),
            "damaged_picture": ("images that cannot be decoded", "replace the file, or remove it"),
            "size_mismatch": (
                "images with another size than annotated",
                "annotate the image again, or correct the size: convert --with fix:size=picture if the boxes match the"
                " image, fix:size=scale if the image was scaled after it was annotated",
            ),
            "repeated_name": ("duplicate image names", "merge the boxes, or rename one of the images"),
            "box_without_area": ("boxes with zero area", f"draw the box again or remove it; {_FIX}"),
            "box_outside": ("boxes outside their image", f"draw the box again or remove it; {_FIX}"),
            "leaked_picture": (
                "images that are in several parts of the data",
                "keep the image in one part: a model must not be tested on what it has learned",
            ),
            "class_numbers": (
                "classes whose ids differ between label maps",
                "write the parts again with one label map: convert --label-map FILE",
            ),
            "unknown_class": (
                "classes missing from the label map",
                "add the class to the label map, or correct the boxes' label",
            ),
        },
    )
    | _table(
        Severity.WARNING,
        {
            "box_over_border": ("boxes that extend beyond their image", f"clip the box; {_FIX}"),
            "tiny_box": ("tiny boxes", "if it was drawn by accident, remove it: convert --with fix:tiny=PIXELS"),
            "duplicate_box": (
                "duplicate boxes",
                "remove one of them; convert --with fix removes those with equal coordinates",
            ),
            "contradicting_boxes": (
                "boxes with different classes at the same position",
                "decide what the object is, and remove the other box",
            ),
            "stored_frame": (
                "images that viewers rotate, with boxes for the stored pixels",
                "boxwright rotates the boxes as well; for programs that do not, convert --with resize:WIDTHxHEIGHT"
                " rotates the stored pixels",
            ),
            "ambiguous_frame": (
                "images that viewers rotate, with boxes that may be for the stored pixels",
                "boxwright expects the boxes in the rotated image: check whether they match (boxwright view)",
            ),
            "repeated_picture": ("duplicate images with different names", "convert --with dedupe keeps one of them"),
            "leaked_likeness": (
                "images that look like one in another part of the data",
                "check them, and keep images of the same scene in one part:"
                " convert --with split:...,near_duplicates=true",
            ),
            "missing_class": ("classes missing from one part of the data", "split the data again, or add images"),
            "rare_class": (
                "classes with very few boxes",
                "annotate more of them, or remove the class: convert --with remap:NAME=",
            ),
            "class_spelling": (
                "class names that differ only in spelling",
                "use one name: convert --with remap:OLD=NEW",
            ),
            "label_map_gap": ("classes that only one of the label maps contains", "use one label map for all parts"),
        },
    )
    | _table(
        Severity.NOTE,
        {
            "whole_picture_box": (
                "boxes that cover their whole image",
                "check whether the box is for an object and not for the image",
            ),
            "turned_picture": (
                "images that viewers rotate (EXIF orientation), with boxes that match",
                "boxwright rotates such images; programs that do not, such as TensorFlow, misplace the boxes",
            ),
            "unusual_picture": (
                "images of an unusual kind",
                "boxwright converts it to 8-bit RGB; other programs may not",
            ),
            "picture_without_boxes": ("images without boxes", "annotate it, unless it contains no objects"),
            "crowded_picture": (
                f"images with more than {USUAL_DETECTIONS} boxes",
                "most detectors and COCO's metric keep no more detections per image: boxwright train keeps more,"
                " evaluate --metric coco:max_detections=N counts more, and convert --with tile makes smaller images",
            ),
            "region": (
                "regions that are not single objects: crowds, and DontCare",
                "boxwright does not train on them, and ignores detections in them; for other programs, remove them:"
                " convert --with filter:iscrowd=0 or --with remap:DontCare=",
            ),
            "similar_picture": ("images that look alike", "convert --with dedupe:how=near keeps one of them"),
            "pixel_convention": (
                "datasets that seem to have another pixel convention",
                "compare with the program that created the boxes",
            ),
            "class_typo": (
                "class names that differ in one letter",
                "if it is a typo, use one name: convert --with remap:OLD=NEW",
            ),
            "unused_class": ("classes of the label map without boxes", "remove the class, or annotate some"),
            "imbalance": ("classes with very different numbers of boxes", "annotate more of the rare one"),
            "reader_note": ("notes of the format's reader", ""),
        },
    )
)
"""Every check by its name, the worst first."""


@dataclass(frozen=True, slots=True)
class Problem:
    """A problem in a dataset.

    Attributes:
        check: The name of the check in :data:`CHECKS`.
        file: The image, annotation file or dataset.
        problem: The description.
        place: The place in the file, such as ``box 2 (fig)``; empty for the whole file.
        own_remedy: What to do, if it differs from the remedy of the check.
    """

    check: str
    file: str
    problem: str
    place: str = ""
    own_remedy: str = ""

    @classmethod
    def of(cls, check: str, error: DataError) -> Problem:
        """Returns an error as a problem, with the error's remedy."""
        return cls(check, error.file, error.problem, error.place, error.remedy)

    @property
    def severity(self) -> Severity:
        """The severity of the check."""
        return CHECKS[self.check].severity

    @property
    def remedy(self) -> str:
        """What to do."""
        return self.own_remedy or CHECKS[self.check].remedy

    def to_dict(self) -> dict[str, Any]:
        """Returns plain values for JSON."""
        return {
            "severity": self.severity.value,
            "check": self.check,
            "file": self.file,
            "place": self.place,
            "problem": self.problem,
            "remedy": self.remedy,
        }
