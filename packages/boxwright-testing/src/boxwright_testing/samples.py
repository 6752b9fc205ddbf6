"""The images and boxes that plugins are tested with: small, drawn on the spot, and awkward on purpose."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from boxwright import Boxes, Coordinates, ImageRef, Sample

LABELS = ("apple", "red, ripe", 'the "big" one', "вишня", "a<b & c")
"""Class names with a comma, quotes, spaces, another script and markup: all of them occur in real datasets."""

AWKWARD_LABELS = (
    *(" red", "red ", "two\nlines", "a\ttab", "\x1b[31mred", "\ufeffmark", "nul\x00"),
    *("1", "0", "-1", "1.5", "None", "null", "nan", "true", "background", "apple"),
    *("#", "%41", "a/b", "a\\b", "a;b", "a:b", "'", "=1+1", "{0}", "$x", "&amp;", "]]>", "<!--", "- a", "? b", "*a"),
    *("e\u0301", "\u00e9", "\U0001f34e", "\u0627\u0644\u0639", "\u200b", "\u2028", "\ud800", "x" * 300),
)
"""Class names that a careless format changes: trimmed, unescaped, taken for a number, for a comment or for markup."""

AWKWARD_NAMES = (
    *(" lead.jpg", "trail.jpg ", "two\nlines.jpg", "a\ttab.jpg", "a  b.jpg", ".hidden.jpg", "no ending", "1"),
    *("a,b.jpg", "a;b #1.jpg", "a%20b.jpg", "a&b<c>.jpg", 'a"b.jpg', "a'b.jpg", "a=b.jpg", "{split}.jpg", "[a]*.jpg"),
    *(
        "UPPER.JPG",
        "two.endings.png.jpg",
        "-dash.jpg",
        "e\u0301.jpg",
        "\U0001f34e.jpg",
        "\u0627.jpg",
        "x" * 200 + ".jpg",
    ),
)
"""File names that are allowed and that a careless format changes or does not find again."""

COLOURS = ((200, 40, 40), (40, 180, 60), (60, 80, 220), (230, 190, 40), (150, 60, 200))

BOX_EXAMPLES: Mapping[str, Any] = {
    "difficult": 1,
    "truncated": 1,
    "occluded": 1,
    "iscrowd": 1,
    "pose": "Left",
    "score": 0.75,
}
"""A value other than the default for the attributes of boxes that the schemas name."""

ANY_ATTRIBUTES: Mapping[str, Any] = {
    "remark": "ripe",
    "count": 3,
    "weight": 0.1,
    "digits": "007",
    "text": 'two "lines",\n<one> & вишня',
    "tags": ["a", "b"],
    "more": {"depth": 2, "nothing": None},
}
"""What a format that carries any attribute must hold: plain values of every type that JSON knows."""


def draw_image(
    width: int, height: int, boxes: Iterable[Coordinates] = (), colours: Sequence[tuple[int, int, int]] = COLOURS
) -> Any:
    """An image of mode RGB with one filled rectangle a box on a grey slope, as ``PIL.Image.Image``."""
    from PIL import ImageDraw

    image = _slope(width, height).copy()
    draw = ImageDraw.Draw(image)
    for number, (xmin, ymin, xmax, ymax) in enumerate(boxes):
        if xmax > xmin and ymax > ymin:
            draw.rectangle(
                (round(xmin), round(ymin), max(round(xmin), round(xmax) - 1), max(round(ymin), round(ymax) - 1)),
                fill=colours[number % len(colours)],
            )
    return image


@lru_cache(64)
def _slope(width: int, height: int) -> Any:
    from PIL import Image

    return Image.linear_gradient("L").resize((width, height)).point(lambda level: 90 + level // 4).convert("RGB")


def encode_image(image: Any, name: str) -> bytes:
    """A Pillow image as the bytes of a file of that name."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG" if name.endswith(".png") else "JPEG")
    return buffer.getvalue()


