"""HTML pages made from the templates in ``templates/``, and the choice between a page and a contact sheet.

A page is one file that loads nothing: images are data URIs, and a content security policy forbids the rest. It runs
nothing but the script of the page, if it has one, which the policy allows by its hash. Jinja2 escapes every value, and
:func:`boxwright.render.text.clean` removes control characters from it.
"""

from __future__ import annotations

import base64
import hashlib
import io
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

from PIL.Image import Image

from boxwright.errors import UsageError
from boxwright.images.decode import encode_jpeg
from boxwright.render.boxes import Color
from boxwright.render.sheets import contact_sheet
from boxwright.render.text import clean
from boxwright.storage.output import AtomicOutput

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

PAGES: Final = (".html", ".htm")
SHEETS: Final = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG"}
"""File suffixes of contact sheets, each with Pillow's name of the format."""

_KINDS: Final = {b"\x89PNG": "png", b"RIFF": "webp"}
PAGE_SIDE: Final = 1024
"""The longer side of an image on a page, in pixels."""


@dataclass(frozen=True)
class Card:
    """One section of the page.

    Attributes:
        title: The headline.
        chart: HTML.
        remarks: Lines of plain text.
        alarms: Lines of plain text about problems.
    """

    title: str
    chart: Markup | str = ""
    remarks: Sequence[str] = ()
    alarms: Sequence[str] = ()


def checked_suffix(out: str | os.PathLike[str], images: int, most: int) -> str:
    """Returns the suffix, in lower case, of a file to draw images into: one of :data:`PAGES` or :data:`SHEETS`.

    Args:
        out: The file.
        images: The requested number of images.
        most: The largest number of images on a contact sheet.

    Raises:
        UsageError: It has another suffix, or there are too many images for a contact sheet.
    """
    suffix = os.path.splitext(out)[1].lower()
    if suffix not in (*PAGES, *SHEETS):
        raise UsageError(
            f"{os.fspath(out)} is neither a contact sheet nor a page", "use a name that ends in .png, .jpg or .html"
        )
    if suffix in SHEETS and images > most:
        raise UsageError(
            f"{images} images are too many for a contact sheet", f"request at most {most}, or write a .html page"
        )
    return suffix


def page_output(out: str | os.PathLike[str], *, overwrite: bool = False) -> AtomicOutput:
    """Returns the output for a page; call it before the work for the page starts.

    Raises:
        UsageError: The name does not end in ``.html``.
        OutputError: The file exists and ``overwrite`` is false, or it cannot be written.
    """
    if os.path.splitext(out)[1].lower() not in PAGES:
        raise UsageError(f"{os.fspath(out)} is not an HTML page", "use a name that ends in .html")
    return AtomicOutput(os.fspath(out), overwrite=overwrite)


def html_page(
    images: Iterable[tuple[str, bytes]],
    title: str,
    legend: Mapping[str, Color] | None = None,
    notes: Sequence[str] = (),
) -> str:
    """Returns a self-contained HTML page with images, for a browser, an email or a CI artifact.

    A click enlarges an image with CSS alone. Light or dark follows the reader's system.

    Args:
        images: The caption and the encoded image, JPEG or PNG, of each.
        title: Headline and window title.
        legend: The text and color of each entry.
        notes: Lines of plain text below the headline.
    """
    return rendered("gallery.html.jinja", title=title, images=images, legend=legend, notes=notes)


def tables_page(
    title: str,
    tables: Mapping[str, tuple[Sequence[str], Sequence[Sequence[str]]]],
    charts: Mapping[str, Markup],
    notes: Sequence[str] = (),
) -> str:
    """Returns a self-contained HTML page with charts and tables.

    Args:
        title: Headline and window title.
        tables: Headings and rows of each table, by its title.
        charts: Charts such as those of :func:`line_chart`, by their titles.
        notes: Lines of plain text below the headline.
    """
    return rendered("tables.html.jinja", title=title, tables=tables, charts=charts, notes=notes)


def sheet_or_page(
    drawn: Iterable[tuple[Image, str]],
    suffix: str,
    title: str,
    legend: Mapping[str, Color],
    notes: Sequence[str] = (),
    *,
    tile: int,
) -> bytes:
    """Returns the content of a contact sheet or a page.

    Args:
        drawn: Images, each with its caption.
        suffix: One of :data:`PAGES` or :data:`SHEETS`.
        title: The headline.
        legend: The text and color of each entry.
        notes: Lines of plain text, for a page only.
        tile: The longer side of an image on a contact sheet, in pixels.
    """
    if suffix in PAGES:
        encoded = ((caption, encode_jpeg(image)) for image, caption in drawn)
        return html_page(encoded, title, legend, notes).encode()
    buffer = io.BytesIO()
    contact_sheet(drawn, tile=tile, title=title, legend=legend).save(buffer, SHEETS[suffix], quality=90)
    return buffer.getvalue()


def rendered(template: str, **values: Any) -> Markup:
    """Returns the text of a template from ``templates/``, all values escaped.

    Args:
        template: The file name.
        values: The variables of the template.
    """
    from markupsafe import Markup  # only needed to write a page

    named = {"script": "", "sections": {}, "notes": ()} | values
    return Markup(_environment().get_template(template).render(named))  # noqa: S704 (the template escapes)


def script_of(name: str) -> Markup:
    """Returns the text of a script from ``templates/``, for the variable ``script`` of a page."""
    from markupsafe import Markup  # only needed to write a page

    return Markup(page_part(name))  # noqa: S704 (own file)


def page_part(name: str) -> str:
    """Returns a script or a style sheet that pages share.

    Args:
        name: ``detections.js``, which draws an image with detections, or ``detections.css``, how such pages look.
    """
    return files("boxwright.render").joinpath("templates", name).read_text("utf-8")


def css_color(color: Color) -> str:
    """Returns a color in the notation of CSS."""
    return "rgb({} {} {})".format(*map(int, color))


def _hash(script: str) -> Markup:
    """Returns the source by which a content security policy allows a script (CSP 3, section 8.3)."""
    from markupsafe import Markup  # only needed to write a page

    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
    return Markup(f"sha256-{digest}")  # noqa: S704 (Base64 has no special characters)


@cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined  # only needed to write a page
    from markupsafe import Markup

    def finalized(value: Any) -> Any:
        return clean(value) if type(value) is str else value

    def data_uri(data: bytes) -> Markup:
        kind = next((kind for start, kind in _KINDS.items() if data.startswith(start)), "jpeg")
        content = base64.b64encode(data).decode("ascii")
        return Markup(f"data:image/{kind};base64,{content}")  # noqa: S704 (Base64 has no special characters)

    environment = Environment(
        loader=PackageLoader("boxwright.render"),
        autoescape=True,
        finalize=finalized,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"css": css_color, "data_uri": data_uri, "hash": _hash}
    return environment
