"""Pascal VOC XML to COCO with hotcoco, which is written in Rust: ``python coco_hotcoco.py FOLDER OUT.json``."""

import sys

from hotcoco import COCO

if __name__ == "__main__":
    COCO.from_voc(sys.argv[1]).save(sys.argv[2])
