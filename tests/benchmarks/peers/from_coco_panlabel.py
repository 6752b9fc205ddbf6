"""Converts a COCO file with panlabel, written in Rust: ``python from_coco_panlabel.py FILE.json OUT FORMAT``."""

import os
import sys

if __name__ == "__main__":
    program = os.path.join(os.path.dirname(sys.executable), "panlabel")
    source, target, name = sys.argv[1:]
    options = ["--from", "coco", "--to", name, "--allow-lossy", "--input", source, "--output", target]
    os.execv(program, [program, "convert", *options])
