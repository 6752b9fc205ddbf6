"""Bars made of characters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from boxwright_cli.session import Session

if TYPE_CHECKING:
    from boxwright.analysis import Bin

_EIGHTHS = " ▏▎▍▌▋▊▉"
_WIDTH = 32


def bar(share: float, *, blocks: bool, width: int = _WIDTH) -> str:
    """Returns a bar of at most ``width`` characters, and of at least one if the share is not 0.

    Args:
        share: The length, 0..1 of the width.
        blocks: Whether to use block characters, in steps of an eighth of a character; else ``#``.
        width: The length of the longest bar, in characters.
    """
    if not blocks:
        return "#" * max(round(share * width), int(share > 0))
    eighths = max(round(share * width * 8), int(share > 0))
    return "█" * (eighths // 8) + (_EIGHTHS[eighths % 8] if eighths % 8 else "")


def show_histogram(session: Session, heading: str, unit: str, bins: Sequence[Bin]) -> None:
    """Prints a histogram as a table with bars; nothing if it is empty.

    Args:
        session: Receives the table.
        heading: The heading of the bins.
        unit: The heading of the counts.
        bins: In ascending order.
    """
    from boxwright.analysis import histogram_rows  # imports numpy

    blocks = draws_blocks(session)
    width = max(len(unit), *(len(f"{each.count:,}") for each in bins)) if bins else 0
    rows = [
        (
            line.label.replace("–", "-"),
            f"{line.count:>{width},}",
            f"{line.share:>6.1%}",
            bar(line.length, blocks=blocks),
        )
        if line.label != "…"
        else ("...", "", "", "")
        for line in histogram_rows(bins)
    ]
    if rows:
        session.say()
        session.table((heading, f"{unit:>{width}}", "", ""), rows)


def draws_blocks(session: Session) -> bool:
    """Returns whether results go to a terminal that can show block characters."""
    encoding = (getattr(session.stdout, "encoding", None) or "").lower()
    return bool(session.out.is_terminal) and encoding.startswith("utf")
