"""Loads a COCO file with hotcoco, which is written in Rust: ``python coco_read_hotcoco.py FILE.json``."""

import sys

from hotcoco import COCO

if __name__ == "__main__":
    COCO(sys.argv[1])
