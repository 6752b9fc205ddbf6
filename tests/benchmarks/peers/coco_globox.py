"""Pascal VOC XML to COCO with globox: ``python coco_globox.py FOLDER OUT.json``."""

import sys
from pathlib import Path

from globox import AnnotationSet

if __name__ == "__main__":
    AnnotationSet.from_pascal_voc(Path(sys.argv[1])).save_coco(Path(sys.argv[2]), auto_ids=True)
