"""Conversions that new interpreters share, as on Windows and macOS, write what one process writes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import boxwright

SCRIPT = """
import os
import sys

import boxwright
from boxwright.datasets import parallel

if __name__ == "__main__":
    folder, *sources = sys.argv[1:]
    parallel.can_fork, parallel.WORTH_STARTING, parallel.CHUNK = lambda: False, 0, 3
    pickled = parallel._pickled
    for number, source in enumerate(sources):
        contents = []
        parallel._pickled = lambda work: contents.append(pickled(work)) or contents[-1]
        for workers in (1, 2):
            boxwright.convert(source, f"coco:{folder}/{number}-{workers}.json", workers=workers)
        assert all(contents) and contents, f"{source} cannot be pickled"
"""


def test_conversions_by_new_interpreters_write_the_same_bytes(tmp_path: Path) -> None:
    images = tmp_path / "images"
    boxwright.convert("demo:train?images=8&seed=1", f"labelimg:{images}")
    boxwright.convert(f"labelimg:{images}", f"voc:{tmp_path / 'voc'}")
    boxwright.convert(f"labelimg:{images}", f"yolo:{tmp_path / 'yolo'}")
    boxwright.convert(f"labelimg:{images}", f"coco:{tmp_path / 'all.json'}")
    sources = [
        f"labelimg:{images}",
        f"voc:{tmp_path / 'voc'}",
        f"yolo:{tmp_path / 'yolo'}",
        f"coco:{tmp_path / 'all.json'}",
    ]
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    subprocess.run([sys.executable, script, tmp_path, *sources], check=True)
    for number in range(len(sources)):
        assert (tmp_path / f"{number}-1.json").read_bytes() == (tmp_path / f"{number}-2.json").read_bytes()
