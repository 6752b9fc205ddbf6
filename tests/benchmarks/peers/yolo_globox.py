"""Pascal VOC XML to YOLO with globox: ``python yolo_globox.py FOLDER OUT``."""

import sys
from pathlib import Path

from globox import AnnotationSet

if __name__ == "__main__":
    found = AnnotationSet.from_pascal_voc(Path(sys.argv[1]))
    labels = sorted({box.label for annotation in found for box in annotation.boxes})
    found.save_yolo_v5(Path(sys.argv[2]), label_to_id={label: number for number, label in enumerate(labels)})
