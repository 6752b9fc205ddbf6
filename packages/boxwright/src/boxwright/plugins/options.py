"""Options that plugins declare, and the values that users give them."""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from boxwright.errors import UsageError
from boxwright.text import did_you_mean

_SIZE = re.compile(r"(0*[1-9][0-9]{0,8})[xX](0*[1-9][0-9]{0,8})", re.ASCII)


@dataclass(frozen=True)
class Option:
    """One setting that a plugin takes: in a URI ``?name=value``, in a step ``step:name=value``, or by ``--set``.

    Args:
        name: As the user writes it, lower case with underscores. ``"model.*"`` stands for every name that begins with
            ``model.``, which is then kept as it was written.
        type: ``str``, ``int``, ``float``, ``bool``, or a tuple of the strings that are allowed.
        default: The value if the option is not set; ``None`` for no value.
        help: One line for ``boxwright formats`` and ``boxwright plugins show``.
        required: Whether it must be set.
        carries: For an option of a writer: what a written dataset contains in addition to (``+``) or not of (``-``)
            what
            :attr:`FormatSpec.carries` says, by the option's value as it is written in a URI:
            ``{"false": "-images"}``, ``{"detections": "-empty -image.* +box.score"}``.
        gt: A number must be greater than this. This name and the next three are those of pydantic's ``Field``.
        ge: A number must be at least this.
        lt: A number must be less than this.
        le: A number must be at most this.
    """

    name: str
    type: type[str] | type[int] | type[float] | type[bool] | tuple[str, ...] = str
    default: object = None
    help: str = ""
    required: bool = False
    carries: Mapping[str, str] = field(default_factory=dict, hash=False)
    gt: float | None = None
    ge: float | None = None
    lt: float | None = None
    le: float | None = None

    @property
    def limits(self) -> str:
        """The limits of a number in words, such as ``"at least 0 and less than 1"``; empty if there are none."""
        named = {"greater than": self.gt, "at least": self.ge, "less than": self.lt, "at most": self.le}
        return " and ".join(f"{words} {limit:g}" for words, limit in named.items() if limit is not None)

    def allows(self, number: float) -> bool:
        """Whether a number is within the limits."""
        return (
            (self.gt is None or number > self.gt)
            and (self.ge is None or number >= self.ge)
            and (self.lt is None or number < self.lt)
            and (self.le is None or number <= self.le)
        )


MAX_BAD = "1%"
"""The items that training, evaluation and prediction, and formats for them, leave out unless set otherwise: downloads
contain a few damaged images."""

SHAPES = Option(
    "shapes",
    ("box", "skip", "fail"),
    "box",
    "shapes that are not upright boxes: as the box around each, left out, or an error",
)
"""The option of every reader of a format that has such shapes; see :class:`boxwright.datasets.ShapeRule`."""


IMAGES = Option(
    "images",
    ("remember", "copy"),
    "remember",
    "whether the folder of the images is remembered, or they are copied into a folder next to the file",
    carries={"copy": "+images"},
)
"""The option of every writer of a format in one file without images, for which boxwright does the work.

A writer that can also write the images into the file has an option with this name and more values.
"""


def convert_options(
    given: Mapping[str, object], options: tuple[Option, ...], where: str, *, extra: Mapping[str, object] | None = None
) -> dict[str, Any]:
    """Checks options as the user wrote them against what a plugin declares, and converts their types.

    Args:
        given: Names and values; strings are converted, other types are checked, ``None`` counts as not given.
        options: The declared options.
        where: What they belong to, for messages: ``"labelimg:photos"``.
        extra: Values that are not the user's and need no declaration.

    Returns:
        Only the options that were given, so that a plugin's own defaults hold for the others.

    Raises:
        UsageError: An unknown option (with the known ones), a value of the wrong type or beyond the option's limits, or
            a required one missing.
    """
    known = {option.name: option for option in options}
    converted: dict[str, Any] = dict(extra or {})
    for name, value in given.items():
        head, dot, _ = name.partition(".")
        option = known.get(name.replace("-", "_"), known.get(f"{head}.*") if dot else None)
        if option is None:
            offer = f"it takes: {', '.join(known)}" if known else "it takes no options"
            raise UsageError(f"{where} has no option {name!r}", did_you_mean(name, known) + offer)
        if value is None:
            continue
        converted[name if option.name.endswith(".*") else option.name] = _convert(value, option, where)
    for option in options:
        if option.required and option.name not in converted:
            raise UsageError(f"{where} needs the option {option.name!r}", option.help)
    return converted


def parse_literal(text: str) -> Any:
    """Returns the Python literal in a text, for arguments of another library: ``"(0.1, 0.2)"`` is a tuple.

    ``true``, ``false`` and ``none`` are the Python constants in any case. Any other text is returned unchanged.
    """
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return {"true": True, "false": False, "none": None}.get(text.lower(), text)


def _convert(value: object, option: Option, where: str) -> object:
    text = str(value).strip()
    wanted = option.type
    if isinstance(wanted, tuple):
        if text not in wanted:
            raise UsageError(f"{where}: {option.name}={text!r}", f"give one of: {', '.join(wanted)}")
        return text
    if wanted is bool:
        lowered = text.lower()
        if lowered in ("1", "true", "yes", "on"):
            return True
        if lowered in ("0", "false", "no", "off"):
            return False
        raise UsageError(f"{where}: {option.name}={text!r} is neither true nor false", "write true or false")
    if wanted is str:
        return str(value)
    try:
        number = int(text) if wanted is int else float(text)
        if not math.isfinite(number):
            raise ValueError
    except ValueError:
        kind = "a whole number" if wanted is int else "a number"
        raise UsageError(f"{where}: {option.name}={text!r} is not {kind}", option.help) from None
    if not option.allows(number):
        raise UsageError(f"{where}: {option.name}={text} is out of range", f"set a number {option.limits}")
    return number


def parse_size(text: str) -> tuple[int, int]:
    """Returns the width and height, in pixels, of an option ``size`` such as ``"640x480"``.

    Raises:
        UsageError: It is not two whole numbers of at least 1.
    """
    match = _SIZE.fullmatch(text)
    if match is None:
        raise UsageError(f"size is {text!r}", "set width and height in pixels: size=640x480")
    return int(match[1]), int(match[2])
