"""Only decodes every image of a folder with Pillow: ``python decode_pillow.py FOLDER WORKERS``."""

import os
import sys
from concurrent.futures import ThreadPoolExecutor

from PIL import Image


def decode(path: str) -> None:
    with Image.open(path) as image:
        image.load()


if __name__ == "__main__":
    folder = sys.argv[1]
    paths = sorted(os.path.join(folder, name) for name in os.listdir(folder) if name.endswith(".jpg"))
    with ThreadPoolExecutor(int(sys.argv[2])) as pool:
        for _ in pool.map(decode, paths):
            pass
