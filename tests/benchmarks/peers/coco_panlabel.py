"""Pascal VOC to COCO with panlabel, which is written in Rust: ``python coco_panlabel.py FOLDER OUT.json``."""

import os
import sys

if __name__ == "__main__":
    program = os.path.join(os.path.dirname(sys.executable), "panlabel")
    options = ["--from", "voc", "--to", "coco", "--allow-lossy", "--input", sys.argv[1], "--output", sys.argv[2]]
    os.execv(program, [program, "convert", *options])
