"""Pascal VOC XML to CSV with globox, whose CSV is that of Open Images: ``python csv_globox.py FOLDER OUT.csv``."""

import sys
from pathlib import Path

from globox import AnnotationSet

if __name__ == "__main__":
    AnnotationSet.from_pascal_voc(Path(sys.argv[1])).save_openimage(Path(sys.argv[2]))
