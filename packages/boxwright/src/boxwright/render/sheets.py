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
    titles: tuple[str, str] = ("ground truth", "prediction"),
    *,
    background: Color = (255, 255, 255),
) -> Image.Image:
    """Returns two images next to each other, below their titles; the smaller one is enlarged to the other's height."""
    images = [to_rgb(image) for image in (left, right)]
    height = max(image.height for image in images)
    images = [_scaled_to(each, (max(1, round(each.width * height / each.height)), height)) for each in images]
    size = max(14, round(height / 26))
    bar, gap = round(size * 2.0), max(4, round(height / 60))
    sheet = Image.new("RGB", (images[0].width + gap + images[1].width, bar + height), background)
    draw, x = ImageDraw.Draw(sheet), 0
    for image, title in zip(images, titles, strict=True):
        text = shortened(clean(title), size, image.width)
        write_line(
            draw, x + (image.width - text_width(text, size)) / 2.0, bar / 2.0, text, size, text_color(background)
        )
        sheet.paste(image, (x, bar))
        x += image.width + gap
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
    """Returns images in a grid with captions, a title and a legend.

    For sharp letters, draw each image at the size that it has on the sheet:
    ``draw_boxes(..., min_side=tile, max_side=tile)``.

    Args:
        items: Images and captions. Each is reduced before the next is requested, so that a generator saves memory.
        columns: Number of columns; by default, the sheet is slightly wider than high.
        tile: Longer side of an image on the sheet, in pixels; the aspect ratio is kept.
        title: The headline.
        legend: The text and color of each entry, such as ``{"mug (42)": (86, 180, 233)}``.
        background: The color of the sheet; the text is black or white, whichever has the higher contrast.

    Returns:
        The sheet, mode RGB.

    Raises:
        ValueError: ``tile`` is smaller than 32, or ``columns`` is smaller than 1.
    """
    if tile < 32:
        raise ValueError(f"tile must be at least 32 pixels, not {tile}")
    if columns is not None and columns < 1:
        raise ValueError(f"columns must be at least 1, not {columns}")
    tiles = [(resized(to_rgb(image), tile, tile), clean(caption)) for image, caption in items]
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
    heights = [max(image.height for image, _ in row) for row in rows]
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
        for column, (image, caption) in enumerate(row):
            left = gap + column * (tile + gap)
            # The images of a row are aligned at the bottom, directly above their captions.
            sheet.paste(image, (left + (tile - image.width) // 2, y + row_height - image.height))
            text = shortened(caption, size, tile)
            middle_x = left + (tile - text_width(text, size)) / 2.0
            write_line(draw, middle_x, y + row_height + caption_height / 2.0, text, size, ink)
        y += row_height + caption_height + gap
    return sheet


def _flow_legend(legend: Mapping[str, Color], size: int, gap: int, width: int) -> list[tuple[str, Color, int, int]]:
    """Returns the text, color, x and line number of each entry, wrapped like words."""
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