def make_sample(
    folder: Path,
    name: str,
    size: tuple[int, int],
    labels: Sequence[str] = (),
    edges: Sequence[Coordinates] = (),
    box_attributes: Sequence[Mapping[str, Any]] | None = None,
    attributes: Mapping[str, Any] | None = None,
    split: str | None = None,
) -> Sample:
    """Draws an image into a folder and returns it as a sample."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode_image(draw_image(*size, edges), name))
    return Sample(
        image=ImageRef(name=name, width=size[0], height=size[1], location=str(path)),
        boxes=Boxes(labels, edges, box_attributes),
        attributes=dict(attributes or {}),
        split=split,
        source=str(path),
    )


def standard_samples(
    folder: Path,
    carries: frozenset[str] = frozenset(),
    *,
    labels: Sequence[str] = LABELS,
    subfolders: bool = True,
    box_attributes: Mapping[str, Any] | None = None,
    image_attributes: Mapping[str, Any] | None = None,
) -> list[Sample]:
    """The samples that every format must preserve.

    Args:
        folder: Where the images are drawn.
        carries: What the format carries: ``"empty"``, ``"subpixel"`` and ``"split"`` each add their case.
        labels: At least five class names.
        subfolders: Whether an image in a sub-folder is among them, with the base name of another.
        box_attributes: Attributes to put on a box.
        image_attributes: Attributes to put on an image.
    """
    split = ("train", "test") if "split" in carries else (None, None)
    one, two, three, four, five = labels[:5]
    samples = [
        make_sample(folder, "001.jpg", (64, 48), [one, two], [(3, 5, 20, 30), (30, 8, 60, 40)], split=split[0]),
        make_sample(
            folder,
            "two words.png",
            (48, 64),
            [three, three, one],
            [(0, 0, 10, 10), (5, 5, 25, 50), (20, 10, 47, 63)],
            split=split[1],
        ),
        make_sample(folder, "фото-3.jpg", (33, 21), [four], [(0, 0, 33, 21)], split=split[0]),
        make_sample(folder, "004.jpg", (40, 40), [five], [(39, 39, 40, 40)], split=split[1]),
    ]
    if "empty" in carries:
        samples.append(make_sample(folder, "empty.jpg", (30, 20), split=split[0]))
    if subfolders:
        samples.append(make_sample(folder, "cam1/001.jpg", (50, 30), [one], [(1, 2, 40, 29)], split=split[1]))
    if "subpixel" in carries:
        edges = [(3.25, 2.5, 20.75, 30.5), (1 / 3, 0.1, 63.9, 47.123456)]
        samples.append(make_sample(folder, "fractions.jpg", (64, 48), [one, two], edges, split=split[0]))
    if box_attributes or image_attributes:
        samples.append(
            make_sample(
                folder,
                "attributes.jpg",
                (64, 48),
                [one, two],
                [(2, 3, 30, 40), (31, 3, 60, 40)],
                [box_attributes or {}, {}],
                image_attributes,
                split[1],
            )
        )
    return samples


def many_samples(folder: Path, count: int, boxes: int = 21) -> Iterator[Sample]:
    """As many samples as asked for, made one by one, all showing the same small image.

    Not 20 boxes: CPython 3.11 never reuses freed tuples of exactly 20, which looks as if each image were kept.
    """
    folder.mkdir(parents=True, exist_ok=True)
    image = folder / "picture.jpg"
    if not image.exists():
        image.write_bytes(encode_image(draw_image(16, 16), image.name))
    data = image.read_bytes()
    for number in range(count):
        edges = [(float(i % 7), float(i % 5), 8.0 + i % 8, 9.0 + i % 7) for i in range(number, number + boxes)]
        name = f"{number:06d}.jpg"
        yield Sample(
            image=ImageRef(name=name, width=16, height=16, data=data),
            boxes=Boxes([f"class {i % 3}" for i in range(boxes)], edges),
            source=name,
        )


def unlike_samples(count: int) -> Iterator[Sample]:
    """As many samples as asked for, made one by one, whose small images do not look alike."""
    import random

    from PIL import Image

    for number in range(count):
        blots = Image.frombytes("L", (6, 5), random.Random(number).randbytes(30))
        name = f"{number:06d}.png"
        data = encode_image(blots.resize((48, 40), Image.Resampling.BICUBIC), name)
        image = ImageRef(name=name, width=48, height=40, data=data)
        yield Sample(image=image, boxes=Boxes([f"class {number % 3}"], [(2.0, 3.0, 20.0, 30.0)]), source=name)


def drawn_samples(
    folder: Path,
    count: int,
    *,
    size: tuple[int, int] = (64, 64),
    labels: Sequence[str] = ("square", "wide"),
    seed: int = 0,
    empty: int = 0,
) -> list[Sample]:
    """Images that a detector can learn from: rectangles, colored by class.

    Args:
        folder: Where the images are drawn.
        count: How many.
        size: Width and height in pixels.
        labels: The classes; the first has square boxes, the others wide ones.
        seed: Of places and sizes.
        empty: How many of them, the last ones, have no box.
    """
    import random

    chance = random.Random(seed)
    width, height = size
    samples = []
    for number in range(count):
        names: list[str] = []
        edges: list[Coordinates] = []
        for position, label in enumerate(labels if number < count - empty else ()):
            tall = chance.randint(height // 4, height // 2)
            wide = tall if position == 0 else min(tall * 3 // 2, width)
            left, top = chance.randint(0, width - wide), chance.randint(0, height - tall)
            names.append(label)
            edges.append((float(left), float(top), float(left + wide), float(top + tall)))
        samples.append(make_sample(folder, f"{seed}-{number:03d}.png", size, names, edges))
    return samples
