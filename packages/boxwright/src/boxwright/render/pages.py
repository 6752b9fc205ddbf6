"""Files to look at, sheets and pages: what their names end in, and how every page begins."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Final

from boxwright.errors import UsageError

PAGES: Final = (".html", ".htm")
SHEETS: Final = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG"}
"""File endings of sheets, and Pillow's name of each format."""

PAGE_SIDE: Final = 1024
"""The longer side of a picture on a page, in pixels."""


def file_ending(out: str | os.PathLike[str], images: int, most: int) -> str:
    """The ending, in lower case, of a file that pictures are drawn into: one of :data:`PAGES` or :data:`SHEETS`.

    Args:
        out: The file.
        images: How many pictures are wanted.
        most: How many a sheet holds.

    Raises:
        UsageError: It has another ending, or there are too many pictures for a sheet.
    """
    suffix = os.path.splitext(out)[1].lower()
    if suffix not in (*PAGES, *SHEETS):
        raise UsageError(
            f"{os.fspath(out)}: neither a sheet nor a page", "give a name that ends in .png, .jpg or .html"
        )
    if suffix in SHEETS and images > most:
        raise UsageError(
            f"{images} pictures are too many for one sheet", f"ask for at most {most}, or write a .html page"
        )
    return suffix


def page_start(title: str, style: str, notes: Sequence[str] = ()) -> str:
    """How a page begins, up to its headline and the notes below it.

    A content security policy forbids whatever is not in the page itself.

    Args:
        title: Headline and window title, escaped.
        style: The style sheet.
        notes: Lines of text, escaped.
    """
    lines = [
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
        """<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:;"""
        """ style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'">""",
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{title}</title>\n<style>{style}</style>\n</head>\n<body>\n<h1>{title}</h1>",
    ]
    if notes:
        lines.append('<ul class="notes">' + "".join(f"<li>{note}</li>" for note in notes) + "</ul>")
    return "\n".join(lines)
