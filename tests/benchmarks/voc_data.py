"""Generates a labelImg dataset for benchmarks: ``python voc_data.py FOLDER IMAGES``.

Twenty different JPEG images of 500x375 with the detail of photos (60 to 120 kB), each written once and hard-linked
under the required number of names, with an XML file of 1 to 8 boxes for every name. The same boxes every time.
"""

from __future__ import annotations

import io
import os
import random
import sys
from pathlib import Path

from PIL import Image

from boxwright_testing import labelimg_xml

WIDTH, HEIGHT = 500, 375
DISTINCT = 20
CLASSES = [
    "aeroplane",
    "bicycle",
    "bird",
    "boat",
    "bottle",
    "bus",
    "car",
    "cat",
    "chair",
    "cow",
    "diningtable",
    "dog",
    "horse",
    "motorbike",
    "person",
    "pottedplant",
    "sheep",
    "sofa",
    "train",
    "tvmonitor",
]


def photo(rng: random.Random, size: int) -> bytes:
    """A JPEG of about ``size`` bytes: smooth colours with as much noise as it takes."""
    small = Image.frombytes("RGB", (12, 9), rng.randbytes(12 * 9 * 3))
    smooth = small.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC)
    noise = Image.frombytes("RGB", (WIDTH, HEIGHT), rng.randbytes(WIDTH * HEIGHT * 3))
    best, low, high = b"", 0.0, 1.0
    for _ in range(7):
        amount = (low + high) / 2
        buffer = io.BytesIO()
        Image.blend(smooth, noise, amount).save(buffer, "JPEG", quality=85)
        best = buffer.getvalue()
        low, high = (amount, high) if len(best) < size else (low, amount)
    return best


def annotation(rng: random.Random, folder: str, name: str) -> str:
    """Returns labelImg's XML for one image."""
    labels, coordinates, flags = [], [], []
    for _ in range(rng.randint(1, 8)):
        width, height = rng.randint(12, 300), rng.randint(12, 220)
        xmin, ymin = rng.randint(1, WIDTH - width), rng.randint(1, HEIGHT - height)
        labels.append(rng.choice(CLASSES))
        flags.append({"truncated": int(rng.random() < 0.15), "difficult": int(rng.random() < 0.1)})
        coordinates.append((float(xmin), float(ymin), float(xmin + width), float(ymin + height)))
    return labelimg_xml(name, labels, coordinates, flags, size=(WIDTH, HEIGHT), folder=folder)


def make(folder: Path, images: int, seed: int = 0) -> None:
    """Writes ``images`` annotated images to ``folder``."""
    rng = random.Random(seed)
    folder.mkdir(parents=True)
    originals = folder.parent / f"{folder.name}-originals"
    originals.mkdir()
    for number in range(DISTINCT):
        (originals / f"{number}.jpg").write_bytes(photo(rng, rng.randint(60_000, 120_000)))
    for number in range(images):
        name = f"img_{number:06d}"
        os.link(originals / f"{number % DISTINCT}.jpg", folder / f"{name}.jpg")
        (folder / f"{name}.xml").write_text(annotation(rng, folder.name, f"{name}.jpg"), "utf-8")


if __name__ == "__main__":
    make(Path(sys.argv[1]), int(sys.argv[2]))
