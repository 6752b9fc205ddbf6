"""COCO to Pascal VOC XML with globox: ``python voc_globox.py IN.json OUT``."""

import sys
from pathlib import Path

from globox import AnnotationSet

if __name__ == "__main__":
    AnnotationSet.from_coco(Path(sys.argv[1])).save_pascal_voc(Path(sys.argv[2]))
