"""Generates a file like COCO's instances_train2017.json: ``python coco_data.py FILE [IMAGES [ANNOTATIONS]]``.

The default sizes are those of that file: 118,287 images and 860,001 annotations, 441 MB. Images have five keys besides
their size and name; annotations have polygons, are not grouped by image, and precede the categories; 1.2 % are crowds
with run lengths. The same arguments produce the same file. It is written annotation by annotation.
"""

from __future__ import annotations

import random
import sys
from pathlib import Path
from typing import Final

IMAGES: Final = 118_287
ANNOTATIONS: Final = 860_001
_LARGEST_ID: Final = 581_929
_SIZES: Final = ((640, 480), (640, 427), (500, 375), (480, 640), (427, 640), (612, 612))
_CLASSES: Final = [number for number in range(1, 91) if number not in (12, 26, 29, 30, 45, 66, 68, 69, 71, 83)]
_TEMPLATES: Final = 5_000
_CROWDS: Final = 0.012


def write(path: Path, images: int = IMAGES, annotations: int = ANNOTATIONS, seed: int = 2017) -> None:
    """Writes the file."""
    choose = random.Random(seed)
    ids = choose.sample(range(1, max(_LARGEST_ID, 2 * images)), images)
    outlines = [_outlined(choose) for _ in range(_TEMPLATES)]
    crowds = [_crowd(choose) for _ in range(_TEMPLATES // 50)]
    weights = [1 / (rank + 1) ** 0.8 for rank in range(len(_CLASSES))]
    with path.open("w", encoding="ascii", buffering=1 << 20) as file:
        file.write('{"info": {"description": "like COCO 2017", "year": 2017},"licenses": [{"id": 1,"name": "any"}],')
        file.write('"images": [')
        for number, image in enumerate(ids):
            width, height = choose.choice(_SIZES)
            name = f"{image:012d}.jpg"
            file.write(
                f'{", " if number else ""}{{"license": 1,"file_name": "{name}",'
                f'"coco_url": "http://images.example/train2017/{name}","height": {height},"width": {width},'
                f'"date_captured": "2013-11-14 11:18:45","flickr_url": "http://photos.example/{image}_z.jpg",'
                f'"id": {image}}}'
            )
        file.write('],"annotations": [')
        for number in range(annotations):
            before, between = choose.choice(crowds if choose.random() < _CROWDS else outlines)
            (label,) = choose.choices(_CLASSES, weights)
            file.write(
                f'{", " if number else ""}{before}{choose.choice(ids)}{between}{label},"id": {100_000 + 3 * number}}}'
            )
        categories = ",".join(f'{{"supercategory": "s{n % 12}","id": {n},"name": "class {n}"}}' for n in _CLASSES)
        file.write(f'],"categories": [{categories}]}}')


def _outlined(choose: random.Random) -> tuple[str, str]:
    """Returns an annotation up to the id of its image, and from there up to its class."""
    width, height = (round(choose.uniform(4, most), 2) for most in (250, 220))
    x, y = round(choose.uniform(0, 427 - width), 2), round(choose.uniform(0, 375 - height), 2)
    points = ",".join(
        f"{x + choose.random() * width:.2f},{y + choose.random() * height:.2f}" for _ in range(choose.randrange(8, 46))
    )
    area = 0.6 * width * height
    return (
        f'{{"segmentation": [[{points}]],"area": {area:.4f},"iscrowd": 0,"image_id": ',
        f',"bbox": [{x},{y},{width},{height}],"category_id": ',
    )


def _crowd(choose: random.Random) -> tuple[str, str]:
    counts = [choose.randrange(1, 400) for _ in range(120)]
    counts.append(427 * 375 - sum(counts))
    return (
        f'{{"segmentation": {{"counts": {counts},"size": [375,427]}},"area": 5000,"iscrowd": 1,"image_id": ',
        ',"bbox": [10.0,20.0,300.0,200.0],"category_id": ',
    )


if __name__ == "__main__":
    write(Path(sys.argv[1]), *map(int, sys.argv[2:]))
