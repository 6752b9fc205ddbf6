"""Images next to each other: pairs and contact sheets.

from boxwright.render import contact_sheet

sheet = contact_sheet([(first, "first.jpg"), (second, "second.jpg")], title="photos")
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from PIL import Image, ImageDraw

from boxwright.images.decode import to_rgb
from boxwright.render.boxes import Color, resized, rounded_mask, text_color
from boxwright.render.text import clean, shortened, text_width, write_line

__all__ = ["contact_sheet", "side_by_side"]


def side_by_side(
    left: Image.Image,
    right: Image.Image,
    titles: tuple[str, str] = ("truth", "prediction"),
    *,
    background: Color = (255, 255, 255),
) -> Image.Image:
    """Put two pictures next to each other, each below its title; the lower one is enlarged to the other's height."""
    pictures = [to_rgb(picture) for picture in (left, right)]
    height = max(picture.height for picture in pictures)
    pictures = [_scaled_to(p, (max(1, round(p.width * height / p.height)), height)) for p in pictures]
    size = max(14, round(height / 26))
    bar, gap = round(size * 2.0), max(4, round(height / 60))
    sheet = Image.new("RGB", (pictures[0].width + gap + pictures[1].width, bar + height), background)
    draw, x = ImageDraw.Draw(sheet), 0
    for picture, title in zip(pictures, titles, strict=True):
        text = shortened(clean(title), size, picture.width)
        write_line(
            draw, x + (picture.width - text_width(text, size)) / 2.0, bar / 2.0, text, size, text_color(background)
        )
        sheet.paste(picture, (x, bar))
        x += picture.width + gap
    return sheet


def contact_sheet(
    items: Iterable[tuple[Image.Image, str]],
    *,
    columns: int | None = None,
    tile: int = 320,
    title: str | None = None,
    legend: Mapping[str, Color] | None = None,
    background: Color = (250, 250, 250),
) -> Image.Image:
    """Lay pictures out in a grid with captions, a title and a legend.

    For letters that stay sharp, draw each picture at the size it will have here:
    ``draw_boxes(..., min_side=tile, max_side=tile)``.

    Args:
        items: Pictures and captions. Each is reduced as it comes, so a generator never holds two large ones.
        columns: Number of columns; by default so many that the sheet is somewhat wider than high.
        tile: Longest side of a picture on the sheet, in pixels; the aspect ratio is kept.
        title: Headline, if any.
        legend: Text and colour of each entry, such as ``{"mug (42)": (86, 180, 233)}``, if any.
        background: Colour of the sheet; the text is black or white according to it.

    Returns:
        The sheet, mode RGB.

    Raises:
        ValueError: If ``tile`` is smaller than 32 or ``columns`` smaller than 1.
    """
    if tile < 32:
        raise ValueError(f"tile must be at least 32 pixels, not {tile}")
    if columns is not None and columns < 1:
        raise ValueError(f"columns must be at least 1, not {columns}")
    tiles = [(resized(to_rgb(picture), tile, tile), clean(caption)) for picture, caption in items]
    across = columns or max(1, min(len(tiles), math.ceil(math.sqrt(1.4 * len(tiles)))))
    rows = [tiles[start : start + across] for start in range(0, len(tiles), across)]
    size, gap = max(11, round(tile / 24)), max(8, round(tile / 22))
    caption_height = round(size * 1.9) if any(caption for _, caption in tiles) else 0
    width = gap + across * (tile + gap)
    ink = text_color(background)

    heading = shortened(clean(title), round(size * 1.8), width - 2 * gap) if title else ""
    heading_height = round(size * 3.2) if heading else 0
    entries = _flow_legend(legend or {}, size, gap, width)
    legend_height = round((entries[-1][3] + 1) * size * 1.9) if entries else 0
    heights = [max(picture.height for picture, _ in row) for row in rows]
    height = gap + heading_height + legend_height + sum(h + caption_height + gap for h in heights)
    sheet = Image.new("RGB", (width, height), background)
    draw = ImageDraw.Draw(sheet)

    y = gap // 2
    if heading:
        write_line(draw, gap, y + heading_height / 2.0, heading, round(size * 1.8), ink)
        y += heading_height
    for text, color, x, line in entries:
        middle = round(y + (line + 0.5) * size * 1.9)
        sheet.paste(
            color, (x, middle - size // 2), rounded_mask(size, size, max(2, size // 4), (True, True, True, True))
        )
        write_line(draw, x + round(size * 1.5), middle, text, size, ink)
    y += legend_height + gap - gap // 2
    for row, row_height in zip(rows, heights, strict=True):
        for column, (picture, caption) in enumerate(row):
            left = gap + column * (tile + gap)
            # Pictures of a row stand on one line, just above their captions.
            sheet.paste(picture, (left + (tile - picture.width) // 2, y + row_height - picture.height))
            text = shortened(caption, size, tile)
            middle_x = left + (tile - text_width(text, size)) / 2.0
            write_line(draw, middle_x, y + row_height + caption_height / 2.0, text, size, ink)
        y += row_height + caption_height + gap
    return sheet


def _flow_legend(legend: Mapping[str, Color], size: int, gap: int, width: int) -> list[tuple[str, Color, int, int]]:
    """Text, colour, x and line number of each entry, broken into lines like words."""
    entries: list[tuple[str, Color, int, int]] = []
    x, line = gap, 0
    for name, color in legend.items():
        text = shortened(clean(name), size, width - 2 * gap - round(size * 1.5))
        extent = round(size * 1.5) + text_width(text, size)
        if x > gap and x + extent > width - gap:
            x, line = gap, line + 1
        entries.append((text, color, x, line))
        x += extent + round(size * 1.6)
    return entries


def _scaled_to(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    return image if image.size == size else image.resize(size, Image.Resampling.LANCZOS)
