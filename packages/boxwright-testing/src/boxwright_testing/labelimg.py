"""Annotations as labelImg 1.8 saves them, for tests that read its files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from xml.sax.saxutils import escape

from boxwright import Coordinates

_ANNOTATION = """<annotation>
\t<folder>{folder}</folder>
\t<filename>{filename}</filename>
\t<path>/home/me/{folder}/{filename}</path>
\t<source>
\t\t<database>Unknown</database>
\t</source>
\t<size>
\t\t<width>{width}</width>
\t\t<height>{height}</height>
\t\t<depth>3</depth>
\t</size>
\t<segmented>0</segmented>
{objects}</annotation>
"""

_OBJECT = """\t<object>
\t\t<name>{label}</name>
\t\t<pose>Unspecified</pose>
\t\t<truncated>{truncated}</truncated>
\t\t<difficult>{difficult}</difficult>
\t\t<bndbox>
\t\t\t<xmin>{xmin:g}</xmin>
\t\t\t<ymin>{ymin:g}</ymin>
\t\t\t<xmax>{xmax:g}</xmax>
\t\t\t<ymax>{ymax:g}</ymax>
\t\t</bndbox>
\t</object>
"""


def labelimg_xml(
    filename: str,
    labels: Iterable[str] = ("fig",),
    coordinates: Iterable[Coordinates] = (),
    flags: Iterable[Mapping[str, int]] = (),
    *,
    size: tuple[int, int] = (40, 30),
    folder: str = "photos",
) -> str:
    """Returns the XML file that labelImg saves for an image.

    Args:
        filename: The name of the image.
        labels: The label of each box.
        coordinates: ``(xmin, ymin, xmax, ymax)`` of each box in pixels; (3, 4, 20, 25) for those that are missing.
        flags: ``{"truncated": 1, "difficult": 1}`` for each box; 0 for those that are missing.
        size: Width and height of the image in pixels.
        folder: The name of the folder of the image.
    """
    places, marks = iter(coordinates), iter(flags)
    objects = ""
    for label in labels:
        xmin, ymin, xmax, ymax = next(places, (3, 4, 20, 25))
        values = {"truncated": 0, "difficult": 0, **next(marks, {})}
        objects += _OBJECT.format(label=escape(label), xmin=xmin, ymin=ymin, xmax=xmax, ymax=ymax, **values)
    width, height = size
    return _ANNOTATION.format(
        folder=escape(folder), filename=escape(filename), width=width, height=height, objects=objects
    )
